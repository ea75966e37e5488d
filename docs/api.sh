#!/bin/sh
# Prints docs/api.md: each declaration of the sections Types and API of async.h with its comment, the macros of a coroutine
# with what the header says of them, its options. Nothing in it is written by hand.
set -eu
awk '
# --- words: functions and types become links, errors and names become code
function words(text, me,    out, word) {
    out = ""
    while (match(text, /`[^`]*`|a(sync|wait)\(([^()]|\([^()]*\))*\)|self->[a-z]+|async_[a-z_]+|ASYNC_[A-Z_]+|-E[A-Z0-9]+|[a-z]*_[a-z_]+|rule [0-9]/)) {
        word = substr(text, RSTART, RLENGTH)
        out = out plain(substr(text, 1, RSTART - 1))
        text = substr(text, RSTART + RLENGTH)
        if (word ~ /^rule/)
            out = out "[" word "](../README.md#the-rules-that-bite)"
        else if (word ~ /^`/)
            out = out word
        else if (word in anchor && anchor[word] != me)
            out = out "[`" word "`](#" anchor[word] ")"
        else
            out = out "`" word "`"
    }
    return out plain(text)
}
function plain(text) { gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
function slug(text) { text = tolower(text); gsub(/[^a-z0-9_ -]/, "", text); gsub(/ /, "-", text); return text }
function capital(text) { return text ~ /^async_/ ? text : toupper(substr(text, 1, 1)) substr(text, 2) }
function sentence(text) { return capital(text) (text ~ /[.:]$/ ? "" : ".") }

# --- what is found: sections, and in them entries of names, comment lines and code
function section(title, intro) {
    sections++; titles[sections] = title; intros[sections] = intro; first[sections] = entries + 1; last[sections] = entries
}
function entry() { entries++; last[sections] = entries; names[entries] = code[entries] = lines[entries] = "" }
function name(word) {
    if (word ~ /__/) return
    names[entries] = names[entries] (names[entries] == "" ? "" : ", ") word
    list[entries] = list[entries] " " word
}
function comment(line) { lines[entries] = lines[entries] line "\n" }

# A comment of the API: its text, without the stars.
function open_comment(line) {
    inside = 1
    heading = line ~ /^\/\* ----/
    if (heading) {
        sub(/^\/\* -+ /, "", line); sub(/ *-+( \*\/)?$/, "", line)
        title = line; intro = ""
        if (match(line, /: | \(/)) {
            title = substr(line, 1, RSTART - 1); intro = substr(line, RSTART + 2); sub(/\)$/, "", intro)
        }
        section(capital(title), intro)
        text_of = "section"
    } else {
        entry(); text_of = "entry"
        take(substr(line, 4))
    }
}
function take(line) {
    sub(/ *\*\/$/, "", line)
    if (line ~ /^async_[a-z]+ async_[a-z_]+\(.*\)$/) { # a macro, whose contract is indented below
        if (text_of != "entry" || lines[entries] != "") entry()
        text_of = "macro"
        code[entries] = line
        sub(/^[^ ]* /, "", line); sub(/\(.*/, "", line)
        name(line)
    } else if (text_of == "macro" && line != "" && line !~ /^    /) {
        text_of = "section"; more[sections] = more[sections] line "\n"
    } else if (text_of == "macro") { sub(/^    /, "", line); comment(line) }
    else if (text_of == "section") more[sections] = more[sections] line "\n"
    else comment(line)
}
function declare(line) {
    sub(/^ASYNC__MUST_AWAIT /, "", line); sub(/^static inline /, "", line); sub(/^ +/, " ", line)
    statement = statement line
    if (line !~ /;$/) return
    code[entries] = code[entries] (code[entries] == "" ? "" : "\n") fold(statement)
    sub(/\(.*/, "", statement); sub(/.*[ *]/, "", statement)
    name(statement)
    statement = ""
}
function fold(text,    out, at) {
    while (length(text) > 100) {
        at = 100
        while (at > 1 && substr(text, at - 1, 2) != ", ") at--
        if (at < 20) break
        out = out substr(text, 1, at - 1) "\n"
        text = "        " substr(text, at + 1)
    }
    return out text
}

# A block of the types: from its comment to the blank line, as it stands.
function type_line(line,    word) {
    if (line == "" && depth == 0) { if (typed) finish_type(); return }
    if (!typed) { typed = 1; type_code = ""; type_names = "" }
    if (line ~ /^\/\*/ && depth == 0 && type_code ~ /;\n$/) { finish_type(); typed = 1 }
    type_code = type_code line "\n"
    if (line ~ /\{$/) depth++
    if (line ~ /^ *\}/) depth--
    word = line
    if (line ~ /^\} async_[a-z_]+;/) { sub(/^\} /, "", word); sub(/;.*/, "", word); type_names = type_names " " word }
    else if (line ~ /^typedef .*;$/) { sub(/;$/, "", word); sub(/.* /, "", word); type_names = type_names " " word }
    else if (line ~ /^#define/) { split(line, word_of, " "); type_names = type_names " " word_of[2] }
    while (line !~ /^ ?[*\/]/ && match(line, /(^ *|\{ )ASYNC_[A-Z_]+ =/)) {
        word = substr(line, RSTART, RLENGTH); gsub(/[ {=]/, "", word)
        type_names = type_names " " word; line = substr(line, RSTART + RLENGTH)
    }
}
function finish_type(    i, n, part) {
    typed = 0
    sub(/^ /, "", type_names)
    if (type_names ~ /__/ || type_names == "") { type_code = type_names = ""; return }
    entry()
    n = split(type_names, part, " ")
    for (i = 1; i <= n; i++) name(part[i])
    sub(/\n$/, "", type_code)
    code[entries] = type_code
    type_code = type_names = ""
}

# A banner of prose: its text, of which the first paragraph stands beside the tag.
function banner(line,    beside) {
    if (line ~ /^ \* -+ \*\/$/) { told = ""; return }
    sub(/^ \* ?/, "", line)
    beside = texts[told] !~ /\n\n/
    if (beside) sub(/^ +/, "", line)
    texts[told] = texts[told] line "\n"
}
# A macro of a coroutine; the short names are others of two of them, and come first.
function macro(line) {
    sub(/^#define /, "", line)
    if (line ~ /^a[a-z]+\(\.\.\.\) async_[a-z]+\(__VA_ARGS__\)$/) { sub(/\(.*/, "", line); shorts = shorts " " line; return }
    sub(/[ (].*/, "", line)
    macros = macros " " line
}

/^\/\* A whole server/ { told = "example" }
told == "example" && /^ \* Contents/ { told = "" }
told == "example" { sub(/^( \*|\/\*) ?/, ""); texts[told] = texts[told] $0 "\n"; next }
/^ \* >>(concepts|options|coroutines)( |$)/ {
    told = $2; sub(/^>>/, "", told)
    sub(/>>[a-z]+ */, "")
    if (told == "coroutines") where = told
}
told != "" { banner($0); next }
/^ \* >>seam/ { where = "" }
where == "coroutines" && /^\/\* async_[a-z]+\(.*\*\/$/ { sub(/^\/\* /, ""); sub(/ *\*\/$/, ""); apart = $0; next }
where == "coroutines" && /^#define a(sync_[a-z]+|sync|wait)[( ]/ { macro($0); next }
/^struct async_[a-z]+ \{$/ { opaque = $2 }
opaque != "" && /\/\* yours \*\/$/ { yours[opaque] = yours[opaque] $0 "\n" }
/^\};$/ { opaque = "" }
/^ \* >>types$/ { where = "types soon"; next }
/^ \* >>api / { where = "api soon"; sub(/^ \* >>api */, ""); about = $0; next }
where == "api soon" && /^ \* --/ { where = "api"; next }
where == "api soon" { sub(/^ \* */, ""); about = about " " $0; next }
where == "types soon" { section("Types", ""); where = "types"; next }
where == "types" && /MARK: - API/ { where = ""; next }
where == "types" && /^\/\* -----/ { next }
where == "types" { type_line($0); next }
where != "api" { next }
inside { line = $0; inside = line !~ /\*\/$/; sub(/ *\*\/$/, "", line); sub(/^ \* ?/, "", line); take(line); next }
/^\/\* -----/ { where = ""; next }
/^\/\*/ { open_comment($0); inside = $0 !~ /\*\/$/; next }
/^$/ { next }
{ declare($0) }

# --- printing
function prose(text, me,    n, i, line, part, fenced, blank, wrote) {
    n = split(text, line, "\n")
    part = ""; fenced = 0; wrote = 0
    for (i = 1; i <= n; i++) {
        if (line[i] ~ /^  [0-9]\. /) { # an item, and the lines that are indented below it
            if (part != "") print wrap(words(part, me)) "\n"
            part = substr(line[i], 3)
            while (line[i + 1] ~ /^     [^ ]/) part = part " " substr(line[++i], 6)
            part = wrap(words(part, me)); gsub(/\n/, "\n   ", part)
            print part
            part = ""
        } else if (line[i] ~ /^    /) {
            if (part != "") { print wrap(words(part, me)); part = "" }
            if (!fenced) print "\n```c" (line[i] ~ /^    #include "async.h"$/ ? "" : " part")
            print substr(line[i], 5)
            fenced = 1
        } else if (line[i] == "" && fenced && line[i + 1] ~ /^    /) print ""
        else if (line[i] == "") {
            if (fenced) { print "```"; fenced = 0 }
            if (part != "") { print wrap(words(part, me)); part = ""; wrote = 1; continue }
        } else {
            if (wrote) { print ""; wrote = 0 }
            part = part (part == "" ? "" : " ") line[i]
        }
    }
    if (fenced) print "```"
    if (part != "") print wrap(words(part, me))
}
function wrap(text,    out, n, i, word, row) {
    n = split(text, word, " ")
    row = ""; out = ""
    for (i = 1; i <= n; i++) {
        if (row != "" && length(row) + 1 + length(word[i]) > 118) { out = out row "\n"; row = "" }
        row = row (row == "" ? "" : " ") word[i]
    }
    return out row
}
function contents(s,    e, text) {
    text = "- [" titles[s] "](#" slug(titles[s]) ")" (first[s] <= last[s] ? ":" : "")
    for (e = first[s]; e <= last[s]; e++)
        text = text (e > first[s] ? " ·" : "") " [" names[e] "](#" slug(names[e]) ")"
    text = wrap(text); gsub(/\n/, "\n  ", text)
    print text
}
# The options: a table, whose columns are those of its first line, and prose before and after it.
function options(text,    n, i, line, at, to, row) {
    n = split(text, line, "\n")
    row = 0
    for (i = 1; i <= n; i++) {
        if (line[i] !~ /^    /) { more[sections] = more[sections] line[i] "\n"; continue }
        if (!row++) {
            at = index(line[i], "default"); to = index(line[i], "effect")
            intros[sections] = more[sections]; gsub(/\n/, " ", intros[sections]); sub(/ +$/, "", intros[sections])
            more[sections] = ""
        }
        if (substr(line[i], 5, 1) != " ") rows++
        cell[rows, 1] = cell[rows, 1] trim(substr(line[i], 1, at - 1))
        cell[rows, 2] = cell[rows, 2] trim(substr(line[i], at, to - at))
        cell[rows, 3] = cell[rows, 3] " " trim(substr(line[i], to))
    }
}
function trim(text) { gsub(/^ +| +$/, "", text); return text }
function table(    i, first_cell) {
    for (i = 1; i <= rows; i++) {
        first_cell = cell[i, 1] ~ /^ASYNC/ ? "`" cell[i, 1] "`" : cell[i, 1]
        print "| " first_cell " | " words(cell[i, 2], "options") " | " words(trim(cell[i, 3]), "options") " |"
        if (i == 1) print "|---|---|---|"
    }
}
function anchors(e,    i, n, part) {
    n = split(list[e], part, " ")
    for (i = 1; i <= n; i++) anchor[part[i]] = slug(names[e])
}
function name_all(text,    i, n, part) {
    n = split(text, part, " ")
    for (i = 1; i <= n; i++)
        if (!(part[i] in anchor) && !index(apart, part[i] "(")) { name(part[i]); anchor[part[i]] = "coroutines" }
}
function last_sections(    text, word) {
    section("Coroutines", "")
    more[sections] = texts["concepts"]
    entry(); name_all(shorts macros)
    lines[entries] = texts["example"] "\n" texts["coroutines"]
    entry(); lines[entries] = apart
    while (match(apart, /async_[a-z]+/)) { name(substr(apart, RSTART, RLENGTH)); apart = substr(apart, RSTART + RLENGTH) }
    section("Options", "")
    options(texts["options"])
    text = texts["options"]
    while (match(text, /ASYNC_[A-Z_0-9]+/)) { word = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH); option[word] = 1 }
}
END {
    for (e = first[1]; e <= last[1]; e++)
        for (s in yours) if (code[e] ~ "typedef struct " s " " s ";$")
            code[e] = code[e] "\n\nstruct " s " {\n" yours[s] "    ...\n};"
    for (e = 1; e <= entries; e++) anchors(e)
    last_sections()
    anchors(entries)
    for (word in option) if (!(word in anchor)) anchor[word] = "options"
    n = 0
    order[++n] = sections - 1
    for (s = 2; s < sections - 1; s++) order[++n] = s
    order[++n] = 1
    order[++n] = sections
    print "# API\n"
    print wrap(words("What async.h says of its own functions and types; docs/api.sh writes this page from its comments. " about, "")) "\n"
    for (s = 1; s <= n; s++) contents(order[s])
    for (s = 1; s <= n; s++) {
        t = order[s]
        print "\n## " titles[t]
        if (intros[t] != "") { print ""; print wrap(words(sentence(intros[t]), slug(titles[t]))) }
        if (t == sections) { print ""; table() }
        if (more[t] ~ /[a-z]/) { sub(/^\n+/, "", more[t]); print ""; prose(more[t], slug(titles[t])) }
        for (e = first[t]; e <= last[t]; e++) {
            print "\n### " names[e] "\n"
            if (code[e] != "") print "```c part\n" code[e] "\n```"
            if (lines[e] != "") { if (code[e] != "") print ""; split(list[e], part, " "); prose(lines[e], anchor[part[1]]) }
        }
    }
}' async.h
