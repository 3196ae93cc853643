/* From a URL, by libcurl. Which address is connected to is looked at in the socket's callback, when
 * the name has been resolved: a name that resolves differently the second time gains nothing. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/image_fetch_internal.h"
#include "base/util.h"

#define CONNECT_S     30
#define REDIRECTS_MAX 5L
#define SHOWN_BYTES   200

struct transfer {
    struct image_fetch_sink sink;
    CURL *curl;
    struct err *err;
    int failure;                 /* of ours, which libcurl reports as its own */
    char shown[SHOWN_BYTES + 1]; /* the URL without user, password and query */
    char words[CURL_ERROR_SIZE];
};

/* ---- addresses ---- */

static bool ipv4_is_private(uint32_t a)
{
    static const struct {
        uint32_t net;
        unsigned bits;
    } nets[] = {
        {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
        {0xac100000, 12}, {0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16},
        {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24}, {0xe0000000, 3}, /* and 240/4 */
    };
    for (unsigned i = 0; i < ARRAY_LEN(nets); i++)
        if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
            return true;
    return false;
}

static uint32_t ipv4_in(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Global unicast is 2000::/3; of it some are special, and some carry an IPv4 address. */
static bool ipv6_is_private(const uint8_t a[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0, 0x64, 0xff, 0x9b};
    if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12))
        return ipv4_is_private(ipv4_in(a + 12));
    if ((a[0] & 0xe0) != 0x20)
        return true;
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return ipv4_is_private(ipv4_in(a + 2));
    if (a[0] == 0x20 && a[1] == 0x01 && a[2] < 2) /* 2001::/23: Teredo and other protocols' own */
        return true;
    return a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8; /* documentation */
}

bool image_fetch_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return ipv4_is_private(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return ipv6_is_private(in6.sin6_addr.s6_addr);
    }
    return true;
}

/* ---- libcurl's callbacks ---- */

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = ctx;
    if (t->sink.f->refuse_private && image_fetch_is_private(&a->addr)) {
        t->failure = err_set(t->err, EACCES,
                             "%s leads to an address that is not public, which this cloud does not "
                             "fetch from",
                             t->shown);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t receive(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    curl_off_t length = -1;
    if (!t->sink.bytes &&
        !curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) && length > 0)
        t->sink.total = (uint64_t)length;
    t->failure = image_fetch_sink_put(&t->sink, data, size * n, t->err);
    return t->failure ? 0 : size * n;
}

/* Called about once a second also when nothing comes. */
static int tick(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = ctx;
    if (!t->sink.f->stop || !atomic_load(t->sink.f->stop))
        return 0;
    t->failure = err_set(t->err, ECANCELED, "canceled");
    return 1;
}

/* ---- the transfer ---- */

/* "https://user:secret@host/path?token=x" is shown as "https://host/path". */
static void show(char shown[SHOWN_BYTES + 1], const char *url)
{
    const char *begin = strstr(url, "://");
    begin = begin ? begin + 3 : url;
    size_t scheme = (size_t)(begin - url), host = strcspn(begin, "/?#");
    for (size_t i = 0; i < host; i++)
        if (begin[i] == '@') {
            begin += i + 1;
            host -= i + 1;
            i = (size_t)-1;
        }
    size_t rest = strcspn(begin, "?#"), at = MIN(scheme, (size_t)SHOWN_BYTES);
    memcpy(shown, url, at);
    rest = MIN(rest, SHOWN_BYTES - at);
    memcpy(shown + at, begin, rest);
    shown[at + rest] = 0;
    for (char *c = shown; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = '?';
}

static int set_up(struct transfer *t, const char *url, struct err *err)
{
    const struct image_fetch *f = t->sink.f;
    CURL *c = t->curl;
    const struct image_fetch_transfer transfer = {
        .url = url,
        .protocols = "http,https",
        .connect_s = CONNECT_S,
        .stall_s = f->stall_s,
        .receive = receive,
        .progress = tick,
        .ctx = t,
        .words = t->words,
    };
    bool bad = !image_fetch_transfer_init(c, &transfer);
#define SET(option, value) bad |= curl_easy_setopt(c, CURLOPT_##option, value) != CURLE_OK
    SET(REDIR_PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 1L);
    SET(MAXREDIRS, f->max_redirects ? (long)f->max_redirects : REDIRECTS_MAX);
    SET(FAILONERROR, 1L);
    if (f->proxy)
        SET(PROXY, f->proxy);
    SET(OPENSOCKETFUNCTION, open_socket);
    SET(OPENSOCKETDATA, t);
    SET(MAXFILESIZE_LARGE, (curl_off_t)MIN(f->max_bytes, (uint64_t)INT64_MAX));
#undef SET
    return bad ? err_set(err, ENOTSUP, "this libcurl cannot do what is needed for %s", t->shown)
               : 0;
}

static int failed(struct transfer *t, CURLcode code, struct err *err)
{
    long status = 0;
    if (t->failure)
        return t->failure;
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return err_set(err, EINVAL, "%s is not a URL of http or https, or leads to one that is not",
                       t->shown);
    case CURLE_TOO_MANY_REDIRECTS:
        return err_set(err, ELOOP, "%s redirects too often", t->shown);
    case CURLE_FILESIZE_EXCEEDED:
        return err_set(err, E2BIG, "%s has more than the %llu bytes allowed", t->shown,
                       (unsigned long long)t->sink.f->max_bytes);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ETIMEDOUT, "%s: nothing came for too long", t->shown);
    case CURLE_PARTIAL_FILE:
        return err_set(err, EIO, "%s ended early: %llu of %llu bytes", t->shown,
                       (unsigned long long)t->sink.bytes, (unsigned long long)t->sink.total);
    case CURLE_HTTP_RETURNED_ERROR:
        curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        return err_set(err, status == 404 || status == 410 ? ENOENT : EIO,
                       "%s: the server answers with status %ld", t->shown, status);
    default:
        return err_set(err, EIO, "could not fetch %s: %.150s", t->shown,
                       t->words[0] ? t->words : curl_easy_strerror(code));
    }
}

int image_fetch_url(const struct image_fetch *f, const char *url, int to,
                    struct image_fetch_result *result, struct err *err)
{
    struct transfer t = {.err = err};
    show(t.shown, url);
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        return err_set(err, EINVAL, "%s is not a URL of http or https", t.shown);
    int ret = image_fetch_sink_init(&t.sink, f, to, err);
    if (ret)
        return ret;
    t.curl = curl_easy_init();
    ret = t.curl ? set_up(&t, url, err) : err_set(err, ENOMEM, "could not set up libcurl");
    if (!ret) {
        CURLcode code = curl_easy_perform(t.curl);
        ret = code == CURLE_OK ? 0 : failed(&t, code, err);
    }
    if (!ret)
        ret = image_fetch_sink_finish(&t.sink, result, err);
    curl_easy_cleanup(t.curl);
    image_fetch_sink_fini(&t.sink);
    return ret;
}
