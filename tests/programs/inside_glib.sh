# GLib's timer and async.h's tasks, side by side in one main loop: the timer ticks while two clients are served, and
# each client hears again, and of more ticks, without sending anything: its task's timer works inside GLib's poll.
. tests/programs/lib.sh

start glib "$B/inside_glib" 0
server=$pid
exec 3<> "/dev/tcp/127.0.0.1/$port" 4<> "/dev/tcp/127.0.0.1/$port"
read -r -t 20 first _ <&3 || fail "no line"
read -r -t 20 _ <&3 || fail "no second line: the task's timer did not wake GLib"
read -r -t 20 third _ <&3 || fail "no third line"
[ "$third" -gt "$first" ] || fail "GLib's timer stood still: $first, $third"
for i in 1 2 3; do
    read -r -t 20 _ <&4 || fail "the other client was not served: line $i"
done
grep -q '^tick' "$scratch/glib.out" || fail "no tick was printed"
stop "$server" TERM
equal "exit status" 0 "$status"
exec 3<&- 4<&-

# Where GLib has nothing to do, it wakes in time for the task.
start quiet "$B/inside_glib" 0 1000000000
exec 3<> "/dev/tcp/127.0.0.1/$port"
for i in 1 2 3; do
    read -r -t 20 _ <&3 || fail "GLib was not woken for line $i"
done
exec 3<&-

misused "$B/inside_glib" 7000x
misused "$B/inside_glib" 65536
misused "$B/inside_glib" 0 0
status=0
ASYNC_BACKEND=poll "$B/inside_glib" 0 2> "$scratch/poll.err" || status=$?
equal "status without a descriptor" 1 "$status"
grep -q 'inside_glib: ' "$scratch/poll.err" || fail "the error has no name"
echo "a client saw tick $first and later tick $third"
