# examples/kv.c against redis-cli, redis-benchmark and a real redis-server beside it.
. tests/programs/lib.sh
start kv "$B/kv" 0
kv=$pid
kv_port=$port

# A free port for Redis, which takes no 0: kv's own successor is asked for one.
start free "$B/kv" 0
stop "$pid" TERM
redis_port=$port
mkfifo "$scratch/redis.fifo"
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$scratch" > "$scratch/redis.fifo" &
started="$started $!"
exec 8< "$scratch/redis.fifo"
while read -r line <&8; do
    case $line in *"Ready to accept"*) break ;; esac
done
cat <&8 > "$scratch/redis.out" &

# The same session to both: each answer the same, line by line.
cat > "$scratch/session" <<'END'
PING
PING hello
SET a 1
GET a
GET none
set A 2
GET a
INCR a
SET text hello
INCR text
SET big 9223372036854775807
INCR big
SET padded 01
INCR padded
SET less -1
incr less
INCR less
GET text
SET fresh x EX
SET fresh x EX 0
SET fresh x EX nan
SET fresh x EX 9223372036854775807
SET fresh x PX 0
SET fresh x PX 100000
SET fresh x EX 5 PX 5
SET fresh x EX 5 sideways
GET fresh
SET fresh x sideways
TTL fresh
TTL text
TTL none
EXPIRE text 100
TTL text
INCR a
SET text plain
TTL text
EXPIRE none 100
EXPIRE text nan
EXPIRE text 9223372036854775807
TTL text
EXPIRE text -1
GET text
MSET a 1 b 2 c 3
MSET a 1 b
GET a
GET c
DEL a b none a
DEL a
GET b
GET c
SET empty ""
GET empty
SET "" "no name"
GET ""
GET
SET a
PING a b
GET a b
NOSUCH
NOSUCH one "two three" "four\r\nfive"
MSET
DEL
EXPIRE a
TTL
DEL c fresh
END
redis-cli -p "$redis_port" < "$scratch/session" | sed 's/^\(ERR unknown command\) .*/\1/' > "$scratch/expected"
redis-cli -p "$kv_port" < "$scratch/session" > "$scratch/actual"
diff -u "$scratch/expected" "$scratch/actual" || fail "the sessions differ"
[ "$(wc -l < "$scratch/actual")" -ge 60 ] || fail "the session is too short"

# Expiry is seen by who asks; that nothing is given early is what TTL said above.
redis-cli -p "$kv_port" set short x PX 1 > /dev/null
while [ "$(redis-cli -p "$kv_port" get short)" = x ]; do :; done

# Everything that redis-benchmark does of what is here, with a pipeline and without.
for pipeline in 1 16; do
    redis-benchmark -p "$kv_port" -t ping_mbulk,set,get,incr,mset -n 20000 -P $pipeline -q > "$scratch/benchmark" 2>&1
    equal "tests of redis-benchmark" 5 "$(tr '\r' '\n' < "$scratch/benchmark" | grep -c 'requests per second, p50')"
done
! grep -qi 'error\|warning' "$scratch/benchmark" || fail "$(cat "$scratch/benchmark")"

# A client killed while it works leaves the others alone.
redis-cli -p "$kv_port" del key:__rand_int__ > /dev/null
redis-benchmark -p "$kv_port" -t get,set -n 100000000 -P 16 -q > "$scratch/killed.out" 2>&1 &
killed=$!
disown "$killed"
until [ -n "$(redis-cli -p "$kv_port" get key:__rand_int__)" ]; do :; done
kill -9 "$killed"
equal "after the kill" PONG "$(redis-cli -p "$kv_port" ping)"

# What is no request is answered with an error, and hung up on; so is what is too large, before it is sent.
refused()
{
    printf "$1" | timeout 10 nc 127.0.0.1 "$kv_port" > "$scratch/refused" || fail "'$1' is not hung up on"
    equal "answer to '$1'" $'-ERR Protocol error: expected an array of at most 1024 bulk strings, 1048576 bytes\r' \
        "$(cat "$scratch/refused")"
}
refused 'garbage\r\n'
refused 'PING\r\n'
refused '+PING\r\n'
refused '*1\r\n:5\r\n'
refused '*1\r\n*1\r\n$4\r\nPING\r\n'
refused '*2\r\n*1\r\n'
refused '+'
refused '*1\r\n*1000000000\r\n'
refused '*1025\r\n'
refused '*2\r\n$4\r\nPING\r\n$1048577\r\n'
{ printf '*2\r\n$4\r\nPING\r\n$'; head -c 2000000 /dev/zero | tr '\0' 1; } > "$scratch/endless"
timeout 10 nc 127.0.0.1 "$kv_port" < "$scratch/endless" | grep -q '^-ERR Protocol error' || fail "endless line taken"

equal "a command with a zero byte" $'-ERR unknown command\r' \
    "$(printf '*1\r\n$6\r\nPING\0a\r\n' | timeout 10 nc -N 127.0.0.1 "$kv_port")"

# In pieces of one byte, and a pipeline in one piece.
python3 - "$kv_port" "$kv" <<'END'
import os, socket, sys
port, server = int(sys.argv[1]), int(sys.argv[2])

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=20)

def receive(s, size):
    data = b""
    while len(data) < size:
        piece = s.recv(size - len(data))
        assert piece, data
        data += piece
    return data

def ping():
    with connect() as s:
        s.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert receive(s, 7) == b"+PONG\r\n"

def memory():
    for line in open("/proc/%d/status" % server):
        if line.startswith("VmRSS"):
            return int(line.split()[1])

def put(s, *words):
    s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

with connect() as s:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$4\r\n\r\n\0\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n":
        s.sendall(bytes([byte]))
    assert receive(s, 15) == b"+OK\r\n$4\r\n\r\n\0\n\r\n"

# Who never reads is not read from any more, and what waits for it does not grow: it writes until nothing is taken
# although the server has had many turns.
with connect() as s:
    put(s, b"SET", b"large", b"x" * 500000)
    assert receive(s, 5) == b"+OK\r\n"
    before = memory()
    s.setblocking(False)
    request, sent, stuck = b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n" * 1000, 0, 0
    while stuck < 50:
        try:
            sent += s.send(request)
            stuck = 0
        except BlockingIOError:
            ping()
            stuck += 1
    grown = memory() - before
    assert grown < 16384, "%d KiB for who never reads" % grown
    print("never reads: %d KiB sent to it or waiting, %d KiB of memory" % (sent // 1024, grown))

# A request of many texts, none of them too large, is refused when it is; one just below the limits is served.
with connect() as s:
    s.sendall(b"*4\r\n" + b"$500000\r\n%s\r\n" % (b"x" * 500000) * 3)
    assert s.recv(100).startswith(b"-ERR Protocol error")
with connect() as s:
    put(s, b"DEL", *[b"x"] * 1022, b"y" * 1000000)
    assert receive(s, 4) == b":0\r\n"
END

# Told to end: who was served is hung up on, and nobody else comes in; who reads slowly gets what is on its way.
talk late python3 -c '
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 500) # so that the system takes little of the answer
s.connect(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n")
print("asked", flush=True)
sys.stdin.readline()
print(len(b"".join(iter(lambda: s.recv(65536), b""))))
' "$kv_port"
late_to=$to late_from=$from
hear "$from" asked
exec {fd}<> "/dev/tcp/127.0.0.1/$kv_port"
printf '*1\r\n$4\r\nPING\r\n' >&"$fd"
hear "$fd" $'+PONG\r'
kill -TERM "$kv"
while (exec 2> /dev/null 9<> "/dev/tcp/127.0.0.1/$kv_port"); do :; done
ends "$fd"
exec {fd}>&-
echo >&"$late_to"
hear "$late_from" 500011
status=0
wait "$kv" || status=$?
equal "exit status" 0 "$status"
misused "$B/kv" foo
misused "$B/kv" 65536
misused "$B/kv" 0 1
! grep -q . "$scratch/kv.err" || fail "$(cat "$scratch/kv.err")"
echo "a session of $(wc -l < "$scratch/actual") lines as redis-server has it; benchmark, bad input, a silent reader"
