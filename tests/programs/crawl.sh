# The five crawlers on a site of our own: all find what the first one finds, and each asks for each page once.
. tests/programs/lib.sh
crawlers="sequential processes threads callbacks coroutines"
cc -O1 -g -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all -Iexamples tests/programs/crawl_parts.c \
    -o "$scratch/parts"
cc -Wall -Wextra tests/programs/orphans.c -o "$scratch/orphans"

# The parts that read: tables, and damaged responses.
"$scratch/parts" > "$scratch/parts.out" || fail "$(head -n 5 "$scratch/parts.out")"

# end: the site ends by itself
end()
{
    stop "$site" TERM
    equal "how the site ends" 0 "$status"
}

# crawl MODEL OPTION...: no descriptor may be lost for each page, for there are 40; no child is left. The list is in
# $scratch/MODEL.list, with names for the ports, the totals in $scratch/MODEL.err.
crawl()
{
    model=$1
    shift
    status=0
    (ulimit -n 40 && exec "$scratch/orphans" "$B/crawl_$model" "$url/" "$@") > "$scratch/$model.raw" \
        2> "$scratch/$model.err" || status=$?
    equal "exit status of $model" 0 "$status"
    sed -e "s/:$port/:SITE/" -e "s/:${dead:-none}/:DEAD/" "$scratch/$model.raw" > "$scratch/$model.list"
}

# total MODEL NAME: the number before that word in its totals
total()
{
    sed -n "s/^\(.*, \|\)\([0-9]*\) $2.*/\2/p" "$scratch/$1.err"
}

# counts: what was asked for, and not as often as once; then how many at once
counts()
{
    curl -s "$url/counts" > "$scratch/counts"
    grep -v -e '^1 /' -e ' at once$' "$scratch/counts" || :
}

# All pages: each once, and not more at once than there may be.
for model in $crawlers; do
    site "all.$model" -n 300
    crawl $model --jobs 7 --timeout 60000
    equal "asked for more than once by $model" '0 dead' "$(counts)"
    equal "pages of $model" "$(grep -c '^1 /' "$scratch/counts")" "$(wc -l < "$scratch/$model.list")"
    cmp "$scratch/sequential.list" "$scratch/$model.list" || fail "$model finds other pages than the sequential one"
    at_once=$(sed -n 's/ at once$//p' "$scratch/counts")
    [ "$at_once" -le "$(total $model 'at once')" ] || fail "$model had $at_once at once, and says less"
    [ "$(total $model 'at once')" -le 7 ] || fail "$model had more than 7 at once"
    equal "errors of $model" 0 "$(total $model errors)"
    end
done
equal "of the sequential one at once" "1" "$(total sequential 'at once')"
equal "pages that there are" "300" "$(grep -c '^200 ' "$scratch/sequential.list")"
equal "redirects" "30" "$(grep -c '^302 .*:SITE/old/' "$scratch/sequential.list")"
equal "missing" "30" "$(grep -c '^404 .*:SITE/missing/' "$scratch/sequential.list")"
equal "each in the list once" "360" "$(sort -u "$scratch/sequential.list" | wc -l)"
LC_ALL=C sort -k 2 -c "$scratch/sequential.list" || fail "the list is not sorted"
bytes=$(total sequential bytes)
for model in $crawlers; do
    equal "bytes of $model" "$bytes" "$(total $model bytes)"
done

# The limit: so many pages are asked for, and no more.
site limit -n 300
for model in $crawlers; do
    crawl $model --limit 20 --timeout 60000
    equal "pages of $model" 20 "$(wc -l < "$scratch/$model.list")"
done
curl -s "$url/counts" > "$scratch/counts"
equal "asked for by all five" 100 "$(awk '/ \// { sum += $1 } END { print sum }' "$scratch/counts")"
end

# A dead host: each waits for it once, and says so; the rest is as without it.
site dead -n 30 -d
for model in $crawlers; do
    crawl $model --timeout 5000 &
    jobs="${jobs:-} $!"
done
for job in $jobs; do
    wait "$job" || fail "one of the five"
done
for model in $crawlers; do
    equal "error of $model" "error http://127.0.0.1:DEAD/ Connection timed out" \
        "$(grep '^error' "$scratch/$model.list")"
    equal "the others of $model" 36 "$(grep -c ':SITE/' "$scratch/$model.list")"
    equal "errors of $model" 1 "$(total $model errors)"
    cmp "$scratch/sequential.list" "$scratch/$model.list" || fail "$model finds other pages than the sequential one"
done
equal "asked for by all five" "5 dead" "$(curl -s "$url/counts" | grep -v -e '^5 /' -e ' at once$')"

# Nobody there: one line, and a status that says so.
end
for model in $crawlers; do
    status=0
    "$B/crawl_$model" "$url/" > "$scratch/refused" 2> "$scratch/refused.err" || status=$?
    equal "refused" "1 error $url/ Connection refused" "$status $(cat "$scratch/refused")"
done

# asked: waits until the first page was asked for
asked()
{
    until curl -s "$url/counts" | grep -q '^1 /$'; do :; done
}

# A stop in the middle: the coroutines' crawl says what it has found so far.
site slow -n 30 -l 1000000
bash -c 'exec "$@"' - "$B/crawl_coroutines" "$url/" --timeout 1000000 > "$scratch/stopped" 2> "$scratch/stopped.err" &
crawler=$!
started="$started $crawler"
asked
stop "$crawler" INT
equal "stopped" "1 error $url/ Operation canceled" "$status $(cat "$scratch/stopped")"
end

# A child that is killed costs its page.
site killed -n 30 -l 1000000
"$B/crawl_processes" "$url/" --timeout 1000000 > "$scratch/killed" 2> "$scratch/killed.err" &
crawler=$!
started="$started $crawler"
asked
pkill -9 -P "$crawler"
status=0
wait "$crawler" || status=$?
equal "killed" "1 error $url/ Input/output error" "$status $(cat "$scratch/killed")"
end

# A list that cannot be written.
site full -n 3
for model in $crawlers; do
    status=0
    "$B/crawl_$model" "$url/" > /dev/full 2> "$scratch/full.err" || status=$?
    equal "status of $model without room" 1 "$status"
done
end

# links LINK...: a page of 100 KB with those links
links()
{
    printf 'HTTP/1.1 200 OK\r\n\r\n%100000d'
    printf '<a href="%s">' "$@"
}

# Children whose parent is killed before they have all of their pages: they end, which is the end of their output.
held alone
exec {output}< <(exec "$B/crawl_processes" "$url/" --timeout 1000000 2> "$scratch/alone.err")
crawler=$!
links a b > "$scratch/alone/index"
exec {a}> "$scratch/alone/a" {b}> "$scratch/alone/b"
kill -9 "$crawler"
links >&"$a"
links >&"$b"
exec {a}>&- {b}>&-
ends "$output"
exec {output}<&-
kill "$site"

# A poll that is interrupted each second time: nobody waits for the slow page /a, and so /c is asked for.
cat > "$scratch/interrupted.h" << 'END'
#include <errno.h>
#include <poll.h>
static int interrupted(struct pollfd *all, nfds_t count, int limit_ms)
{
    static int calls;
    if (calls++ % 2 == 0)
        return poll(all, count, limit_ms);
    errno = EINTR;
    return -1;
}
#define poll interrupted
END
cc -I. -include "$scratch/interrupted.h" examples/crawl_processes.c -o "$scratch/interrupted"
held slow_page
"$scratch/interrupted" "$url/" --timeout 1000000 > "$scratch/interrupted.list" 2> "$scratch/interrupted.err" &
crawler=$!
started="$started $crawler"
links a b > "$scratch/slow_page/index"
exec {a}> "$scratch/slow_page/a"
links c > "$scratch/slow_page/b"
links > "$scratch/slow_page/c"
links >&"$a"
exec {a}>&-
wait "$crawler" || fail "interrupted"
equal "pages" 4 "$(grep -c '^200' "$scratch/interrupted.list")"
kill "$site"

# The same programs with the sanitizers, on a small site.
site sanitized -n 30 -d
for model in $crawlers; do
    sanitizer=address,undefined
    [ $model != threads ] || sanitizer=thread
    cc -O1 -g -fsanitize=$sanitizer -fno-sanitize-recover=all -I. "examples/crawl_$model.c" -pthread \
        -o "$scratch/crawl_$model"
    B=$scratch crawl $model --timeout 5000 &
    started="$started $!"
    sanitized="${sanitized:-} $!"
done
for job in $sanitized; do wait "$job" || fail "with the sanitizers: $(cat "$scratch"/*.err)"; done
for model in $crawlers; do
    cmp "$scratch/sequential.list" "$scratch/$model.list" || fail "$model finds other pages with the sanitizers"
done
equal "pages with the sanitizers" 36 "$(grep -c ':SITE/' "$scratch/sequential.list")"
end

# A site that has no memory for the first client of its dead port: it closes that one, and takes the next.
cat > "$scratch/refusing.h" << 'END'
#include <stdlib.h>
static inline void *refusing_malloc(size_t size)
{
    static int refused; /* the first of the size of a silence */
    return size > 512 && size < 1024 && !refused++ ? NULL : malloc(size);
}
#define refusing_calloc calloc
#define refusing_realloc realloc
#define refusing_free free
#define ASYNC_SYS(call) call
#define ASYNC_MEM(call) refusing_##call
#define ASYNC_PICK(count) 0
#define ASYNC_TRACE(event, task) ((void)0)
#define ASYNC_RESUME(task) ((void)0)
END
cc -I. -include "$scratch/refusing.h" examples/site.c -o "$scratch/site"
B=$scratch site refusing -d
exec {client}<> "/dev/tcp/127.0.0.1/$dead"
ends "$client"
exec {client}<> "/dev/tcp/127.0.0.1/$dead"
until curl -s "$url/counts" | grep -q '^1 dead$'; do :; done
exec {client}<&-
end

# What is no crawl.
for arguments in "" "ftp://x/" "$url/ --jobs 0" "$url/ --jobs" "$url/ --fast 1" "$url/ --limit 3x" "$url/ --limit ''" \
    "$url/ --limit 99999999999"; do
    status=0
    # shellcheck disable=SC2086 # several words
    "$B/crawl_threads" $arguments 2> "$scratch/usage" || status=$?
    equal "status of '$arguments'" 2 "$status"
done
equal "what is said" "--limit 99999999999: not a number from 1 to 1000000000" "$(head -n 1 "$scratch/usage")"
for arguments in "-n 3x" "-n 0" "-l -1" "-p 65536" "-p" "-q"; do
    status=0
    # shellcheck disable=SC2086 # several words
    timeout 30 "$B/site" $arguments > "$scratch/usage" 2>&1 || status=$?
    equal "status of 'site $arguments'" 2 "$status"
done
echo "360 pages by each of five crawlers, a dead host, a limit, a stop, a child that is killed; what they read:" \
    "$(cat "$scratch/parts.out")"
