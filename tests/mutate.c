/*
 * mutate.c: mutants of async.h of one token each, drawn from a seed.
 *
 *     mutate list HEADER SEED COUNT    COUNT lines: place, function, line number, what is changed,
 *                                      and the line as it was; separated by tabs
 *     mutate apply HEADER PLACE        the header with that one change
 *     mutate externs HEADER            the header with its functions declared only: what a test
 *                                      includes, so that it is compiled once for all mutants
 *
 * Only the bodies of functions are changed, one token at a time: a comparison, an operator, a
 * negation, a constant, a bit, a side, or a whole statement that is left out. Not what prints, not
 * what is said of misuse, not what a preprocessor decides.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mutation {
    size_t place, size; /* what is replaced */
    char with[24];
    size_t line, function; /* where they begin */
};

static char *text;
static size_t text_size;
static struct mutation *mutations;
static size_t mutation_count, mutation_room;

static const char *const pairs[][2] = {
    { "<", "<=" }, { "<=", "<" }, { ">", ">=" }, { ">=", ">" }, { "==", "!=" }, { "!=", "==" },
    { "&&", "||" }, { "||", "&&" }, { "+", "-" }, { "-", "+" }, { "++", "--" }, { "--", "++" },
    { "+=", "-=" }, { "-=", "+=" }, { "|=", "&=" }, { "&=", "|=" }, { "<<", ">>" },
    { ">>", "<<" }, { "&", "|" }, { "|", "&" }, { "!", "" }, { "~", "" }, { "/", "*" },
    { "%", "/" }, { "0", "1" }, { "ASYNC__R", "ASYNC__W" }, { "ASYNC__W", "ASYNC__R" },
    { "reader", "writer" }, { "writer", "reader" }, { "ASYNC__READABLE", "ASYNC__WRITABLE" },
    { "ASYNC__WRITABLE", "ASYNC__READABLE" }, { "younger", "older" }, { "older", "younger" },
    { "break", "continue" }, { "continue", "break" }, { "sent", "queued" }, { "queued", "sent" },
    { "count", "capacity" }, { "ASYNC__HUP", "0" }, { "ASYNC__RETRY", "0" },
    { "now_ns", "retry_ns" }, { "EINTR", "EAGAIN" }, { "EAGAIN", "EINTR" }
};

/* What only prints, or tells of misuse; what other systems compile. */
static const char *const left_alone[] = {
    "async__panic", "async__warn", "async__op_name", "async__dump", "async_dump",
    "async__oldest_child", "async__check_", "async__scribble", "async__real_address",
    "async__line", "async__prepare", "async__date"
};

static void read_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    size_t room = 1 << 20;
    if (!in || !(text = malloc(room)))
        exit(2);
    text_size = fread(text, 1, room - 1, in);
    text[text_size] = '\0';
    fclose(in);
}

static void add(size_t place, size_t size, const char *with, size_t line, size_t function)
{
    struct mutation *made;
    if (mutation_count == mutation_room) {
        mutation_room = mutation_room ? mutation_room * 2 : 1024;
        mutations = realloc(mutations, mutation_room * sizeof *mutations);
        if (!mutations)
            exit(2);
    }
    made = &mutations[mutation_count++];
    made->place = place;
    made->size = size;
    made->line = line;
    made->function = function;
    snprintf(made->with, sizeof made->with, "%s", with);
}

static int is_word(int c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Past a comment, a string or a character constant; else `at`. */
static size_t skip_quoted(size_t at)
{
    char quote = text[at];
    if (quote == '/' && text[at + 1] == '*')
        return (size_t)(strstr(text + at + 2, "*/") - text) + 2;
    if (quote != '"' && quote != '\'')
        return at;
    for (at++; text[at] != quote; at++)
        at += text[at] == '\\';
    return at + 1;
}

static size_t token_size(size_t at)
{
    static const char *const longs[] = { "->", "++", "--", "<<=", ">>=", "<<", ">>", "<=", ">=",
                                         "==", "!=", "&&", "||", "+=", "-=", "|=", "&=", "..." };
    size_t size = 0;
    while (is_word(text[at + size]))
        size++;
    for (size_t i = 0; !size && i < sizeof longs / sizeof *longs; i++)
        if (strncmp(text + at, longs[i], strlen(longs[i])) == 0)
            size = strlen(longs[i]);
    return size ? size : 1;
}

/* Operators that are also a sign, an address or a part of a type count only between blanks. */
static int is_between_blanks(size_t at, size_t size)
{
    return text[at - 1] == ' ' && (text[at + size] == ' ' || text[at + size] == '\n');
}

static void mutate_token(size_t at, size_t size, size_t line, size_t function)
{
    char token[64], with[24];
    if (size >= sizeof token)
        return;
    memcpy(token, text + at, size);
    token[size] = '\0';
    if (strchr("+-&|", token[0]) && size == 1 && !is_between_blanks(at, size)) {
        if (token[0] == '-')
            add(at, 1, "", line, function); /* -errno */
        return;
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(token, pairs[i][0]) == 0)
            add(at, size, pairs[i][1], line, function);
    if (isdigit((unsigned char)token[0]) && token[0] != '0' && strlen(token) < 9) {
        snprintf(with, sizeof with, "%ld", strtol(token, NULL, 10) + 1);
        add(at, strspn(token, "0123456789"), with, line, function);
    }
}

/* A line that is a statement: it is left out. */
static void mutate_line(size_t line, size_t function)
{
    size_t end = line + strcspn(text + line, "\n"), start = line;
    int depth = 0;
    while (text[start] == ' ')
        start++;
    for (size_t i = start; i < end; i++)
        depth += (text[i] == '(') - (text[i] == ')');
    if (start - line < 4 || text[end - 1] != ';' || depth || !strpbrk(text + start, "(=") ||
        strncmp(text + start, "return", 6) == 0 || text[start] == '"' ||
        (text[line - 2] != ';' && text[line - 2] != ')' && text[line - 2] != '{' &&
         text[line - 2] != '}' && text[line - 2] != '\n'))
        return;
    for (size_t i = start; i < end; i++) /* no declaration, no string */
        if (text[i] == '"' || (text[i] == ' ' && is_word(text[i - 1]) && is_word(text[i + 1])) ||
            (text[i] == '*' && text[i - 1] == ' ' && is_word(text[i + 1])))
            return;
    add(start, end - start, ";", line, function);
}

static int is_left_alone(size_t function)
{
    char head[200];
    size_t size = strcspn(text + function, "(");
    if (size >= sizeof head)
        return 1;
    memcpy(head, text + function, size);
    head[size] = '\0';
    for (size_t i = 0; i < sizeof left_alone / sizeof *left_alone; i++)
        if (strstr(head, left_alone[i]))
            return 1;
    return 0;
}

/* From the opening brace to the closing one, both in the first column. */
static size_t mutate_body(size_t at, size_t function)
{
    size_t line = at;
    for (;;) {
        size_t quoted = skip_quoted(at), size;
        if (text[at] == '\n') {
            line = at + 1;
            if (text[line] == '}')
                return line;
            if (text[line] != '#')
                mutate_line(line, function);
            at++;
            continue;
        }
        if (quoted != at) {
            at = quoted;
            continue;
        }
        size = token_size(at);
        if (text[line] != '#')
            mutate_token(at, size, line, function);
        at += size;
    }
}

/* A function is a line with "static inline" in the first columns, then a line that is a brace. */
static void find_mutations(void)
{
    size_t at = 0, function = 0;
    while (at < text_size) {
        size_t end = at + strcspn(text + at, "\n");
        if (end == at + 1 && text[at] == '{') {
            if (!is_left_alone(function))
                end = mutate_body(at + 1, function);
        } else if (end > at && (isalpha((unsigned char)text[at]))) {
            function = at;
        }
        at = end + 1;
    }
}

/* ---- drawing: by a hash of what the mutant is: a change elsewhere draws no others ---- */
static uint64_t seed;

static uint64_t hash(uint64_t before, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        before = (before ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return before;
}

static size_t name_of(size_t function, size_t *size)
{
    size_t end = function + strcspn(text + function, "("), start = end;
    while (is_word(text[start - 1]))
        start--;
    *size = end - start;
    return start;
}

static uint64_t lot_of(const struct mutation *mutation)
{
    size_t size, start = name_of(mutation->function, &size);
    size_t column = mutation->place - mutation->line;
    uint64_t lot = hash(seed, text + start, size);
    lot = hash(lot, text + mutation->line, strcspn(text + mutation->line, "\n"));
    lot = hash(lot, mutation->with, strlen(mutation->with));
    lot = hash(lot, (const char *)&column, sizeof column);
    return hash(lot, (const char *)&mutation->size, sizeof mutation->size) ^ lot >> 29;
}

static int compare_lots(const void *a, const void *b)
{
    const struct mutation *first = (const struct mutation *)a, *second = (const struct mutation *)b;
    uint64_t one = lot_of(first), other = lot_of(second);
    if (one == other)
        return first->place < second->place ? -1 : first->place > second->place;
    return one < other ? -1 : 1;
}

static void list(size_t count)
{
    qsort(mutations, mutation_count, sizeof *mutations, compare_lots);
    for (size_t i = 0; i < count && i < mutation_count; i++) {
        struct mutation mutation = mutations[i];
        size_t number = 1, start, size, name = name_of(mutation.function, &size);
        for (size_t k = 0; k < mutation.line; k++)
            number += text[k] == '\n';
        printf("%lu:%lu:%s\t%.*s", (unsigned long)mutation.place, (unsigned long)mutation.size,
               mutation.with, (int)size, text + name);
        start = mutation.line + strspn(text + mutation.line, " ");
        printf("\t%lu\t%.*s -> %s (column %lu)\t%.*s\n", (unsigned long)number, (int)mutation.size,
               text + mutation.place, *mutation.with ? mutation.with : "nothing",
               (unsigned long)(mutation.place - mutation.line + 1),
               (int)strcspn(text + start, "\n"), text + start);
    }
}

static void apply(const char *what)
{
    char *rest;
    size_t place = strtoul(what, &rest, 10), size = strtoul(rest + 1, &rest, 10);
    fwrite(text, 1, place, stdout);
    fputs(rest + 1, stdout);
    fwrite(text + place + size, 1, text_size - place - size, stdout);
}

/* How long the words are that a function of this object alone begins with; 0: no such words. */
static size_t length_of_static(const char *words)
{
    static const char *const all[] = { "static inline ", "ASYNC__ONCE " };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strncmp(words, all[i], strlen(all[i])) == 0)
            return strlen(all[i]);
    return 0;
}

/* Functions without their bodies, and not inline: another object has them. */
static void externs(void)
{
    int in_body = 0;
    for (size_t at = 0; at < text_size;) {
        size_t size = strcspn(text + at, "\n") + 1;
        if (size == 2 && text[at] == '{') {
            in_body = 1;
            puts(";");
        }
        for (size_t i = 0; !in_body && i < size; i++) {
            if (text[at] != ' ' && text[at] != '#')
                i += length_of_static(text + at + i);
            putchar(text[at + i]);
        }
        if (in_body)
            in_body = text[at] != '}' || puts("") < 0;
        at += size;
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    read_file(argv[2]);
    find_mutations();
    if (strcmp(argv[1], "list") == 0 && argc == 5) {
        seed = strtoull(argv[3], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        list((size_t)strtoul(argv[4], NULL, 0));
    } else if (strcmp(argv[1], "apply") == 0 && argc == 4) {
        apply(argv[3]);
    } else if (strcmp(argv[1], "externs") == 0) {
        externs();
    } else {
        return 2;
    }
    return 0;
}
