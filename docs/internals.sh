#!/bin/sh
# Rewrites the blocks of docs/internals.md: a coroutine as the compiler sees it, and sizes. With --check it changes nothing and fails if
# something is out of date.
set -eu
cc=${CC:-cc}
page=docs/internals.md
made=build/internals
mkdir -p $made

# What the preprocessor makes of a coroutine, a statement a line.
{ echo '#include "async.h"'; echo '#line 1 "small.c"'; cat docs/internals/small.c; } > $made/small.c
{
    echo '```c part'
    "$cc" -E -I. $made/small.c | awk '
        function put(text) {
            gsub(/^ +| +$/, "", text)
            while (length(text) > 110 - 4 * depth) { # at a space, if there is one
                at = 110 - 4 * depth
                while (at > 40 && substr(text, at, 1) != " ") at--
                printf "%*s%s\n", 4 * depth, "", substr(text, 1, at - 1)
                text = "    " substr(text, at + 1)
            }
            if (text != "") printf "%*s%s\n", 4 * depth, "", text
        }
        /^#/ { on = $3 == "\"small.c\""; next }
        on { all = all " " $0 }
        END {
            gsub(/[ \t]+/, " ", all)
            gsub(/ ;/, ";", all)
            gsub(/__attribute__\(\(unused\)\) /, "", all)
            for (i = 1; i <= length(all); i++) {
                c = substr(all, i, 1)
                rest = substr(all, i + 1)
                parens += (c == "(") - (c == ")")
                if (c == "}" && !parens) { if (line !~ /= \{/) { put(line); line = ""; depth-- } }
                line = line c
                if (parens) continue
                if (c == ";" && line !~ /= \{.*[^}];$/) { put(line); line = "" }
                else if (c == "{" && line !~ /= \{$/) { put(line); line = ""; depth++ }
                else if (c == "}" && rest !~ /^ ?(;|while)/ && line !~ /= \{/) { put(line); line = "" }
            }
        }'
    echo '```'
} > $made/expansion.md

"$cc" -I. docs/internals/sizes.c -o $made/sizes
$made/sizes > $made/sizes.md

awk -v made=$made '
    /^<!-- embed / { print; print "```c part"; while ((getline line < $3) > 0) print line; close($3); print "```"; skip = 1; next }
    /^<!-- (expansion|sizes) -->$/ {
        print; file = made "/" $2 ".md"
        while ((getline line < file) > 0) print line
        skip = 1; next
    }
    /^<!-- end -->/ { skip = 0 }
    !skip { print }' $page > $made/page.md
if [ "${1:-}" = --check ]; then
    cmp $page $made/page.md
else
    cp $made/page.md $page
fi
