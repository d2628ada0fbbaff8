#!/usr/bin/env bash
# Measures sse-gateway under load, and nchan beside it where nginx has that
# module, and prints a table. ../BENCHMARKS.md says what is measured how.
set -euo pipefail

usage() {
	cat <<-'TEXT'
		usage: deploy/bench/run.sh [-quick] [-rounds N] [-only SCENARIO,…] [-out DIR]

		  -quick       one short round, without the 18,000 connections: about 3 minutes
		  -rounds N    rounds, of which the table shows the medians (default 3: about 20 minutes)
		  -only …      some of: idle-one-9000 idle-each-9000 idle-one-18000 idle-each-18000
		               broadcast many connect connect-each storm hot-0 hot-10ms
		               json-N: events of N bytes of JSON, with compression and without
		  -out DIR     keep the reports of sse-bench there

		BIN=DIR in the environment: take sse-gateway and sse-bench from there.
	TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$here/lib.sh"
. "$here/nchan.sh"

rounds=3 quick= out='' stay=14s duration=15s hot=8s
scenarios=(idle-one-9000 idle-each-9000 idle-one-18000 idle-each-18000 broadcast many connect connect-each storm hot-0 hot-10ms json-2000)
while (($#)); do
	case $1 in
	-quick) quick=1 rounds=1 duration=6s hot=4s stay=12s scenarios=(idle-one-9000 idle-each-9000 broadcast many connect connect-each storm hot-0 hot-10ms json-2000) ;;
	-rounds) rounds=$2 && shift ;;
	-only) IFS=, read -ra scenarios <<<"$2" && shift ;;
	-out) out=$2 && shift ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

need redis-server redis-cli go timeout pgrep
dir=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM
results=${out:-$dir/results}
mkdir -p "$results"
build
start_redis
servers=(gateway)
if find_nchan; then servers+=(nchan); else say "nginx has no nchan module here: no comparison"; fi

# start_server starts a fresh server of the kind and sets pids and the flags
# with which sse-bench talks to it.
start_server() {
	local kind=$1 scenario=$2
	case $kind in
	gateway)
		case $scenario in
		hot-10ms) start_gateway SSE_FLUSH_INTERVAL=10ms ;;
		*) start_gateway ;;
		esac
		pid=$gateway_pid pids=$gateway_pid
		# Nothing is trimmed here: a gap would be a fault, also one that makes a storm fast.
		target=(--gateway "http://127.0.0.1:$gateway_port" --no-gaps)
		again=(--resume-to "http://127.0.0.1:$gateway_port")
		;;
	plain | gzip)
		start_gateway SSE_COMPRESSION="${kind/plain/off}"
		pid=$gateway_pid pids=$gateway_pid
		target=(--gateway "http://127.0.0.1:$gateway_port" --no-gaps)
		[ "$kind" = plain ] || target+=(--compressed)
		;;
	nchan)
		start_nchan
		pid=$nchan_pid pids=$nchan_pids
		target=(--url "http://127.0.0.1:$nchan_port/sub/{channel}" --channel 'bench-{run}-{n}'
			--publish http --publish-url "http://127.0.0.1:$nchan_port/pub/{channel}")
		again=(--resume-to "http://127.0.0.1:$nchan_port/sub/{channel}")
		;;
	esac
}

# flags_of sets the flags of a scenario.
flags_of() {
	case $1 in
	idle-one-*) flags=(idle --subscribers "${1##*-}" --duration "$stay" --after 12s) ;;
	idle-each-*) flags=(idle --subscribers "${1##*-}" --channels 0 --duration "$stay" --after 12s) ;;
	broadcast | many) flags=("$1" --duration "$duration") ;;
	connect-each) flags=(connect --channels 0) ;;
	connect | storm) flags=("$1") ;;
	hot-*) flags=(hot --duration "$hot") ;;
	json-*) flags=(broadcast --duration "$duration" --data json --size "${1##*-}") ;;
	*) die "there is no scenario $1" ;;
	esac
}

# kinds_of sets the servers that a scenario is measured with.
kinds_of() {
	case $1 in
	json-*) kinds=(plain gzip) ;;
	hot-*) kinds=(gateway) ;;
	*) kinds=("${servers[@]}") ;;
	esac
}

# measure makes one run; its report goes to a file of its own.
measure() {
	local kind=$1 scenario=$2 round=$3 file reads
	file=$results/$scenario.$kind.$round
	redis flushall >/dev/null
	flags_of "$scenario"
	start_server "$kind" "$scenario"
	local first=("${target[@]}") first_pid=$pid
	if [ "$scenario" = storm ]; then
		# They come back to a server that has not seen the channel.
		start_server "$kind" "$scenario"
		first+=("${again[@]}")
	fi
	redis config resetstat >/dev/null
	timeout -k 5 150 "$bin/sse-bench" "${flags[@]}" "${first[@]}" --redis "redis://127.0.0.1:$redis_port" \
		--processes 2 --pids "$pids" -o json --quiet >"$file.json" 2>"$file.err" || true
	if [ ! -s "$file.json" ]; then
		say "$kind, $scenario: $(tail -1 "$file.err")"
		# A round that did not come to its end is not one that was not made.
		echo '{"unfinished": true, "pass": false, "failures": ["there is no report"]}' >"$file.json"
	fi
	reads=$(redis info commandstats | awk -F'[:=,]' '$1 == "cmdstat_xrange" { n = $3 } END { print n + 0 }')
	echo "$reads" >"$file.reads"
	stop "$first_pid" "$pid"
}

say "load average before: $(cut -d' ' -f1-3 /proc/loadavg); $(nproc) cores"
for ((round = 1; round <= rounds; round++)); do
	for scenario in "${scenarios[@]}"; do
		if [[ $scenario == *-18000 ]] && (($(ulimit -n) < 18200)); then
			say "$scenario: left out, ulimit -n is $(ulimit -n)"
			continue
		fi
		kinds_of "$scenario"
		for kind in "${kinds[@]}"; do
			say "round $round of $rounds: $scenario, $kind"
			measure "$kind" "$scenario" "$round"
		done
	done
done
say "load average after: $(cut -d' ' -f1-3 /proc/loadavg)"
cd "$root" && go run ./deploy/bench/table "$results"
