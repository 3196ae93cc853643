#include "control/control_http.h"

#include <stdint.h>
#include <string.h>

#include "base/util.h"

#define TARGET_MAX_BYTES 1024

struct span {
    const char *p;
    size_t n;
};

static bool is_token(char c)
{
    /* Spec: RFC 9110, 5.6.2. */
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equals_nocase(struct span s, const char *text)
{
    if (strlen(text) != s.n)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (lower(s.p[i]) != lower(text[i]))
            return false;
    return true;
}

/* Whether a comma-separated list holds the token. */
static bool lists(struct span list, const char *token)
{
    while (list.n) {
        const char *comma = memchr(list.p, ',', list.n);
        struct span item = {list.p, comma ? (size_t)(comma - list.p) : list.n};
        size_t step = comma ? item.n + 1 : item.n;
        while (item.n && (*item.p == ' ' || *item.p == '\t'))
            item.p++, item.n--;
        while (item.n && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
            item.n--;
        if (equals_nocase(item, token))
            return true;
        list.p += step;
        list.n -= step;
    }
    return false;
}

static int parse_target(struct span target, struct control_http_request *r)
{
    if (target.n > TARGET_MAX_BYTES)
        return -414;
    if (!target.n || target.p[0] != '/')
        return -400;
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= 0x20 || (unsigned char)target.p[i] >= 0x7f)
            return -400;
    const char *mark = memchr(target.p, '?', target.n);
    r->path = target.p;
    r->path_len = mark ? (size_t)(mark - target.p) : target.n;
    if (mark) {
        r->query = mark + 1;
        r->query_len = target.n - r->path_len - 1;
    }
    return 0;
}

static int parse_request_line(struct span line, struct control_http_request *r, bool *http_1_0)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE"};
    const char *sp1 = memchr(line.p, ' ', line.n);
    if (!sp1 || sp1 == line.p)
        return -400;
    struct span method = {line.p, (size_t)(sp1 - line.p)};
    for (size_t i = 0; i < method.n; i++)
        if (!is_token(method.p[i]))
            return -400;
    struct span rest = {sp1 + 1, line.n - method.n - 1};
    const char *sp2 = memchr(rest.p, ' ', rest.n);
    if (!sp2)
        return -400;
    struct span version = {sp2 + 1, (size_t)(rest.p + rest.n - sp2 - 1)};
    r->method = CONTROL_HTTP_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (method.n == strlen(methods[i]) && !memcmp(method.p, methods[i], method.n))
            r->method = (enum control_http_method)i;
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0)
        return -400;
    if (memcmp(version.p, "HTTP/1.", 7) != 0)
        return -505;
    *http_1_0 = version.p[7] == '0';
    return parse_target((struct span){rest.p, (size_t)(sp2 - rest.p)}, r);
}

static int parse_length(struct span value, struct control_http_request *r)
{
    size_t v = 0;
    /* Two lengths, even equal ones, are how requests are smuggled. Spec: RFC 9112, 6.3. */
    if (r->has_length || !value.n)
        return -400;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return -400;
        v = v * 10 + (size_t)(value.p[i] - '0');
        if (v > CONTROL_HTTP_BODY_MAX_BYTES)
            return -413;
    }
    r->has_length = true;
    r->content_length = v;
    return 0;
}

static int parse_field(struct span line, struct control_http_request *r, unsigned *n_hosts)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || colon == line.p)
        return -400;
    struct span name = {line.p, (size_t)(colon - line.p)};
    /* A space before the colon, or a folded line, is refused here. Spec: RFC 9112, 5.1, 5.2. */
    for (size_t i = 0; i < name.n; i++)
        if (!is_token(name.p[i]))
            return -400;
    struct span value = {colon + 1, line.n - name.n - 1};
    while (value.n && (*value.p == ' ' || *value.p == '\t'))
        value.p++, value.n--;
    while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
            return -400;
    if (equals_nocase(name, "content-length"))
        return parse_length(value, r);
    if (equals_nocase(name, "transfer-encoding"))
        return -501;
    if (equals_nocase(name, "host"))
        (*n_hosts)++;
    if (equals_nocase(name, "connection")) {
        if (lists(value, "close"))
            r->keep_alive = false;
        else if (lists(value, "keep-alive"))
            r->keep_alive = true;
    }
    if (equals_nocase(name, "expect")) {
        if (!equals_nocase(value, "100-continue"))
            return -417;
        r->expects_continue = true;
    }
    return 0;
}

/* The next line without its CRLF; false when there is none that is whole. */
static bool next_line(const char *text, size_t bytes, size_t *at, struct span *line)
{
    const char *nl = memchr(text + *at, '\n', bytes - *at);
    if (!nl)
        return false;
    line->p = text + *at;
    line->n = (size_t)(nl - line->p);
    *at += line->n + 1;
    return true;
}

/* A bare LF ends a line for some readers and not for others: refused. */
static bool strip_cr(struct span *line)
{
    if (!line->n || line->p[line->n - 1] != '\r')
        return false;
    line->n--;
    return !memchr(line->p, '\r', line->n);
}

static int incomplete(size_t bytes)
{
    return bytes >= CONTROL_HTTP_HEAD_MAX_BYTES ? -431 : 0;
}

int control_http_parse(const char *text, size_t bytes, struct control_http_request *request)
{
    struct control_http_request r = {0};
    bytes = MIN(bytes, CONTROL_HTTP_HEAD_MAX_BYTES);
    size_t at = 0;
    struct span line;
    bool http_1_0 = false;
    unsigned n_fields = 0, n_hosts = 0;
    if (!next_line(text, bytes, &at, &line))
        return incomplete(bytes);
    int status = strip_cr(&line) ? parse_request_line(line, &r, &http_1_0) : -400;
    r.keep_alive = !http_1_0;
    while (!status) {
        if (!next_line(text, bytes, &at, &line))
            return incomplete(bytes);
        if (!strip_cr(&line))
            return -400;
        if (!line.n)
            break;
        status = ++n_fields > CONTROL_HTTP_FIELDS_MAX ? -431 : parse_field(line, &r, &n_hosts);
    }
    if (status)
        return status;
    /* Spec: RFC 9112, 3.2. */
    if (n_hosts > 1 || (n_hosts == 0 && !http_1_0))
        return -400;
    *request = r;
    return (int)at;
}

const char *control_http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Unknown";
}
