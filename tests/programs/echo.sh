# The echo against socat, nc and clients that behave badly, with the port shared and with connections dealt out.
. tests/programs/lib.sh

${CC:-cc} -O2 -Wall -Wextra -o "$B/clients" tests/programs/clients.c
${CC:-cc} -O2 -Wall -Wextra -o "$B/pattern" tests/programs/pattern.c
${CC:-cc} -O2 -DASYNC_HAS_REUSEPORT=0 -I. examples/echo.c -pthread -o "$B/echo-dealing"
head -c 1048576 /dev/urandom > "$scratch/random"

same_bytes()
{
    for client in "nc -N 127.0.0.1 $port" "socat -t 30 - TCP:127.0.0.1:$port"; do
        equal "one byte, $client" x "$(printf x | timeout 30 $client)"
        timeout 30 $client < "$scratch/random" | cmp - "$scratch/random" || fail "1 MiB through $client"
    done
    timeout 50 "$B/pattern" echo "$port" 67108864
}

killed()
{
    talk "$1-other" socat - "TCP:127.0.0.1:$port"
    other_to=$to other_from=$from
    echo one >&"$other_to"
    hear "$other_from" one
    talk "$1-killed" socat - "TCP:127.0.0.1:$port"
    echo first >&"$to"
    hear "$from" first
    printf unfinished >&"$to"
    kill -9 "$client"
    wait "$client" || :
    exec {to}>&- {from}<&-
    echo two >&"$other_to"
    hear "$other_from" two
    exec {other_to}>&- {other_from}<&-
}

never_reads()
{
    before=$(memory "$server")
    talk "$1-stuff" "$B/pattern" stuff "$port"
    read -r -t 50 got <&"$from" || fail "$(cat "$scratch/$talker.err")"
    more=$(($(memory "$server") - before))
    echo "$1: a client that does not read: $got bytes, the server took $more KiB more"
    [ "${got##* }" -lt $((128 << 20)) ] || fail "the server swallowed all: no back-pressure"
    [ "$more" -lt 8192 ] || fail "the server's memory grew"
    equal "another one meanwhile" x "$(printf x | timeout 30 nc -N 127.0.0.1 "$port")"
    echo go >&"$to"
    hear "$from" "all of it came back"
    exec {to}>&- {from}<&-
}

# A thousand that have connected and say four bytes when it suits them.
slow_ones()
{
    talk "$1-slow" "$B/clients" "$port" 1000 0
    hear "$from" connected
    equal "beside a thousand" x "$(printf x | timeout 30 nc -N 127.0.0.1 "$port")"
    echo go >&"$to"
    hear "$from" echoed
    timeout 30 nc -N 127.0.0.1 "$port" < "$scratch/random" | cmp - "$scratch/random"
    echo go >&"$to"
    exec {to}>&- {from}<&-
}

stopped()
{
    talk "$1-last" socat - "TCP:127.0.0.1:$port"
    echo hello >&"$to"
    hear "$from" hello
    last=$client last_to=$to last_from=$from
    talk "$1-unread" "$B/pattern" stuff "$port"
    read -r -t 30 got <&"$from" || fail "$(cat "$scratch/$talker.err")"
    kill -TERM "$server"
    ! read -r -t 30 got <&"$last_from" || fail "the last client got '$got', not the end"
    wait "$last" || fail "the last client saw an error: $(cat "$scratch/$1-last.err")"
    echo go >&"$to"
    hear "$from" "some of it came back"
    wait "$client"
    status=0
    wait "$server" || status=$?
    equal "$1: exit status" 0 "$status"
    exec {to}>&- {from}<&- {last_to}>&- {last_from}<&-
}

for way in echo echo-dealing; do
    start "$way" "$B/$way" 0 2
    server=$pid
    same_bytes
    killed "$way"
    never_reads "$way"
    slow_ones "$way"
    stopped "$way"
    equal "stderr" "" "$(cat "$scratch/$way.err")"
done

for arguments in nonsense 8000x 65536 -1 "0 0" "0 257" "0 1x" "0 1 1"; do
    # shellcheck disable=SC2086 # several words
    misused "$B/echo" $arguments
done
start first "$B/echo-dealing" 0 1
status=0
"$B/echo-dealing" "$port" 1 2> "$scratch/second.err" || status=$?
equal "status of a port in use" 1 "$status"
equal "its message" "echo: Address already in use" "$(cat "$scratch/second.err")"
stop "$pid" INT
equal "exit status after SIGINT" 0 "$status"
