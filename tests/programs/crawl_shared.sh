# One crawl by several processes, by way of a real Redis: nothing is fetched twice; and whoever is killed, whenever that
# is, nothing is lost.
. tests/programs/lib.sh
rounds=${ROUNDS:-5}
kills=5 # by each of two killers
cc -D_GNU_SOURCE -Wall -Wextra tests/programs/killer.c -o "$scratch/killer"

# A server at a port that is free; redis-server cannot choose one by itself.
for redis_port in $(seq $((20000 + $$ % 20000)) 41000); do
    redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --appendonly no --dir "$scratch" > "$scratch/redis.out" 2>&1 &
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

# site NAME OPTION...: its process is $site, its address $url
site()
{
    start "$1" "$B/site" "${@:2}"
    site=$pid
    url=http://127.0.0.1:$port
}

# shared NAME OPTION...: becomes one process of that crawl; $killer: or something that runs it
killer=
shared()
{
    # shellcheck disable=SC2086 # several words
    exec $killer "$B/crawl_shared" --frontier "redis://127.0.0.1:$redis_port/$1" "$url/" --limit 5000 --timeout 60000 "${@:2}"
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
        wait "$worker" || fail "one of $1: $(tail -n 1 "$scratch/$1".*.err)"
    done
}

# sequential: what the sequential crawler finds there, in $scratch/expected
sequential()
{
    "$B/crawl_sequential" "$url/" --limit 5000 --timeout 60000 2> "$scratch/sequential.err" | sed "s/:$port/:SITE/" > "$scratch/expected"
    pages=$(wc -l < "$scratch/expected")
}

# same CRAWL: each of its lists is that one
same()
{
    for list in "$scratch/$1".*.list; do
        sed "s/:$port/:SITE/" "$list" | cmp - "$scratch/expected" || fail "$list is not what the sequential crawler finds"
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

# The limit is that of all of them.
together limit 3 --limit 50
equal "pages within the limit" "50 50 50" "$(cat "$scratch"/limit.1.list | wc -l) $(cli hlen limit:done) $(cli scard limit:seen)"
stop "$site" TERM

# kill_some CRAWL: so many processes one after the other; each is killed when it has told of some pages, 1 to 15
kill_some()
{
    for i in $(seq "$kills"); do
        killer="$scratch/killer $((RANDOM % 15 + 1))"
        (shared "$1" --lease 1000 --jobs 4) > "$scratch/killed.list" || exit 1
    done
}

# Ten are killed while others work, then two do the rest. A page is fetched twice only where a lease has expired.
# There are more pages than those who are killed can have done.
site large -n 1400
sequential
stop "$site" TERM
expired=0
for round in $(seq "$rounds"); do
    site "round$round" -n 1400 -l 3
    kill_some "k$round" &
    first=$!
    kill_some "k$round" &
    second=$!
    wait "$first" || fail "a process ended before it was killed"
    wait "$second" || fail "a process ended before it was killed"
    together "k$round" 2 --lease 1000 --jobs 8
    same "k$round"
    nothing_left "k$round"
    requests=$(curl -s "$url/counts" | awk '/ \// { sum += $1 } END { print sum }')
    again=$(cli get "k$round:expired")
    [ "$requests" -ge "$pages" ] || fail "only $requests requests for $pages pages"
    [ "$requests" -le "$((pages + ${again:-0}))" ] || fail "$requests requests for $pages pages, and $again leases expired"
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
kill -9 "$redis"
grep '^crawl_shared: ' <&7 > "$scratch/orphan.err" || fail "no word of it"
status=0
wait "$worker" || status=$?
equal "without Redis" "1 0 1" "$status $(wc -l < "$scratch/orphan.list") $(wc -l < "$scratch/orphan.err")"
status=0
(shared orphan) > "$scratch/orphan.list" 2> "$scratch/orphan.err" || status=$?
equal "no Redis" "1 crawl_shared: Connection refused" "$status $(cat "$scratch/orphan.err")"
echo "four at once, a limit; $((rounds * kills * 2)) killed, $expired of their pages taken again, none lost; a Redis that is killed"
