# hiredis on the loop: redis_count against a real server, which is killed in the end.
. tests/programs/lib.sh
run=${RUN:-}
B=$PWD/$B
cd "$scratch"
scratch=$PWD

# A server at a port that is free; redis-server cannot choose one by itself.
for port in $(seq $((20000 + $$ % 20000)) 41000); do
    redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no > server.out 2>&1 &
    pid=$!
    started="$started $pid"
    seen server.out 'Ready to accept connections\|Failed listening'
    grep -q Ready server.out && break
done

# cli COMMAND...
cli()
{
    redis-cli -h 127.0.0.1 -p "$port" "$@"
}

# count TIMES [LIMIT_MS]
count()
{
    $run "$B/redis_count" 127.0.0.1 "$port" visits "$@"
}

equal 'one' 'visits is 1' "$(count 1 | tail -n 1)"
equal 'a thousand at once' 'visits is 1001' "$(count 1000 | tail -n 1)"
equal 'many replies are refused' '1 1 1 PONG' "$($run "$B/redis_many" "$port")"
equal 'as the server has it' 1001 "$(cli get visits)"
cli set visits many > cli.out
! count 2 > wrong.out 2> wrong.err || fail "counted words"
equal 'the server says no' 'redis_count: ERR value is not an integer or out of range' "$(head -n 1 wrong.err)"
cli set visits 0 > cli.out

# A server that has stopped, and goes on: who did not wait so long has lost nothing but the replies.
kill -STOP $pid
! count 100 200 > slow.out 2> slow.err || fail "counted without a server"
equal 'out of time' '0 replies, 100 failed' "$(tail -n 1 slow.out)"
equal 'out of time' 'redis_count: Connection timed out' "$(head -n 1 slow.err)"
kill -CONT $pid
equal 'another connection' 'visits is ' "$(count 7 | tail -n 1 | tr -d 0-9)"

# A server that is killed while 1000 wait
kill -STOP $pid
count 1000 > killed.out 2> killed.err &
client=$!
seen killed.out 'waiting for 1000'
kill -9 $pid
! wait $client || fail "counted by a dead server"
equal 'killed' '0 replies, 1000 failed' "$(tail -n 1 killed.out)"
equal 'killed' 'redis_count: Connection reset by peer' "$(head -n 1 killed.err)"
! count 3 > refused.out 2> refused.err || fail "counted by nobody"
equal 'refused' '0 replies, 3 failed' "$(tail -n 1 refused.out)"
equal 'refused' 'redis_count: Connection refused' "$(head -n 1 refused.err)"
misused "$B/redis_count" 127.0.0.1 "$port" visits -1
misused "$B/redis_count" 127.0.0.1 port visits 1
misused "$B/redis_count" 127.0.0.1 "$port" visits 1 1x
echo "1000 commands at once; a server that says no, stops, is killed, is not there"
