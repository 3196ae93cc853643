/* Where the bytes go: counted, hashed, written. */
#ifndef AGENT_IMAGE_FETCH_INTERNAL_H
#define AGENT_IMAGE_FETCH_INTERNAL_H

#include <curl/curl.h>
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

/* What every transfer by libcurl has: HTTP/1.1 straight there, given up where it stands still; what
 * comes goes to `receive`, and `progress` is asked about once a second whether it shall end.
 * `words` receives what went wrong. Returns false where this libcurl cannot do it. */
struct image_fetch_transfer {
    const char *url, *protocols;
    unsigned connect_s, stall_s; /* stall_s 0: 60 */
    size_t (*receive)(char *data, size_t one, size_t bytes, void *ctx);
    int (*progress)(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total,
                    curl_off_t up);
    void *ctx;
    char *words; /* CURL_ERROR_SIZE */
};
bool image_fetch_transfer_init(CURL *c, const struct image_fetch_transfer *t);

/* Writes at an offset what is not zero; the rest stays a hole, so the caller sets the file's size
 * in the end. Errors: those of pwrite(2). */
int image_fetch_write_sparse(int to, uint64_t at, const char *data, size_t bytes, struct err *err);

#endif
