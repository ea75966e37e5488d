# The proxy between real clients and servers: bytes, ends, failures, limits, and its stop.
. tests/programs/lib.sh

${CC:-cc} -O2 -Wall -Wextra -o "$B/pattern" tests/programs/pattern.c

# proxy NAME TO_PORT [MOST [IDLE_MS [GRACE_MS]]]
proxy()
{
    start "$1" "$B/proxy" 0 "${host:-127.0.0.1}" "${@:2}"
    proxy=$pid
}

# connect: to $port, as descriptor $fd
connect()
{
    exec {fd}<> "/dev/tcp/127.0.0.1/$port"
}

ended_well()
{
    status=0
    wait "$proxy" || status=$?
    equal "the proxy's exit status" 0 "$status"
}

start echo "$B/echo" 0 1
echo=$port echo_server=$pid

# 1 GiB each way, at the same time, byte for byte.
size=$((1 << 30))
start server "$B/pattern" serve $size
server=$pid
proxy bytes "$port"
"$B/pattern" connect "$port" $size
wait "$server" || fail "the server of 1 GiB"

# A client's end is passed on, and what the server answers to that: sort says nothing before.
start sorter sh -c 'exec socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr SYSTEM:sort 2>&1'
proxy half "$port"
equal "sorted through the proxy" "1 2 3" "$(printf '2\n3\n1\n' | timeout 30 nc -N 127.0.0.1 "$port" | xargs)"

# Nobody reads: nor does the proxy, and it holds little.
proxy stuffed "$echo"
before=$(memory "$proxy")
talk stuff "$B/pattern" stuff "$port"
read -r -t 50 got <&"$from" || fail "$(cat "$scratch/stuff.err")"
more=$(($(memory "$proxy") - before))
echo "a client that does not read: $got bytes, the proxy took $more KiB more"
[ "${got##* }" -lt $((192 << 20)) ] && [ "$more" -lt 8192 ] || fail "no back-pressure"
equal "another one meanwhile" x "$(printf x | timeout 30 nc -N 127.0.0.1 "$port")"
echo go >&"$to"
hear "$from" "all of it came back"

# One place: the second waits until the first is gone, be it killed. The host has a name.
host=localhost proxy one "$echo" 1
talk first socat - "TCP:127.0.0.1:$port"
echo 0 >&"$to"
hear "$from" 0
connect
echo second >&"$fd"
for i in $(seq 100); do
    echo "$i" >&"$to"
    hear "$from" "$i"
done
! read -r -t 0 <&"$fd" || fail "two connections where one has a place"
kill -9 "$client"
hear "$fd" second

# The server is killed: its client sees the end; the next is refused, and the proxy says why and goes on.
proxy refused "$echo" 1
connect
echo hello >&"$fd"
hear "$fd" hello
stop "$echo_server" KILL
ends "$fd"
exec {fd}>&-
connect
ends "$fd"
equal "its message" "proxy: 127.0.0.1 port $echo: Connection refused" "$(cat "$scratch/refused.err")"
start echo2 "$B/echo" "$echo" 1
port=$(sed 's/.*://' "$scratch/refused.out")
equal "a new server behind the same proxy" x "$(printf x | timeout 30 nc -N 127.0.0.1 "$port")"

# Idle: closed, where nothing has come for 300 ms.
proxy idle "$echo" 10 300
connect
echo hello >&"$fd"
hear "$fd" hello
ends "$fd"

# The stop: no new connections; one goes on and ends, one does not and is cut off at the limit.
proxy graceful "$echo" 10 60000 4000
connect
good=$fd
connect
bad=$fd
for fd in $good $bad; do
    echo hello >&"$fd"
    hear "$fd" hello
done
kill -TERM "$proxy"
while (exec 2> /dev/null 9<> "/dev/tcp/127.0.0.1/$port"); do :; done
echo more >&"$good"
hear "$good" more
exec {good}>&-
ends "$bad"
ended_well

# With nobody left, the limit is not waited for.
proxy quick "$echo" 10 60000 1000000
connect
echo hello >&"$fd"
hear "$fd" hello
kill -TERM "$proxy"
while (exec 2> /dev/null 9<> "/dev/tcp/127.0.0.1/$port"); do :; done
exec {fd}>&-
ended_well

# With all places taken, nobody is waited for longer than the limit, either.
proxy taken "$echo" 1 60000 100
connect
echo hello >&"$fd"
hear "$fd" hello
kill -INT "$proxy"
ends "$fd"
ended_well

for arguments in "0 127.0.0.1" "8000x 127.0.0.1 7" "0 127.0.0.1 99999" "0 127.0.0.1 0" "0 127.0.0.1 7 0" \
    "0 127.0.0.1 7 9 x" "0 127.0.0.1 7 9 1 -1" "0 127.0.0.1 7 9 1 1 1"; do
    # shellcheck disable=SC2086 # several words
    misused "$B/proxy" $arguments
done
echo "1 GiB each way, ends, failures, limits, stops"
