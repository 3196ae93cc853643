#include "seed/seed_yaml.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static void add(struct seed_yaml *y, const char *text, size_t n)
{
    if (y->failed)
        return;
    if (y->bytes + n + 1 > y->capacity) {
        size_t capacity = MAX(y->bytes + n + 1, y->capacity ? 2 * y->capacity : 256);
        char *grown = realloc(y->text, capacity);
        y->failed = !grown;
        if (!grown)
            return;
        y->text = grown;
        y->capacity = capacity;
    }
    memcpy(y->text + y->bytes, text, n);
    y->bytes += n;
    y->text[y->bytes] = 0;
}

void seed_yaml_raw(struct seed_yaml *y, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(text))
        y->failed = true;
    else
        add(y, text, (size_t)n);
}

/* Reads one code point (RFC 3629: shortest form, no surrogates) and moves on; U+FFFD for a byte
 * that begins none. */
static uint32_t next_code_point(const unsigned char **at)
{
    const unsigned char *p = *at;
    unsigned more = p[0] >= 0xf0 && p[0] < 0xf5   ? 3
                    : p[0] >= 0xe0 && p[0] < 0xf0 ? 2
                    : p[0] >= 0xc2 && p[0] < 0xe0 ? 1
                                                  : 0;
    uint32_t c = p[0];
    *at = p + 1;
    if (p[0] < 0x80)
        return c;
    if (!more)
        return 0xfffd;
    c &= 0x3fu >> more;
    for (unsigned i = 1; i <= more; i++) { /* the final NUL is no continuation */
        if ((p[i] & 0xc0) != 0x80)
            return 0xfffd;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((more == 2 && c < 0x800) || (more == 3 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000))
        return 0xfffd;
    *at = p + 1 + more;
    return c;
}

void seed_yaml_value(struct seed_yaml *y, const char *value)
{
    const unsigned char *p = (const unsigned char *)value;
    add(y, "\"", 1);
    while (*p) {
        size_t plain = 0;
        while (p[plain] >= 0x20 && p[plain] < 0x7f && p[plain] != '"' && p[plain] != '\\')
            plain++;
        add(y, (const char *)p, plain);
        p += plain;
        if (!*p)
            break;
        char text[16];
        uint32_t c = next_code_point(&p);
        int n = c == '"' || c == '\\' ? snprintf(text, sizeof(text), "\\%c", (int)c)
                : c < 0x100           ? snprintf(text, sizeof(text), "\\x%02x", c)
                : c < 0x10000         ? snprintf(text, sizeof(text), "\\u%04x", c)
                                      : snprintf(text, sizeof(text), "\\U%08x", c);
        add(y, text, (size_t)n);
    }
    add(y, "\"", 1);
}

void seed_yaml_list(struct seed_yaml *y, const char *const *values)
{
    add(y, "[", 1);
    for (unsigned i = 0; values && values[i]; i++) {
        if (i)
            add(y, ", ", 2);
        seed_yaml_value(y, values[i]);
    }
    add(y, "]", 1);
}
