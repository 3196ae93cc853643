#include "agent/host_join.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/host_identity.h"
#include "api/api_json.h"
#include "api/gen/common.h"
#include "api/gen/infra.h"
#include "base/util.h"
#include "base/uuid.h"
#include "pki/pki.h"

#define ANSWER_MAX_BYTES (256u << 10)
#define LIMIT_S          60L

/* ---- the server is the one that the secret is of ---- */

struct pin {
    uint8_t fingerprint[PKI_FINGERPRINT_BYTES];
};

static bool is_pinned(const struct pin *pin, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(cert, EVP_sha256(), digest, &n) == 1 && n == sizeof(pin->fingerprint) &&
           !memcmp(digest, pin->fingerprint, n);
}

/* In place of X509_verify_cert(): of all that is shown only the pinned certificate is trusted. */
static int verify(X509_STORE_CTX *ctx, void *arg)
{
    const struct pin *pin = arg;
    STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(ctx), *trusted = sk_X509_new_null();
    for (int i = 0; trusted && i < sk_X509_num(shown); i++)
        if (is_pinned(pin, sk_X509_value(shown, i)))
            sk_X509_push(trusted, sk_X509_value(shown, i));
    if (!trusted || !sk_X509_num(trusted)) {
        sk_X509_free(trusted);
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
        return 0;
    }
    X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
    int ok = X509_verify_cert(ctx);
    sk_X509_free(trusted);
    return ok;
}

static CURLcode set_up_tls(CURL *curl, void *ctx, void *pin)
{
    (void)curl;
    SSL_CTX_set_cert_verify_callback(ctx, verify, pin);
    return CURLE_OK;
}

static int read_pin(const char *secret, struct pin *pin)
{
    const char *dot = strrchr(secret, '_');
    if (!dot || strlen(dot + 1) != 2 * sizeof(pin->fingerprint))
        return -EINVAL;
    for (size_t i = 0; i < sizeof(pin->fingerprint); i++) {
        unsigned v;
        if (!isxdigit((unsigned char)dot[1 + 2 * i]) || !isxdigit((unsigned char)dot[2 + 2 * i]) ||
            sscanf(dot + 1 + 2 * i, "%2x", &v) != 1)
            return -EINVAL;
        pin->fingerprint[i] = (uint8_t)v;
    }
    return 0;
}

/* ---- the request ---- */

static size_t on_data(char *data, size_t size, size_t n, void *opaque)
{
    struct api_buf *b = opaque;
    api_buf_put(b, data, size * n);
    return b->failed ? 0 : size * n;
}

static int post(const struct host_join_request *r, struct pin *pin, const struct api_buf *body,
                struct api_buf *answer, long *status, struct err *err)
{
    char url[400], why[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    snprintf(url, sizeof(url), "https://%s/v1/host-joins", r->server);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->text);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, LIMIT_S);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    if (r->authority_path) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, r->authority_path);
    } else {
        curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_up_tls);
        curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, pin);
    }
    CURLcode code = curl ? curl_easy_perform(curl) : CURLE_FAILED_INIT;
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK)
        return 0;
    return err_set(err, ECONNREFUSED, "could not ask %.200s to join: %.200s", r->server,
                   why[0] ? why : curl_easy_strerror(code));
}

/* ---- the answer ---- */

static int refused(const struct api_buf *answer, long status, struct api_arena *arena,
                   struct err *err)
{
    struct api_refusal refusal;
    void *out = NULL;
    api_problem_init(&refusal);
    if (!answer->bytes || api_json_read(&api_types_problem, answer->text, answer->bytes,
                                        API_JSON_LENIENT, arena, &out, &refusal))
        return err_set(err, EACCES, "the server answered %ld", status);
    const struct api_problem *p = out;
    const char *detail = p->detail.is == API_VALUE  ? p->detail.v
                         : p->title.is == API_VALUE ? p->title.v
                                                    : "it did not say why";
    return err_set(err, EACCES, "the server refused (%ld): %.300s", status, detail);
}

static int take(const struct host_join_request *r, const char *key, const struct api_buf *answer,
                struct api_arena *arena, uint8_t id[16], struct err *err)
{
    struct api_refusal refusal;
    struct pki_info info;
    void *out = NULL;
    api_problem_init(&refusal);
    if (!answer->bytes || api_json_read(&api_types_host_joined, answer->text, answer->bytes,
                                        API_JSON_LENIENT, arena, &out, &refusal))
        return err_set(err, EINVAL, "the server's answer cannot be read: %.300s", refusal.detail);
    const struct api_host_joined *j = out;
    if (j->certificate.is != API_VALUE || j->ca.is != API_VALUE)
        return err_set(err, EINVAL, "the server's answer has no certificate");
    int ret = pki_verify(j->certificate.v, j->ca.v, PKI_CLIENT, time(NULL), err);
    if (!ret)
        ret = pki_read(j->certificate.v, &info, err);
    if (ret)
        return err_wrap(err, "the certificate that the server gave");
    uint8_t made[16];
    if (uuid_parse(info.name, made))
        return err_set(err, EINVAL, "the certificate that the server gave names %.64s, no host",
                       info.name);
    ret = host_identity_store(r->state_dir, key, j->certificate.v, j->ca.v, r->server, err);
    if (!ret)
        memcpy(id, made, 16);
    return ret;
}

static int ask(const struct host_join_request *r, struct pin *pin, const char *key,
               const char *request_pem, uint8_t id[16], struct err *err)
{
    struct api_host_join join = {.secret = {API_VALUE, r->secret},
                                 .name = {API_VALUE, r->name},
                                 .csr = {API_VALUE, request_pem},
                                 .agent_version = {API_VALUE, VIRGA_VERSION}};
    struct api_arena arena;
    struct api_buf body, answer;
    long status = 0;
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_buf_init(&body, ANSWER_MAX_BYTES);
    api_buf_init(&answer, ANSWER_MAX_BYTES);
    api_json_write(&api_types_host_join, &join, API_JSON_SECRETS, NULL, &body);
    int ret = body.failed ? err_set(err, ENOMEM, "could not write the request")
                          : post(r, pin, &body, &answer, &status, err);
    if (!ret)
        ret = status == 201 ? take(r, key, &answer, &arena, id, err)
                            : refused(&answer, status, &arena, err);
    if (body.text)
        pki_wipe(body.text);
    api_buf_fini(&body);
    api_buf_fini(&answer);
    api_arena_fini(&arena);
    return ret;
}

int host_join(const struct host_join_request *request, uint8_t id[16], struct err *err)
{
    struct pin pin = {{0}};
    if (!request->authority_path && read_pin(request->secret, &pin))
        return err_set(
            err, EINVAL,
            "the secret does not end in the fingerprint of the cloud's authority: take it "
            "whole from virga host join, or give --authority");
    char *key = pki_key_create(err);
    char *csr = key ? pki_request_create(key, err) : NULL;
    int ret = csr ? ask(request, &pin, key, csr, id, err) : -EIO;
    pki_wipe(key);
    free(key);
    free(csr);
    return ret;
}

int host_join_split(char *text, const char **server, const char **secret)
{
    static const char SCHEME[] = "https://";
    if (strncmp(text, SCHEME, sizeof(SCHEME) - 1) != 0)
        return -EINVAL;
    char *at = text + sizeof(SCHEME) - 1, *slash = strchr(at, '/');
    if (!slash || slash == at)
        return -EINVAL;
    *slash = 0;
    *server = at;
    *secret = slash + 1 + (slash[1] == '#');
    return **secret ? 0 : -EINVAL;
}
