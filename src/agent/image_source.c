#include "agent/image_source.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define READ_BYTES       (1u << 20)
#define REDIRECTS_MAX    5L
#define CONNECT_LIMIT_S  30L
#define SLOW_BYTES_PER_S 1L /* less for SLOW_S ends it */
#define SLOW_S           60L

struct fetch {
    FILE *file;
    _Atomic unsigned *percent;
    const _Atomic bool *stop;
};

static size_t on_data(char *data, size_t size, size_t n, void *opaque)
{
    struct fetch *f = opaque;
    return fwrite(data, size, n, f->file);
}

static int on_progress(void *opaque, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct fetch *f = opaque;
    (void)up_total, (void)up_now;
    if (total > 0)
        *f->percent = (unsigned)MIN(now * 100 / total, 100);
    return *f->stop;
}

static void set_certificates(CURL *curl, const struct image_source_config *config, const char *url)
{
    if (!config->own_prefix || strncmp(url, config->own_prefix, strlen(config->own_prefix)) != 0)
        return;
    curl_easy_setopt(curl, CURLOPT_CAINFO, config->authority_path);
    if (config->cert_path) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, config->cert_path);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, config->key_path);
    }
}

static int perform(CURL *curl, const struct fetch *f, const char *url, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        return fflush(f->file) ? err_sys(err, errno, "could not keep %s", url) : 0;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, ECANCELED, "fetching %s was given up", url);
    if (code == CURLE_WRITE_ERROR)
        return err_sys(err, ferror(f->file) ? ENOSPC : EIO, "could not keep %s", url);
    return err_set(err, ECONNREFUSED, "could not fetch %.200s: %.200s", url,
                   why[0] ? why : curl_easy_strerror(code));
}

static int fetch(const struct image_source_config *config, const char *url, struct fetch *f,
                 struct err *err)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return err_set(err, ENOMEM, "could not set up libcurl");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_LIMIT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES_PER_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, f);
    set_certificates(curl, config, url);
    int ret = perform(curl, f, url, err);
    curl_easy_cleanup(curl);
    return ret;
}

/* ---- files of the host ---- */

/* The file without symbolic links, if a folder that is offered holds it. */
static int check_folder(const struct image_source_config *config, const char *path,
                        char real[IMAGE_SOURCE_PATH_BYTES], struct err *err)
{
    char full[PATH_MAX], folder[PATH_MAX];
    if (path[0] != '/')
        return err_set(err, EINVAL, "the path of an image begins with /, not as %.80s", path);
    if (!realpath(path, full))
        return err_sys(err, errno, "could not find %.200s", path);
    for (const char *const *f = config->folders; f && *f; f++) {
        size_t n = realpath(*f, folder) ? strlen(folder) : 0;
        if (!n || strncmp(full, folder, n) != 0 || (full[n] != '/' && n > 1))
            continue;
        if (strlen(full) >= IMAGE_SOURCE_PATH_BYTES)
            return err_set(err, ENAMETOOLONG, "%.200s is too long a path for an image", path);
        snprintf(real, IMAGE_SOURCE_PATH_BYTES, "%.*s", IMAGE_SOURCE_PATH_BYTES - 1, full);
        return 0;
    }
    return err_set(err, EPERM,
                   "%.200s is in no folder that this host offers: see virga-agent(8), --import",
                   path);
}

/* ---- checksums ---- */

static int hash_file(int fd, EVP_MD_CTX *md, const _Atomic bool *stop, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    CLEANUP_FREE char *block = malloc(READ_BYTES);
    ssize_t n = block && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? 1 : -1;
    if (n < 0)
        return -ENOMEM;
    while ((n = read(fd, block, READ_BYTES)) > 0) {
        if (*stop)
            return -ECANCELED;
        EVP_DigestUpdate(md, block, (size_t)n);
    }
    if (n < 0)
        return -errno;
    EVP_DigestFinal_ex(md, digest, &bytes);
    for (unsigned i = 0; i < bytes && i < 32; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", digest[i]);
    return 0;
}

static int check_sum(const char *path, const char *wanted, const _Atomic bool *stop,
                     struct err *err)
{
    char hex[65] = "";
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "could not open %.200s", path);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ret = md ? hash_file(fd, md, stop, hex) : -ENOMEM;
    EVP_MD_CTX_free(md);
    if (ret)
        return err_sys(err, -ret, "could not compute the checksum of %.200s", path);
    if (strcmp(hex, wanted) != 0)
        return err_set(err, EBADMSG, "the content's SHA-256 is %s, not %.64s as it should be", hex,
                       wanted);
    return 0;
}

int image_source_get(const struct image_source_config *config, const struct image_source *source,
                     const char *fetched, char path[IMAGE_SOURCE_PATH_BYTES],
                     _Atomic unsigned *percent, const _Atomic bool *stop, struct err *err)
{
    char found[IMAGE_SOURCE_PATH_BYTES];
    int ret;
    if (source->path) {
        ret = check_folder(config, source->path, found, err);
    } else {
        snprintf(found, sizeof(found), "%s", fetched);
        struct fetch f = {.file = fopen(fetched, "we"), .percent = percent, .stop = stop};
        if (!f.file)
            return err_sys(err, errno, "could not create %.200s", fetched);
        ret = fetch(config, source->url, &f, err);
        if (fclose(f.file) && !ret)
            ret = err_sys(err, errno, "could not keep %.200s", source->url);
    }
    if (!ret && source->sha256)
        ret = check_sum(found, source->sha256, stop, err);
    if (!ret)
        memcpy(path, found, IMAGE_SOURCE_PATH_BYTES);
    else if (!source->path)
        unlink(fetched);
    return ret;
}
