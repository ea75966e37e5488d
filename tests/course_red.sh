#!/bin/sh
# Red tests of docs/course/check_all.sh and check.sh: copies of the first lesson with one fault each. The line that looks
# for that fault must fail, and without any fault none does. Prints "N passed, N failed".
#     tests/course_red.sh [WORDS]       only the faults with these words in their name
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/report.sh
only=${1:-}
out=build/course-red
rm -rf $out
report_begin $out
at=$out/copy
here=docs/course/00-hello

# The lesson as it should be, and what it stands on; its pages are made up, so that only the checks are tested.
fresh()
{
    rm -rf $at/docs $at/tests $at/async.h
    mkdir -p $at/$here $at/tests
    cp docs/course/check* $at/docs/course/
    cp $here/ex2* $at/$here/
    cp -R tests/kit tests/kqueue $at/tests/
    cp async.h $at/
    printf '# Hello\n\n![a loop](loop.svg)\n\nChange it: make learn EX=00.2.\n\n```c\nint n;\n```\n' > $at/$here/README.md
    printf '# Bonjour\n\n![une boucle](loop.svg)\n\nModifiez : make learn EX=00.2.\n\n```c\nint n;\n```\n' > $at/$here/README.fr.md
}

# lines WORDS: what check_all.sh says of the copy has a line that begins with them.
lines()
{
    (cd $at && docs/course/check_all.sh) > $out/said 2>&1
    status=$?
    grep -q "^$1" $out/said
}

chosen()
{
    case $1 in *"$only"*) true ;; *) false ;; esac
}

green()
{
    chosen "$1" || return
    fresh
    if lines '[0-9]* passed, 0 failed' && [ $status = 0 ]; then ok "$1"; else fail "$1" $out/said; fi
}

# red FAULT WORDS FILE SED [WHY]: in that file of the lesson; or, without SED, with what is on stdin in its place. WHY is
# what must be said besides.
red()
{
    chosen "$1" || return
    fresh
    cp $at/$here/"$3" $out/before
    if [ -n "${4:-}" ]; then sed "$4" $out/before > $at/$here/"$3"; else cat > $at/$here/"$3"; fi
    if cmp -s $out/before $at/$here/"$3"; then fail "$1: nothing was changed"; return; fi
    if lines "FAIL $2" && grep -q -e "${5:-}" $out/said && [ $status != 0 ]; then ok "$1"; else fail "$1" $out/said; fi
}

green 'without a fault all is well'

red 'no TODO' '00.2 has one TODO' ex2.c 's/TODO: //'
red 'two regions' '00.2 has one TODO' ex2.c 's/^}/\/* TODO: more *\/ &/'
red 'no end' '00.2 has one TODO' ex2.c '/END/d'
red 'another number' '00.2 says what it is' ex2.c '1s/0\.2/0.3/'
red 'two hints' '00.2 has three hints' ex2.hint '1,2d'
red 'four hints' '00.2 has three hints' ex2.hint '$s/$/\n--\nmore/'
red 'an empty hint' '00.2 has three hints' ex2.hint '1s/.*//'
red 'another number in French' '00.2 is there in French' ex2.fr '1s/0\.2/0.3/'
red 'two hints in French' '00.2 is there in French' ex2.fr '1,/^--$/{/^--$/d;}'

red 'the stub is right' '00.2 as it is fails' ex2.c 's/loop/course/' 'status 0'
red 'the stub crashes' '00.2 as it is fails' ex2.c 's/^ *fprintf/abort();&/' 'It crashed: Aborted'
red 'the stub hangs' '00.2 as it is fails' ex2.c 's/^ *fprintf/for (;;) kill(getppid(), SIGALRM);&/' 'did not end within'
red 'the stub ends too early' '00.2 as it is fails' ex2.c 's/^ *fprintf/exit(0);&/' 'ended too early'
red 'the stub prints for ever' '00.2 as it is fails' ex2.c 's/^ *fprintf/for (;;) puts("x");&/' 'prints without an end'
red 'the stub overruns' '00.2 as it is fails' ex2.c 's/^ *fprintf/char c[3]; c[out ? 3 : 0] = 0;&/' 'AddressSanitizer\|out of bounds'
red 'the stub does not compile' '00.2 as it is fails' ex2.c 's/fprintf(/fprintf(,/' 'status 2'
red 'the stub has a warning' '00.2 as it is fails' ex2.c 's/^ *fprintf/int unused;&/' 'warning: unused variable'

red 'the patch does not fit' '00.2.patch changes' ex2.patch 's/loop/lop/' 'FAILED'
red 'the patch fits with fuzz' '00.2.patch changes' ex2.patch 's/^ {/ { /' 'FAILED'
red 'the patch fits elsewhere' '00.2.patch changes' ex2.patch 's/^@@ -3/@@ -2/'
red 'the patch changes more' '00.2.patch changes' ex2.patch 's/^ static void greet(FILE \*out)/-static void greet(FILE *out)\n+static void greet(FILE  *out)/' 'FILE  \*out'
red 'the patch takes the end away' '00.2.patch changes' ex2.patch 's/^     \/\* END/-    \/* END/; s/^@@.*/@@ -4,7 +4,5 @@/; 4d' 'END'
red 'the wrong patch does not fit' "00.2's wrong patch" ex2_wrong.patch 's/loop/lop/'

red 'the solution is wrong' '00.2 is solved:' ex2.patch 's/hello, course/hello, curse/' 'hello, curse'
red 'the solution leaks' '00.2 is solved:' ex2.patch 's/^+ *fprintf/+    if (!malloc(3)) return; fprintf/' 'detected memory leaks'
red 'the solution overflows' '00.2 is solved:' ex2.patch 's/^+ *fprintf/+    int n = 2147483647; n += out != NULL; fprintf/' 'integer overflow'
red 'the solution has a warning' '00.2 is solved:' ex2.patch 's/^+ *fprintf/+    int n; fprintf/' 'warning: unused variable'
red 'the solution has a race' '00.2 is solved:' ex2_check.c '' 'data race' <<'END'
/* tsan: two threads, and nothing between them. */
#include "check.h"
#include "ex2.c"
#include <pthread.h>

static int n;

static void *add(void *unused)
{
    n++;
    return unused;
}

Check(ex_0_2, adds, "Both additions are seen.")
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, add, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    greet(stdout);
}
END
red 'wrong on one backend' '00.2 is solved, poll' ex2_check.c 's/^    greet(out);/    const char *name = getenv("ASYNC_BACKEND"); \/* async.h *\/\n    expect(!name || strcmp(name, "poll") != 0, "poll");\n&/' ' poll'
red 'wrong with Criterion' '00.2 is solved, FACE=criterion' ex2_check.c '$s/$/\n#ifndef ASYNC_TEST_PLAIN\nTest(ex_0_2, fails) { cr_assert(0); }\n#endif/'
red 'the wrong one is right' '00.2 wrong is refused' ex2_wrong.patch 's/hello, course/&\\n/' 'status 0'
red 'the wrong one does not compile' '00.2 wrong is refused' ex2_wrong.patch 's/hello, course"/&,,/' 'status 2'
red 'the wrong one is refused in other words' '00.2 wrong is refused' ex2_wrong.patch '1s/^/Says: hello, curse\n/' 'status 1'

red 'another heading' '00-hello says the same' README.fr.md 's/^# /## /'
red 'another figure' '00-hello says the same' README.fr.md 's/loop.svg/boucle.svg/'
red 'another exercise' '00-hello says the same' README.fr.md 's/EX=00.2/EX=00.1/'
red 'no exercise' '00-hello names its exercises' README.md 's/EX=00.2/EX/'
red 'other code' '00-hello says the same' README.fr.md 's/int n/int m/'
red 'an empty page' '00-hello has both pages' README.fr.md d

# files FAULT WORDS COMMAND: which adds a file or takes one away.
files()
{
    chosen "$1" || return
    fresh
    (cd $at/$here && $3)
    if lines "FAIL $2" && [ $status != 0 ]; then ok "$1"; else fail "$1" $out/said; fi
}
files 'a file too many' '00-hello has no other files' 'touch forgotten.c'
files 'no wrong patch' "00.2's wrong patch" 'rm ex2_wrong.patch'
files 'nothing in French' '00.2 is there in French' 'rm ex2.fr'
files 'an exercise without a check' '00-hello has no other files' 'rm ex2_check.c'

# An exercise that must not compile.
refuse="s|^#include \"check.h\"|/* refuse: duplicate case value */\n&|"
red 'what must not compile does' '00.2 is solved:' ex2_check.c "$refuse" 'must not compile, and it does'
twice='$s/$/\nint twice(int n) { switch (n) { case 1: case 1: return n; } return 0; }/'
red 'the compiler means another line' '00.2 is solved:' ex2_check.c \
    "s|^#include \"check.h\"|/* refuse: duplicate case value */\n/* on 1 line with: fprintf( */\n&|; $twice" 'about 0 of 1 lines'
red 'the compiler means another thing, too' '00.2 is solved:' ex2_check.c "$refuse; ${twice%/}\nint other = missing;/" \
    'finds something else wrong, too'
report_end
