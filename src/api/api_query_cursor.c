/* Cursors: base64url of
 *
 *   OFFSET SIZE MEANING
 *   0      1    version, 1
 *   1      8    hash of type, filter and sort, little-endian
 *   9      ...  for each sort field and the id: a kind (enum api_query_kind), then
 *               INT, NUMBER: 8 bytes; TEXT: 1 byte length and the text; ABSENT: nothing */
#include <errno.h>
#include <string.h>

#include "api/api_query_internal.h"
#include "base/util.h"

#define VERSION   1
#define BYTES_MAX ((API_QUERY_CURSOR_BYTES - 1) / 4 * 3)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const uint8_t *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i += 3) {
        size_t left = MIN(n - i, (size_t)3);
        uint32_t v = (uint32_t)bytes[i] << 16;
        v |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= left > 2 ? bytes[i + 2] : 0;
        for (size_t d = 0; d <= left; d++)
            *text++ = digits[v >> (18 - 6 * d) & 63];
    }
    *text = '\0';
}

/* The number of bytes; -1: no base64url. */
static int decode(const char *text, uint8_t *bytes, size_t size)
{
    uint32_t v = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (; *text; text++) {
        const char *digit = strchr(digits, *text);
        if (!digit)
            return -1;
        v = v << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (n == size)
                return -1;
            bytes[n++] = (uint8_t)(v >> bits);
        }
    }
    return (int)n;
}

static int put(const struct api_query_value *v, uint8_t *bytes, size_t *at)
{
    size_t text = v->kind == API_QUERY_TEXT ? strlen(v->text) : 0;
    uint64_t raw = (uint64_t)v->number;
    if (text > UINT8_MAX || *at + 2 + MAX(text, (size_t)8) > BYTES_MAX)
        return -E2BIG;
    bytes[(*at)++] = (uint8_t)v->kind;
    if (v->kind == API_QUERY_NUMBER)
        memcpy(&raw, &v->real, sizeof(raw));
    if (v->kind == API_QUERY_INT || v->kind == API_QUERY_NUMBER) {
        le64_write(bytes + *at, raw);
        *at += 8;
    } else if (v->kind == API_QUERY_TEXT) {
        bytes[(*at)++] = (uint8_t)text;
        memcpy(bytes + *at, v->text, text);
        *at += text;
    }
    return 0;
}

int api_query_cursor(const struct api_query *q, const void *item, char text[API_QUERY_CURSOR_BYTES])
{
    uint8_t bytes[BYTES_MAX];
    size_t at = 9;
    bytes[0] = VERSION;
    le64_write(bytes + 1, q->hash);
    for (unsigned i = 0; i < q->n_sorts; i++) {
        struct api_query_value v = api_query_path_value(&q->sorts[i].path, item);
        int r = put(&v, bytes, &at);
        if (r)
            return r;
    }
    encode(bytes, at, text);
    return 0;
}

/* One value; false: it is cut off or of no kind. */
static bool get(const uint8_t *bytes, size_t n, size_t *at, struct api_query_value *v,
                struct api_arena *arena, bool *full)
{
    if (*at >= n || bytes[*at] > API_QUERY_TEXT)
        return false;
    *v = (struct api_query_value){.kind = (enum api_query_kind)bytes[(*at)++]};
    if (v->kind == API_QUERY_ABSENT)
        return true;
    size_t size = v->kind != API_QUERY_TEXT ? 8 : *at < n ? bytes[(*at)++] : n;
    if (size > n - *at)
        return false;
    if (v->kind == API_QUERY_TEXT) {
        v->text = api_arena_text(arena, (const char *)bytes + *at, size);
        *full = *full || !v->text;
    } else {
        uint64_t raw = le64_read(bytes + *at);
        v->number = (int64_t)raw;
        memcpy(&v->real, &raw, sizeof(raw));
    }
    *at += size;
    return true;
}

int api_query_cursor_read(struct api_query *q, const char *text, struct api_arena *arena,
                          struct api_refusal *refusal)
{
    uint8_t bytes[BYTES_MAX];
    int n = decode(text, bytes, sizeof(bytes));
    size_t at = 9;
    bool good = n >= 9 && bytes[0] == VERSION, full = false;
    if (good && le64_read(bytes + 1) != q->hash)
        return api_problem_add(refusal, API_PROBLEM_CODE_QUERY_CURSOR_INVALID, "cursor",
                               "from a list with another filter or sort: begin anew");
    for (unsigned i = 0; good && i < q->n_sorts; i++)
        good = get(bytes, (size_t)n, &at, &q->cursor[i], arena, &full);
    if (full)
        return -ENOMEM;
    if (!good || at != (size_t)n)
        return api_problem_add(refusal, API_PROBLEM_CODE_QUERY_CURSOR_INVALID, "cursor",
                               "no cursor of ours: use next_cursor of the page before");
    q->has_cursor = true;
    return 0;
}
