/* Random bytes for secrets, from the kernel. */
#ifndef MGMT_AUTH_AUTH_RANDOM_INTERNAL_H
#define MGMT_AUTH_AUTH_RANDOM_INTERNAL_H

#include <stddef.h>

#include "base/err.h"

/* Fills all of it. Errors: EIO. */
int auth_random_fill(void *bytes, size_t n, struct err *err);

/* 32 characters, none of which looks like another: RFC 4648's base32 in lower case. */
extern const char auth_random_digits[33];

#endif
