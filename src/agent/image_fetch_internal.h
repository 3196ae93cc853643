/* Where the bytes go: counted, hashed, written. */
#ifndef AGENT_IMAGE_FETCH_INTERNAL_H
#define AGENT_IMAGE_FETCH_INTERNAL_H

#include <openssl/evp.h>
#include <stddef.h>

#include "agent/image_fetch.h"

struct image_fetch_sink {
    const struct image_fetch *f;
    int to; /* -1: nowhere */
    EVP_MD_CTX *digest;
    uint64_t bytes, total; /* total 0: not known */
};

int image_fetch_sink_init(struct image_fetch_sink *s, const struct image_fetch *f, int to,
                          struct err *err);
/* Errors: E2BIG, ECANCELED, those of write(2). */
int image_fetch_sink_put(struct image_fetch_sink *s, const void *data, size_t bytes,
                         struct err *err);
int image_fetch_sink_finish(struct image_fetch_sink *s, struct image_fetch_result *result,
                            struct err *err);
void image_fetch_sink_fini(struct image_fetch_sink *s);

/* Writes at an offset what is not zero; the rest stays a hole, so the caller sets the file's size
 * in the end. Errors: those of pwrite(2). */
int image_fetch_write_sparse(int to, uint64_t at, const char *data, size_t bytes, struct err *err);

#endif
