/* Errors that a person will read: one object on the caller's stack, filled in at the cause and
 * wrapped with context on the way up, printed once. See CONTRIBUTING.md, "Errors". */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#define ERR_MSG_BYTES 512

struct err {
    int code; /* positive errno value, 0 when unset */
    char msg[ERR_MSG_BYTES];
};

/* Records a failure at its cause. `e` may be NULL (only the return value is wanted then).
 * Message: lower case, no full stop; names the thing, the value and the remedy.
 * Returns -code, so that `return err_set(e, EINVAL, ...)` is the whole error path. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* err_set() for a failed system call: appends ": <strerror(code)>". Returns -code. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message already in `e`. Returns -e->code, or -EIO if `e` is NULL or
 * unset. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
