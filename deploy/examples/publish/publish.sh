#!/bin/sh
# Publishes one event:
#
#   ./publish.sh orders '{"id":17}' created
#
# REDIS_URL says where; without it, redis://127.0.0.1:6379. Needs redis-cli 7. (If
# the password is wrong, redis-cli goes on as the default user; have it off.)
set -eu
if [ $# -lt 2 ]; then
	echo "usage: publish.sh CHANNEL DATA [EVENT]" >&2
	exit 2
fi
channel=$1 data=$2 event=${3:-}

# -e: an error of Redis is an error of this command. MAXLEN is what a client
# that was away can still get.
redis-cli -e --no-auth-warning -u "${REDIS_URL:-redis://127.0.0.1:6379}" \
	XADD "sse:$channel" MAXLEN '~' 10000 '*' data "$data" ${event:+event "$event"}
