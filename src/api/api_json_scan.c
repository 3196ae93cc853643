#include "api/api_json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_buf.h"
#include "api/api_json.h"
#include "base/util.h"

#define NUMBER_MAX 400 /* characters: more than any double needs to be told apart */

static bool is_space(char ch)
{
    return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* ---- numbers ---- */

/* How long the number is; 0: none. */
static size_t number_bytes(const char *text, const char *end, bool *whole)
{
    const char *p = text;
    if (p < end && *p == '-')
        p++;
    if (p == end || !is_digit(*p))
        return 0;
    if (*p++ != '0')
        while (p < end && is_digit(*p))
            p++;
    *whole = true;
    if (p < end && *p == '.') {
        *whole = false;
        if (++p == end || !is_digit(*p))
            return 0;
        while (p < end && is_digit(*p))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *whole = false;
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end || !is_digit(*p))
            return 0;
        while (p < end && is_digit(*p))
            p++;
    }
    return (size_t)(p - text);
}

static const char *number_value(const char *text, size_t bytes, bool whole, int64_t *i, double *d)
{
    char copy[NUMBER_MAX + 1];
    if (bytes > NUMBER_MAX)
        return "a number of so many digits";
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    errno = 0;
    if (whole) {
        *i = strtoll(copy, NULL, 10);
        *d = (double)*i;
        return errno ? "a whole number beyond 64 bits" : NULL;
    }
    *d = strtod(copy, NULL);
    return isfinite(*d) ? NULL : "a number beyond what can be held";
}

/* ---- scanning ---- */

struct scan {
    const char *at, *end;
    const char *why; /* it is no JSON */
    unsigned depth;
    bool in_object[API_JSON_MAX_DEPTH];
};

static bool wrong(struct scan *s, const char *why)
{
    s->why = why;
    return false;
}

static void pass_spaces(struct scan *s)
{
    while (s->at < s->end && is_space(*s->at))
        s->at++;
}

/* The value of four hexadecimal digits; -1: they are none. */
static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char ch = p[i];
        int digit = is_digit(ch)             ? ch - '0'
                    : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                    : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                             : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static bool high_half(int v)
{
    return v >= 0xd800 && v <= 0xdbff;
}

static bool low_half(int v)
{
    return v >= 0xdc00 && v <= 0xdfff;
}

/* Behind the backslash. */
static bool scan_escape(struct scan *s)
{
    char ch = s->at < s->end ? *s->at : '\0';
    if (ch && strchr("\"\\/bfnrt", ch)) {
        s->at++;
        return true;
    }
    if (ch != 'u')
        return wrong(s, "no such escape");
    int v = hex4(++s->at, s->end);
    if (v < 0)
        return wrong(s, "\\u without four hexadecimal digits");
    if (!v)
        return wrong(s, "\\u0000, which no text here may hold");
    if (low_half(v))
        return wrong(s, "half a surrogate pair");
    s->at += 4;
    if (!high_half(v))
        return true;
    if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u' ||
        !low_half(hex4(s->at + 2, s->end)))
        return wrong(s, "half a surrogate pair");
    s->at += 6;
    return true;
}

/* At the quote. */
static bool scan_text(struct scan *s)
{
    s->at++;
    while (s->at < s->end) {
        unsigned char ch = (unsigned char)*s->at;
        unsigned n = 1;
        if (ch == '"') {
            s->at++;
            return true;
        }
        if (ch == '\\') {
            s->at++;
            if (!scan_escape(s))
                return false;
            continue;
        }
        if (ch < 0x20)
            return wrong(s, "a control character within a text: write it as an escape");
        if (ch >= 0x80 && !(n = api_buf_utf8(s->at, (size_t)(s->end - s->at))))
            return wrong(s, "bytes that are no UTF-8");
        s->at += n;
    }
    return wrong(s, "a text without its end");
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return wrong(s, "no value: texts stand in double quotes");
    s->at += n;
    return true;
}

static bool scan_number(struct scan *s)
{
    bool whole = false;
    int64_t i;
    double d;
    size_t n = number_bytes(s->at, s->end, &whole);
    const char *why = n ? number_value(s->at, n, whole, &i, &d) : "no number";
    if (why)
        return wrong(s, why);
    s->at += n;
    return true;
}

static bool scan_key(struct scan *s)
{
    pass_spaces(s);
    if (s->at == s->end || *s->at != '"')
        return wrong(s, "a key in double quotes is missing");
    if (!scan_text(s))
        return false;
    pass_spaces(s);
    if (s->at == s->end || *s->at != ':')
        return wrong(s, "a colon is missing behind the key");
    s->at++;
    return true;
}

/* At the bracket. *open: a value follows, otherwise it was empty. */
static bool scan_bracket(struct scan *s, bool *open)
{
    bool object = *s->at++ == '{';
    pass_spaces(s);
    *open = s->at == s->end || *s->at != (object ? '}' : ']');
    if (!*open) {
        s->at++;
        return true;
    }
    s->in_object[s->depth++] = object;
    return !object || scan_key(s);
}

static bool scan_scalar(struct scan *s)
{
    switch (*s->at) {
    case '"':
        return scan_text(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case '-':
        return scan_number(s);
    default:
        return is_digit(*s->at) ? scan_number(s)
                                : wrong(s, "no value: texts stand in double quotes");
    }
}

/* Behind a value: closes what ends here. *open: another value follows. */
static bool scan_ends(struct scan *s, bool *open)
{
    *open = false;
    while (s->depth) {
        bool object = s->in_object[s->depth - 1];
        pass_spaces(s);
        if (s->at == s->end)
            return wrong(s, object ? "an object without its end" : "a list without its end");
        char ch = *s->at;
        if (ch == ',') {
            s->at++;
            *open = true;
            return !object || scan_key(s);
        }
        if (ch != (object ? '}' : ']'))
            return wrong(s, object ? "a comma or } is missing" : "a comma or ] is missing");
        s->at++;
        s->depth--;
    }
    return true;
}

static bool scan_document(struct scan *s)
{
    bool open = true;
    while (open) {
        pass_spaces(s);
        if (s->at == s->end)
            return wrong(s, "a value is missing");
        bool nests = *s->at == '{' || *s->at == '[';
        if (nests && s->depth == API_JSON_MAX_DEPTH)
            return false;
        open = false;
        if (nests ? !scan_bracket(s, &open) : !scan_scalar(s))
            return false;
        if (!open && !scan_ends(s, &open))
            return false;
    }
    pass_spaces(s);
    return s->at == s->end || wrong(s, "something stands behind the document");
}

static int malformed(const struct scan *s, const char *text, struct api_refusal *refusal)
{
    size_t line = 1, column = 1;
    for (const char *p = text; p < s->at; p++) {
        line += *p == '\n';
        column = *p == '\n' ? 1 : column + 1;
    }
    return api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                           "line %zu, column %zu is not JSON: %s", line, column, s->why);
}

int api_json_scan(const char *text, size_t bytes, struct api_refusal *refusal)
{
    struct scan s = {.at = text, .end = text + bytes};
    if (scan_document(&s))
        return 0;
    return s.why ? malformed(&s, text, refusal)
                 : api_problem_set(refusal, API_PROBLEM_CODE_REQUEST_MALFORMED,
                                   "the document nests over %d levels deep", API_JSON_MAX_DEPTH);
}

/* ---- the cursor ---- */

char api_json_peek(struct api_json_cursor *c)
{
    while (is_space(*c->at))
        c->at++;
    return *c->at;
}

bool api_json_enter(struct api_json_cursor *c)
{
    c->at++;
    char ch = api_json_peek(c);
    bool empty = ch == '}' || ch == ']';
    c->at += empty;
    return !empty;
}

bool api_json_more(struct api_json_cursor *c)
{
    bool more = api_json_peek(c) == ',';
    c->at++;
    return more;
}

/* Behind the text whose quote this is. */
static const char *text_end(const char *p)
{
    for (p++; *p != '"'; p++)
        p += *p == '\\';
    return p + 1;
}

void api_json_skip(struct api_json_cursor *c)
{
    unsigned depth = 0;
    bool whole;
    do {
        char ch = api_json_peek(c);
        if (ch == '"')
            c->at = text_end(c->at);
        else if (is_digit(ch) || ch == '-')
            c->at += number_bytes(c->at, c->end, &whole);
        else if (ch == 't' || ch == 'n')
            c->at += 4;
        else if (ch == 'f')
            c->at += 5;
        else {
            depth += ch == '{' || ch == '[';
            depth -= ch == '}' || ch == ']';
            c->at++;
        }
    } while (depth);
}

size_t api_json_count(const struct api_json_cursor *from)
{
    struct api_json_cursor c = *from;
    bool object = api_json_peek(&c) == '{';
    size_t n = 0;
    for (bool more = api_json_enter(&c); more; more = api_json_more(&c)) {
        if (object) {
            (void)api_json_peek(&c);
            c.at = text_end(c.at);
            (void)api_json_peek(&c);
            c.at++;
        }
        api_json_skip(&c);
        n++;
    }
    return n;
}

size_t api_json_text_bytes(const struct api_json_cursor *c)
{
    return (size_t)(text_end(c->at) - c->at) - 2;
}

static size_t put_utf8(char out[4], int v)
{
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    size_t n = v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i; i--, v >>= 6)
        out[i] = (char)(0x80 | (v & 0x3f));
    out[0] = (char)(first[n] | v);
    return n;
}

/* Behind the backslash. Returns how many bytes the character has. */
static size_t take_escape(struct api_json_cursor *c, char out[4])
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char ch = *c->at++;
    if (ch != 'u') {
        out[0] = meaning[strchr(letters, ch) - letters];
        return 1;
    }
    int v = hex4(c->at, c->end);
    c->at += 4;
    if (high_half(v)) {
        v = 0x10000 + ((v - 0xd800) << 10) + hex4(c->at + 2, c->end) - 0xdc00;
        c->at += 6;
    }
    return put_utf8(out, v);
}

size_t api_json_take_text(struct api_json_cursor *c, char *to, size_t room)
{
    size_t n = 0;
    c->at++;
    while (*c->at != '"') {
        char escaped[4];
        const char *from = c->at;
        size_t bytes;
        if (*from == '\\') {
            c->at++;
            bytes = take_escape(c, escaped);
            from = escaped;
        } else {
            while (*c->at != '"' && *c->at != '\\')
                c->at++;
            bytes = (size_t)(c->at - from);
        }
        bytes = MIN(bytes, room - 1 - n);
        memcpy(to + n, from, bytes);
        n += bytes;
    }
    c->at++;
    to[n] = '\0';
    return n;
}

size_t api_json_take_key(struct api_json_cursor *c, char *to, size_t room)
{
    (void)api_json_peek(c);
    size_t n = api_json_take_text(c, to, room);
    (void)api_json_peek(c);
    c->at++;
    return n;
}

bool api_json_take_number(struct api_json_cursor *c, int64_t *whole, double *real)
{
    bool is_whole = false;
    size_t n = number_bytes(c->at, c->end, &is_whole);
    (void)number_value(c->at, n, is_whole, whole, real);
    c->at += n;
    return is_whole;
}

size_t api_json_take_any(struct api_json_cursor *c, char *to)
{
    struct api_json_cursor end = *c;
    size_t n = 0;
    api_json_skip(&end);
    while (c->at < end.at) {
        const char *from = c->at;
        if (is_space(*from)) {
            c->at++;
            continue;
        }
        c->at = *from == '"' ? text_end(from) : from + 1;
        memcpy(to + n, from, (size_t)(c->at - from));
        n += (size_t)(c->at - from);
    }
    return n;
}
