# What the tests of the example programs share; each of them begins with `. tests/programs/lib.sh`, is run from the
# repository's top, and fails by its exit status. Everything stays on loopback, and ends with the test.
set -eu
B=${B:-build}
mkdir -p "$B"
scratch=$(mktemp -d "$B/programs.XXXXXX")
started=

finish()
{
    status=$?
    exec 8>&2 2> /dev/null # the shell would tell of each that was killed
    for pid in $started $(jobs -p); do kill -9 "$pid" || :; done
    wait || :
    [ "$status" = 0 ] && rm -rf "$scratch" || echo "left behind: $scratch" >&8
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# equal WHAT EXPECTED ACTUAL
equal()
{
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# misused COMMAND...: its arguments are wrong: it says how it is used, and has done nothing
misused()
{
    status=0
    timeout 30 "$@" > "$scratch/misused" 2>&1 < /dev/null || status=$?
    equal "status of '$*'" 2 "$status"
    grep -q '^usage: ' "$scratch/misused" || fail "'$*' does not say how it is used: $(cat "$scratch/misused")"
}

# start NAME COMMAND...: in the background, its output in $scratch/NAME.out and .err, its process in $pid; returns when
# it has printed a line with "listening on ...:PORT", and then $port is that port. (openssl s_server: "ACCEPT ...:PORT")
start()
{
    name=$1
    shift
    mkfifo "$scratch/$name.fifo"
    "$@" > "$scratch/$name.fifo" 2> "$scratch/$name.err" &
    pid=$!
    started="$started $pid"
    port=
    exec 9< "$scratch/$name.fifo"
    while IFS= read -r line <&9; do
        echo "$line" >> "$scratch/$name.out"
        case $line in
        *"listening on "* | ACCEPT*:*) port=${line##*:} && break ;;
        esac
    done
    [ -n "$port" ] || fail "$name ended before it listened: $(cat "$scratch/$name.err")"
    cat <&9 >> "$scratch/$name.out" &
    exec 9<&-
}

# stop PID SIGNAL: and wait for it; $status is how it ended.
stop()
{
    kill -"$2" "$1"
    status=0
    wait "$1" || status=$?
}

# memory PID: what it has in use, in KiB.
memory()
{
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# talk NAME COMMAND...: a client in the background; what is said to it goes to descriptor $to, its lines come on $from, its
# process is $client.
talk()
{
    talker=$1
    shift
    mkfifo "$scratch/$talker.to" "$scratch/$talker.from"
    "$@" < "$scratch/$talker.to" > "$scratch/$talker.from" 2> "$scratch/$talker.err" &
    client=$!
    started="$started $client"
    exec {to}> "$scratch/$talker.to" {from}< "$scratch/$talker.from"
}

# hear FD EXPECTED: the next line from there is that one.
hear()
{
    read -r -t 30 got <&"$1" || fail "nothing came, where '$2' should"
    equal "line" "$2" "$got"
}

# ends FD: nothing comes from there any more but the end.
ends()
{
    ended=0
    read -r -t 30 got <&"$1" || ended=$?
    [ "$ended" = 1 ] || fail "instead of the end came '$got' (status $ended)"
}

# seen FILE PATTERN [COUNT]: waits until the file, which may still grow, has such a line, or so many; puts them in
# $scratch/seen.
seen()
{
    : >> "$1"
    exec 8< <(exec tail -c +1 -f "$1")
    tail=$!
    grep -m "${3:-1}" -e "$2" <&8 > "$scratch/seen"
    exec 8<&-
    kill "$tail" 2> /dev/null || : # it may have ended by itself
}

# ---- sites for the crawlers ----

# site NAME OPTION...: its process is $site, its address $url, its dead host's port $dead
site()
{
    start "$1" "$B/site" "${@:2}"
    site=$pid
    url=http://127.0.0.1:$port
    dead=$(sed -n 's/.*:\([0-9]*\) (dead).*/\1/p' "$scratch/$1.out")
}

# held NAME: a site whose pages are FIFOs in $scratch/NAME: who opens one waits until it is asked for
held()
{
    mkdir "$scratch/$1"
    mkfifo "$scratch/$1"/{index,a,b,c}
    start "$1.site" python3 tests/programs/held.py "$scratch/$1"
    site=$pid
    url=http://127.0.0.1:$port
}
