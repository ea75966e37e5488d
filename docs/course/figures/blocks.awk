# The tables and sentences with numbers in the lessons, in English or French, from what was measured.
#
#     awk -v block=models -v lang=fr -f blocks.awk numbers.tsv losses.tsv scale.tsv crawl.tsv lines.tsv

function digits(text)
{
    while (match(text, /[0-9][0-9][0-9][0-9]($|[^0-9])/))
        text = substr(text, 1, RSTART) (lang == "fr" ? "\302\240" : ",") substr(text, RSTART + 1)
    return text
}

# A number with so many decimals, as the language writes it.
function num(value, decimals,    text, whole, part)
{
    text = sprintf("%." decimals "f", value)
    part = decimals ? substr(text, length(text) - decimals + 1) : ""
    whole = digits(decimals ? substr(text, 1, length(text) - decimals - 1) : text)
    return whole (decimals ? (lang == "fr" ? "," : ".") part : "")
}

# Two digits that say something.
function short(value)
{
    return num(value, value < 10 ? value < 0.095 ? 2 : value < 1 ? 2 : 1 : 0)
}

function percent(part, whole) { return num(100 * part / whole, 1) (fr ? "\302\240%" : " %") }
function ms(us) { return num(us / 1000, 1) " ms" }
function say(english, french) { return fr ? french : english }
function row(text) { gsub(/\|/, " | ", text); print "| " text " |" }
function rule(columns,    text) { text = "|---|"; while (--columns) text = text "---:|"; print text }

BEGIN {
    FS = "\t"
    fr = lang == "fr"
    called["sequence"] = say("one after the other", "l'une après l'autre")
    called["sequential"] = say("one after the other", "l'une après l'autre")
    called["processes"] = called["process"] = say("processes", "processus")
    called["threads"] = called["thread"] = "threads"
    called["callbacks"] = say("callbacks", "fonctions de rappel")
    called["coroutines"] = called["coroutine"] = "coroutines"
    because["ids"] = say("half of the system's process numbers: the rest is for others", "la moitié des numéros de processus du système : le reste est aux autres")
    because["memory"] = say("a quarter of the free memory: the rest is for others", "un quart de la mémoire libre : le reste est aux autres")
    because["time"] = say("the time of the measurement was up", "le temps de la mesure était écoulé")
    because["most"] = say("nothing: more were not asked for", "rien : on n'en a pas demandé plus")
}

$1 == "machine" { system_name = $2; processor = $3; cores = $4; compiler = $5; flags = $6 }
$1 == "delays" { delays = $2; sum = $3; longest = $4 }
$1 == "model" { models[++model_count] = $2; wall[$2] = $3; cpu[$2] = $4; own[$2] = $5; forced[$2] = $6; peak[$2] = $7 }
$1 == "threads" || $1 == "lock" || $1 == "coroutines" {
    runs[$1]++
    right[$1] += $3 == 2000000
    if (!($1 in least) || $3 < least[$1]) least[$1] = $3
    if ($3 > greatest[$1]) greatest[$1] = $3
}
$1 == "process" || $1 == "thread" || $1 == "coroutine" { units[$1] = $2; bytes[$1] = $3; ns[$1] = $4; kernel[$1] = $5 }
$1 == "stop" { why[$2] = $4; at[$2] = $3 }
$1 == "crawl" {
    if (!(($2) in crawled)) { crawlers[++crawler_count] = $2; crawled[$2] = 1 }
    if (!(($3) in jobs_known)) { jobs[++jobs_count] = $3; jobs_known[$3] = 1 }
    crawl_wall[$2, $3] = $4; crawl_cpu[$2, $3] = $5; crawl_kib[$2, $3] = $6
}
$1 == "site" { site_pages = $2; site_ms = $3; site_limit = $4 }
$1 == "lines" { lines[$2] = $3; functions[$2] = $4; branches[$2] = $5 }

function write_machine()
{
    print say("*Measured on " system_name " (" processor "), " cores " cores, " compiler " " flags ". `make figures` measures again on your machine.*", \
              "*Mesuré sous " system_name " (" processor "), " cores " cœurs, " compiler " " flags ". `make figures` refait les mesures sur votre machine.*")
}

function write_waiting()
{
    print say("Four pages, one after the other, took **" ms(wall["sequence"]) "**. In this time the program computed for **" ms(cpu["sequence"]) "**: it was busy **" percent(cpu["sequence"], wall["sequence"]) "** of the time, and waited for the rest.", \
              "Quatre pages, l'une après l'autre, ont duré **" ms(wall["sequence"]) "**. Pendant ce temps, le programme a calculé pendant **" ms(cpu["sequence"]) "** : il était occupé **" percent(cpu["sequence"], wall["sequence"]) "** du temps, et il a attendu le reste.")
}

function write_sequence()
{
    print say("The server takes " delays " ms for the four pages: " sum " ms together. One after the other they took **" ms(wall["sequence"]) "**: the sum, and " ms(wall["sequence"] - 1000 * sum) " more.", \
              "Le serveur prend " delays " ms pour les quatre pages : " sum " ms en tout. L'une après l'autre, elles ont duré **" ms(wall["sequence"]) "** : la somme, et " ms(wall["sequence"] - 1000 * sum) " de plus.")
}

function write_models(    i, m)
{
    row(say("four pages|time|computing|waiting|switches: given up + taken away|memory at most", \
            "quatre pages|durée|calcul|attente|commutations : rendu + perdu|mémoire au plus"))
    rule(6)
    for (i = 1; i <= model_count; i++) {
        m = models[i]
        row(called[m] "|" ms(wall[m]) "|" num(cpu[m] / 1000, 2) " ms|" percent(wall[m] - cpu[m], wall[m]) "|" own[m] " + " forced[m] "|" \
            num(peak[m], 0) say(" KiB", " Kio"))
    }
    print ""
    print say("The server takes " sum " ms for all four pages, " longest " ms for the slowest. Medians of eleven runs.", \
              "Le serveur prend " sum " ms pour les quatre pages, " longest " ms pour la plus lente. Médianes de onze exécutions.")
}

function race_row(who, name)
{
    row(name "|" say(right[who] " of " runs[who], right[who] " sur " runs[who]) "|" num(least[who], 0) "|" num(greatest[who], 0))
}

function write_races()
{
    row(say("twice 1,000,000 additions|right|smallest|largest", "deux fois 1\302\240000\302\240000 additions|justes|le plus petit|le plus grand"))
    rule(4)
    race_row("threads", say("two threads", "deux threads"))
    race_row("lock", say("two threads with a lock", "deux threads avec un verrou"))
    race_row("coroutines", say("two coroutines", "deux coroutines"))
}

function scale_row(m)
{
    row(called[m] "|" num(units[m], 0) "|" kib(bytes[m]) "|" kib(bytes[m] + kernel[m]) "|" short(ns[m] / 1000) " µs" "|" \
        (why[m] in because ? because[why[m]] : "`" why[m] "`" (at[m] > units[m] ? say(" at ", " à ") num(at[m], 0) : "")))
}

function kib(value) { return value < 1000 ? num(value, 0) say(" bytes", " octets") : short(value / 1024) say(" KiB", " Kio") }

function write_scale()
{
    row(say("|how many waited at once|memory of each|with the kernel's part|time to make one|what stopped it", \
            "|combien attendaient à la fois|mémoire de chacun|avec la part du noyau|temps pour en créer un|ce qui l'a arrêté"))
    rule(6)
    scale_row("process")
    scale_row("thread")
    scale_row("coroutine")
}

function write_lines()
{
    row(say("|lines|functions|branches", "|lignes|fonctions|branchements"))
    rule(4)
    row(say("with callbacks", "avec des fonctions de rappel") "|" lines["pong_callback"] "|" functions["pong_callback"] "|" branches["pong_callback"])
    row(say("with coroutines", "avec des coroutines") "|" lines["pong_coroutine"] "|" functions["pong_coroutine"] "|" branches["pong_coroutine"])
}

# Time at each number of pages at a time; CPU and memory at the largest.
function write_crawl(    i, j, m, text, last)
{
    last = jobs[jobs_count]
    text = say(site_pages " pages", site_pages " pages")
    for (j = 1; j <= jobs_count; j++)
        text = text "|" say("time, " jobs[j] " at once", "durée, " jobs[j] " à la fois")
    row(text "|" say("computing, " last " at once|memory, " last " at once", "calcul, " last " à la fois|mémoire, " last " à la fois"))
    rule(jobs_count + 3)
    for (i = 1; i <= crawler_count; i++) {
        m = crawlers[i]
        text = called[m]
        for (j = 1; j <= jobs_count; j++)
            text = text "|" ((m, jobs[j]) in crawl_wall ? num(crawl_wall[m, jobs[j]] / 1e6, 2) " s" : "–")
        j = (m, last) in crawl_cpu ? last : jobs[1]
        row(text "|" num(crawl_cpu[m, j] / 1000, 0) " ms|" num(crawl_kib[m, j], 0) say(" KiB", " Kio"))
    }
    print ""
    print say("Each page takes the site " site_ms " ms; the dead host is given up after " site_limit " ms. The sequential crawler takes one page at a time, whatever one asks for.", \
              "Le site met " site_ms " ms pour chaque page ; l'hôte mort est abandonné au bout de " site_limit " ms. Le robot séquentiel prend une page à la fois, quoi qu'on demande.")
}

END {
    if (block == "machine" && system_name) write_machine()
    if (block == "waiting" && model_count) write_waiting()
    if (block == "sequence" && model_count) write_sequence()
    if (block == "models" && model_count) write_models()
    if (block == "races" && runs["threads"]) write_races()
    if (block == "scale" && units["process"]) write_scale()
    if (block == "lines" && lines["pong_callback"]) write_lines()
    if (block == "crawl" && crawler_count) write_crawl()
}
