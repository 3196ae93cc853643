#include "agent/image_fetch.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/image_fetch_internal.h"
#include "base/util.h"

#define CHUNK_BYTES (256 * KIB)
#define HOLE_BYTES  4096
#define STALL_S     60L
#define SLOW_BYTES  1024L /* a second, or less, for a stall: a drip does not hold a worker */

int image_fetch_sink_init(struct image_fetch_sink *s, const struct image_fetch *f, int to,
                          struct err *err)
{
    *s = (struct image_fetch_sink){.f = f, .to = to, .digest = EVP_MD_CTX_new()};
    if (s->digest && EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) == 1)
        return 0;
    image_fetch_sink_fini(s);
    return err_set(err, ENOMEM, "could not begin a SHA-256");
}

static int too_big(const struct image_fetch_sink *s, struct err *err)
{
    return err_set(err, E2BIG, "the image has more than the %llu bytes allowed",
                   (unsigned long long)s->f->max_bytes);
}

static bool is_zero(const char *p, size_t n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

int image_fetch_write_sparse(int to, uint64_t at, const char *data, size_t bytes, struct err *err)
{
    while (bytes) {
        size_t n = MIN(bytes, HOLE_BYTES - at % HOLE_BYTES);
        ssize_t wrote = is_zero(data, n) ? (ssize_t)n : pwrite(to, data, n, (off_t)at);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return err_sys(err, wrote ? errno : ENOSPC, "could not write the image");
        data += wrote;
        at += (uint64_t)wrote;
        bytes -= (size_t)wrote;
    }
    return 0;
}

int image_fetch_sink_put(struct image_fetch_sink *s, const void *data, size_t bytes,
                         struct err *err)
{
    if (s->f->stop && atomic_load(s->f->stop))
        return err_set(err, ECANCELED, "canceled");
    if (bytes > s->f->max_bytes - s->bytes)
        return too_big(s, err);
    if (EVP_DigestUpdate(s->digest, data, bytes) != 1)
        return err_set(err, EIO, "could not go on with a SHA-256");
    int ret = s->to < 0 ? 0 : image_fetch_write_sparse(s->to, s->bytes, data, bytes, err);
    if (ret)
        return ret;
    s->bytes += bytes;
    if (s->f->progress)
        s->f->progress(s->f->ctx, s->bytes, s->total);
    return 0;
}

int image_fetch_sink_finish(struct image_fetch_sink *s, struct image_fetch_result *result,
                            struct err *err)
{
    struct image_fetch_result r = {.bytes = s->bytes};
    if (s->to >= 0 && ftruncate(s->to, (off_t)s->bytes) < 0)
        return err_sys(err, errno, "could not write the image");
    if (EVP_DigestFinal_ex(s->digest, r.sha256, NULL) != 1)
        return err_set(err, EIO, "could not end a SHA-256");
    *result = r;
    return 0;
}

void image_fetch_sink_fini(struct image_fetch_sink *s)
{
    EVP_MD_CTX_free(s->digest);
    s->digest = NULL;
}

static int read_all(struct image_fetch_sink *s, int from, struct err *err)
{
    CLEANUP_FREE char *buf = malloc(CHUNK_BYTES);
    if (!buf)
        return err_set(err, ENOMEM, "could not allocate a buffer");
    for (uint64_t at = 0;;) {
        ssize_t n = pread(from, buf, CHUNK_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "could not read the image");
        if (!n)
            return 0;
        int ret = image_fetch_sink_put(s, buf, (size_t)n, err);
        if (ret)
            return ret;
        at += (uint64_t)n;
    }
}

int image_fetch_file(const struct image_fetch *f, int from, int to,
                     struct image_fetch_result *result, struct err *err)
{
    struct image_fetch_sink s;
    struct stat st;
    if (fstat(from, &st) < 0)
        return err_sys(err, errno, "could not look at the image");
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "the image is not a regular file");
    /* What is hashed is our copy, which does not change any more. */
    if (to >= 0 && ioctl(to, FICLONE, from) == 0) {
        from = to;
        to = -1;
    }
    int ret = image_fetch_sink_init(&s, f, to, err);
    if (ret)
        return ret;
    s.total = (uint64_t)st.st_size;
    ret = s.total > f->max_bytes ? too_big(&s, err) : read_all(&s, from, err);
    if (!ret)
        ret = image_fetch_sink_finish(&s, result, err);
    image_fetch_sink_fini(&s);
    return ret;
}

bool image_fetch_transfer_init(CURL *c, const struct image_fetch_transfer *t)
{
    long stall = t->stall_s ? (long)t->stall_s : STALL_S;
    bool bad = false;
#define SET(option, value) bad |= curl_easy_setopt(c, CURLOPT_##option, value) != CURLE_OK
    SET(URL, t->url);
    SET(PROTOCOLS_STR, t->protocols);
    SET(NOSIGNAL, 1L);
    SET(PROXY, "");
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(CONNECTTIMEOUT, MIN(stall, (long)t->connect_s));
    SET(LOW_SPEED_LIMIT, SLOW_BYTES);
    SET(LOW_SPEED_TIME, stall);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(USERAGENT, "virga/" VIRGA_VERSION);
    SET(WRITEFUNCTION, t->receive);
    SET(WRITEDATA, t->ctx);
    SET(NOPROGRESS, 0L);
    SET(XFERINFOFUNCTION, t->progress);
    SET(XFERINFODATA, t->ctx);
    SET(ERRORBUFFER, t->words);
#undef SET
    return !bad;
}
