#include <errno.h>
#include <sys/random.h>

#include "mgmt/auth/auth_random_internal.h"

const char auth_random_digits[33] = "abcdefghijklmnopqrstuvwxyz234567";

int auth_random_fill(void *bytes, size_t n, struct err *err)
{
    char *p = bytes;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, EIO, "could not get random bytes from the kernel: getrandom(2)");
        p += got;
        n -= (size_t)got;
    }
    return 0;
}
