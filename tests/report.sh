# shellcheck shell=sh
# What the static checks share: a line per case, and a verdict that counts the lines.
#
# Cases may run in subshells and side by side, where a counter would be lost: so each prints its
# line, and the verdict counts them. To be sourced from the repository's top:
#
#     . tests/report.sh
#     report_begin build/x    # output of the cases goes there
#     report_silent 'name' cc -c x.c
#     report_end              # the last command: prints "N passed, N failed", and is the status

report_begin() {
    report_folder=$1
    rm -rf "$report_folder/log"
    mkdir -p "$report_folder/log" || exit 2
}

# report_part name: from here on the lines of this subshell go to a log of their own
report_part() {
    report_log=$report_folder/log/$1
    : > "$report_log"
}

report_line() {
    printf '%s\n' "$*" | tee -a "${report_log:-$report_folder/log/main}"
}

ok() {
    report_line "ok $*"
}

left_out() {
    report_line "left out: $*"
}

# fail name [file with what was said]
fail() {
    report_line "FAIL $1"
    if [ -n "${2:-}" ] && [ -s "$2" ]; then
        head -n "${REPORT_LINES:-12}" "$2" | sed 's/^/    /'
    fi
}

# report_status name wanted-status command...: what it says is shown only if it was wrong
report_status() {
    report_name=$1
    report_wanted=$2
    shift 2
    report_output=$(mktemp "$report_folder/said.XXXXXX") || exit 2
    "$@" > "$report_output" 2>&1 < /dev/null
    report_got=$?
    if [ "$report_got" -eq "$report_wanted" ]; then
        ok "$report_name"
    else
        fail "$report_name: status $report_got, expected $report_wanted" "$report_output"
    fi
    rm -f "$report_output"
    [ "$report_got" -eq "$report_wanted" ]
}

# report_silent name command...: must succeed and say nothing: a warning is a failure
report_silent() {
    report_name=$1
    shift
    report_output=$(mktemp "$report_folder/said.XXXXXX") || exit 2
    "$@" > "$report_output" 2>&1 < /dev/null
    report_got=$?
    if [ "$report_got" -eq 0 ] && [ ! -s "$report_output" ]; then
        ok "$report_name"
    else
        fail "$report_name: status $report_got" "$report_output"
        report_got=1
    fi
    rm -f "$report_output"
    return "$report_got"
}

# have name command: is the command there? Says what is left out if not.
have() {
    command -v "$2" > /dev/null && return
    left_out "$1: no $2"
    return 1
}

report_end() {
    report_passed=$(cat "$report_folder"/log/* 2> /dev/null | grep -c '^ok ')
    report_failed=$(cat "$report_folder"/log/* 2> /dev/null | grep -c '^FAIL ')
    printf '%d passed, %d failed\n' "$report_passed" "$report_failed"
    [ "$report_failed" -eq 0 ] && [ "$report_passed" -gt 0 ]
}
