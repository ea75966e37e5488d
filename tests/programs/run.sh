# examples/run.c: what comes out, how many at once, limits, statuses, and that nothing is left behind.
. tests/programs/lib.sh
run=$B/run
at=$(pwd)/$scratch
marker=$((1000000000 + $$)) # what the processes to be looked for sleep

# runs STATUS [MOST [LIMIT]]: the commands on stdin; what they write is sorted in $scratch/out and $scratch/err.
runs()
{
    status=0
    timeout 60 "$run" "${@:2}" > "$scratch/out.raw" 2> "$scratch/err.raw" || status=$?
    equal "exit status" "$1" "$status"
    sort "$scratch/out.raw" > "$scratch/out"
    sort "$scratch/err.raw" > "$scratch/err"
}

# nobody: waits until no process of ours is left; who was killed may need a moment.
nobody()
{
    while pgrep -f "sleep $marker" > /dev/null; do :; done
}

runs 0 < /dev/null
equal "nothing to do" "" "$(cat "$scratch/out" "$scratch/err")"
runs 0 3 <<'END'
echo one; echo more
echo two >&2

printf 'no end of line'
printf 'last'; cat
END
equal "output" "1: more 1: one 4: no end of line 5: last" "$(xargs < "$scratch/out")"
equal "errors" "2: two" "$(cat "$scratch/err")"

# Each command's own lines stay in order and whole, also where they are many, or long.
for i in $(seq 20); do echo "seq 5000"; done | runs 0 20
for i in $(seq 20); do
    sed -n "s/^$i: //p" "$scratch/out.raw" | cmp - <(seq 5000) || fail "the lines of $i"
done
echo 'head -c 100000 /dev/zero | tr "\0" x' | runs 0
equal "a long line" 100000 "$(sed 's/^1: //' "$scratch/out" | tr -d '\n' | wc -c)"
for size in 8190 8191 8192 16382; do # 8191 are a piece
    echo "head -c $size /dev/zero | tr '\\0' x; echo; echo; echo" | runs 0
    equal "the lines of one of $size bytes, and two empty ones" $(((size + 8190) / 8191 + 2)) "$(wc -l < "$scratch/out")"
done

# Bytes of zero come out; none may cut a command off. A command may begin with a dash.
printf '%s\n' "printf 'a\\0b\\n'" | runs 0
equal "a zero byte" '1: a.b' "$(tr '\0' . < "$scratch/out")"
printf 'echo a\0b\n' | runs 1
equal "a zero byte in a command" "run: Invalid argument" "$(cat "$scratch/err")"
equal "nothing ran" "" "$(cat "$scratch/out")"
echo '-x 2> /dev/null' | runs 1
equal "a dash" "1: exit status 127" "$(cat "$scratch/err")"

# How they end.
runs 1 9 <<'END'
exit 0
exit 1
exit 255
kill -9 $$
kill -15 $$
nosuchprogram 2> /dev/null
END
equal "no output" "" "$(cat "$scratch/out")"
equal "reports" "2: exit status 1,3: exit status 255,4: killed by signal 9,5: killed by signal 15,6: exit status 127," \
    "$(tr '\n' ',' < "$scratch/err")"
head -c 10000 /dev/zero | tr '\0' x | runs 1
equal "too long a command" "run: Message too long" "$(cat "$scratch/err")"

# Where there is no room for what they write, nobody is told that all is well.
status=0
full=$(echo 'echo hi' | "$run" 2>&1 > /dev/full) || status=$?
equal "no room for the output" "1 run: No space left on device" "$status $full"
status=0
echo 'echo hi >&2' | "$run" 2> /dev/full || status=$?
equal "no room for the errors" 1 "$status"

# Two at once, not three: each says that it has begun, and ends when it is told.
mkfifo "$scratch/begun" "$scratch/end.1" "$scratch/end.2" "$scratch/end.3"
exec {begun}<> "$scratch/begun"
for i in 1 2 3; do echo "echo $i > $at/begun; read line < $at/end.$i; echo \$line"; done > "$scratch/three"
"$run" 2 < "$scratch/three" > "$scratch/three.out" &
three=$!
started="$started $three"
read -r -t 30 first <&"$begun"
read -r -t 30 second <&"$begun"
equal "the first two" "1 2" "$(printf '%s\n' "$first" "$second" | sort | xargs)"
equal "children" 2 "$(pgrep -c -f "^/bin/sh -c -- echo . > $at/begun")"
echo done2 > "$scratch/end.2"
hear "$begun" 3
echo done3 > "$scratch/end.3"
seen "$scratch/three.out" '^3: done3' # it ended before the first
echo done1 > "$scratch/end.1"
wait "$three" || fail "three failed"
equal "in the order of their ends" "2: done2,3: done3,1: done1," "$(tr '\n' ',' < "$scratch/three.out")"

# The limit kills all of the group, and says so. (They may not even come to begin.)
runs 1 9 500 <<END
sleep $marker & echo begun; sleep $marker
trap '' TERM INT; echo stubborn; while :; do sleep $marker; done
END
equal "the limit" "1: out of time,2: out of time," "$(tr '\n' ',' < "$scratch/err")"
nobody

# What a shell leaves behind is killed with it; one who has left the group cannot hold us up.
runs 0 <<END
sleep $marker & echo left behind
END
equal "output" "1: left behind" "$(cat "$scratch/out")"
nobody
mkfifo "$scratch/gone"

# outside COMMAND: by one who leaves the group, and stays: he is $escaped
outside()
{
    echo "setsid sh -c '$1; echo \$\$ > $at/gone; exec sleep $marker' & cat $at/gone" | runs 0
    escaped=$(sed -n 's/^1: \([0-9]*\)$/\1/p' "$scratch/out")
    started="$started $escaped"
}
outside 'echo from outside'
equal "he was heard" "1: from outside" "$(grep outside "$scratch/out")"
equal "he lives" "$escaped" "$(pgrep -f "sleep $marker")"
kill -9 "$escaped"
outside 'printf partial >&2'
equal "the last words without an end" "1: partial" "$(cat "$scratch/err")"
kill -9 "$escaped"
nobody

# Told to end: everybody is killed, those that are left on the input are not begun.
for signal in TERM INT; do
    for i in 1 2 3; do echo "sleep $marker & echo $i > $at/begun; sleep $marker"; done |
        bash -c 'exec "$@"' - "$run" 2 > "$scratch/told.out" 2> "$scratch/told.err" &
    told=$!
    started="$started $told"
    read -r -t 30 first <&"$begun"
    read -r -t 30 second <&"$begun"
    equal "the first two" "1 2" "$(printf '%s\n' "$first" "$second" | sort | xargs)"
    stop "$told" "$signal"
    equal "status by $signal" $((128 + $(kill -l $signal))) "$status"
    equal "reports" "1: Operation canceled,2: Operation canceled," "$(sort "$scratch/told.err" | tr '\n' ',')"
    nobody
done

for arguments in none 0 2x "2 abc" "2 0" "2 -1" "2 9 9"; do
    # shellcheck disable=SC2086 # several words
    misused "$run" $arguments
done
echo "output, statuses, two at once, limits, what is left behind, stops"
