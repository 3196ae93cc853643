/* Digits and nothing else: what sscanf() takes beyond that is not what the headers allow. */
#include "mgmt/server/server_range.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The place behind a number below SERVER_RANGE_MAX; NULL: there is none. */
static const char *number(const char *p, int64_t *value)
{
    if (!p || *p < '0' || *p > '9')
        return NULL;
    for (*value = 0; *p >= '0' && *p <= '9'; p++) {
        *value = *value * 10 + (*p - '0');
        if (*value >= SERVER_RANGE_MAX)
            return NULL;
    }
    return p;
}

static const char *text_at(const char *p, const char *text)
{
    size_t bytes = strlen(text);
    return p && !strncmp(p, text, bytes) ? p + bytes : NULL;
}

int server_range_content(const char *text, int64_t *first, int64_t *last, int64_t *total)
{
    int64_t a, b, n = SERVER_RANGE_MAX;
    const char *p = number(text_at(text, "bytes "), &a);
    p = text_at(number(text_at(p, "-"), &b), "/");
    if (!p)
        return -EINVAL;
    bool known = *p != '*';
    p = known ? number(p, &n) : p + 1;
    if (!p || *p || a > b || b >= n)
        return -EINVAL;
    *first = a;
    *last = b;
    if (known)
        *total = n;
    return 0;
}

int server_range_wanted(const char *text, int64_t *first, int64_t *last)
{
    int64_t a, b = -1;
    const char *p = text_at(number(text_at(text, "bytes="), &a), "-");
    if (p && *p)
        p = number(p, &b);
    if (!p || *p || (b >= 0 && b < a))
        return -EINVAL;
    *first = a;
    *last = b;
    return 0;
}
