#!/bin/sh
# The demonstration: the same client against both servers, then a crowd of clients
# against one thread. Takes the folder with the programs; ends by itself.
set -eu
programs=$1
log=$programs/demo.log
server=

# Start a server on a free port; sets $port.
start()
{
    : > "$log"
    "$programs/$1" 0 > "$log" &
    server=$!
    port=
    while [ -z "$port" ]; do
        kill -0 "$server"
        port=$(sed -n 's/^listening on port //p' "$log")
    done
}

stop()
{
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    server=
}
trap stop EXIT
trap 'exit 1' HUP INT PIPE TERM

exchange()
{
    start "$1"
    printf '%s\n' "--- $1: ./ping 127.0.0.1 $port \"Hello, loop.\" 2"
    "$programs/ping" 127.0.0.1 "$port" "Hello, loop." 2 | tee "$programs/$1.out"
    stop
}

exchange pong_callback
exchange pong_coroutine
cmp "$programs/pong_callback.out" "$programs/pong_coroutine.out"
echo "--- both sent the same bytes back"

start pong_coroutine
printf '%s\n' "--- pong_coroutine, one thread: ./ping 127.0.0.1 $port ping 1 1000"
"$programs/ping" 127.0.0.1 "$port" ping 1 1000 | tee "$programs/ping.out"
grep -q '^1000 clients at once: 1000 got' "$programs/ping.out"
echo "--- and what the server says, now that all of them have left:"
until grep 'most connections' "$log"; do kill -0 "$server"; done
