# examples/http.c against curl, wrk, nc and clients that misbehave.
. tests/programs/lib.sh
site=$scratch/site
mkdir -p "$site/sub" "$site/.git"
echo '<h1>hello</h1>' > "$site/index.html"
echo 'sub' > "$site/sub/index.html"
echo 'with a space' > "$site/a b.txt"
echo secret > "$site/.git/config"
echo secret > "$scratch/outside"
: > "$site/empty.css"
head -c 10000000 /dev/urandom > "$site/large.bin"
mkfifo "$site/fifo"
start http "$B/http" 0 "$site"
http=$pid
at=http://127.0.0.1:$port

status() { curl -s -m 20 -o "$scratch/body" -w '%{http_code}' "$@"; }
raw() { printf "$1" | timeout 20 nc 127.0.0.1 "$port" | tr -d '\r'; }

# Files: what, of which type; byte by byte, small, large and empty.
equal "/" "200" "$(status "$at/")"
cmp "$scratch/body" "$site/index.html"
equal "type of html" "text/html; charset=utf-8" "$(curl -s -o /dev/null -w '%{content_type}' "$at/index.html")"
equal "type of css" "text/css" "$(curl -s -o /dev/null -w '%{content_type}' "$at/empty.css")"
echo '# heading' > "$site/page.md"
equal "type of md" "text/markdown; charset=utf-8" "$(curl -s -o /dev/null -w '%{content_type}' "$at/page.md")"
equal "type of bin" "application/octet-stream" "$(curl -sI -o /dev/null -w '%{content_type}' "$at/large.bin")"
equal "large" "200" "$(status "$at/large.bin")"
cmp "$scratch/body" "$site/large.bin"
equal "/sub/" "200" "$(status "$at/sub/?query=1")"
cmp "$scratch/body" "$site/sub/index.html"
equal "escaped" "200" "$(status "$at/a%20b.txt")"
cmp "$scratch/body" "$site/a b.txt"
equal "another case of hex" "200" "$(status "$at/%73ub/%69ndex%2Ehtml")"

# HEAD, Date, JSON.
curl -sI -m 20 "$at/large.bin" | tr -d '\r' > "$scratch/head"
grep -q '^Content-Length: 10000000$' "$scratch/head" || fail "HEAD: $(cat "$scratch/head")"
date=$(sed -n 's/^Date: //p' "$scratch/head")
equal "its date" "$date" "$(TZ=GMT LC_ALL=C date -d "$date" '+%a, %d %b %Y %H:%M:%S GMT')"
curl -s "$at/status" | python3 -c 'import json, sys; assert json.load(sys.stdin)["connections"] == 1'

# One connection serves several requests, in curl's order, and all that a pipeline has.
curl -sv -m 20 "$at/" "$at/nowhere" "$at/empty.css" "$at/large.bin" "$at/" -o /dev/null -o /dev/null -o /dev/null -o /dev/null \
    -o /dev/null 2> "$scratch/verbose"
equal "reused" "4" "$(grep -c 'Re-using existing connection' "$scratch/verbose")"
get='GET /a%%20b.txt HTTP/1.1\r\nHost: x\r\n'
equal "pipeline" "3 3" "$(raw "$get\r\n$get\r\n${get}Connection: close\r\n\r\n" > "$scratch/pipeline"
    echo "$(grep -c '200 OK' "$scratch/pipeline") $(grep -c '^with a space' "$scratch/pipeline")")"
raw "GET /a%%20b.txt HTTP/1.0\r\n\r\n" | grep -q '^Connection: close' || fail "HTTP/1.0 is kept open"
raw "GET http://x/a%%20b.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" | grep -q '^with a' || fail "absolute form"

# Nothing but what is below the directory, and nothing that is hidden or no file.
for path in /../outside /sub/../../outside /%2e%2e/outside /..%2foutside /sub/%2E./../outside //../outside /.git/config \
    /nowhere /sub /fifo /a%20b.txt/ "//$(pwd)/$scratch/outside" /./index.html; do
    equal "$path" "404" "$(status --path-as-is "$at$path")"
    ! grep -q secret "$scratch/body" || fail "$path was given away"
done

# What is refused is answered, once, and the connection ends.
refused()
{
    raw "$2" > "$scratch/refused" || fail "no end after '$2'"
    equal "$2" "$1 1" "$(sed -n '1s/^HTTP.1.1 \([0-9]*\) .*/\1/p' "$scratch/refused") $(grep -c '^HTTP/1' "$scratch/refused")"
}
refused 400 'garbage\r\n\r\n'
refused 400 '\r\n\r\n'
refused 400 'GET /%%zz HTTP/1.1\r\nHost: x\r\n\r\n'
refused 400 'GET /%%00 HTTP/1.1\r\nHost: x\r\n\r\n'
refused 400 'GET /%%2 HTTP/1.1\r\nHost: x\r\n\r\n'
refused 400 'GET / HTTP/1.1\r\n\r\n'
refused 400 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n'
refused 400 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'
refused 400 'GET /index.html HTTP/1.1\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n'
refused 400 'GET / HTTP/1.1\r\nHost: x\r\nHost : y\r\n\r\n'
refused 400 'GET / HTTP/1.1\r\nX: \000\r\nHost: x\r\n\r\n'
refused 404 'GET */index.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
refused 404 'GET *../outside HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
refused 405 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'
refused 405 'DELETE / HTTP/1.1\r\nHost: x\r\n\r\n'
refused 413 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n'
refused 413 'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
equal "POST" "405" "$(status --data-binary "@$site/large.bin" "$at/")"
equal "GET with a body" "413" "$(status -X GET --data abc "$at/")"
equal "a long header" "431" "$(status -H "X: $(head -c 20000 /dev/zero | tr '\0' x)" "$at/")"
equal "a long path" "404" "$(status "$at/$(head -c 7000 /dev/zero | tr '\0' x)")"

# wrk keeps 50 connections busy; no socket error, no other status.
wrk -t1 -c50 -d2s "$at/" > "$scratch/wrk"
! grep -E 'Socket errors|Non-2xx' "$scratch/wrk" || fail "$(cat "$scratch/wrk")"

# Killed in the middle of large downloads; a hundred who send slowly, or nothing; one who does not read.
for i in 1 2 3; do
    mkfifo "$scratch/half.$i"
    curl -s -m 20 "$at/large.bin" > "$scratch/half.$i" &
    killed=$!
    disown "$killed"
    head -c 1000000 < "$scratch/half.$i" > "$scratch/head"
    kill -9 "$killed" 2> /dev/null || :
done
python3 - "$port" "$http" "$site/large.bin" <<'END'
import json, select, socket, sys
port, server, large = int(sys.argv[1]), int(sys.argv[2]), open(sys.argv[3], "rb").read()

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=30)

def ask(s, path):
    s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += s.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < size:
        body += s.recv(65536)
    return body

def memory():
    for line in open("/proc/%d/status" % server):
        if line.startswith("VmRSS"):
            return int(line.split()[1])

other = connect()

# Who does not read gets as much as the buffers take; then it reads, and all is there.
before = memory()
lazy = [connect() for i in range(20)]
for s in lazy:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" * 5)
for i in range(2000): # turns enough to queue all of it, if it were queued
    assert ask(other, b"/status")
grown = memory() - before
assert grown < 20 * 512, "%d KiB for 20 who do not read" % grown
answer = b""
while True:
    piece = lazy[0].recv(1 << 20)
    if not piece:
        break
    answer += piece
assert answer.endswith(large) and answer.count(b"HTTP/1.1 200 OK") == 1
for s in lazy:
    s.close()

# A request that drips in, a byte whenever the server answers somebody else, is over after the limit; so is an
# idle connection, which is told nothing.
slow = [connect() for i in range(100)]
turns = 0
idle = slow[0]
watched = slow[1:]
for s in watched:
    s.sendall(b"GET / HTTP/1.1\r\nX: ")
while watched:
    turns += 1
    for s in watched:
        if turns % 1000 == 0:
            s.send(b"y")
    for s in select.select(watched, [], [], 0)[0]:
        assert s.recv(100).startswith(b"HTTP/1.1 408 ")
        watched.remove(s)
    if turns % 10 == 0 and not ask(other, b"/status"):
        sys.exit("the others are not served")
assert idle.recv(100) == b""
for s in slow + [idle]:
    s.close()
while json.loads(ask(other, b"/status"))["connections"] != 1:
    pass
END

# Told to end: no new connections; a request that has begun is answered, as the last of its connection.
exec {fd}<> "/dev/tcp/127.0.0.1/$port"
printf 'GET /empty.css HTTP/1.1\r\n' >&"$fd"
until curl -s "$at/status" | grep -q '"connections":2'; do :; done
kill -TERM "$http"
while (exec 2> /dev/null 9<> "/dev/tcp/127.0.0.1/$port"); do :; done
printf 'Host: x\r\n\r\n' >&"$fd"
timeout 20 cat <&"$fd" | tr -d '\r' > "$scratch/last" || fail "no end after the last answer"
equal "the last" "1 1" "$(grep -c '^HTTP/1.1 200 OK' "$scratch/last") $(grep -c '^Connection: close' "$scratch/last")"
exec {fd}>&-
status=0
wait "$http" || status=$?
equal "exit status" 0 "$status"
misused "$B/http" foo
misused "$B/http" 65536 "$site"
misused "$B/http" 0 "$site" more
! grep -q . "$scratch/http.err" || fail "$(cat "$scratch/http.err")"
echo "files, keep-alive, pipeline, traversal, refusals, $(sed -n 's/ *\([0-9]* requests\) in.*/\1/p' "$scratch/wrk"), slow and silent clients"
