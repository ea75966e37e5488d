# The trace of async.h as lines for timeline.c: lane, kind, start_ns, end_ns. A lane is a task, under its last name: its
# steps are cpu, and in between it waits. The lane "loop" has the steps of all tasks.
#
#     ASYNC_TRACE_FILE=x.json ./program; awk -f trace.awk x.json > x.tsv

function text(key)
{
    return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : ""
}

# In ns, from us with three decimals: as text, for a double may not have so many digits.
function ns(key,    value)
{
    match($0, "\"" key "\":[0-9.]*")
    value = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
    sub(/\./, "", value)
    return value + 0
}

{ match($0, /"tid":[0-9]*/); track = substr($0, RSTART + 6, RLENGTH - 6) }

/"ph":"M"/ { match($0, /"args":[{]"name":"[^"]*"/); name[track] = substr($0, RSTART + 16, RLENGTH - 17) }

/"ph":"X"/ {
    start = ns("ts")
    if (track in waits)
        slice(track, "wait:" waits[track], since[track], start)
    slice(track, "cpu:" text("name"), start, start + ns("dur"))
    since[track] = start + ns("dur")
    waits[track] = text("then")
}

/"ph":"i".*"name":"end"/ { delete waits[track] }

function slice(track, kind, start, end)
{
    count++
    of[count] = track
    line[count] = sprintf("%s\t%.0f\t%.0f", kind, start, end)
}

END {
    for (i = 1; i <= count; i++) {
        print name[of[i]] "\t" line[i]
        if (line[i] ~ /^cpu/)
            print "loop\t" line[i]
    }
}
