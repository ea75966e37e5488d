# The chat: three members, one that is killed, one that does not read, names and lines that are refused.
. tests/programs/lib.sh

start chat "$B/chat" 0
server=$pid

# member NAME COMMAND...: connects and says its name; its descriptors are ${to_NAME} and ${from_NAME}, its process
# ${pid_NAME}; it has heard that it has joined.
member()
{
    who=$1
    shift
    talk "$who" "$@"
    hear "$from" "* your name?"
    echo "$who" >&"$to"
    hear "$from" "* $who has joined"
    eval "to_$who=$to from_$who=$from pid_$who=$client"
}

say()
{
    eval "echo \"\$2\" >&\$to_$1"
}

hears()
{
    eval "hear \$from_$1 \"\$2\""
}

nc="nc 127.0.0.1 $port"
socat="socat - TCP:127.0.0.1:$port"
talk silent $socat
silent=$from
hear "$silent" "* your name?"
printf half >&"$to"
member ann $socat
member bob $socat
hears ann "* bob has joined"
member cid $nc
hears ann "* cid has joined"
hears bob "* cid has joined"

# A message reaches all others, in order.
say ann "hello"
say ann "all"
for who in bob cid; do
    hears $who "ann: hello"
    hears $who "ann: all"
done
say bob $'\e[31mred\r'
hears ann "bob: ?[31mred"
hears cid "bob: ?[31mred"
say bob $'\u009b31mred, \u00e0 la carte'
hears ann $'bob: ??31mred, \u00e0 la carte'
hears cid $'bob: ??31mred, \u00e0 la carte'

# Names.
talk dan $socat
hear "$from" "* your name?"
echo ann >&"$to"
hear "$from" "* that name is taken; another?"
for name in "" "two words" "seventeen-letters" "Big"; do
    echo "$name" >&"$to"
    hear "$from" "* 1 to 16 of a-z, 0-9, - _; another?"
done
echo sixteen-letters- >&"$to"
for who in ann bob cid; do
    hears $who "* sixteen-letters- has joined"
done
hear "$from" "* sixteen-letters- has joined"

# Ten that cannot be had.
to_long=$to from_long=$from
talk nameless $socat
hear "$from" "* your name?"
for i in 1 2 3 4 5 6 7 8 9 10; do
    echo ann >&"$to"
    hear "$from" "* that name is taken; another?"
done
echo nameless >&"$to"
ends "$from"
to=$to_long from=$from_long

# A line of the greatest length; one more byte is too much.
longest=$(printf 'x%.0s' $(seq 199))
echo "$longest" >&"$to"
for who in ann bob cid; do
    hears $who "sixteen-letters-: $longest"
done
echo "${longest}y" >&"$to"
hear "$from" "* a line has less than 200 bytes"
ends "$from"
for who in ann bob cid; do
    hears $who "* sixteen-letters- has left"
done

# One that is killed has left; the others talk on.
kill -9 "$pid_cid"
for who in ann bob; do
    hears $who "* cid has left"
done
say bob "still here"
hears ann "bob: still here"

# One that does not read is dropped while bob hears all that ann says. (A stopped process does not read.)
member eve $socat,rcvbuf=4096
hears ann "* eve has joined"
hears bob "* eve has joined"
kill -STOP "$pid_eve"
before=$(memory "$server")
flood=0
left=
while [ -z "$left" ] && [ "$flood" -lt 200000 ]; do
    yes "$longest" | head -n 2000 >&"$to_ann" &
    timeout 30 head -n 2000 <&"$from_bob" > "$scratch/heard" || fail "bob does not hear all that ann says"
    say ann mark
    while read -r -t 30 got <&"$from_bob" && [ "$got" != "ann: mark" ]; do
        echo "$got" >> "$scratch/heard"
    done
    equal "the last that bob hears" "ann: mark" "$got"
    left=$(grep -vxF "ann: $longest" "$scratch/heard" || :)
    flood=$((flood + 2000))
done
equal "and who has left" "* eve has left" "$left"
more=$(($(memory "$server") - before))
[ "$more" -lt 4096 ] || fail "the server took $more KiB"
hears ann "* eve has left"

say bob /quit
ends "$from_bob"
hears ann "* bob has left"
say ann "alone"
talk again $nc
hear "$from" "* your name?"
echo bob >&"$to" # which is free again
hears ann "* bob has joined"

# Who said half a name and no more has been cut off, or will be.
ends "$silent"

status=0
"$B/chat" "$port" 2> "$scratch/second.err" || status=$?
equal "status of a port in use" 1 "$status"
grep -q 'Address already in use' "$scratch/second.err" || fail "no reason on stderr"
misused "$B/chat" foo
misused "$B/chat" 65536
misused "$B/chat" 0 1

# Told to end: the others still hear it.
stop "$server" TERM
equal "exit status after SIGTERM" 0 "$status"
equal "stderr" "" "$(cat "$scratch/chat.err")"
echo "one that did not read was dropped after $flood messages; the server took $more KiB more"
