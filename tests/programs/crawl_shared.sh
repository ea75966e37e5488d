# One crawl by several processes, by way of a real Redis: nothing is fetched twice; and whoever is killed, whenever that
# is, nothing is lost.
. tests/programs/lib.sh
rounds=${ROUNDS:-5}
kills=5 # of two at once
cc -D_GNU_SOURCE -Wall -Wextra tests/programs/killer.c -o "$scratch/killer"

# A server at a port that is free; redis-server cannot choose one by itself.
for redis_port in $(seq $((20000 + $$ % 20000)) 41000); do
    redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --appendonly no --dir "$scratch" \
        > "$scratch/redis.out" 2>&1 &
    redis=$!
    started="$started $redis"
    seen "$scratch/redis.out" 'Ready to accept connections\|Failed listening'
    grep -q Ready "$scratch/redis.out" && break
done

# cli COMMAND...
cli()
{
    redis-cli -h 127.0.0.1 -p "$redis_port" "$@"
}

# shared NAME OPTION...: becomes one process of that crawl; $killer: or something that runs it
killer=
shared()
{
    # shellcheck disable=SC2086 # several words
    exec $killer "$B/crawl_shared" --frontier "redis://127.0.0.1:$redis_port/$1" "$url/" --limit 5000 --timeout 60000 \
        "${@:2}"
}

# expire CRAWL: who has leased a page has it no longer
expire()
{
    cli --raw zrange "$1:leases" 0 -1 | while read -r leased; do
        cli zadd "$1:leases" XX 0 "$leased"
    done > "$scratch/expired"
}

# together CRAWL NUMBER OPTION...: so many at once, to their end; their lists are in $scratch/CRAWL.*.list
together()
{
    workers=
    for i in $(seq "$2"); do
        shared "$1" "${@:3}" > "$scratch/$1.$i.list" 2> "$scratch/$1.$i.err" &
        workers="$workers $!"
    done
    for worker in $workers; do
        wait "$worker" || fail "one of $1: $(tail -q -n 1 "$scratch/$1".*.err)"
    done
}

# sequential: what the sequential crawler finds there, in $scratch/expected
sequential()
{
    "$B/crawl_sequential" "$url/" --limit 5000 --timeout 60000 2> "$scratch/sequential.err" |
        sed "s/:$port/:SITE/" > "$scratch/expected"
    pages=$(wc -l < "$scratch/expected")
}

# same CRAWL: each of its lists is that one
same()
{
    for list in "$scratch/$1".*.list; do
        sed "s/:$port/:SITE/" "$list" | cmp - "$scratch/expected" ||
            fail "$list is not what the sequential crawler finds"
    done
}

# nothing_left CRAWL: the keys that there are then
nothing_left()
{
    equal "left of $1" "$1:done $1:seen" "$(cli keys "$1:*" | grep -v :expired | sort | xargs)"
    equal "done of $1" "$(cli scard "$1:seen")" "$(cli hlen "$1:done")"
}

# Four at once: all of it, and each page once.
site calm -n 300
sequential
together calm 4 --lease 600000 --jobs 4
same calm
nothing_left calm
equal "asked for by the two crawls" "0 dead" "$(curl -s "$url/counts" | grep -v -e '^2 /' -e ' at once$')"
equal "told by all four" "$pages" "$(cat "$scratch"/calm.*.err | grep -c ' http://')"
equal "told once" "$pages" "$(cat "$scratch"/calm.*.err | grep ' http://' | sort -u | wc -l)"

# Again: there is nothing to be done, and the list is the same.
together calm 1
same calm
equal "asked for" "0 dead" "$(curl -s "$url/counts" | grep -v -e '^2 /' -e ' at once$')"

# What is no URL, nor one of that host, is an error of its own.
for bad in 'no URL' '' http://elsewhere/; do cli rpush bad:pending "$bad" > "$scratch/rpush"; done
together bad 2 --jobs 2
for list in "$scratch"/bad.*.list; do
    cmp <(sed "s/:$port/:SITE/" "$list") \
        <(cat "$scratch/expected"; echo 'error http://elsewhere:80/ Invalid argument') ||
        fail "$list is not what the sequential crawler finds, and the error"
done
for bad in 'no URL' http://elsewhere/; do equal "result of '$bad'" "-22 0" "$(cli hget bad:done "$bad")"; done
equal "left" "bad:done bad:seen" "$(cli keys "bad:*" | sort | xargs)"

# A lease is a number, and longer than the timeout.
for lease in 10x 60000 99999999999; do
    status=0
    (shared lease --lease "$lease") > "$scratch/lease" 2> "$scratch/lease.err" || status=$?
    equal "lease $lease" "2 --lease $lease: not a number from 60001 to 1000000000" \
        "$status $(head -n 1 "$scratch/lease.err")"
done
equal "what they took" "" "$(cli keys "lease:*")"

# The limit is that of all of them.
together limit 3 --limit 50
equal "pages within the limit" "50 50 50" \
    "$(wc -l < "$scratch/limit.1.list") $(cli hlen limit:done) $(cli scard limit:seen)"
stop "$site" TERM

# A page whose links Redis refuses is not done, though its process has read them: that one ends, and the next takes it.
held held
links()
{
    printf 'HTTP/1.1 200 OK\r\n\r\n'
    printf '<a href="%s">' "$@"
}
before=$(date +%s%3N)
shared refused --lease 600000 --jobs 2 > "$scratch/refused.list" 2> "$scratch/refused.err" &
worker=$!
started="$started $worker"
links a b > "$scratch/held/index"
exec {a}> "$scratch/held/a" {b}> "$scratch/held/b"
lease=$(cli zscore refused:leases "$url/a")
[ "$lease" -ge $((before + 600000)) ] && [ "$lease" -le $(($(date +%s%3N) + 600000)) ] || fail "leased until $lease"
cli config set min-replicas-to-write 1 > "$scratch/config"
links c >&"$a"
exec {a}>&-
seen "$scratch/refused.err" NOREPLICAS
cli config set min-replicas-to-write 0 > "$scratch/config"
expire refused
links >&"$b"
exec {b}>&-
(links c > "$scratch/held/a") &
(links > "$scratch/held/c") &
status=0
wait "$worker" || status=$?
equal "status of the one that was refused" 1 "$status"
expire refused
(links > "$scratch/held/b") &
together refused 1
equal "pages" "$url/ $url/a $url/b $url/c" "$(awk '{ print $2 }' "$scratch/refused.1.list" | xargs)"
nothing_left refused
stop "$site" TERM

# kill_one CRAWL: it is killed when it has told of some pages, 1 to 15
kill_one()
{
    killer="$scratch/killer $((RANDOM % 15 + 1))"
    shared "$1" --jobs 4 > "$scratch/killed.list"
}

# Ten are killed, two at once, then two do the rest. A page is fetched twice only where a lease has expired.
# There are more pages than those who are killed can have done.
site large -n 1400
sequential
stop "$site" TERM
expired=0
for round in $(seq "$rounds"); do
    site "round$round" -n 1400 -l 3
    for i in $(seq "$kills"); do
        kill_one "k$round" &
        first=$!
        kill_one "k$round" &
        wait "$first" && wait $! || fail "a process ended before it was killed"
        expire "k$round"
    done
    together "k$round" 2 --jobs 8
    same "k$round"
    nothing_left "k$round"
    requests=$(curl -s "$url/counts" | awk '/ \// { sum += $1 } END { print sum }')
    again=$(cli get "k$round:expired")
    [ "$requests" -ge "$pages" ] || fail "only $requests requests for $pages pages"
    [ "$requests" -le "$((pages + ${again:-0}))" ] ||
        fail "$requests requests for $pages pages, and $again leases expired"
    expired=$((expired + ${again:-0}))
    stop "$site" TERM
done
[ "$expired" -gt 0 ] || fail "nobody was killed in the middle of a page"

# A Redis that is killed, and one that is not there: an error, and no list.
site slow -n 500 -l 10
mkfifo "$scratch/orphan"
shared orphan 2> "$scratch/orphan" > "$scratch/orphan.list" &
worker=$!
started="$started $worker"
exec 7< "$scratch/orphan"
read -r line <&7
disown "$redis" # no word of it
kill -9 "$redis"
grep '^crawl_shared: ' <&7 > "$scratch/orphan.err" || fail "no word of it"
status=0
wait "$worker" || status=$?
equal "without Redis" "1 0 1" "$status $(wc -l < "$scratch/orphan.list") $(wc -l < "$scratch/orphan.err")"
status=0
(shared orphan) > "$scratch/orphan.list" 2> "$scratch/orphan.err" || status=$?
equal "no Redis" "1 crawl_shared: Connection refused" "$status $(cat "$scratch/orphan.err")"
echo "four at once, a limit, a refusal; $((rounds * kills * 2)) killed, $expired pages taken again, none lost;" \
    "Redis killed"
