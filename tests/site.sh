#!/bin/sh
# The site in headless Chromium, as wide as a phone and as a desk: no page scrolls sideways, every picture has been drawn, and
# callbacks and coroutines stand side by side on the desk, one below the other on the phone.
#     tests/site.sh [--red]       --red: pages with a fault each, which must be found
set -eu
site=build/html
frames=build/html-frames.html
if [ "${1:-}" = --red ]; then
    site=build/html-red
    rm -rf $site
    mkdir -p $site
    printf '<meta name=viewport content="width=device-width"><p style="width:2000px">wide' > $site/wide.html
    printf '<img src="missing.png">' > $site/picture.html
    printf '<table><tr><td><pre>a</pre><tr><td><pre>b</pre></table>' > $site/index.html
fi
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)

{
    echo '<script>const pages = ['
    (cd $site && find . -name '*.html' | sort | sed 's|.*|"&",|')
    cat <<END
];
const site = "$(basename $site)/";
END
    cat <<'END'
const said = [];
function look(page, width, inside) {
    const root = inside.documentElement;
    if (root.scrollWidth > width) said.push(`FAIL ${page}: ${root.scrollWidth} pixels wide on ${width}`);
    for (const image of inside.images)
        if (!image.naturalWidth) said.push(`FAIL ${page}: no picture ${image.src}`);
    const both = page === "./index.html" ? [...inside.querySelectorAll("table:has(pre) td:has(pre)")].slice(0, 2) : [];
    if (both.length === 2) {
        const [left, right] = both.map((cell) => cell.getBoundingClientRect());
        if (width > 800 ? right.left < left.right - 1 : right.top < left.bottom - 1)
            said.push(`FAIL ${page}: the two servers stand wrong on ${width}`);
    } else if (page === "./index.html") said.push(`FAIL ${page}: the two servers are missing`);
}
async function all() {
    for (const width of [390, 1280])
        for (const page of pages) {
            const frame = document.createElement("iframe");
            frame.width = width;
            frame.height = 800;
            frame.src = site + page;
            document.body.append(frame);
            await new Promise((done) => { frame.onload = done; });
            look(page, width, frame.contentDocument);
            frame.remove();
        }
    document.body.textContent = said.concat(`${pages.length} pages looked at`).join("\n");
}
addEventListener("load", all);
</script><body></body>
END
} > $frames
"$chromium" --headless --no-sandbox --disable-gpu --allow-file-access-from-files --hide-scrollbars \
    --virtual-time-budget=600000 --dump-dom "file://$PWD/$frames" 2> build/html-chromium.log |
    awk '/<body>/ { on = 1; sub(/.*<body>/, "") } on { sub(/<.*/, ""); print }' > build/html.said
if [ "${1:-}" = --red ]; then
    [ "$(grep -c 'wide.html.*pixels' build/html.said)" = 2 ] && grep -q 'picture.html: no picture' build/html.said &&
        grep -q 'index.html: the two servers' build/html.said && echo "3 passed, 0 failed"
else
    cat build/html.said
    grep -q '^[1-9][0-9]* pages looked at' build/html.said && ! grep -q FAIL build/html.said
fi
