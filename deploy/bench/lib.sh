# What the scripts here share: servers on free ports of the loopback interface,
# and their end. To be sourced by bash.

started=() # process ids of the servers; nothing else is ever killed

# say writes progress, apart from the results.
say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

die() {
	say "$*"
	exit 2
}

# need fails unless every program is there.
need() {
	local program
	for program; do
		command -v "$program" >/dev/null || die "$program is not installed"
	done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port finds a port that nobody listens on, outside the ports from which
# the system takes those of outgoing connections, of which there will be many.
free_port() {
	while :; do
		port=$((10000 + RANDOM % 20000))
		listening "$port" || return 0
	done
}

# await_port waits until the process listens.
await_port() {
	local pid=$1 at=$2 deadline=$((SECONDS + 20))
	until listening "$at"; do
		kill -0 "$pid" 2>/dev/null || return 1
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}

# stop ends servers and waits for them: TERM to all, and KILL to those that take
# too long.
stop() {
	local pid deadline=$((SECONDS + 15))
	for pid; do kill "$pid" 2>/dev/null || true; done
	for pid; do
		while kill -0 "$pid" 2>/dev/null; do
			((SECONDS < deadline)) || kill -9 "$pid" 2>/dev/null || true
			sleep 0.05
		done
		wait "$pid" 2>/dev/null || true
	done
	return 0
}

# cleanup ends what is still running; for a trap on EXIT.
cleanup() {
	stop "${started[@]}"
	rm -rf "$dir"
}

# start_redis sets redis_port and redis_pid.
start_redis() {
	free_port
	redis_port=$port
	redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no \
		--maxclients 1000 --dir "$dir" >"$dir/redis.log" 2>&1 &
	redis_pid=$!
	started+=("$redis_pid")
	await_port "$redis_pid" "$redis_port" || die "redis-server did not start: $(tail -3 "$dir/redis.log")"
}

redis() { redis-cli -p "$redis_port" "$@"; }

# start_gateway starts a gateway with the variables that are given and sets
# gateway_pid, gateway_port and admin_port.
start_gateway() {
	free_port
	gateway_port=$port
	free_port
	admin_port=$port
	env SSE_REDIS_URL="redis://127.0.0.1:$redis_port" SSE_PUBLIC_CHANNELS='**' SSE_LOG_LEVEL=warn \
		SSE_ADDR="127.0.0.1:$gateway_port" SSE_ADMIN_ADDR="127.0.0.1:$admin_port" \
		SSE_DRAIN_DELAY=0s SSE_DRAIN_WINDOW=1s "$@" "$bin/sse-gateway" 2>>"$dir/gateway.log" &
	gateway_pid=$!
	started+=("$gateway_pid")
	await_port "$gateway_pid" "$gateway_port" || die "sse-gateway did not start: $(tail -3 "$dir/gateway.log")"
}

# build makes the programs, unless $bin has been given.
build() {
	bin=${BIN:-$dir}
	[ -n "${BIN:-}" ] && return
	need go
	say "building sse-gateway and sse-bench"
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$dir/" ./cmd/sse-gateway ./cmd/sse-bench)
}

# processor prints the seconds of processor time that the threads of processes have
# used, to the microsecond: the ticks of /proc/PID/stat are too coarse for some seconds.
processor() {
	local pid
	for pid; do cat /proc/"$pid"/task/*/schedstat; done 2>/dev/null | awk '{ t += $1 } END { printf "%.6f\n", t / 1e9 }'
}

# resident prints the resident memory of processes, in MB. What they share, such as
# the pages of their program, counts once in all (proportional set size).
resident() {
	local pid
	for pid; do grep '^Pss:' "/proc/$pid/smaps_rollup"; done 2>/dev/null | awk '{ t += $2 } END { printf "%.0f\n", t * 1024 / 1e6 }'
}

# compute prints a number: compute '%.1f' '1 / 3'.
compute() { awk "BEGIN { printf \"$1\", $2 }"; }

# now prints the time in seconds.
now() { date +%s.%N; }

# start_steps starts a load client that step drives, with the arguments that are given.
start_steps() {
	coproc BENCH { exec "$bin/sse-bench" steps --quiet -o json "$@" 2>"$dir/bench.err"; }
	# Of descriptors of our own: bash closes the others when the process ends.
	bench=$BENCH_PID
	exec {to}>&"${BENCH[1]}" {from}<&"${BENCH[0]}" {BENCH[1]}>&-
	started+=("$bench")
}

# step has the load client do something and sets line to its answer. It fails if the
# step has failed.
step() {
	echo "$*" >&"$to" || die "sse-bench ended: $(tail -3 "$dir/bench.err")"
	answer
}
answer() {
	read -r line <&"$from" || die "sse-bench ended: $(tail -3 "$dir/bench.err")"
	[[ $line != *'"error"'* ]]
}
value() { sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p" <<<"$line"; }

# end_steps ends the load client and has its report in $dir/report.json. Its status is
# that of the client.
end_steps() {
	exec {to}>&-
	cat <&"$from" >"$dir/report.json"
	exec {from}<&-
	wait "$bench"
}
