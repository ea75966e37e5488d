# A trace of two loops and of two processes, as a real reader of the format sees it: Chromium's trace viewer, which Go's
# sources carry.
. tests/programs/lib.sh

command -v node > /dev/null || { echo "left out: there is no node"; exit 0; }
viewer=$(find -L /usr/share/go* /usr/lib/go* /usr/local/go -name trace_viewer_full.html 2> /dev/null | head -n 1)
[ "$viewer" ] || { echo "left out: there is no trace viewer (golang-src)"; exit 0; }

cat > "$scratch/traced.c" <<'END'
#include "async.h"
async(inner) { async_begin; await(async_sleep(1)); async_end; }
async(worker) { async_begin; await(async_call(inner)); async_end; }
async(reader, int fd; char byte;)
{
    async_begin;
    async_name("the \"reader\"");
    await(async_read(self->fd, &self->byte, 1));
    async_finally;
    await(async_sleep(1));
    async_end;
}
async(boss, int ends[2]; async_task reader;)
{
    async_begin;
    async_pipe(self->ends);
    self->reader = async_spawn(reader, self->ends[0]);
    async_spawn(worker);
    await(async_sleep(1));
    async_cancel(self->reader);
    await(async_join_children());
    async_close(self->ends[0]);
    async_close(self->ends[1]);
    async_end;
}
static void *other_loop(void *unused) { async_run(boss); return unused; }
int main(void)
{
    pthread_t other;
    if (async_open(NULL) < 0 || async_spawn(boss) < 0 || pthread_create(&other, NULL, other_loop, NULL) != 0)
        return 1;
    pthread_join(other, NULL); /* both loops are open at once: each has its tracks */
    return async_loop_run() < 0 || async_loop_close() < 0;
}
END
${CC:-cc} -I. "$scratch/traced.c" -pthread -o "$scratch/traced"
for turn in one two; do ASYNC_TRACE_FILE=$scratch/x.json "$scratch/traced"; done

tracks='boss: spawn boss boss boss end
the _reader_: spawn reader name cancel reader reader end
worker: spawn worker inner inner worker end'
node tests/programs/trace.js "$viewer" "$scratch/x.json" > "$scratch/seen.txt"
equal "what the trace viewer sees" "$tracks
$tracks
$tracks
$tracks" "$(cat "$scratch/seen.txt")"
echo "the trace viewer sees 12 tracks, as they were"
