#!/bin/bash
# The programs of examples/ beside what they resemble: CPU time of the server for one request, both standing ready and
# taking turns in windows of about a second, every other turn in the other order. A ratio is that of the two windows of
# one turn; the median of the turns counts.
#
#     peers.sh get.1|get.16|set.1|set.16|http|proxy      a command and a pipeline: kv and redis-server; http and nginx;
#                                                        proxy and HAProxy
#
# Prints names and values, or nothing where a program is missing. BENCH_CPUS names the processors of server and load,
# QUICK=1 makes it shorter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
read -r server_cpu load_cpu <<< "${BENCH_CPUS:-0 1}"
turns=7
[ "${QUICK:-0}" = 0 ] || turns=3
scratch=$(mktemp -d)
servers=

# The shell would speak of each that was killed.
finish()
{
    exec 2> "$scratch/end"
    for pid in $servers; do kill -9 "$pid" || :; done
    wait || :
    rm -rf "$scratch"
}
trap finish EXIT

have()
{
    for program in "$@"; do
        command -v "$program" > "$scratch/which" || { echo "left out: $program is missing" >&2 && exit 0; }
    done
}

on_load() { taskset -c "$load_cpu" "$@"; }

# serve CPU COMMAND...: in the background, its output in the file $out; $pid is it.
serve()
{
    out=$(mktemp "$scratch/out.XXXXXX")
    taskset -c "$@" > "$out" 2>&1 &
    pid=$!
    servers="$servers $pid"
}

# The line by which a server of ours says where it listens, once it is there; $port is that.
announced()
{
    port=
    until port=$(sed -n 's/^listening.*[ :]\([0-9][0-9]*\)$/\1/p' "$out") && [ -n "$port" ]; do
        kill -0 "$pid" || exit 1
    done
}

# A free port, for those who take no 0.
free_port()
{
    serve "$server_cpu" "$here/echo_raw" 0
    announced
    kill "$pid"
    wait "$pid" || :
}

accepts() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> "$scratch/refused"; }

# wait_for PORT: until it is listened on.
wait_for() { until accepts "$1"; do kill -0 "$pid" || { cat "$out" >&2 && exit 1; }; done; }

# Of all its threads, in nanoseconds.
cpu_ns() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }

# ---- loads: each prints how many requests it made of PORT, or nothing if one failed ----

redis_load() # PORT COMMAND PIPELINE
{
    requests=$(($3 > 1 ? 200000 : 20000))
    [ "${QUICK:-0}" = 0 ] || requests=$((requests / 4))
    on_load redis-benchmark -p "$1" -t "$2" -P "$3" -n $requests -q > "$scratch/load" 2>&1 || requests=
    grep -qi error "$scratch/load" || echo $requests
}

http_load() # PORT
{
    on_load wrk -t1 -c50 -d1s "http://127.0.0.1:$1/index.html" > "$scratch/load"
    grep -q 'Socket errors\|Non-2xx' "$scratch/load" || awk '/ requests in /{ print $1 }' "$scratch/load"
}

proxy_load() # PORT
{
    on_load "$here/load" -p "$1" -c 50 -t 1 > "$scratch/load"
    awk '$1 == "round_trips" { print $2 }' "$scratch/load"
}

# window PID PORT LOAD ARGUMENTS...: nanoseconds of a request.
window()
{
    before=$(cpu_ns "$1")
    requests=$("$3" "$2" "${@:4}")
    [ -n "$requests" ] || { cat "$scratch/load" >&2 && exit 1; }
    echo $((($(cpu_ns "$1") - before) / requests))
}

# beside OUR_PID OUR_PORT PEER_PID PEER_PORT LOAD ARGUMENTS...
beside()
{
    window "$1" "$2" "${@:5}" > "$scratch/warm"
    window "$3" "$4" "${@:5}" > "$scratch/warm"
    for turn in $(seq $turns); do
        [ $((turn % 2)) = 0 ] || ours=$(window "$1" "$2" "${@:5}")
        theirs=$(window "$3" "$4" "${@:5}")
        [ $((turn % 2)) = 1 ] || ours=$(window "$1" "$2" "${@:5}")
        echo "$ours $theirs"
    done > "$scratch/turns"
    median_of() { awk "{ printf \"%.4f\n\", $1 }" "$scratch/turns" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
    # shellcheck disable=SC2016 # the dollars are awk's
    echo "ratio $(median_of '$1 / $2') ours_ns $(median_of '$1') theirs_ns $(median_of '$2')"
}

row_kv() # COMMAND PIPELINE
{
    have "$here/kv" redis-server redis-benchmark
    free_port
    peer_port=$port
    serve "$server_cpu" redis-server --port "$peer_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$scratch"
    peer=$pid
    wait_for "$peer_port"
    serve "$server_cpu" "$here/kv" 0
    announced
    beside "$pid" "$port" "$peer" "$peer_port" redis_load "$@"
}

# Both with a file of one KiB that is in the page cache. sendfile is slower for one so small.
row_http()
{
    have "$here/http" nginx wrk
    mkdir "$scratch/site"
    head -c 1024 /dev/zero | tr '\0' x > "$scratch/site/index.html"
    free_port
    peer_port=$port
    {
        echo "daemon off; master_process off; worker_processes 1; pid $scratch/pid; error_log stderr error;"
        [ "$(id -u)" != 0 ] || echo "user root;"
        echo "events { worker_connections 1024; }"
        echo "http { access_log off; sendfile off; keepalive_requests 1000000000; types { text/html html; }"
        for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $scratch;"; done
        echo "server { listen 127.0.0.1:$peer_port; root $scratch/site; } }"
    } > "$scratch/nginx.conf"
    serve "$server_cpu" nginx -e stderr -c "$scratch/nginx.conf"
    peer=$pid
    wait_for "$peer_port"
    serve "$server_cpu" "$here/http" 0 "$scratch/site"
    announced
    beside "$pid" "$port" "$peer" "$peer_port" http_load
}

# Both before the same echo server.
row_proxy()
{
    have "$here/proxy" haproxy
    free_port
    peer_port=$port
    serve "$load_cpu" "$here/echo_raw" 0
    announced
    echo_port=$port
    {
        echo "global"
        echo "    nbthread 1"
        echo "defaults"
        echo "    mode tcp"
        echo "    timeout connect 5s"
        echo "    timeout client 60s"
        echo "    timeout server 60s"
        echo "listen echo"
        echo "    bind 127.0.0.1:$peer_port"
        echo "    server echo 127.0.0.1:$echo_port"
    } > "$scratch/haproxy.cfg"
    serve "$server_cpu" haproxy -db -f "$scratch/haproxy.cfg"
    peer=$pid
    wait_for "$peer_port"
    serve "$server_cpu" "$here/proxy" 0 127.0.0.1 "$echo_port"
    announced
    beside "$pid" "$port" "$peer" "$peer_port" proxy_load
}

case ${1:-} in
get.* | set.*) row_kv "${1%.*}" "${1#*.}" ;;
http) row_http ;;
proxy) row_proxy ;;
*) echo "usage: peers.sh get.1 | get.16 | set.1 | set.16 | http | proxy" >&2 && exit 2 ;;
esac
