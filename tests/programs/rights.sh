# A program with the rights of others (set-group-ID here) does not write where the environment of who starts it says.
. tests/programs/lib.sh
cat > "$scratch/traced.c" <<'END'
#include "async.h"
async(nothing) { async_begin; await(async_yield()); async_end; }
int main(void) { return async_run(nothing) < 0; }
END
${CC:-cc} -I. "$scratch/traced.c" -o "$scratch/traced"

ASYNC_TRACE_FILE=$scratch/one.json "$scratch/traced"
[ -s "$scratch/one.json" ] || fail "no trace of a plain program"

other=$(id -G | tr ' ' '\n' | grep -vx "$(id -g)" | head -n 1) # a group that is not this process's own, and may be given
[ "$(id -u)" != 0 ] || other=1
if [ -z "$other" ] || ! chgrp "$other" "$scratch/traced" || ! chmod g+s "$scratch/traced"; then
    echo "left out: no group to lend"
    exit 0
fi
ASYNC_TRACE_FILE=$scratch/two.json ASYNC_BACKEND=none "$scratch/traced" || fail "it listened to ASYNC_BACKEND"
[ ! -e "$scratch/two.json" ] || fail "a trace was written with the rights of group $other"
echo "no trace with the rights of group $other"
