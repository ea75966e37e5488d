# docs/async-gdb.py finds in a process, and in a core file, the tree that the program itself has printed.
. tests/programs/lib.sh

command -v gdb > /dev/null || { echo "left out: there is no gdb"; exit 0; }

# The header's names of what a task waits for are those of the script.
header=$(sed -n '/const char \*async__op_name/,/^}/p' async.h | grep -o '"[^"]*"' | tr -d '"\n' | sed 's/\\0/|/g')
script=$(sed -n '/^OPS = """/,/"""$/p' docs/async-gdb.py | tr -d '\n' | sed 's/^OPS = "*//; s/"*$//; s/,/|/g; s/;/,/g')
equal "the names of the operations" "$header" "$script"

${CC:-cc} -O2 -g -I. -pthread tests/programs/gdb.c -o "$scratch/tasks"
start tasks "$scratch/tasks"

# Times are as they may be.
plain() { grep -v '^listening' | grep -E '^async:|^ +[0-9]+ ' | sed 's/, for [0-9.]* s//; s/, limit in [0-9.]* s/, limited/'; }
look() { gdb -q -nx -batch -iex 'set debuginfod enabled off' -ex 'set may-call-functions off' -ex 'source docs/async-gdb.py' "$@"; }

expected=$(plain < "$scratch/tasks.out")
equal "lines of the program" 22 "$(echo "$expected" | wc -l)"
look -p "$pid" -ex async-dump -ex "generate-core-file $scratch/core" > "$scratch/live.txt" 2> "$scratch/live.err"
equal "a process" "$expected" "$(plain < "$scratch/live.txt")"
look "$scratch/tasks" "$scratch/core" -ex async-dump > "$scratch/core.txt" 2> "$scratch/core.err"
equal "a core file" "$expected" "$(plain < "$scratch/core.txt")"
look "$scratch/tasks" "$scratch/core" -ex 'thread 1' -ex 'async-dump here' > "$scratch/here.txt" 2> "$scratch/here.err"
equal "one thread" "$(echo "$expected" | head -n 2)" "$(plain < "$scratch/here.txt" | head -n 2)"
equal "only one thread" 2 "$(plain < "$scratch/here.txt" | wc -l)"

# Where there is nothing to read it says so, in one line.
look -ex async-dump > "$scratch/none.txt" 2>&1 && true
equal "no process" "there is no process, and no core file" "$(tail -n 1 "$scratch/none.txt")"
${CC:-cc} -O2 -I. -pthread tests/programs/gdb.c -o "$scratch/bare"
start bare "$scratch/bare"
look -p "$pid" -ex async-dump > "$scratch/bare.txt" 2>&1 && true
equal "a program without -g" "the program has no debugging information of async.h: compile with -g, and do not strip" \
    "$(grep 'compile with -g' "$scratch/bare.txt")"
! grep -E 'Python|Traceback|rror occurred' "$scratch/bare.txt" || fail "gdb speaks of Python"

echo "22 lines of a process, and of its core, are what they should be"
