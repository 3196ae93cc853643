#include "api/api_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define LEAST_BYTES 1024 /* what malloc() has at hand at most */

void api_buf_init(struct api_buf *b, size_t limit_bytes)
{
    *b = (struct api_buf){.limit_bytes = limit_bytes};
}

void api_buf_fini(struct api_buf *b)
{
    free(b->text);
    api_buf_init(b, b->limit_bytes);
}

void api_buf_reset(struct api_buf *b)
{
    b->bytes = 0;
    b->failed = false;
}

/* Room for so many more bytes and a NUL. */
static bool room(struct api_buf *b, size_t bytes)
{
    if (b->failed || b->limit_bytes < b->bytes || bytes > b->limit_bytes - b->bytes) {
        b->failed = true;
        return false;
    }
    size_t need = b->bytes + bytes + 1;
    if (need <= b->size)
        return true;
    size_t size = MAX(need, MIN(b->size * 2, b->limit_bytes + 1));
    size = MAX(size, (size_t)LEAST_BYTES);
    char *text = realloc(b->text, size);
    if (!text) {
        b->failed = true;
        return false;
    }
    b->text = text;
    b->size = size;
    return true;
}

void api_buf_put(struct api_buf *b, const char *text, size_t bytes)
{
    if (!room(b, bytes))
        return;
    if (bytes)
        memcpy(b->text + b->bytes, text, bytes);
    b->bytes += bytes;
    b->text[b->bytes] = '\0';
}

void api_buf_puts(struct api_buf *b, const char *text)
{
    api_buf_put(b, text, strlen(text));
}

void api_buf_putc(struct api_buf *b, char ch)
{
    api_buf_put(b, &ch, 1);
}

/* What most calls write fits into what is there: then it is formatted once. */
void api_buf_printf(struct api_buf *b, const char *fmt, ...)
{
    va_list ap;
    if (!room(b, 0))
        return;
    size_t left = b->size - b->bytes;
    va_start(ap, fmt);
    int n = vsnprintf(b->text + b->bytes, left, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n >= left && room(b, (size_t)n)) {
        va_start(ap, fmt);
        n = vsnprintf(b->text + b->bytes, b->size - b->bytes, fmt, ap);
        va_end(ap);
    }
    if (n < 0 || (size_t)n > b->limit_bytes - b->bytes)
        b->failed = true;
    if (b->failed)
        b->text[b->bytes] = '\0';
    else
        b->bytes += (size_t)n;
}

void api_buf_int(struct api_buf *b, int64_t v)
{
    char text[20], *at = text + sizeof(text);
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        *--at = '-';
    api_buf_put(b, at, (size_t)(text + sizeof(text) - at));
}

unsigned api_buf_utf8(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    if (!bytes)
        return 0;
    if (p[0] < 0x80)
        return 1;
    unsigned n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || bytes < n)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static void put_escaped(struct api_buf *b, unsigned char ch)
{
    static const char short_forms[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = strchr(short_forms, ch);
    if (at && ch)
        api_buf_printf(b, "\\%c", letters[at - short_forms]);
    else
        api_buf_printf(b, "\\u%04x", ch);
}

static bool is_plain(unsigned char ch)
{
    return ch >= 0x20 && ch < 0x7f && ch != '"' && ch != '\\';
}

/* How much of the text stands for itself. */
static size_t plain_run(const char *text, size_t left)
{
    size_t run = 0;
    while (run < left) {
        unsigned char ch = (unsigned char)text[run];
        unsigned n = is_plain(ch) ? 1 : ch < 0x80 ? 0 : api_buf_utf8(text + run, left - run);
        if (!n)
            break;
        run += n;
    }
    return run;
}

void api_buf_json_text(struct api_buf *b, const char *text)
{
    size_t left = 0;
    while (is_plain((unsigned char)text[left]))
        left++;
    if (!text[left] && room(b, left + 2)) { /* nearly all are so */
        char *to = b->text + b->bytes;
        to[0] = to[left + 1] = '"';
        memcpy(to + 1, text, left);
        to[left + 2] = '\0';
        b->bytes += left + 2;
        return;
    }
    left += strlen(text + left);
    api_buf_putc(b, '"');
    while (left) {
        size_t run = plain_run(text, left);
        api_buf_put(b, text, run);
        text += run;
        left -= run;
        if (!left)
            break;
        if ((unsigned char)*text < 0x80)
            put_escaped(b, (unsigned char)*text);
        else
            api_buf_puts(b, "\xef\xbf\xbd");
        text++;
        left--;
    }
    api_buf_putc(b, '"');
}

void api_buf_json_number(struct api_buf *b, double v)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    api_buf_puts(b, text);
}

char *api_buf_steal(struct api_buf *b)
{
    if (!b->text && !b->failed)
        api_buf_put(b, "", 0);
    if (b->failed) {
        api_buf_fini(b);
        return NULL;
    }
    char *text = b->text;
    api_buf_init(b, b->limit_bytes);
    return text;
}
