#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return -code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    e->code = code;
    return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return -code;
    char what[ERR_MSG_BYTES - 64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(e, code, "%s: %s", what, strerror(code));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e || !e->code)
        return -EIO;
    char cause[ERR_MSG_BYTES];
    memcpy(cause, e->msg, sizeof(cause));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(e->msg))
        snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", cause);
    return -e->code;
}
