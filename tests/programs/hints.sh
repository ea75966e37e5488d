# What the guide says that a program prints on stderr it prints: all of it in a debug build, what is "always" in any other.
. tests/programs/lib.sh

build()
{
    ${CC:-cc} "$1" -I. -pthread tests/programs/hints.c -o "$scratch/hints"
    ASYNC_TRACE_FILE=$scratch/none/trace.json "$scratch/hints" 2> "$scratch/said" || fail "hints with $1: $?"
}

# Of each row of the guide's table: "always" or not, a tab, and the words, as an expression.
awk '/^## / { on = /^## What the program says/ } on && /^\| `/' docs/guide.md |
    sed -e 's/^| `\([^`]*\)` | (always).*/always	\1/; t' -e 's/^| `\([^`]*\)`.*/debug	\1/' |
    sed -e 's/[()]/\\&/g; s/[0-9]* ms/[0-9]+ ms/; s/0x[0-9a-f]*/0x[0-9a-f]+/; s/x\.c:[0-9]*/[^ ]*:[0-9]+/' > "$scratch/rows"
equal "rows of the guide" 8 "$(grep -c '' "$scratch/rows")"

build -O0
while IFS='	' read -r when words; do
    grep -Eq "^async: $words" "$scratch/said" || fail "a debug build does not say '$words': $(cat "$scratch/said")"
done < "$scratch/rows"

build -O1
while IFS='	' read -r when words; do
    said=debug
    grep -Eq "^async: $words" "$scratch/said" && said=always
    equal "with -O1, '$words'" "$when" "$said"
done < "$scratch/rows"
echo "8 lines of the guide, as they are said"
