# c-ares on the loop: lookup against dnsmasq, which stops, goes on, and ends.
. tests/programs/lib.sh
run=${RUN:-}
B=$PWD/$B
cd "$scratch"
scratch=$PWD

# serve FIRST_PORT: at the first from there on that is free
serve()
{
    for port in $(seq "$1" 45000); do
        dnsmasq --keep-in-foreground --log-facility=- --conf-file=/dev/null --no-resolv --no-hosts --port="$port" \
            --listen-address=127.0.0.1 --bind-interfaces --pid-file="$scratch/pid" --local=/test/ --user="$(id -un)" \
            --host-record=both.test,10.0.0.1,fd00::1 --host-record=four.test,10.0.0.4 --host-record=six.test,fd00::6 \
            --address=/many.test/10.1.2.3 --dns-forward-max=1000 > server.out 2>&1 &
        pid=$!
        started="$started $pid"
        seen server.out 'started, version\|failed to'
        grep -q started server.out && break
    done
}
serve $((20000 + $$ % 20000))

# lookup LIMIT_MS NAME...
lookup()
{
    $run "$B/lookup" "127.0.0.1:$port" "$@"
}

lookup 20000 both.test four.test six.test 127.0.0.1 > out || fail "the names: $(cat out)"
equal 'both' '10.0.0.1 both.test: fd00::1' "$(grep both out | tr ' ' '\n' | sort | xargs)"
equal 'IPv4' 'four.test: 10.0.0.4' "$(grep four out)"
equal 'IPv6' 'six.test: fd00::6' "$(grep six out)"
equal 'no name' '127.0.0.1: 127.0.0.1' "$(grep ^127 out)"
! lookup 20000 none.test four.test > out || fail "a name that does not exist"
equal 'no such name' 'none.test: no such name' "$(grep none out)"
equal 'beside it' 'four.test: 10.0.0.4' "$(grep four out)"
! lookup 20000 "$(printf '%070d.test' 0)" > out || fail "not a name"
lookup 20000 $(seq -f '%g.many.test' 100) > out || fail "100 at once"
equal '100 at once' 100 "$(grep -c ': 10.1.2.3$' out)"

# A server that does not answer, answers late, is not there
kill -STOP $pid
! lookup 200 four.test six.test > out || fail "an answer from nowhere"
equal 'out of time' 2 "$(grep -c ': Connection timed out$' out)"
lookup 20000 four.test > out &
client=$!
kill -CONT $pid
wait $client || fail "a late answer: $(cat out)"
equal 'a late answer' 'four.test: 10.0.0.4' "$(cat out)"
silent=$pid silent_port=$port
serve $((port + 1))
kill -STOP "$silent"
$run "$B/lookup" "127.0.0.1:$silent_port,127.0.0.1:$port" 20000 four.test > out ||
    fail "the second was not asked: $(cat out)"
equal 'the second is asked when the first is silent' 'four.test: 10.0.0.4' "$(cat out)"
stop $pid TERM
! lookup 20000 four.test > out || fail "an answer from nobody"
equal 'nobody there' 'four.test: Connection refused' "$(cat out)"
misused "$B/lookup" - 5s four.test
echo "IPv4, IPv6, no such name, 100 at once; a server that is silent, late, gone"
