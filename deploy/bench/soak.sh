#!/usr/bin/env bash
# Has a gateway under load for a while: streams that stay, with events on all of
# them, and clients that come and go all the time. Prints what it takes over
# time, and a verdict: its memory, goroutines and descriptors have to be flat,
# and no event may be lost, late, repeated or out of order, nor any gap announced.
# Exit status: 0 flat, 1 not flat or events wrong, 2 the run could not be made.
#
#   SOAK_MINUTES   how long (default 30)
#   BIN            take sse-gateway and sse-bench from this directory
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"

minutes=${SOAK_MINUTES:-30}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || die "SOAK_MINUTES=$minutes is not a number of minutes"
need redis-server timeout awk
dir=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM
build
start_redis
# Heartbeats often, so that the timers have something to do.
start_gateway SSE_HEARTBEAT=5s SSE_FLUSH_INTERVAL=0
stay=$((minutes * 60))
# Retention never passes a client here: a gap would be a fault.
with=(--gateway "http://127.0.0.1:$gateway_port" --redis "redis://127.0.0.1:$redis_port" --maxlen 10000 --no-gaps --quiet)

# scrape sets rss and heap in KiB, goroutines, fds, connections, deliveries,
# disconnects and finds (of the sweep) to what the gateway says.
scrape() {
	local text=$dir/metrics
	exec 3<>"/dev/tcp/127.0.0.1/$admin_port"
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
	cat <&3 >"$text"
	exec 3<&-
	read -r rss heap goroutines fds connections deliveries disconnects finds < <(awk '
		{ v[$1] = $2 }
		/^sse_gateway_disconnects_total/ { gone += $2 }
		END { printf "%d %d %d %d %d %d %d %d\n", v["process_resident_memory_bytes"] / 1024,
			v["go_memstats_heap_inuse_bytes"] / 1024, v["go_goroutines"], v["process_open_fds"],
			v["sse_gateway_connections"], v["sse_gateway_deliveries_total"], gone, v["sse_gateway_sweep_finds_total"] }' "$text")
}

# Clients that come, stay for some seconds, and go, again and again.
come_and_go() {
	local end=$((SECONDS + stay)) n=0
	while ((SECONDS < end)); do
		n=$((n + 1))
		timeout -k 5 120 "$bin/sse-bench" run "${with[@]}" --subscribers 1500 --channels $((n % 2 ? 10 : 1500)) --rate 100 --duration 4s \
			--channel 'come:{run}:{n}' >"$dir/come.out" 2>&1 || cp "$dir/come.out" "$dir/come.failed.$n"
	done
}

# One storm after the other: all leave, miss events, and come back at once.
storms() {
	local end=$((SECONDS + stay)) n=0
	while ((SECONDS < end)); do
		n=$((n + 1))
		timeout -k 5 150 "$bin/sse-bench" storm "${with[@]}" --subscribers 800 --missed 50 --channel 'storm:{run}:{n}' \
			>"$dir/storm.out" 2>&1 || cp "$dir/storm.out" "$dir/storm.failed.$n"
		sleep 5
	done
}

scrape
first_fds=$fds first_goroutines=$goroutines
say "load average $(cut -d' ' -f1-3 /proc/loadavg); $minutes minutes"
timeout -k 5 $((stay + 120)) "$bin/sse-bench" run "${with[@]}" --subscribers 2000 --channels 50 --rate 200 --duration "${stay}s" \
	--channel 'stay:{run}:{n}' --settle 30s >"$dir/stay.out" 2>&1 &
stayers=$!
come_and_go &
comers=$!
storms &
stormers=$!
started+=("$stayers" "$comers" "$stormers")
# The loops' own children are not in the list.
trap 'pkill -P "$comers" || true; pkill -P "$stormers" || true; cleanup' EXIT

printf '%6s %9s %9s %11s %12s %6s %12s %12s\n' s rss_kib heap_kib goroutines descriptors conns disconnects deliveries
begin=$SECONDS
# A sample is the median of several moments: connections come and go by the
# thousand meanwhile.
every=$((stay / 20 > 5 ? stay / 20 : 5))
: >"$dir/samples"
while kill -0 "$stayers" 2>/dev/null && ((SECONDS - begin < stay)); do
	: >"$dir/moments"
	for ((i = 0; i < every && SECONDS - begin < stay; i++)); do
		scrape
		# Goroutines and descriptors beyond those of connections.
		echo "$rss $heap $goroutines $((fds - connections)) $connections $disconnects $deliveries" >>"$dir/moments"
		sleep 1
	done
	[ -s "$dir/moments" ] || break
	line=$((SECONDS - begin))
	for column in 1 2 3 4 5 6 7; do
		line+=" $(cut -d' ' -f$column "$dir/moments" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')"
	done
	echo "$line" >>"$dir/samples"
	awk '{ printf "%6d %9d %9d %11d %12d %6d %12d %12d\n", $1, $2, $3, $4, $5, $6, $7, $8 }' <<<"$line"
done

failed=0
wait "$comers" "$stormers" || true
wait "$stayers" || { say "the streams that stayed:" && tail -20 "$dir/stay.out" >&2 && failed=1; }
for f in "$dir"/*.failed.*; do
	[ -e "$f" ] || continue
	say "${f##*/}:" && tail -20 "$f" >&2 && failed=1
done

# After everybody has left, what connections took is given back.
sleep 20
scrape
printf '%6s %9d %9d %11d %12d %6d %12d %12d\n' after "$rss" "$heap" "$goroutines" "$((fds - connections))" "$connections" "$disconnects" "$deliveries"
flat() { # what, before, now, allowed growth
	if (($3 > $2 + $4)); then
		echo "NOT FLAT: $1 went from $2 to $3"
		failed=1
	else
		echo "flat: $1, $2 and then $3"
	fi
}
# The second quarter against the last one: the first warms everything up.
quarter() {
	awk -v column="$1" -v part="$2" '{ v[NR] = $column } END {
		from = int(NR * part / 4) + 1; to = int(NR * (part + 1) / 4)
		for (i = from; i <= to; i++) { sum += v[i]; n++ }
		print n ? int(sum / n) : 0 }' "$dir/samples"
}
early=$(quarter 2 1)
flat "resident memory (KiB)" "$early" "$(quarter 2 3)" $((early / 10 + 4096))
early=$(quarter 3 1)
flat "heap (KiB)" "$early" "$(quarter 3 3)" $((early / 5 + 4096))
flat "goroutines" "$(quarter 4 1)" "$(quarter 4 3)" 100
flat "descriptors beyond connections" "$(quarter 5 1)" "$(quarter 5 3)" 100
flat "goroutines after all have left" "$first_goroutines" "$goroutines" 50
flat "descriptors after all have left" "$first_fds" "$fds" 20
flat "connections after all have left" 0 "$connections" 0
flat "entries that only the safety sweep found" 0 "$finds" 0
say "load average $(cut -d' ' -f1-3 /proc/loadavg)"
if ((failed)); then echo "verdict: FAIL" && exit 1; fi
echo "verdict: pass"
