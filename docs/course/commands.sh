#!/bin/sh
# Runs the commands of the course's pages, in a folder of its own: what compiles must do so without a warning, and what
# ends by itself must succeed. Servers, what listens on a port, and what never ends or reads the keyboard, is left out.
# Prints a line for each command and, last, "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
here=build/course/commands
rm -rf "$here" && mkdir -p "$here" || exit 2
for part in async.h docs examples tests; do ln -s "../../../$part" "$here/$part"; done

# The commands of a page, each on a line, without the comments behind them.
commands_of()
{
    awk '/^```console$/ { inside = 1; next } /^```/ { inside = 0 }
         inside && sub(/^> /, "") { printf " %s;", $0; next }
         inside && sub(/^\$ /, "") { sub(/  +# .*/, ""); printf "%s%s", between, $0; between = "\n" }
         END { print "" }' "$1" | sed 's/; do;/; do/'
}

left_out='^make |^docs/course/check|^gdb |^diff |^cmp |^ulimit |127\.0\.0\.1|^\./site |^\./pong|^ASYNC_TRACE_FILE.* 7000|^\./scale$|^\./worlds$'

# run COMMAND: as a shell does it, in that folder.
run()
{
    case $1 in *"cc "*) warn=-Werror ;; *) warn= ;; esac
    (cd "$here" && printf 'cc() { command %s -Wall -Wextra %s "$@"; }\n%s\n' "${CC:-cc}" "$warn" "${1#time }" |
        timeout 120 sh > log 2>&1)
    status=$?
    case $1 in
    *fsanitize=thread*) [ $status != 0 ] && grep -q 'data race' "$here/log" ;; # it shows one
    *) return $status ;;
    esac
}

passed=0
failed=0
: > "$here/done"
for page in docs/course/*/README.md; do
    commands_of "$page" > "$here/en"
    commands_of "${page%.md}.fr.md" | diff "$here/en" - || { echo "FAIL $page: other commands in French"; failed=$((failed + 1)); }
    grep -Ev "$left_out" "$here/en" | grep -Fvxf "$here/done" > "$here/run"
    while read -r line; do
        if run "$line"; then
            passed=$((passed + 1)); echo "ok $line"
        else
            failed=$((failed + 1)); echo "FAIL $page: $line"; head -n 20 "$here/log"
        fi
    done < "$here/run"
    cat "$here/run" >> "$here/done"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
