/* Trust by fingerprint: the chain that a server shows is looked through for the one certificate
 * that a person was told the SHA-256 of. */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "cli/cloud/cloud_http.h"
#include "pki/pki.h"

#define HEX_BYTES (2 * PKI_FINGERPRINT_BYTES + 1)

static int read_fingerprint(const char *text, char out[HEX_BYTES], struct err *err)
{
    size_t n = 0;
    const char *p = strncasecmp(text, "sha256:", 7) ? text : text + 7;
    for (; *p && n < HEX_BYTES - 1; p++) {
        if (*p == ':' || *p == ' ')
            continue;
        if (!isxdigit((unsigned char)*p))
            break;
        out[n++] = (char)tolower((unsigned char)*p);
    }
    out[n] = '\0';
    if (*p || n != HEX_BYTES - 1)
        return err_set(err, EINVAL,
                       "the fingerprint \"%.80s\" is no SHA-256: use 64 hexadecimal digits, as "
                       "openssl x509 -fingerprint -sha256 prints them",
                       text);
    return 0;
}

static size_t ignore(char *data, size_t one, size_t n, void *ctx)
{
    (void)data;
    (void)one;
    (void)ctx;
    return n;
}

/* Looks through what curl kept of the chain. */
static char *search(const struct curl_certinfo *chain, const char *wanted, char seen[HEX_BYTES])
{
    for (int i = 0; chain && i < chain->num_of_certs; i++)
        for (const struct curl_slist *l = chain->certinfo[i]; l; l = l->next) {
            struct pki_info info;
            char hex[HEX_BYTES];
            if (strncmp(l->data, "Cert:", 5) || pki_read(l->data + 5, &info, NULL))
                continue;
            for (size_t k = 0; k < PKI_FINGERPRINT_BYTES; k++)
                snprintf(hex + 2 * k, 3, "%02x", info.fingerprint[k]);
            if (!strcmp(hex, wanted))
                return strdup(l->data + 5);
            if (i == 0)
                memcpy(seen, hex, HEX_BYTES);
        }
    return NULL;
}

int cloud_http_pin(const char *url, const char *fingerprint, char **pem, struct err *err)
{
    char wanted[HEX_BYTES], seen[HEX_BYTES] = "", target[4200];
    struct cloud_http_place place;
    int r = read_fingerprint(fingerprint, wanted, err);
    r = r ? r : cloud_http_place(url, &place, err);
    if (r)
        return r;
    if (!place.tls)
        return err_set(err, EINVAL, "%.200s shows no certificate: a fingerprint needs https", url);
    CURL *curl = curl_easy_init();
    if (!curl)
        return err_set(err, ENOMEM, "no memory for a connection");
    snprintf(target, sizeof(target), "https://%s:%u/v1/version", place.host, place.port);
    struct curl_certinfo *chain = NULL;
    curl_easy_setopt(curl, CURLOPT_URL, target);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    /* Nothing is sent or believed on this connection; it is only looked at. */
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain);
    *pem = search(chain, wanted, seen);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return err_set(err, ECONNREFUSED, "no server answers at %.200s: %s", url,
                       curl_easy_strerror(code));
    return *pem ? 0
                : err_set(
                      err, EACCES,
                      "%.100s shows no certificate with that fingerprint, its own is %s: somebody "
                      "may be in between; do not sign in",
                      url, seen);
}
