#!/usr/bin/env bash
# What events cost Redis and the replicas, by the number of replicas that follow a
# channel and by events per second. The time to connect is not in it.
#
#   REPLICAS    numbers of replicas (default "1 2 4 10 56")
#   RATES       events per second, over all channels (default "100 1000 10000")
#   CHANNELS    how many channels (default 1: a stream of it on each replica; else a
#               stream of each channel)
#   READ        "replica": a Sentinel and two Redis replicas, from which the gateways
#               read (SSE_REDIS_READ)
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
channels=${CHANNELS:-1} gateways=() urls='' copies=() servers=("$redis_port") environment=()

# start_copies starts two Redis replicas and a Sentinel that knows them.
start_copies() {
	local i pid sentinel deadline=$((SECONDS + 60))
	for i in 1 2; do
		free_port
		redis-server --port "$port" --bind 127.0.0.1 --save '' --maxclients 1000 --dir "$dir" --replicaof 127.0.0.1 "$redis_port" >"$dir/copy$i.log" 2>&1 &
		pid=$!
		started+=("$pid") copies+=("$pid") servers+=("$port")
		await_port "$pid" "$port" || die "redis-server did not start: $(tail -3 "$dir/copy$i.log")"
	done
	free_port
	sentinel=$port
	printf 'bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor main 127.0.0.1 %s 1\n' "$sentinel" "$dir" "$redis_port" >"$dir/sentinel.conf"
	redis-server "$dir/sentinel.conf" --sentinel >"$dir/sentinel.log" 2>&1 &
	started+=("$!")
	await_port "$!" "$sentinel" || die "the Sentinel did not start: $(tail -3 "$dir/sentinel.log")"
	# It learns of replicas from the master, whom it asks every 10 s.
	until [ "$(redis-cli -p "$sentinel" sentinel replicas main | grep -c '^master-link-status$\|^ok$')" -ge 4 ]; do
		((SECONDS < deadline)) || die "the Sentinel does not know the replicas"
		sleep 0.2
	done
	environment=("SSE_REDIS_URL=redis+sentinel://127.0.0.1:$sentinel?master=main" SSE_REDIS_READ=replica)
}
case ${READ:-} in
replica) start_copies ;;
'') ;;
*) die "READ=$READ is not replica" ;;
esac

# xranges prints how many reads the servers have carried out.
xranges() {
	local server
	for server in "${servers[@]}"; do redis-cli -p "$server" info commandstats; done |
		awk -F'[:=,]' '$1 == "cmdstat_xrange" { n += $3 } END { print n + 0 }'
}

echo "| replicas | events/s asked | events/s | master µs/event | each copy µs/event | reads/event of each replica | replicas µs/event, each | p50 ms | p99 ms |"
echo "|---|---|---|---|---|---|---|---|---|"
for replicas in ${REPLICAS:-1 2 4 10 56}; do
	while ((${#gateways[@]} < replicas)); do
		start_gateway "${environment[@]}"
		gateways+=("$gateway_pid")
		urls+="${urls:+,}http://127.0.0.1:$gateway_port"
	done
	for rate in ${RATES:-100 1000 10000}; do
		start_steps --gateway "$urls" --redis "redis://127.0.0.1:$redis_port" --no-gaps \
			--subscribers "$((channels > replicas ? channels : replicas))" --channels "$channels"
		step connect || die "$line"
		step stay 1s || die "$line"
		each=$(((rate * 3 + channels - 1) / channels)) # events of each channel: 3 s of them
		events=$((each * channels)) reads=$(xranges)
		master_before=$(processor "$redis_pid") copies_before=$(processor "${copies[@]}") gateways_before=$(processor "${gateways[@]}")
		step publish "$each" "$(compute %.6f "$rate / $channels")" || say "$line"
		per() { compute "$1" "($(processor "${@:4}") - $2) / $events / $3 * 1e6"; }
		echo "| $replicas | $rate | $(compute %.0f "$events / $(value seconds)") | $(per %.1f "$master_before" 1 "$redis_pid") | $([ -z "${READ:-}" ] || per %.1f "$copies_before" 2 "${copies[@]}")" \
			"| $(compute %.3f "($(xranges) - $reads) / $events / $replicas") | $(per %.1f "$gateways_before" "$replicas" "${gateways[@]}") | $(compute %.1f "$(value half_ms)") | $(compute %.1f "$(value p99_ms)") |"
		end_steps || say "$(grep -A3 failures "$dir/report.json" | head -5)"
	done
done
