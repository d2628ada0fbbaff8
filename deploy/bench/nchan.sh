# nginx with the nchan module, for run.sh. To be sourced after lib.sh.

# find_nchan sets nchan_module and fails if nginx or the module is not there.
find_nchan() {
	local path
	nginx=$(command -v nginx || ls /usr/sbin/nginx 2>/dev/null) || return 1
	for path in /usr/lib/nginx/modules /usr/lib64/nginx/modules /usr/share/nginx/modules /etc/nginx/modules; do
		nchan_module=$path/ngx_nchan_module.so
		[ -e "$nchan_module" ] && return 0
	done
	return 1
}

# start_nchan starts an nginx and sets nchan_port, nchan_pid, and nchan_pids to
# its master and workers.
start_nchan() {
	local home
	free_port
	nchan_port=$port
	home=$dir/nginx.$port
	mkdir -p "$home"
	cat >"$home/nginx.conf" <<-CONF
		load_module $nchan_module;
		worker_processes $(nproc);
		worker_rlimit_nofile $(ulimit -n);
		pid $home/nginx.pid;
		error_log $home/error.log warn;
		daemon off;
		events { worker_connections $(ulimit -n); }
		http {
		  access_log off;
		  client_body_temp_path $home/t1; proxy_temp_path $home/t2; fastcgi_temp_path $home/t3;
		  uwsgi_temp_path $home/t4; scgi_temp_path $home/t5;
		  nchan_shared_memory_size 512M;
		  upstream events { nchan_redis_server redis://127.0.0.1:$redis_port; }
		  server {
		    listen 127.0.0.1:$nchan_port backlog=8192;
		    location ~ /sub/(.+)\$ {
		      nchan_subscriber eventsource; nchan_channel_id \$1; nchan_redis_pass events;
		      nchan_subscriber_first_message newest;
		    }
		    location ~ /pub/(.+)\$ {
		      nchan_publisher; nchan_channel_id \$1; nchan_redis_pass events;
		      nchan_message_buffer_length 300; nchan_message_timeout 5m;
		    }
		  }
		}
	CONF
	"$nginx" -p "$home" -c "$home/nginx.conf" >"$home/out.log" 2>&1 &
	nchan_pid=$!
	started+=("$nchan_pid")
	await_port "$nchan_pid" "$nchan_port" || die "nginx did not start: $(tail -3 "$home/out.log" "$home/error.log")"
	sleep 1 # the workers load their scripts into Redis
	nchan_pids=$nchan_pid,$(pgrep -d, -P "$nchan_pid")
}
