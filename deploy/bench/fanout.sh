#!/usr/bin/env bash
# What one channel costs Redis that many replicas follow: its processor time and the
# latency, by replicas and events per second. A stream on each replica.
#
#   REPLICAS    numbers of replicas (default "10 56")
#   RATES       events per second (default "10 100 1000 10000")
#   BIN         take sse-gateway and sse-bench from this directory
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"

need redis-server redis-cli awk
dir=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM
build
start_redis
gateways=() urls=''
echo "| replicas | events/s asked | events/s | Redis µs/event | Redis, % of a core | reads/event of each replica | replicas µs/event, each | p50 ms | p99 ms |"
echo "|---|---|---|---|---|---|---|---|---|"
for replicas in ${REPLICAS:-10 56}; do
	while ((${#gateways[@]} < replicas)); do
		start_gateway
		gateways+=("$gateway_pid")
		urls+="${urls:+,}http://127.0.0.1:$gateway_port"
	done
	for rate in ${RATES:-10 100 1000 10000}; do
		redis config resetstat >/dev/null
		redis_before=$(processor "$redis_pid") before=$(processor "${gateways[@]}")
		"$bin/sse-bench" run --gateway "$urls" --redis "redis://127.0.0.1:$redis_port" --no-gaps --quiet \
			--subscribers "$replicas" --channels 1 --rate "$rate" --duration 5s -o json >"$dir/run.json" 2>"$dir/run.err" || say "$(tail -3 "$dir/run.err")"
		number() { sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" "$dir/run.json" | sed -n "${2:-1}p"; }
		reads=$(redis info commandstats | awk -F'[:=,]' '$1 == "cmdstat_xrange" { n = $3 } END { print n + 0 }')
		events=$((rate * 5))
		redis_took=$(compute %.2f "$(processor "$redis_pid") - $redis_before") took=$(compute %.2f "$(processor "${gateways[@]}") - $before")
		echo "| $replicas | $rate | $(compute %.0f "$(number per_second 2)") | $(compute %.0f "$redis_took / $events * 1e6") | $(compute %.0f "$redis_took / $events * $(number per_second 2) * 100")" \
			"| $(compute %.2f "$reads / $events / $replicas") | $(compute %.0f "$took / $events / $replicas * 1e6") | $(compute %.1f "$(number p50_ms)") | $(compute %.1f "$(number p99_ms)") |"
	done
done
