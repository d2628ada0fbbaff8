#!/bin/sh
# The first classic: a server that sends data every 5 seconds. The page is
# ../pages/every5s.html; any number of people may watch.
set -eu
while :; do
	redis-cli -e --no-auth-warning -u "${REDIS_URL:-redis://127.0.0.1:6379}" \
		XADD sse:every5s MAXLEN '~' 100 '*' data "The server time is $(date +%T)"
	sleep "${INTERVAL:-5}"
done
