/* From the server of this host's cloud, by libcurl with the host's certificate.
 *
 * Theory of operation. What the server keeps of an image never changes, so a transfer that broke
 * off goes on where it ended (Range), on the condition that the file is still the same one
 * (If-Match with the tag that came first). A server that is away, or says that it is busy, is asked
 * again until nothing has come for as long as we have patience: it may be restarted meanwhile.
 * Its address is the operator's word, so it may be a private one, and nothing is redirected. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "agent/image_fetch_internal.h"
#include "api/api_json.h"
#include "api/gen/common.h"
#include "base/clock.h"
#include "base/util.h"

#define CONNECT_S       10
#define PATIENCE_S      300
#define PAUSE_FIRST_MS  100
#define PAUSE_MAX_MS    5000
#define STEP_MS         100 /* how soon a stop is seen while we wait */
#define SAID_MAX_BYTES  4096
#define SECOND_NS       INT64_C(1000000000)
#define TAG_BYTES       128
#define URL_BYTES       512
#define STATUS_OK       200
#define STATUS_PART     206
#define STATUS_CHANGED  412
#define STATUS_BUSY_MIN 500

struct transfer {
    struct image_fetch_sink sink;
    const struct image_fetch_server *server;
    struct err *err;
    CURL *curl;
    int failure;   /* of ours, which libcurl reports as its own */
    uint64_t from; /* where the attempt began */
    char url[URL_BYTES], tag[TAG_BYTES];
    char said[SAID_MAX_BYTES]; /* a refusal's body */
    size_t said_bytes;
    int64_t heard_ns; /* when something came last */
    char words[CURL_ERROR_SIZE];
};

/* ---- libcurl's callbacks ---- */

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
    static const char NAME[] = "etag:";
    struct transfer *t = ctx;
    size_t bytes = size * n, from = sizeof(NAME) - 1;
    if (t->from || bytes <= from || strncasecmp(line, NAME, from) != 0)
        return bytes;
    while (from < bytes && line[from] == ' ')
        from++;
    size_t end = from;
    while (end < bytes && line[end] > ' ' && line[end] < 0x7f)
        end++;
    if (end - from < TAG_BYTES)
        snprintf(t->tag, sizeof(t->tag), "%.*s", (int)(end - from), line + from);
    return bytes;
}

static void keep_said(struct transfer *t, const char *data, size_t bytes)
{
    bytes = MIN(bytes, sizeof(t->said) - 1 - t->said_bytes);
    memcpy(t->said + t->said_bytes, data, bytes);
    t->said_bytes += bytes;
    t->said[t->said_bytes] = 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    curl_off_t length = -1;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != (t->from ? STATUS_PART : STATUS_OK)) {
        keep_said(t, data, size * n);
        return size * n;
    }
    if (!t->sink.bytes &&
        !curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) && length > 0)
        t->sink.total = (uint64_t)length;
    t->heard_ns = clock_now_ns();
    t->failure = image_fetch_sink_put(&t->sink, data, size * n, t->err);
    return t->failure ? 0 : size * n;
}

static bool is_stopped(struct transfer *t)
{
    if (!t->sink.f->stop || !atomic_load(t->sink.f->stop))
        return false;
    t->failure = err_set(t->err, ECANCELED, "canceled");
    return true;
}

/* Called about once a second also when nothing comes. */
static int tick(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    return is_stopped(ctx);
}

/* ---- one attempt ---- */

static int set_up(struct transfer *t)
{
    const struct image_fetch_server *server = t->server;
    CURL *c = t->curl;
    const struct image_fetch_transfer transfer = {
        .url = t->url,
        .protocols = server->authority_path ? "https" : "http",
        .connect_s = CONNECT_S,
        .stall_s = t->sink.f->stall_s,
        .receive = on_data,
        .progress = tick,
        .ctx = t,
        .words = t->words,
    };
    bool bad = !image_fetch_transfer_init(c, &transfer);
#define SET(option, value) bad |= curl_easy_setopt(c, CURLOPT_##option, value) != CURLE_OK
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, t);
    if (server->authority_path) {
        SET(CAINFO, server->authority_path);
        SET(SSLCERT, server->cert_path);
        SET(SSLKEY, server->key_path);
    }
#undef SET
    return bad ? err_set(t->err, ENOTSUP, "this libcurl cannot do what is needed for %s", t->url)
               : 0;
}

static CURLcode perform(struct transfer *t)
{
    char range[32], condition[TAG_BYTES + 16];
    struct curl_slist *headers = NULL;
    t->from = t->sink.bytes;
    t->said_bytes = 0;
    t->said[0] = t->words[0] = 0;
    if (t->from) {
        snprintf(range, sizeof(range), "%llu-", (unsigned long long)t->sink.bytes);
        curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
    }
    if (t->from && t->tag[0]) {
        snprintf(condition, sizeof(condition), "If-Match: %s", t->tag);
        headers = curl_slist_append(NULL, condition);
    }
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(t->curl);
    curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return code;
}

/* ---- what came of it ---- */

/* A refusal is a problem document; its words are for people. */
static int refused(struct transfer *t, long status)
{
    struct api_refusal refusal;
    struct api_arena arena;
    void *out = NULL;
    const char *why = "it does not say why";
    int code = status == 404                    ? ENOENT
               : status == STATUS_CHANGED       ? ESTALE
               : status == 401 || status == 403 ? ECONNREFUSED
                                                : EIO;
    api_problem_init(&refusal);
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    if (t->said_bytes && !api_json_read(&api_types_problem, t->said, t->said_bytes,
                                        API_JSON_LENIENT, &arena, &out, &refusal)) {
        const struct api_problem *p = out;
        why = p->detail.is == API_VALUE ? p->detail.v : why;
    }
    int ret = err_set(t->err, code, "the server %.200s does not give the image (%ld): %.300s",
                      t->server->host, status, why);
    api_arena_fini(&arena);
    return ret;
}

/* 0: it is whole; 1: it may be asked again; else the error. */
static int judge(struct transfer *t, CURLcode code)
{
    long status = 0;
    if (t->failure)
        return t->failure;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE)
        return err_set(t->err, EIO, "the certificate of this host cannot be used: %.200s",
                       t->words[0] ? t->words : curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(t->err, ECONNREFUSED, "%s is not the server of this cloud: %.200s", t->url,
                       t->words);
    if (code != CURLE_OK || status >= STATUS_BUSY_MIN)
        return 1;
    if (status != (t->from ? STATUS_PART : STATUS_OK))
        return refused(t, status);
    return t->sink.total && t->sink.bytes < t->sink.total;
}

static int out_of_patience(struct transfer *t, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status >= STATUS_BUSY_MIN)
        return refused(t, status);
    return err_set(t->err, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO,
                   "could not fetch %s, of which %llu bytes have come: %.150s", t->url,
                   (unsigned long long)t->sink.bytes,
                   t->words[0] ? t->words : curl_easy_strerror(code));
}

static int pause_for(struct transfer *t, unsigned ms)
{
    for (unsigned done = 0; done < ms; done += STEP_MS) {
        const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
        if (is_stopped(t))
            return t->failure;
        nanosleep(&step, NULL);
    }
    return 0;
}

static int transfer_run(struct transfer *t)
{
    int64_t patience_ns = (t->server->patience_s ? t->server->patience_s : PATIENCE_S) * SECOND_NS;
    unsigned pause_ms = PAUSE_FIRST_MS;
    t->heard_ns = clock_now_ns();
    for (;;) {
        uint64_t before = t->sink.bytes;
        CURLcode code = perform(t);
        int ret = judge(t, code);
        if (ret <= 0)
            return ret;
        if (clock_now_ns() - t->heard_ns >= patience_ns)
            return out_of_patience(t, code);
        pause_ms = t->sink.bytes > before ? PAUSE_FIRST_MS : MIN(2 * pause_ms, PAUSE_MAX_MS);
        ret = pause_for(t, pause_ms);
        if (ret)
            return ret;
    }
}

int image_fetch_server(const struct image_fetch *f, const struct image_fetch_server *server,
                       const char *path, int to, struct image_fetch_result *result, struct err *err)
{
    struct transfer t = {.server = server, .err = err};
    bool numeric6 = strchr(server->host, ':') != NULL;
    int n = snprintf(t.url, sizeof(t.url), "%s://%s%s%s:%u%s",
                     server->authority_path ? "https" : "http", numeric6 ? "[" : "", server->host,
                     numeric6 ? "]" : "", (unsigned)server->port, path);
    if (path[0] != '/' || n >= (int)sizeof(t.url))
        return err_set(err, EINVAL, "%.80s is no path of the server", path);
    int ret = image_fetch_sink_init(&t.sink, f, to, err);
    if (ret)
        return ret;
    t.curl = curl_easy_init();
    ret = t.curl ? set_up(&t) : err_set(err, ENOMEM, "could not set up libcurl");
    if (!ret)
        ret = transfer_run(&t);
    if (!ret)
        ret = image_fetch_sink_finish(&t.sink, result, err);
    curl_easy_cleanup(t.curl);
    image_fetch_sink_fini(&t.sink);
    return ret;
}
