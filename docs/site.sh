#!/bin/sh
# Makes build/html of README.md and docs/: a page of HTML for each .md, and for each file they link to. Needs pandoc. Fails if a link or
# an anchor leads nowhere.
set -eu
out=build/html
list=build/html.list
command -v pandoc > /dev/null || { echo "docs/site.sh needs pandoc (apt-get install pandoc)"; exit 1; }
rm -rf "$out" "$list"
mkdir -p "$out"
: > "$list"
cp docs/site/style.css "$out/"

# Where the page of a text or of any other file is.
page_of()
{
    case $1 in
    *README*.md) echo "$1" | sed 's|README\([^/]*\)\.md$|index\1.html|' ;;
    *.md) echo "${1%.md}.html" ;;
    *) if [ -d "$1" ]; then echo "$1/index.html"; else echo "$1.html"; fi ;;
    esac
}

# From the folder of a page back to the top: "../" so many times.
root_of()
{
    echo "$1" | awk -F / '{ for (i = 1; i < NF; i++) printf "../" }'
}

# The links at the top: those pages that there are, the course in the page's language.
navigation()
{
    while read -r source name; do
        case $1:$source in *.fr.md:docs/course/*) source=docs/course/README.fr.md name=Cours ;; esac
        [ -e "$source" ] || continue
        current=
        [ "$source" != "$1" ] || current=' aria-current="page"'
        printf '<a href="%s%s"%s>%s</a>\n' "$2" "$(page_of "$source")" "$current" "$name"
    done <<END
README.md async.h
docs/course/README.md Course
docs/guide.md Guide
docs/cookbook.md Cookbook
docs/api.md API
docs/testing.md Testing
docs/asyncio.md From asyncio
docs/internals.md Internals
END
}

# A lesson's neighbours, in its language.
around()
{
    case $1 in
    docs/course/*/README.fr.md) lessons=$(ls docs/course/*/README.fr.md) ;;
    docs/course/*/README.md) lessons=$(ls docs/course/*/README.md) ;;
    *) return 0 ;;
    esac
    before=$(echo "$lessons" | grep -B 1 -xF "$1" | grep -vxF "$1" || true)
    after=$(echo "$lessons" | grep -A 1 -xF "$1" | grep -vxF "$1" || true)
    for neighbour in "$before" "$after"; do
        [ "$neighbour" ] || { echo '<span></span>'; continue; }
        printf '<a href="%s%s">%s</a>\n' "$2" "$(page_of "$neighbour")" "$(sed -n 's/^# //p' "$neighbour" | head -n 1)"
    done
}

# page SOURCE FORMAT FOLDER: the page of a text on standard input, whose links start from FOLDER.
page()
{
    target=$out/$(page_of "$1")
    root=$(root_of "$(page_of "$1")")
    lang=en
    case $1 in *.fr.md) lang=fr ;; esac
    mkdir -p "$(dirname "$target")"
    pandoc -f "$2" -t html5 --template docs/site/template.html --lua-filter docs/site/site.lua --wrap=preserve \
        -M "dir=$3" -M "list=$list" -M "pagetitle=$1" -V "lang=$lang" -V "root=$root" \
        -V "nav=$(navigation "$1" "$root")" -V "around=$(around "$1" "$root")" |
        sed 's|<a href="#cb[0-9]*-[0-9]*" aria-hidden="true" tabindex="-1"></a>||g; s| id="cb[0-9]*-[0-9]*"||g' > "$target"
}

language()
{
    case $1 in
    *.c | *.h) echo c ;;
    *.sh) echo bash ;;
    *.py) echo python ;;
    *.diff | *.patch) echo diff ;;
    *) echo text ;;
    esac
}

# Any other file that is linked to: its text; of a folder, what is in it.
source_page()
{
    if [ -d "$1" ]; then
        { echo "# $1"; echo; (cd "$1" && find . -type f) | sed 's|^\./||; s|.*|- [&](&)|' | sort; } | page "$1" gfm "$1"
    elif [ -f "$1" ]; then
        { echo "# $1"; echo; printf '~~~~~~~~~~ {.%s}\n' "$(language "$1")"; cat "$1"; echo '~~~~~~~~~~'; } | page "$1" markdown "$(dirname "$1")"
    fi
}

find README.md docs -name '*.md' | sort > build/html.pages
while read -r source; do
    page "$source" gfm "$(dirname "$source")" < "$source"
done < build/html.pages

# What was linked may be a folder, whose page links to more.
round=1
while [ $round -le 3 ]; do
    sort -u "$list" > build/html.sources
    while read -r source; do
        case $source in
        *.png | *.jpg) [ ! -f "$source" ] || { mkdir -p "$out/$(dirname "$source")"; cp "$source" "$out/$source"; } ;;
        *) [ -e "$out/$(page_of "$source")" ] || source_page "$source" ;;
        esac
    done < build/html.sources
    round=$((round + 1))
done

# Each link, each anchor and each picture must be there.
find "$out" -name '*.html' | sort > build/html.html
find "$out" -type f > build/html.anchors
while read -r file; do
    grep -o ' id="[^"]*"' "$file" | sed "s|^ id=\"|$file#|; s|\"\$||"
done < build/html.html >> build/html.anchors
while read -r file; do
    grep -oE ' (href|src)="[^"]*"' "$file" | sed "s/^ [a-z]*=\"//; s/\"\$//" | grep -v '^[a-z]*:' | sort -u | sed "s|^|$file |"
done < build/html.html | awk '
    NR == FNR { there[$0] = 1; next }
    {
        path = $2; fragment = ""
        if ((at = index(path, "#")) > 0) { fragment = substr(path, at); path = substr(path, 1, at - 1) }
        folder = $1; sub(/[^\/]*$/, "", folder)
        full = path == "" ? $1 : folder path
        while (sub(/[^\/]+\/\.\.\//, "", full)) ;
        if (!((full fragment) in there)) { print "dead link in " $1 ": " $2; dead++ }
        links++
    }
    END { print links + 0 " links, " dead + 0 " dead"; exit dead > 0 }' build/html.anchors -
