#include "cli/cloud/cloud_http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/util.h"
#include "cli/cloud/cloud_text.h"

#define TIMEOUT_MS        60000
#define CONNECT_MS        10000
#define BACKOFF_MS        250 /* before the second try; doubled each time */
#define RETRY_AFTER_MAX_S 5   /* who asks for more patience is told to the person */
#define STALL_S           60  /* an upload or download may stand still for so long */
#define URL_BYTES         4096
#define DEBUG_BODY_BYTES  4096

struct cloud_http {
    CURL *curl;
    char *token, *ca_file;
    char base[URL_BYTES]; /* what paths are put behind */
    char *socket;         /* of unix: */
    char *said;           /* the URL as it was given */
    bool debug, reached;  /* reached: a connection was made before */
};

static bool is_local(const char *host, size_t n)
{
    return (n == 9 && !strncasecmp(host, "localhost", 9)) || (n > 4 && !strncmp(host, "127.", 4)) ||
           (n == 5 && !strncmp(host, "[::1]", 5));
}

static int refuse_url(struct err *err, const char *url, const char *why)
{
    return err_set(
        err, EINVAL,
        "the server's URL \"%.200s\" %s: use https://HOST:PORT, unix:/PATH, or http:// to "
        "this machine",
        url, why);
}

static int split_url(const char *url, struct cloud_http_place *place, struct err *err)
{
    bool tls = !strncasecmp(url, "https://", 8);
    const char *host = url + (tls ? 8 : 7);
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return refuse_url(err, url, "has no scheme that is known");
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    const char *rest = host + n;
    unsigned long port = tls ? 443 : 80;
    if (n >= sizeof(place->host) || !n || memchr(host, '@', n))
        return refuse_url(err, url, "names no host (and takes no user)");
    if (*rest == ':') {
        char *end;
        port = strtoul(rest + 1, &end, 10);
        if (end == rest + 1 || port == 0 || port > 65535)
            return refuse_url(err, url, "has a port that is none");
        rest = end;
    }
    if (*rest && strcmp(rest, "/") != 0 && strcmp(rest, "/v1") != 0 && strcmp(rest, "/v1/") != 0)
        return refuse_url(err, url, "has a path");
    if (!tls && !is_local(host, n))
        return refuse_url(err, url, "would send tokens in the clear");
    snprintf(place->host, sizeof(place->host), "%.*s", (int)n, host);
    place->port = (uint16_t)port;
    place->tls = tls;
    return 0;
}

int cloud_http_place(const char *url, struct cloud_http_place *place, struct err *err)
{
    if (strncmp(url, "unix:", 5) != 0)
        return split_url(url, place, err);
    const char *path = url + 5 + (!strncmp(url + 5, "//", 2) ? 2 : 0);
    if (*path != '/' || strlen(path) > 107)
        return refuse_url(err, url, "is no absolute path of a socket");
    *place = (struct cloud_http_place){0};
    snprintf(place->host, sizeof(place->host), "+%s", path);
    return 0;
}

struct cloud_http *cloud_http_create(const struct cloud_http_config *config, struct err *err)
{
    struct cloud_http_place place;
    if (cloud_http_place(config->url, &place, err))
        return NULL;
    struct cloud_http *h = calloc(1, sizeof(*h));
    if (h)
        h->curl = curl_easy_init();
    if (!h || !h->curl) {
        cloud_http_destroy(h);
        err_set(err, ENOMEM, "no memory for a connection");
        return NULL;
    }
    h->token = config->token ? strdup(config->token) : NULL;
    h->ca_file = config->ca_file ? strdup(config->ca_file) : NULL;
    h->said = strdup(config->url);
    h->debug = config->debug;
    if (place.host[0] == '+') {
        h->socket = strdup(place.host + 1);
        snprintf(h->base, sizeof(h->base), "http://localhost");
    } else {
        snprintf(h->base, sizeof(h->base), "%s://%s:%u", place.tls ? "https" : "http", place.host,
                 place.port);
    }
    return h;
}

void cloud_http_destroy(struct cloud_http *h)
{
    if (!h)
        return;
    if (h->curl)
        curl_easy_cleanup(h->curl);
    if (h->token)
        explicit_bzero(h->token, strlen(h->token));
    free(h->token);
    free(h->ca_file);
    free(h->socket);
    free(h->said);
    free(h);
}

void cloud_http_answer_fini(struct cloud_http_answer *a)
{
    api_buf_fini(&a->body);
}

/* What an exchange needs while curl runs. */
struct exchange {
    const struct cloud_http_request *request;
    struct cloud_http_answer *answer;
    CURL *curl;
    bool sent;     /* a part of the upload is gone, it cannot begin anew */
    int64_t taken; /* of the upload */
};

static size_t on_body(char *data, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    long status = 0;
    (void)one;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (x->request->download && status < 300)
        return fwrite(data, 1, n, x->request->download);
    api_buf_put(&x->answer->body, data, n);
    return x->answer->body.failed ? 0 : n;
}

static void take_header(char *out, size_t size, const char *value, size_t n)
{
    while (n && isspace((unsigned char)*value)) {
        value++;
        n--;
    }
    while (n && isspace((unsigned char)value[n - 1]))
        n--;
    snprintf(out, size, "%.*s", (int)n, value);
}

static size_t on_header(char *line, size_t one, size_t n, void *ctx)
{
    struct cloud_http_answer *a = ((struct exchange *)ctx)->answer;
    char number[24];
    (void)one;
    const char *colon = memchr(line, ':', n);
    if (!colon)
        return n;
    size_t name = (size_t)(colon - line), rest = n - name - 1;
    if (name == 12 && !strncasecmp(line, "content-type", 12)) {
        take_header(a->media, sizeof(a->media), colon + 1, rest);
        a->media[strcspn(a->media, "; ")] = '\0';
    } else if (name == 4 && !strncasecmp(line, "etag", 4)) {
        take_header(a->etag, sizeof(a->etag), colon + 1, rest);
    } else if (name == 16 && !strncasecmp(line, "virga-request-id", 16)) {
        take_header(a->request_id, sizeof(a->request_id), colon + 1, rest);
    } else if (name == 11 && !strncasecmp(line, "retry-after", 11)) {
        take_header(number, sizeof(number), colon + 1, rest);
        a->retry_after_s = (int)MIN(strtoul(number, NULL, 10), 86400ul);
    }
    return n;
}

static size_t on_upload(char *data, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    x->sent = true;
    size_t left = (size_t)(x->request->upload_bytes - x->taken);
    size_t got = fread(data, 1, MIN(one * n, left), x->request->upload);
    x->taken += (int64_t)got;
    return ferror(x->request->upload) ? CURL_READFUNC_ABORT : got;
}

static int on_progress(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t all,
                       curl_off_t done)
{
    const struct exchange *x = ctx;
    (void)down_all;
    (void)down;
    if (all > 0)
        x->request->progress(x->request->progress_ctx, done, all);
    return 0;
}

static struct curl_slist *add(struct curl_slist *list, const char *name, const char *value)
{
    char line[512];
    snprintf(line, sizeof(line), "%s: %s", name, value);
    return curl_slist_append(list, line);
}

static struct curl_slist *headers_of(const struct cloud_http *h,
                                     const struct cloud_http_request *request, const char *key)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    list = add(list, "Accept", "application/json, application/problem+json, */*");
    if (request->project)
        list = add(list, "Virga-Project", request->project);
    if (request->media)
        list = add(list, "Content-Type", request->media);
    else
        list = curl_slist_append(list, "Content-Type:"); /* curl would say it is a form */
    if (request->if_match)
        list = add(list, "If-Match", request->if_match);
    if (request->upload_total) {
        char range[96];
        snprintf(range, sizeof(range), "bytes %lld-%lld/%lld", (long long)request->upload_first,
                 (long long)(request->upload_first + request->upload_bytes - 1),
                 (long long)request->upload_total);
        list = add(list, "Content-Range", range);
    }
    if (request->idempotent)
        list = add(list, "Idempotency-Key", key);
    if (!h->token)
        return list;
    struct api_buf b;
    api_buf_init(&b, 16384);
    api_buf_printf(&b, "Authorization: Bearer %s", h->token);
    if (!b.failed)
        list = curl_slist_append(list, b.text);
    if (b.text)
        explicit_bzero(b.text, b.bytes);
    api_buf_fini(&b);
    return list;
}

static void set_method(CURL *curl, const struct cloud_http_request *q)
{
    if (q->upload) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->upload_bytes);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
    } else if (q->body || q->method == API_METHOD_POST) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_bytes);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
    }
    if (q->upload || q->method != API_METHOD_GET)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, api_route_method_name(q->method));
    if (q->upload || q->download) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    } else {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                         (long)(q->timeout_ms ? q->timeout_ms : TIMEOUT_MS));
    }
}

static void set_up(struct cloud_http *h, struct exchange *x, const char *url,
                   struct curl_slist *headers)
{
    CURL *curl = h->curl;
    curl_easy_reset(curl); /* the connection stays */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "virga/" VIRGA_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(curl, CURLOPT_READDATA, x);
    if (x->request->progress) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
    }
    if (h->socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, h->socket);
    if (h->socket || !strncmp(url, "http:", 5))
        curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* this machine needs none */
    if (h->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    set_method(curl, x->request);
}

static int explain(const struct cloud_http *h, CURLcode code, struct err *err)
{
    long os = 0;
    curl_easy_getinfo(h->curl, CURLINFO_OS_ERRNO, &os);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(err, EHOSTUNREACH, "no host is called as in %.200s: check the URL", h->said);
    case CURLE_COULDNT_CONNECT:
        return err_set(err, ECONNREFUSED,
                       "no server answers at %.200s%s%s: check the URL (--url, VIRGA_URL, or the "
                       "profile's) and that the server runs",
                       h->said, os ? ": " : "", os ? strerror((int)os) : "");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ETIMEDOUT, "%.200s did not answer in time", h->said);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(err, EPROTO,
                       "what answers at %.200s does not speak HTTP: check the URL, and whether it "
                       "should be https",
                       h->said);
    case CURLE_SSL_CONNECT_ERROR:
        return err_set(
            err, EPROTO,
            "no TLS can be had with %.200s (%s): check the URL, and whether it should be "
            "http",
            h->said, curl_easy_strerror(code));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return err_set(
            err, EPROTO,
            "the certificate of %.200s is not trusted (%s): name the cloud's certificates "
            "with virga login --ca-file FILE, or pin them with --fingerprint SHA256",
            h->said, curl_easy_strerror(code));
    case CURLE_WRITE_ERROR:
        return err_set(err, EIO, "the answer of %.200s could not be stored, or is too large",
                       h->said);
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(err, EIO, "the file could not be read");
    default:
        return err_set(err, EIO, "the connection to %.200s was lost: %s", h->said,
                       curl_easy_strerror(code));
    }
}

static bool is_secret_key(const char *key, const json_t *v)
{
    static const char *const keys[] = {"password",    "old_password", "new_password", "secret",
                                       "private_key", "ticket",       "token",        "user_data"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!strcmp(key, keys[i]) && json_is_string(v))
            return true;
    return false;
}

static void redact(json_t *v)
{
    const char *key;
    json_t *inside;
    for (size_t i = 0; i < json_array_size(v); i++)
        redact(json_array_get(v, i));
    json_object_foreach(v, key, inside)
    {
        if (is_secret_key(key, inside))
            json_string_set(inside, "***");
        else
            redact(inside);
    }
}

char *cloud_http_redact(const char *text, size_t bytes)
{
    json_t *v = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
    if (!v)
        return strdup("(no JSON)");
    redact(v);
    char *out = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(v);
    return out;
}

static void debug_body(char mark, const char *text, size_t bytes)
{
    if (!bytes)
        return;
    CLEANUP_FREE char *shown = cloud_http_redact(text, bytes);
    if (shown && strlen(shown) > DEBUG_BODY_BYTES)
        strcpy(shown + DEBUG_BODY_BYTES, "...");
    fprintf(stderr, "%c ", mark);
    cloud_text_put(stderr, shown ? shown : "", false);
    fputc('\n', stderr);
}

static void debug_request(const struct cloud_http *h, const struct cloud_http_request *q,
                          const struct curl_slist *headers)
{
    fprintf(stderr, "> %s %s%s\n", api_route_method_name(q->method), h->base, q->path);
    for (; headers; headers = headers->next)
        if (!strncmp(headers->data, "Authorization:", 14))
            fputs("> Authorization: Bearer ***\n", stderr);
        else if (headers->data[strlen(headers->data) - 1] != ':')
            fprintf(stderr, "> %s\n", headers->data);
    debug_body('>', q->body ? q->body : "", q->body_bytes);
}

static void reset_answer(struct cloud_http_answer *a)
{
    api_buf_fini(&a->body);
    *a = (struct cloud_http_answer){.retry_after_s = -1};
    api_buf_init(&a->body, CLOUD_HTTP_ANSWER_MAX_BYTES);
}

static int once(struct cloud_http *h, struct exchange *x, const char *key, struct err *err)
{
    char url[URL_BYTES * 3];
    int n = snprintf(url, sizeof(url), "%s%s", h->base, x->request->path);
    if (n < 0 || (size_t)n >= sizeof(url))
        return err_set(err, E2BIG, "the request's path is too long");
    struct curl_slist *headers = headers_of(h, x->request, key);
    reset_answer(x->answer);
    if (h->debug)
        debug_request(h, x->request, headers);
    set_up(h, x, url, headers);
    CURLcode code = curl_easy_perform(h->curl);
    long status = 0;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    x->answer->status = (int)status;
    if (code != CURLE_OK) {
        int r = explain(h, code, err);
        if (h->debug)
            fprintf(stderr, "< %s\n", curl_easy_strerror(code));
        return r;
    }
    h->reached = true;
    if (h->debug) {
        fprintf(stderr, "< %ld %s\n", status, x->answer->request_id);
        debug_body('<', x->answer->body.text ? x->answer->body.text : "", x->answer->body.bytes);
    }
    return 0;
}

static bool again(const struct cloud_http *h, const struct exchange *x, int r)
{
    const struct cloud_http_request *q = x->request;
    if (x->sent || q->download)
        return false;
    if (!r) {
        int s = x->answer->status;
        return (s == 503 || s == 429) && x->answer->retry_after_s <= RETRY_AFTER_MAX_S;
    }
    bool harmless = q->method == API_METHOD_GET || q->idempotent || q->if_match;
    if (r == -ECONNREFUSED)
        return h->reached;
    return r == -EIO && harmless;
}

static void pause_before(unsigned tries, int retry_after_s)
{
    uint16_t noise = 0;
    (void)!getrandom(&noise, sizeof(noise), 0);
    int64_t ms = (int64_t)BACKOFF_MS << (tries - 1);
    ms += ms * noise / (2 * UINT16_MAX); /* so that many do not come back at once */
    if (retry_after_s > 0)
        ms = (int64_t)retry_after_s * 1000;
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

int cloud_http_send(struct cloud_http *h, const struct cloud_http_request *request,
                    struct cloud_http_answer *a, struct err *err)
{
    uint64_t noise[2] = {0};
    char key[40];
    struct exchange x = {.request = request, .answer = a, .curl = h->curl};
    if (getrandom(noise, sizeof(noise), 0) != sizeof(noise))
        return err_sys(err, errno, "could not draw a key for the request");
    snprintf(key, sizeof(key), "%016llx%016llx", (unsigned long long)noise[0],
             (unsigned long long)noise[1]);
    for (unsigned tries = 1;; tries++) {
        int r = once(h, &x, key, err);
        if (r)
            h->reached = h->reached || r == -EIO;
        if (tries == CLOUD_HTTP_TRIES || !again(h, &x, r))
            return r;
        pause_before(tries, r ? -1 : a->retry_after_s);
        if (h->debug)
            fprintf(stderr, "* once more\n");
    }
}
