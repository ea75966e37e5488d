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
    for pid in $started; do kill -9 "$pid" 2> /dev/null || :; done
    wait 2> /dev/null || :
    [ "$status" = 0 ] && rm -rf "$scratch" || echo "left behind: $scratch" >&2
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

# start NAME COMMAND...: in the background, its output in $scratch/NAME.out and .err, its process in $pid; returns when
# it has printed a line with "listening on ...:PORT", and then $port is that port.
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
        *"listening on "*) port=${line##*:} && break ;;
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
