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
#   HEARTBEAT   SSE_HEARTBEAT of the replicas, in seconds (default 60s)
#   LIMIT       how long connecting may take (default 600s)
#   CALM        how long they have before, to give memory back (default 12s)
#   BIN         take sse-gateway and sse-bench from this directory
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"

# Root has all of it in a network namespace of its own, whose table of connections has
# a place for each end: that of the machine may have 262,144 for 2,000,000, and a firewall
# that tracks connections. The table belongs to a namespace's parent, hence two of them.
if [ -z "${NAMESPACE:-}" ] && [ "$(id -u)" = 0 ] && command -v ip >/dev/null && unshare --net true 2>/dev/null; then
	[ -n "${BIN:-}" ] || (cd "$root" && go mod download) # the namespace has no way out
	NAMESPACE=parent exec unshare --net "$0" "$@"
elif [ "${NAMESPACE:-}" = parent ]; then
	sysctl -q -w net.ipv4.tcp_child_ehash_entries=4194304 || true # since Linux 6.1
	NAMESPACE=own exec unshare --net "$0" "$@"
elif [ "${NAMESPACE:-}" = own ]; then
	ip link set lo up
fi

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

# memory prints what the machine has in use beside the cache of files, in MB, and how
# much of that is slab. MemAvailable would not do: it takes half of what inodes and
# directory entries have for free, and each socket has one of both.
memory() {
	awk '{ v[$1] = $2 } END {
		printf "%.0f %.0f\n", (v["MemTotal:"] - v["MemFree:"] - v["Buffers:"] - v["Cached:"]) * 1024 / 1e6, v["Slab:"] * 1024 / 1e6 }' /proc/meminfo
}

# listings prints what the kernel keeps of listings of /proc/PID/fd, in MB: an inode of
# /proc and a directory entry for each descriptor. It frees them when memory is short.
# Another program makes them, one that looks up whose a socket is; nobody else may see.
listings() {
	awk '$1 == "proc_inode_cache" { n = $2; each = $4 } $1 == "dentry" { each += $4 } END { printf "%.0f\n", n * each / 1e6 }' /proc/slabinfo 2>/dev/null || echo 0
}

# counter prints a counter of the network: counter TCPAbortOnTimeout.
counter() { awk -v name="$1" '{ if ($1 == last) { for (i = 2; i <= NF; i++) if (head[i] == name) n = $i } else { last = $1; split($0, head) } } END { print n + 0 }' /proc/net/netstat; }

# dropped prints how many packets the queues of the processors had no room for
# (net.core.netdev_max_backlog).
dropped() {
	local n=0 cpu _
	while read -r _ cpu _; do n=$((n + 16#$cpu)); done </proc/net/softnet_stat
	echo "$n"
}

# busy prints the time that the processors were busy and in all, in ticks.
busy() { awk '$1 == "cpu" { all = 0; for (i = 2; i <= 9; i++) all += $i; print all - $5 - $6, all }' /proc/stat; }

read -r used_before slab_before < <(memory)
aborted=$(counter TCPAbortOnTimeout) drops=$(dropped)
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

start_steps --gateway "$urls" --redis "redis://127.0.0.1:$redis_port" --no-gaps \
	--subscribers "$streams" --processes "$replicas" --ready-timeout "${LIMIT:-600s}"
seconds() { compute %.1f "$(value "$1") / 1000"; }

# finish ends the load client, prints the table and what limited the run, and exits.
finish() {
	local status=0 tracked
	end_steps || status=$?
	number() { sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" "$dir/report.json" | head -1; }
	row "lost, late, repeated, out of order" "$(number lost), $(number late), $(number repeated), $(number out_of_order)"
	aborted=$(($(counter TCPAbortOnTimeout) - aborted)) drops=$(($(dropped) - drops))
	((aborted + drops == 0)) || row "connections that the kernel ended because no packet came back; packets that a full queue dropped (net.core.netdev_max_backlog)" "$aborted; $drops"
	# Connections are tracked if a firewall does so for loopback too.
	tracked=$(cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null || echo 0)
	((tracked == 0)) || row "connections in the firewall's table (nf_conntrack)" "$tracked of $(cat /proc/sys/net/netfilter/nf_conntrack_max)"
	echo "| $streams streams | |"
	echo "|---|---|"
	printf '%s\n' "${rows[@]}"
	printf '\n%s\n' "$(sed -n 's/^ *"outcome": "\(.*\)"$/\1/p' "$dir/report.json")"
	grep -h 'level":"error' "$dir/gateway.log" | head -3 >&2 || true
	exit "$status"
}

# must does a step, and ends the run if it fails.
must() {
	step "$@" && return
	row "$1 failed" "$(sed -n 's/.*"error":"\([^"]*\)".*/\1/p' <<<"$line"); $(value ready) streams are there, $(value reconnects) have come back"
	finish
}

must connect
row "streams" "$(value ready)"
row "connects" "$(compute %.0f "$(value ready) / $(value seconds)")/s, all after $(compute %.1f "$(value seconds)") s"
reached=$(value ready)
[ "$reached" = "$streams" ] || row "missing at the end of the time for connecting (LIMIT)" "$((streams - reached)) of $streams"

must stay "${CALM:-12s}"
beats=$(value heartbeats) before=$(processor "${gateways[@]}") begun=$(now)
read -r busy_before all_before < <(busy)
must stay "$stay"
took=$(compute %.3f "$(now) - $begun")
read -r busy_after all_after < <(busy)
row "$(compute %.0f "$took") s of heartbeats alone, every ${HEARTBEAT:-60s}" \
	"$(compute %.0f "($(value heartbeats) - $beats) / $took")/s came, of at most $(compute %.0f "$reached / ($(sed 's/s$//' <<<"${HEARTBEAT:-60s}"))"); all replicas $(compute %.2f "($(processor "${gateways[@]}") - $before) / $took") cores, the machine $(compute %.0f "100 * ($busy_after - $busy_before) / ($all_after - $all_before)") % busy"
mem=$(resident "${gateways[@]}")
row "resident memory of all replicas" "$mem MB, $(compute %.0f "($mem - $empty) * 1e6 / $reached") bytes per stream beyond the empty replicas"
read -r used slab < <(memory)
row "memory of the machine, with kernel and load clients" \
	"$((used - used_before)) MB, of which slab $((slab - slab_before)) MB ($(listings) MB of that are listings of /proc/PID/fd by other programs), load processes $(resident $(pgrep -P "$bench") "$bench") MB"
row "sockets" "$(awk '/^TCP:/ { print $3 " in use, " $11 * 4096 / 1e6 " MB of buffers" }' /proc/net/sockstat)"

before=$(processor "${gateways[@]}") redis_before=$(processor "$redis_pid")
must publish 1 1
row "an announcement to all: half, 99 %, all have it after" "$(seconds half_ms), $(seconds p99_ms), $(seconds all_ms) s"
row "… processor of the replicas per delivery" "$(compute %.1f "($(processor "${gateways[@]}") - $before) / $(value deliveries) * 1e6") µs"
row "… processor of the load client per delivery" "$(compute %.1f "$(value client_cpu) / $(value deliveries) * 1e6") µs"

must return "$come_back"
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
answer || row "publish while a replica is rolled failed" "$line"
must wait
row "one replica rolled: its streams are on the others" "$(value reconnects) reconnects so far, at most $((SECONDS - began)) s"
must publish 1 1
row "… an announcement after it: all have it after" "$(seconds all_ms) s"

finish
