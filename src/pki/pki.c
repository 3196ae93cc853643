#include "pki/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define DAY_S        (24 * 3600)
#define SERIAL_BYTES 16

#define AUTO(type, name, free_fn) __attribute__((cleanup(cleanup_##free_fn))) type *name = NULL
#define CLEANUP(type, free_fn)                                                                     \
    static void cleanup_##free_fn(type **p)                                                        \
    {                                                                                              \
        free_fn(*p);                                                                               \
    }
CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(X509, X509_free)
CLEANUP(X509_REQ, X509_REQ_free)
CLEANUP(BIO, BIO_free_all)
CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)
CLEANUP(X509_STORE, X509_STORE_free)
CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)
CLEANUP(BIGNUM, BN_free)

/* What OpenSSL says of its own failure, after ours. */
static int fail(struct err *err, int code, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return err_set(err, code, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

void pki_wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
}

/* ---- PEM ---- */

static char *take_text(BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? strndup(data, (size_t)n) : NULL;
}

static BIO *open_text(const char *pem)
{
    size_t n = strlen(pem);
    return n <= PKI_PEM_MAX_BYTES ? BIO_new_mem_buf(pem, (int)n) : NULL;
}

/* A key in a file is not asked for a password at the terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static EVP_PKEY *read_key(const char *pem)
{
    AUTO(BIO, bio, BIO_free_all);
    bio = open_text(pem);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
}

static X509 *read_certificate(const char *pem)
{
    AUTO(BIO, bio, BIO_free_all);
    bio = open_text(pem);
    return bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
}

static X509_REQ *read_request(const char *pem)
{
    AUTO(BIO, bio, BIO_free_all);
    bio = open_text(pem);
    return bio ? PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL) : NULL;
}

static char *write_certificate(X509 *x, struct err *err)
{
    AUTO(BIO, bio, BIO_free_all);
    bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_X509(bio, x) ? take_text(bio) : NULL;
    if (!text)
        fail(err, ENOMEM, "could not write a certificate");
    return text;
}

char *pki_key_create(struct err *err)
{
    AUTO(EVP_PKEY, key, EVP_PKEY_free);
    AUTO(BIO, bio, BIO_free_all);
    key = EVP_EC_gen("P-256");
    bio = BIO_new(BIO_s_secmem());
    char *text = key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                     ? take_text(bio)
                     : NULL;
    if (!text)
        fail(err, ENOMEM, "could not make a key");
    return text;
}

char *pki_request_create(const char *key_pem, struct err *err)
{
    AUTO(EVP_PKEY, key, EVP_PKEY_free);
    AUTO(X509_REQ, request, X509_REQ_free);
    AUTO(BIO, bio, BIO_free_all);
    key = read_key(key_pem);
    if (!key) {
        fail(err, EINVAL, "cannot read the key");
        return NULL;
    }
    request = X509_REQ_new();
    bio = BIO_new(BIO_s_mem());
    char *text =
        request && bio && X509_REQ_set_version(request, 0) && X509_REQ_set_pubkey(request, key) &&
                X509_REQ_sign(request, key, EVP_sha256()) && PEM_write_bio_X509_REQ(bio, request)
            ? take_text(bio)
            : NULL;
    if (!text)
        fail(err, ENOMEM, "could not write a request");
    return text;
}

/* ---- certificates ---- */

static bool set_serial(X509 *x)
{
    AUTO(BIGNUM, n, BN_free);
    uint8_t bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and all of them as long */
    n = BN_bin2bn(bytes, sizeof(bytes), NULL);
    return n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

/* How long before now it begins: clocks that are late shall not find it not valid yet, and a short
 * one shall not be old when it is made. */
static long backdated_s(unsigned days)
{
    return MIN(7L * DAY_S, (long)days * DAY_S / 4);
}

/* What every certificate has. */
static X509 *begin_certificate(EVP_PKEY *key, const char *name, X509_NAME *issuer, unsigned days)
{
    AUTO(X509, x, X509_free);
    x = X509_new();
    if (!x || !X509_set_version(x, 2) || !set_serial(x) || !X509_set_pubkey(x, key) ||
        !X509_gmtime_adj(X509_getm_notBefore(x), -backdated_s(days)) ||
        !X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, NULL) ||
        !X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                    (const uint8_t *)name, -1, -1, 0) ||
        !X509_set_issuer_name(x, issuer ? issuer : X509_get_subject_name(x)))
        return NULL;
    X509 *made = x;
    x = NULL;
    return made;
}

static int check_name(const char *name, struct err *err)
{
    size_t n = strlen(name);
    if (n && n <= PKI_NAME_MAX_BYTES)
        return 0;
    return err_set(err, EINVAL, "a certificate's name has 1 to %d bytes, this one %zu",
                   PKI_NAME_MAX_BYTES, n);
}

char *pki_authority_create(const char *key_pem, const char *name, unsigned days, struct err *err)
{
    AUTO(EVP_PKEY, key, EVP_PKEY_free);
    AUTO(X509, x, X509_free);
    if (check_name(name, err))
        return NULL;
    key = read_key(key_pem);
    if (!key) {
        fail(err, EINVAL, "cannot read the authority's key");
        return NULL;
    }
    x = begin_certificate(key, name, NULL, days);
    if (x && add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()))
        return write_certificate(x, err);
    fail(err, ENOMEM, "could not make an authority");
    return NULL;
}

static bool add_name(GENERAL_NAMES *names, const char *text)
{
    uint8_t address[16];
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    bool numeric = inet_pton(family, text, address) == 1;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = numeric ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (!name || !value ||
        !ASN1_STRING_set(value, numeric ? (const void *)address : text,
                         numeric ? (family == AF_INET6 ? 16 : 4) : (int)strlen(text))) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, numeric ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, name))
        return true;
    GENERAL_NAME_free(name);
    return false;
}

/* Built as objects and not as configuration text, in which a name could say more than a name. */
static bool add_names(X509 *x, const char *const *dns_names)
{
    AUTO(GENERAL_NAMES, names, GENERAL_NAMES_free);
    if (!dns_names || !*dns_names)
        return true;
    names = GENERAL_NAMES_new();
    for (; names && *dns_names; dns_names++)
        if (!add_name(names, *dns_names))
            return false;
    return names && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0);
}

static bool is_p256(EVP_PKEY *key)
{
    char group[32] = "";
    return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) && !strcmp(group, "prime256v1");
}

static const char *usage_text(enum pki_usage usage)
{
    return usage == PKI_SERVER   ? "serverAuth"
           : usage == PKI_CLIENT ? "clientAuth"
                                 : "serverAuth,clientAuth";
}

static bool complete(X509 *x, X509 *authority, EVP_PKEY *key, const struct pki_subject *subject)
{
    return add_extension(x, authority, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x, authority, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x, authority, NID_ext_key_usage, usage_text(subject->usage)) &&
           add_extension(x, authority, NID_subject_key_identifier, "hash") &&
           add_extension(x, authority, NID_authority_key_identifier, "keyid:always") &&
           add_names(x, subject->dns_names) && X509_sign(x, key, EVP_sha256());
}

char *pki_sign(const char *authority_key_pem, const char *authority_pem, const char *request_pem,
               const struct pki_subject *subject, struct err *err)
{
    AUTO(EVP_PKEY, key, EVP_PKEY_free);
    AUTO(X509, authority, X509_free);
    AUTO(X509_REQ, request, X509_REQ_free);
    AUTO(X509, x, X509_free);
    if (check_name(subject->name, err))
        return NULL;
    key = read_key(authority_key_pem);
    authority = read_certificate(authority_pem);
    request = read_request(request_pem);
    EVP_PKEY *owner = request ? X509_REQ_get0_pubkey(request) : NULL;
    if (!key || !authority || !X509_check_private_key(authority, key))
        fail(err, EINVAL, "the authority's key and certificate do not belong together");
    else if (!owner || X509_REQ_verify(request, owner) != 1)
        fail(err, EINVAL, "the request is not one that is signed by its own key");
    else if (!is_p256(owner))
        err_set(err, EINVAL, "the request's key is not ECDSA P-256");
    else if (!(x = begin_certificate(owner, subject->name, X509_get_subject_name(authority),
                                     subject->days)) ||
             !complete(x, authority, key, subject))
        fail(err, ENOMEM, "could not sign");
    else
        return write_certificate(x, err);
    return NULL;
}

/* ---- reading ---- */

static int64_t unix_time(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

int pki_read(const char *pem, struct pki_info *info, struct err *err)
{
    AUTO(X509, x, X509_free);
    AUTO(BIGNUM, serial, BN_free);
    struct pki_info i = {0};
    unsigned bytes = 0;
    x = read_certificate(pem);
    if (!x ||
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, i.name,
                                  sizeof(i.name)) < 0 ||
        !X509_digest(x, EVP_sha256(), i.fingerprint, &bytes) ||
        !(serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL)))
        return fail(err, EINVAL, "cannot read the certificate");
    char *hex = BN_bn2hex(serial);
    snprintf(i.serial, sizeof(i.serial), "%s", hex ? hex : "");
    OPENSSL_free(hex);
    i.begins_s = unix_time(X509_get0_notBefore(x));
    i.ends_s = unix_time(X509_get0_notAfter(x));
    *info = i;
    return 0;
}

int pki_verify(const char *pem, const char *authority_pem, enum pki_usage usage, int64_t now_s,
               struct err *err)
{
    AUTO(X509, x, X509_free);
    AUTO(X509, authority, X509_free);
    AUTO(X509_STORE, store, X509_STORE_free);
    AUTO(X509_STORE_CTX, ctx, X509_STORE_CTX_free);
    x = read_certificate(pem);
    authority = read_certificate(authority_pem);
    if (!x || !authority)
        return fail(err, EINVAL, "cannot read the certificate");
    store = X509_STORE_new();
    ctx = X509_STORE_CTX_new();
    if (!store || !ctx || !X509_STORE_add_cert(store, authority) ||
        !X509_STORE_CTX_init(ctx, store, x, NULL))
        return fail(err, ENOMEM, "could not verify a certificate");
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), now_s);
    bool ok = X509_STORE_CTX_set_purpose(ctx, usage == PKI_SERVER ? X509_PURPOSE_SSL_SERVER
                                                                  : X509_PURPOSE_SSL_CLIENT) &&
              X509_verify_cert(ctx) == 1;
    if (ok && usage == PKI_BOTH)
        ok = X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0) == 1;
    ERR_clear_error();
    return ok ? 0
              : err_set(err, EACCES, "the certificate is not to be trusted: %s",
                        X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}
