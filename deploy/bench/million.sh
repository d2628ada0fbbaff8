#!/usr/bin/env bash
# A million streams on one machine: one Redis, as many replicas and load processes
# as the limit of descriptors asks for. Prints a table of what they take, and what
# limited it. Exit status: 0 nothing was lost, 1 something was, or a stream was
# missing, 2 the run could not be made.
#
#   STREAMS     how many (default 1000000)
#   REPLICAS    gateways, and as many load processes (default: from ulimit -n)
#   RETURN      streams that resume while the others stay (default 1 %)
#   STAY        how long heartbeats alone are measured (default 30s)
#   HEARTBEAT   SSE_HEARTBEAT of the replicas (default 60s: a million streams cost a
#               core of a machine of two with 15s, client included)
#   LIMIT       how long connecting may take (default 600s)
#   CALM        how long the replicas have before, to give memory back (default 12s)
#   BIN         take sse-gateway and sse-bench from this directory
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"

streams=${STREAMS:-1000000}
files=$(ulimit -n)
# A replica must have room for the clients of one that is rolled.
replicas=${REPLICAS:-$((streams / (files * 9 / 10) + 1))}
come_back=${RETURN:-$((streams / 100))}
stay=${STAY:-30s}

need redis-server redis-cli awk pgrep
dir=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM
build
"$bin/sse-bench" preflight --subscribers "$streams" --processes "$replicas" --local >&2 || die "this machine is too small for $streams streams"

# row keeps a line of the table that is printed in the end.
rows=()
row() {
	rows+=("| $1 | $2 |")
	say "$1: $2"
}

# memory prints what the machine has in use, in MB: all of it, slab, sockets.
memory() {
	awk '/^MemTotal/ { t = $2 } /^MemAvailable/ { a = $2 } /^Slab/ { s = $2 }
		END { printf "%.0f %.0f\n", (t - a) * 1024 / 1e6, s * 1024 / 1e6 }' /proc/meminfo
}

read -r used_before slab_before < <(memory)
start_redis
gateways=() ports=() admins=() urls=''
# The limit of connections is by default nine tenths of that of files.
limits=("SSE_MAX_CONNECTIONS=$((files - 200))" "SSE_HEARTBEAT=${HEARTBEAT:-60s}")
for ((i = 0; i < replicas; i++)); do
	start_gateway "${limits[@]}"
	gateways+=("$gateway_pid") ports+=("$gateway_port") admins+=("$admin_port")
	urls+="${urls:+,}http://127.0.0.1:$gateway_port"
done
empty=$(resident "${gateways[@]}")
row "replicas, and load processes" "$replicas"
row "the replicas without streams" "$empty MB"

# One stream on each: what the wide fan-out costs Redis.
before=$(processor "$redis_pid")
"$bin/sse-bench" run --gateway "$urls" --redis "redis://127.0.0.1:$redis_port" --no-gaps --quiet \
	--subscribers "$replicas" --channels 1 --rate 100 --duration 3s >"$dir/fanout.out" 2>&1 || die "$(tail -3 "$dir/fanout.out")"
row "Redis, 100 events/s of one channel that all replicas follow" \
	"$(compute %.0f "($(processor "$redis_pid") - $before) / 300 * 1e6") µs of processor per event"

coproc BENCH { exec "$bin/sse-bench" steps --gateway "$urls" --redis "redis://127.0.0.1:$redis_port" --no-gaps --quiet \
	--subscribers "$streams" --processes "$replicas" --ready-timeout "${LIMIT:-600s}" -o json 2>"$dir/bench.err"; }
# Of descriptors of our own: bash closes the others when the process ends.
bench=$BENCH_PID
exec {to}>&"${BENCH[1]}" {from}<&"${BENCH[0]}" {BENCH[1]}>&-
started+=("$bench")

# step has the load client do something and sets line to its answer.
step() {
	echo "$*" >&"$to" || die "sse-bench ended: $(tail -3 "$dir/bench.err")"
	answer
}
answer() {
	read -r line <&"$from" || die "sse-bench ended: $(tail -3 "$dir/bench.err")"
	[[ $line == *'"error"'* ]] && die "$line"
	return 0
}
value() { sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p" <<<"$line"; }
seconds() { compute %.1f "$(value "$1") / 1000"; }

step connect
row "streams" "$(value ready)"
row "connects" "$(compute %.0f "$(value ready) / $(value seconds)")/s, all after $(compute %.1f "$(value seconds)") s"
reached=$(value ready)
[ "$reached" = "$streams" ] || row "missing at the end of the time for connecting (LIMIT)" "$((streams - reached)) of $streams"

step stay "${CALM:-12s}"
before=$(processor "${gateways[@]}")
step stay "$stay"
row "heartbeats alone, every ${HEARTBEAT:-60s}" "$(compute %.2f "($(processor "${gateways[@]}") - $before) / $(value seconds)") cores of all replicas"
mem=$(resident "${gateways[@]}")
row "resident memory of all replicas" "$mem MB, $(compute %.0f "($mem - $empty) * 1e6 / $reached") bytes per stream beyond the empty replicas"
read -r used slab < <(memory)
row "memory of the machine, with kernel and load clients" \
	"$((used - used_before)) MB, of which slab $((slab - slab_before)) MB, load processes $(resident $(pgrep -P "$bench") "$bench") MB"
row "sockets" "$(awk '/^TCP:/ { print $3 " in use, " $11 * 4096 / 1e6 " MB of buffers" }' /proc/net/sockstat)"

before=$(processor "${gateways[@]}") redis_before=$(processor "$redis_pid")
step publish 1 1
row "an announcement to all: half, 99 %, all have it after" "$(seconds half_ms), $(seconds p99_ms), $(seconds all_ms) s"
row "… processor of the replicas per delivery" "$(compute %.1f "($(processor "${gateways[@]}") - $before) / $(value deliveries) * 1e6") µs"
row "… processor of the load client per delivery" "$(compute %.1f "$(value client_cpu) / $(value deliveries) * 1e6") µs"

step return "$come_back"
row "$come_back streams resume while the rest stay" "all are back after $(compute %.2f "$(value seconds)") s"

# One replica is rolled, with an event while its streams are away.
say "a replica is rolled"
victim=${gateways[0]} began=$SECONDS
echo "publish 2 0.2" >&"$to"
kill "$victim"
wait "$victim" || die "a replica ended with status $?"
env SSE_REDIS_URL="redis://127.0.0.1:$redis_port" SSE_PUBLIC_CHANNELS='**' SSE_LOG_LEVEL=warn "${limits[@]}" \
	SSE_ADDR="127.0.0.1:${ports[0]}" SSE_ADMIN_ADDR="127.0.0.1:${admins[0]}" \
	SSE_DRAIN_DELAY=0s SSE_DRAIN_WINDOW=1s "$bin/sse-gateway" 2>>"$dir/gateway.log" &
gateways[0]=$!
started+=("${gateways[0]}")
await_port "${gateways[0]}" "${ports[0]}" || die "the replica did not start again"
answer
step wait
row "one replica rolled: its streams are on the others" "$(value reconnects) reconnects so far, at most $((SECONDS - began)) s"
step publish 1 1
row "… an announcement after it: all have it after" "$(seconds all_ms) s"

exec {to}>&- # the end of the steps: the report follows
cat <&"$from" >"$dir/report.json"
status=0
wait "$bench" || status=$?
number() { sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" "$dir/report.json" | head -1; }
row "lost, late, repeated, out of order" "$(number lost), $(number late), $(number repeated), $(number out_of_order)"
echo "| $streams streams | |"
echo "|---|---|"
printf '%s\n' "${rows[@]}"
printf '\n%s\n' "$(sed -n 's/^ *"outcome": "\(.*\)"$/\1/p' "$dir/report.json")"
grep -h 'level":"error' "$dir/gateway.log" | head -3 >&2 || true
exit "$status"
