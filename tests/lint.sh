#!/bin/sh
# What no compiler checks: the order and the names in async.h, its contracts, its seam, and that each
# error a contract names is provoked by a test.
#
#     tests/lint.sh             the header; output is below build/lint
#     tests/lint.sh FILE.c...   a user's own files: locals that are lost across an await, and what
#                               the analyzers of clang and gcc see
#     tests/lint.sh --only seam     one of the checks, by the name of its function
#     tests/lint.sh --red       each check on a header with one fault: it must fail, and say so
set -u
start=$PWD
cd "$(dirname "$0")/.." || exit 2
self=tests/lint.sh
. tests/report.sh

LC_ALL=C
export LC_ALL
header=${HEADER:-async.h}
out=${LINT_OUT:-build/lint}
report_begin "$out"
CFLAGS=${CFLAGS:--I$out/include}

# verdict name file: the check has passed if the file of what it found is empty
verdict() {
    if [ -s "$2" ]; then
        fail "$1" "$2"
    else
        ok "$1"
    fi
}

# ---- the text of the header ----

# Each tag of the contents has its banner, and the reverse.
tags() {
    awk '/Contents, as tags/ { on = 1 } on && /\*\// { exit }
         on { while (match($0, />>[a-z]+/)) { print substr($0, RSTART, RLENGTH)
                                              $0 = substr($0, RSTART + RLENGTH) } }' \
        "$header" | sort > "$out/contents"
    awk '/^ \* MARK: - / { getline; print /^ \* >>[a-z]+( |$)/ ? $2 : "no tag below line " NR - 1 }' \
        "$header" | sort > "$out/banners"
    diff "$out/contents" "$out/banners" > "$out/tags"
    [ -s "$out/contents" ] || echo 'no contents' > "$out/tags"
    verdict 'tags of the contents and banners are the same' "$out/tags"
}

# What the header declares: macros, functions, types, tags and enumerators. A name that is not ours
# comes from the system: feature macros, and functions that its headers hide.
names() {
    theirs='^(_DEFAULT_SOURCE|_DARWIN_C_SOURCE|_NETBSD_SOURCE|__BSD_VISIBLE|accept4|pipe2|secure_getenv|__asan_.*)$'
    awk '/^#[ ]*define / { sub(/^#[ ]*define /, ""); sub(/[^A-Za-z0-9_].*/, ""); print; next }
         /^[A-Za-z].*\(/ && !/^(typedef|async|#)/ { # a function: the word before the first bracket
             line = $0; gsub(/__attribute__\(\([^;{]*\)\)/, "", line); sub(/\(.*/, "", line)
             sub(/.*[ *]/, "", line); if (line != "") print line }
         /^(typedef )?(struct|union|enum) [a-z]/ { line = $0; sub(/^typedef /, "", line)
             split(line, word, /[ {;(]/); print word[2] }
         /^} [a-z_]+;/ { line = $2; sub(/;.*/, "", line); print line }
         /^typedef .*;/ && !/\(/ { line = $0; sub(/;.*/, "", line); sub(/.*[ *]/, "", line)
             print line }
         /^enum / || /^typedef enum/ { list = 1 }
         list { line = $0; gsub(/\/\*.*\*\//, "", line); sub(/^.*\{/, "", line)
             n = split(line, word, ","); for (i = 1; i <= n; i++) {
                 gsub(/=.*|[ };]/, "", word[i]); if (word[i] ~ /^[A-Za-z]/) print word[i] } }
         list && /}/ { list = 0 }' "$header" |
        grep -Ev '^(async|await|async_.*|ASYNC_.*|extern|return)$' | grep -Ev "$theirs" |
        sort -u > "$out/names"
    verdict 'all names begin with async_ or ASYNC_' "$out/names"
    private_names
}

# A function without the second underscore is public: it stands in the API section.
private_names() {
    api > "$out/api"
    awk '/^static inline|^ASYNC__[A-Z_]+ static inline|^ASYNC__ONCE / && /\(/ {
             sub(/\(.*/, ""); sub(/.*[ *]/, ""); if (!/^async__/) print }' "$header" |
        sort -u > "$out/public"
    awk -F '\t' '{ print $1 }' "$out/api" | sort -u > "$out/declared"
    comm -23 "$out/public" "$out/declared" > "$out/undeclared"
    [ "$(wc -l < "$out/declared")" -ge 40 ] || echo 'fewer than 40 functions' >> "$out/undeclared"
    verdict 'what is not async__ is declared in the API section' "$out/undeclared"
}

# lengths file columns: lines of a function, columns, depth of braces, and no #if in a body
lengths() {
    awk -v columns="$2" -v file="$1" '
        function say(what) { print file ":" NR ": " what }
        length > columns && !/^#error/ { say(length " columns, more than " columns) }
        { code = $0; gsub(/"([^"\\]|\\.)*"|\047([^\047\\]|\\.)+\047|\/\*.*\*\//, "", code) }
        /^{$/ { body = 1; start = NR; depth = 0 }
        body && /^#[ ]*(if|else|elif|endif)/ { say("#if inside a function") }
        body { opened = gsub(/{/, "{", code); closed = gsub(/}/, "}", code)
               depth += opened - closed
               if (depth > 5) say("braces " depth - 1 " deep, more than 4") }
        body && /^}/ { body = 0; if (NR - start - 1 > 70) say("a function of " NR - start - 1 " lines") }
    ' "$1"
}

shapes() {
    lengths "$header" 100 > "$out/shape"
    verdict "$header: 100 columns, functions of 70 lines, 4 deep, no #if inside" "$out/shape"
    for file in tests/*.[ch] tests/simulated/*.[ch] tests/compile/*.[ch] tests/kit/*.[ch] tests/kit/red/*.[ch]; do
        lengths "$file" 100 | grep -v 'inside a function'
    done > "$out/shape"
    verdict 'tests: 100 columns, functions of 70 lines, 4 deep' "$out/shape"
    for file in examples/*.[ch] examples/adapters/*.[ch]; do
        lengths "$file" 80
    done > "$out/shape"
    verdict 'examples: 80 columns, functions of 70 lines, 4 deep, no #if inside' "$out/shape"
}

# ---- contracts ----

# The API section as lines of: function, what it returns, its comment. Functions that stand in one
# paragraph share the comment above it. Those that are macros are described in a comment.
api() {
    awk 'function put(name, type) { print name "\t" type "\t" text }
         />>api  / { on++ } />>coroutines  / && on > 1 { exit }
         on < 2 { next }
         /^\/\*/ { text = ""; open = 1 }
         open && /^ \* (async_op|async_task|async_result) async_[a-z_]+\(/ {
             if (macro != "") put(macro, type)
             type = $2; macro = $3; sub(/\(.*/, "", macro); text = "" }
         open { line = $0; gsub(/^\/\*|^ \*|\*\/|\t/, "", line); text = text " " line }
         open && macro != "" && /^ \*\/|\*\/$/ { put(macro, type); macro = "" }
         /\*\// { open = 0 }
         !open && /static inline.*\(/ {
             line = $0; sub(/\(.*/, "", line); name = line; sub(/.*[ *]/, "", name)
             put(name, line ~ /async_op / ? "async_op" : "other") }
         !open && /^$/ { text = "" }' "$header"
}

# What returns an async_op suspends; nothing else does. Three functions may not be called from
# inside the loop at all, and say that.
contracts() {
    api | awk -F '\t' '
        $3 ~ /^ *$/ { print $1 ": no comment"; next }
        $1 == "async_shield" { next }  # an operation by way of another: its contract is the other
        $1 == "async_run" { next }     # runs a loop
        { suspends = $3 ~ /Suspends\./; never = $3 ~ /Never *suspends?\./
          inside = $3 ~ /inside the loop itself/ }
        $2 == "async_op" && (!suspends || never) { print $1 ": must say \"Suspends.\"" }
        $2 != "async_op" && (suspends || !(never || inside)) {
            print $1 ": must say \"Never suspends.\"" }' > "$out/contracts"
    [ "$(api | wc -l)" -ge 40 ] || echo 'fewer than 40 functions' >> "$out/contracts"
    verdict 'each function says whether it suspends' "$out/contracts"
}

# Function and error, from the contracts. "async_every: -EINVAL" and "accept also -EMFILE" in a
# shared comment are of that one function. A cancel and a limit may come from any operation.
documented() {
    api | awk -F '\t' '{
        text = $3
        while (match(text, /-E[A-Z0-9]+/)) {
            error = substr(text, RSTART + 1, RLENGTH - 1)
            before = substr(text, 1, RSTART - 1)
            text = substr(text, RSTART + RLENGTH)
            if (error == "ECANCELED" || error == "ETIMEDOUT") continue
            if (match(before, /async_[a-z_]+: $/) &&
                substr(before, RSTART, RLENGTH - 2) != $1) continue
            if (match(before, /[a-z]+ also $/) &&
                index($1, substr(before, RSTART, RLENGTH - 6)) == 0) continue
            print $1 "\t" error
        } }' | sort -u
}

# Function, error and place, from the tests.
provoked() {
    awk 'FNR == 1 { text = "" }
         { text = /(check_error|provokes)\($/ ? $0 : text $0
           while (match(text, /(check_error|provokes)\([ ]*[a-z_0-9]+,[ ]*E[A-Z0-9]+/)) {
               split(substr(text, RSTART, RLENGTH), word, /[(, ]+/)
               print word[2] "\t" word[3] "\t" FILENAME ":" FNR
               text = substr(text, RSTART + RLENGTH) }
           if (text !~ /\($/) text = "" }' tests/test_*.c tests/sim_*.c | sort -u
}

# The table; an error that no test provokes is an empty cell.
errors() {
    documented > "$out/documented"
    provoked > "$out/provoked"
    awk -F '\t' 'NR == FNR { if (!place[$1, $2]) place[$1, $2] = $3; next }
                 { printf "%-26s %-14s %s\n", $1, $2, place[$1, $2] }' \
        "$out/provoked" "$out/documented" > "$out/table"
    sed 's/^/    /' "$out/table"
    awk 'NF < 3' "$out/table" > "$out/empty"
    [ -s "$out/documented" ] || echo 'no documented errors' > "$out/empty"
    REPORT_LINES=200
    verdict "each of $(wc -l < "$out/documented" | tr -d ' ') documented errors is provoked" "$out/empty"
    REPORT_LINES=12
}

# ---- objects ----

# copy: a folder in which the header is called async.h, whatever its name
copy() {
    mkdir -p "$out/include"
    cp "$header" "$out/include/async.h"
}

# No variable at file scope nor a static one in a function, but the two weak ones: nm of a file in
# which every function is kept. Constant tables are read-only where code need not move.
state() {
    if ! command -v gcc > /dev/null; then left_out 'state: no gcc'; return; fi
    echo '#include "async.h"' > "$out/only.c"
    gcc -O0 -fno-pie -fkeep-inline-functions -fkeep-static-functions -I"$out/include" \
        -DASYNC_HAS_KQUEUE=1 -Itests/kqueue -c "$out/only.c" -o "$out/kept.o" 2> "$out/state"
    nm "$out/kept.o" > "$out/symbols"
    grep -q ' t async_now$' "$out/symbols" || echo 'the functions are not there' >> "$out/state"
    grep -E ' [bBdDcCsSgGvV] ' "$out/symbols" | grep -v -E ' V async__(current|this_process)$' >> "$out/state"
    verdict 'no state but the pointer to the loop and the record for signals' "$out/state"
}

# header_only flags: the header's own part of the preprocessed text
header_only() {
    # shellcheck disable=SC2068
    ${CC:-cc} -E $@ -I"$out/include" "$out/only.c" |
        awk '/^# [0-9]+ "/ { on = $3 ~ /\/async\.h"$/; next } on'
}

calls='read|write|readv|writev|recv|send|recvfrom|sendto|recvmsg|sendmsg|accept|accept4|connect|bind'
calls="$calls|listen|socket|socketpair|pipe|pipe2|close|fcntl|ioctl|fstat|stat|lstat|open|unlink|poll"
calls="$calls|ppoll|select|epoll_create|epoll_create1|epoll_ctl|epoll_wait|epoll_pwait|kqueue|kevent"
calls="$calls|eventfd|signalfd|timerfd_create|clock_gettime|gettimeofday|time|nanosleep|getpid|fork"
calls="$calls|execve|waitpid|kill|sigaction|signal|sigprocmask|pthread_create|shutdown|getsockopt"
calls="$calls|setsockopt|getsockname|getpeername|if_nametoindex|if_indextoname|getaddrinfo|dup|dup2"
calls="$calls|malloc|calloc|realloc|free|posix_memalign|aligned_alloc|strdup|mmap|munmap"

# Every system call and allocation goes through the seam: with another world beneath it, none of the
# real names is called. Members (->close) and declarations are no calls.
seam() {
    echo '#include "async.h"' > "$out/only.c"
    for ways in '' '-DASYNC_HAS_ACCEPT4=0 -DASYNC_HAS_PIPE2=0' \
        '-DASYNC_HAS_KQUEUE=1 -DASYNC_HAS_EPOLL=0 -Itests/kqueue'; do
        # shellcheck disable=SC2086
        header_only $ways '-DASYNC_SYS(c)=SEAM_##c' '-DASYNC_MEM(c)=MEM_##c' \
            '-DASYNC_PICK(n)=SEAM_pick' '-DASYNC_TRACE(e,t)=SEAM_trace' \
            '-DASYNC_RESUME(t)=SEAM_resume' > "$out/seam.i"
        sed 's/"[^"]*"//g' "$out/seam.i" | grep -v '^ *extern ' |
            grep -E "(^|[^A-Za-z0-9_>.*])($calls) *\("
        for word in SEAM_poll MEM_free SEAM_pick SEAM_trace SEAM_resume; do
            grep -q "$word" "$out/seam.i" || echo "$word is not there"
        done
    done > "$out/seam"
    verdict 'no bare system call or allocation' "$out/seam"
}

# The seam costs nothing: object code is the same with the macros defined to what they stand for.
identity() {
    for compiler in gcc clang; do
        have 'identity of the seam' $compiler || continue
        for level in -O0 -O2; do
            for source in ping_pong use_all callbacks; do
                $compiler $level -I"$out/include" -c "tests/compile/$source.c" -o "$out/without.o" &&
                    $compiler $level -I"$out/include" '-DASYNC_SYS(c)=c' '-DASYNC_MEM(c)=c' \
                        '-DASYNC_PICK(n)=0' '-DASYNC_TRACE(e,t)=((void)0)' \
                        '-DASYNC_RESUME(t)=((void)0)' -c "tests/compile/$source.c" -o "$out/with.o" &&
                    cmp "$out/without.o" "$out/with.o"
            done > "$out/identity" 2>&1
            verdict "$compiler $level: the same object code with and without the seam" "$out/identity"
        done
    done
}

# ---- analyzers, for the header's users and for a user's own file ----

paths= # words for clang, of how many it follows

# To an analyzer each await suspends: it follows one step at a time, and so gets further.
suspends='-DASYNC__SUSPENDS(operation)=(async__await(operation), 1)'

# A plain return. And: a local with an initialiser between the opening brace and async_begin is set
# anew at each step, so
# that its loss is not even noticed. Static ones are kept.
lost_locals() {
    awk '/^(async|async_coroutine|async_define)\(/ { head = 1; body = 0 }
         { code = $0; gsub(/"([^"\\]|\\.)*"|\/\*.*\*\/|\/\/.*/, "", code) }
         head && /async_begin/ { head = 0; steps = 1 }
         steps && code ~ /(^|[^A-Za-z0-9_])return([^A-Za-z0-9_]|$)/ {
             print FILENAME ":" FNR ": leaves a coroutine past async_finally, use async_return: " $0 }
         /^}/ { steps = 0 }
         head && body && code ~ /[^=!<>]=[^=]/ && code !~ /^ *(static|typedef|#)/ {
             print FILENAME ":" FNR ": is set anew at each step, declare it after async_begin: " $0 }
         head && /^}/ { head = 0 }
         head && /{ *$|^{/ { body = 1 }' "$1"
}

# Findings in the header that are wrong, as "where and what | the reason". A finding is its line and
# the source line below it.
suppressed='
/async[.]h:.*UndefReturn.*slots.slot..item | clang 14 forgets that async__enroll has set the root, slot 0
/async[.]h:.*NullDereference.*loop->kinds. | clang: a kind is known to the loop before it has items
/async[.]h:.*NullDereference.*loop->chunks. | clang: a slot that high belongs to a callback, which is in a chunk
/async[.]h:.*NullDereference.*stream->generation == loop | clang: a stream has a descriptor, so the table is there
/async[.]h:.*unix[.]Malloc.*return error; | clang forgets a job that is in the queue by its waiter
/async[.]h:.*leak of .<unknown>.*analyzer-malloc-leak | gcc 12 forgets blocks that the loop points to
'

# findings file: an analyzer's findings without the suppressed ones
findings() {
    echo "$suppressed" | sed -n 's/ | .*//p' > "$out/suppressed"
    awk '/^[^ ].*: (warning|error): / { line = $0; getline; print line " " $0 }' "$1" |
        grep -Evf "$out/suppressed" > "$out/left"
    # what is no finding at all: the analyzer itself has failed
    if [ -s "$out/left" ]; then
        cat "$out/left"
    elif ! grep -Eq '(warning|error): ' "$1"; then
        cat "$1"
    fi
}

analyze_clang() {
    have "clang --analyze $1" clang || return
    # shellcheck disable=SC2086
    clang --analyze --analyzer-output text $paths "$suspends" $CFLAGS "$1" -o "$out/analysis" > "$out/analysis.txt" 2>&1
    grep -Ev '^[0-9]+ warnings? generated' "$out/analysis.txt" > "$out/analysis.said"
    findings "$out/analysis.said" > "$out/analysis.bad"
    verdict "clang --analyze $1" "$out/analysis.bad"
}

# With two states to a place instead of eight it takes an eighth of the time.
analyze_gcc() {
    have "gcc -fanalyzer $1" gcc || return
    # shellcheck disable=SC2086
    gcc -fanalyzer --param=analyzer-max-enodes-per-program-point=2 -fdiagnostics-plain-output \
        -fdiagnostics-show-caret -O1 -Wall "$suspends" $CFLAGS -c "$1" -o "$out/analysis.o" > "$out/analysis.said" 2>&1
    findings "$out/analysis.said" > "$out/analysis.bad"
    verdict "gcc -fanalyzer $1" "$out/analysis.bad"
}

warnings() {
    for compiler in gcc clang; do
        have "$compiler -O2 -Wall $1" $compiler || continue
        only= # clang knows all of these before it makes code
        [ $compiler = gcc ] || only=-fsyntax-only
        # shellcheck disable=SC2086
        $compiler -O2 -Wall -Wextra $CFLAGS $only -c "$1" -o "$out/analysis.o" > "$out/analysis.txt" 2>&1
        verdict "$compiler -O2 -Wall -Wextra $1" "$out/analysis.txt"
    done
}

users_file() {
    lost_locals "$1" > "$out/lost"
    verdict "no initialiser before async_begin and no plain return in $1" "$out/lost"
    warnings "$1"
    analyze_clang "$1"
}

# gcc's analyzer takes half a minute for the header, in each file again: in these it sees all of it.
users() {
    plain=$CFLAGS
    for file in tests/compile/ping_pong.c tests/compile/use_all.c tests/compile/callbacks.c; do
        users_file "$file"
        analyze_gcc "$file"
    done
    paths='-Xclang -analyzer-config -Xclang max-nodes=112500' # half: the header's were all looked at
    for file in examples/*.c; do
        CFLAGS="$plain $(make -s "library-$(basename "$file" .c)")"
        # shellcheck disable=SC2086
        if cc -E $CFLAGS "$file" -o "$out/preprocessed" 2> "$out/missing"; then
            users_file "$file"
        else
            echo "skip $file: $(head -n 1 "$out/missing")"
        fi
    done
    CFLAGS=$plain
    paths=
}

# ---- red: each check fails when it must ----

# red name check sed-script: the check on a header that was changed so
red() {
    sed "$3" "$header" > "$out/red.h"
    if cmp -s "$header" "$out/red.h"; then
        fail "red, $1: the fault does not fit any more"
        return
    fi
    HEADER=$out/red.h LINT_OUT=$out/red "$self" --only "$2" > "$out/red.txt" 2>&1
    if grep -q '^FAIL' "$out/red.txt"; then
        ok "red, $1: is seen"
    else
        fail "red, $1: is not seen" "$out/red.txt"
    fi
}

all_red() {
    after='/^static inline int64_t async_now(void)$/'
    red 'a tag without banner' tags 's/>>poll         backend/>>polls        backend/'
    red 'a banner without tag' tags 's/^ \* >>timers /\&x/; s/^ \* >>ready$/ * nothing/'
    red 'a function of another name' names "$after"'i static inline int my_helper(void);'
    red 'a macro of another name' names 's/^#define ASYNC__DAY_NS/#define DAY_NS/'
    red 'an enumerator of another name' names 's/ASYNC__RUNNING/RUNNING/g'
    red 'a public function that is not declared' names 's/async__from_now/async_from_now/g'
    red 'a long line' shapes 's/^static inline int64_t async_now(void)$/& \/* '"$(printf '%0100d' 0)"' *\//'
    red '#if in a function' shapes "$after"'{n;a #if 1\n#endif
}'
    red 'a long function' shapes "$after"'{n;a '"$(awk 'BEGIN { for (i = 0; i < 71; i++) printf "    ;\\n" }')"'
}'
    red 'deep braces' shapes "$after"'{n;a {{{{{\n}}}}}
}'
    red 'a variable at file scope' state "$after"'i static int async__count;'
    red 'a static variable in a function' state "$after"'{n;a static int count; count++;
}'
    red 'a contract without suspends' contracts 's/The name of the backend in use. Never suspends./The name./'
    red 'a contract that is wrong' contracts 's/Let the other tasks run that can. Returns 0. Suspends./Never suspends./'
    red 'a bare call' seam 's/ASYNC_SYS(recvmsg)(fd/recvmsg(fd/'
    red 'a bare allocation' seam 's/ASYNC_MEM(free)(task)/free(task)/'
    red 'a bare call of kqueue' seam 's/ASYNC_SYS(kevent)(/kevent(/'
    red 'a seam that costs' identity 's/^#define ASYNC_RESUME(task) ((void)0)/#define ASYNC_RESUME(task) abort()/'
    red 'an error that no test provokes' errors 's/-ENOTSUP (poll has none)/-ENOTSUP, -EXDEV (poll has none)/'
    red_users
}

# red_file name words: a user's file, from stdin, in which the words must be found
red_file() {
    cat > "$out/user.c"
    LINT_OUT=$out/red "$self" "$out/user.c" > "$out/red.txt" 2>&1
    if grep '^    ' "$out/red.txt" | grep -q "$2"; then
        ok "red, $1: is seen"
    else
        fail "red, $1: is not seen" "$out/red.txt"
    fi
}

red_users() {
    red_file 'a local with an initialiser before async_begin' 'is set anew at each step' << 'END'
#include "async.h"
async(count, int rounds;)
{
    int i = 0;
    async_begin;
    for (; i < self->rounds; i++)
        await(async_sleep(1));
    async_end;
}
int main(void) { return async_run(count, .rounds = 3) < 0; }
END
    red_file 'a plain return' 'use async_return' << 'END'
#include "async.h"
async(count, int rounds;)
{
    async_begin;
    await(async_sleep(1));
    if (self->rounds)
        return 0;
    async_end;
}
int main(void) { return async_run(count, .rounds = 3) < 0; }
END
    red_file 'a local kept across an await' 'uninitialized' << 'END'
#include "async.h"
async(count, int rounds;)
{
    async_begin;
    int i = self->rounds;
    await(async_sleep(1));
    async_return(i);
    async_end;
}
int main(void) { return async_run(count, .rounds = 3) < 0; }
END
    red_file 'a buffer kept across an await' 'garbage\|uninit' << 'END'
#include "async.h"
async(count, int rounds;)
{
    char text[16];
    async_begin;
    text[0] = (char)self->rounds;
    await(async_sleep(1));
    if (text[0] == 3)
        async_return(1);
    async_end;
}
int main(void) { return async_run(count, .rounds = 3) < 0; }
END
    red_file 'a leak' 'leak' << 'END'
#include "async.h"
async(count, int rounds;)
{
    async_begin;
    await(async_sleep(1));
    char *text = (char *)malloc(16);
    if (!text)
        async_return(-ENOMEM);
    text[0] = 1;
    async_return(text[0] + self->rounds);
    async_end;
}
int main(void) { return async_run(count, .rounds = 3) < 0; }
END
}

# ---- what is asked for ----

copy
if [ "${1:-}" = --red ]; then
    all_red
elif [ "${1:-}" = --only ]; then
    "$2"
elif [ $# -gt 0 ]; then
    for file in "$@"; do
        case $file in
        /*) ;;
        *) file=$start/$file ;;
        esac
        users_file "$file"
        analyze_gcc "$file"
    done
else
    tags
    names
    shapes
    state
    contracts
    seam
    identity
    errors
    users
fi
report_end
