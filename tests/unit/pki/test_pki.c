#include "pki/pki.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

#define DAY_S 86400

static char *ca_key, *ca;

static char *issue_for(unsigned days, const char *name, enum pki_usage usage,
                       const char *const *names)
{
    struct err err = {0};
    char *key = pki_key_create(&err), *request = key ? pki_request_create(key, &err) : NULL;
    const struct pki_subject s = {.name = name, .usage = usage, .days = days, .dns_names = names};
    char *pem = request ? pki_sign(ca_key, ca, request, &s, &err) : NULL;
    if (!pem)
        printf("# %s\n", err.msg);
    pki_wipe(key);
    free(key);
    free(request);
    return pem;
}

static char *issue(const char *name, enum pki_usage usage, const char *const *names)
{
    return issue_for(30, name, usage, names);
}

static void what_is_signed_is_trusted_for_its_usage_and_its_time(void)
{
    int64_t now = (int64_t)time(NULL);
    struct err err = {0};
    char *host = issue("host-1", PKI_CLIENT, NULL), *server = issue("server", PKI_SERVER, NULL),
         *both = issue("peer", PKI_BOTH, NULL);
    REQUIRE(host && server && both);
    CHECK_EQ(pki_verify(host, ca, PKI_CLIENT, now, &err), 0);
    CHECK_EQ(pki_verify(host, ca, PKI_SERVER, now, &err), -EACCES);
    CHECK_EQ(pki_verify(host, ca, PKI_BOTH, now, &err), -EACCES);
    CHECK_EQ(pki_verify(server, ca, PKI_SERVER, now, &err), 0);
    CHECK_EQ(pki_verify(server, ca, PKI_CLIENT, now, &err), -EACCES);
    CHECK_EQ(pki_verify(both, ca, PKI_BOTH, now, &err), 0);
    CHECK_EQ(pki_verify(host, ca, PKI_CLIENT, now - 1800, &err), 0); /* clocks differ */
    CHECK_EQ(pki_verify(host, ca, PKI_CLIENT, now + 31 * DAY_S, &err), -EACCES);
    CHECK(strstr(err.msg, "expired"));
    CHECK_EQ(pki_verify(host, ca, PKI_CLIENT, now - 8 * DAY_S, &err), -EACCES);
    free(host);
    free(server);
    free(both);
}

static void what_another_authority_signed_is_not_trusted(void)
{
    struct err err = {0};
    char *key = pki_key_create(&err), *other = pki_authority_create(key, "Virga", 30, &err);
    char *host = issue("host-1", PKI_CLIENT, NULL);
    CHECK_EQ(pki_verify(host, other, PKI_CLIENT, (int64_t)time(NULL), &err), -EACCES);
    CHECK_EQ(pki_verify(other, ca, PKI_CLIENT, (int64_t)time(NULL), &err), -EACCES);
    free(key);
    free(other);
    free(host);
}

static void a_signed_certificate_cannot_sign(void)
{
    struct err err = {0};
    int64_t now = (int64_t)time(NULL);
    char *key = pki_key_create(&err), *request = pki_request_create(key, &err);
    const struct pki_subject s = {.name = "evil", .usage = PKI_BOTH, .days = 30};
    char *evil = pki_sign(ca_key, ca, request, &s, &err);
    char *forged = pki_sign(key, evil, request, &s, &err);
    CHECK(evil);
    if (forged) {
        CHECK_EQ(pki_verify(forged, evil, PKI_CLIENT, now, &err), -EACCES);
        CHECK_EQ(pki_verify(forged, ca, PKI_CLIENT, now, &err), -EACCES);
    }
    free(key);
    free(request);
    free(evil);
    free(forged);
}

static void a_certificate_says_what_the_signer_was_told(void)
{
    struct pki_info info, again;
    struct err err = {0};
    int64_t now = (int64_t)time(NULL);
    char *a = issue("0190aaaa-host", PKI_CLIENT, NULL),
         *b = issue("0190aaaa-host", PKI_CLIENT, NULL);
    CHECK_EQ(pki_read(a, &info, &err), 0);
    CHECK_EQ(pki_read(b, &again, &err), 0);
    CHECK_STR(info.name, "0190aaaa-host");
    CHECK(info.begins_s <= now - 7 * DAY_S && info.begins_s > now - 7 * DAY_S - 100);
    CHECK(info.ends_s > now + 29 * DAY_S && info.ends_s < now + 31 * DAY_S);
    CHECK(strcmp(info.serial, again.serial) != 0);
    CHECK_EQ(strlen(info.serial), 32);
    CHECK(memcmp(info.fingerprint, again.fingerprint, sizeof(info.fingerprint)) != 0);
    CHECK_EQ(pki_read("hello", &info, &err), -EINVAL);
    free(a);
    free(b);
}

static void a_short_certificate_is_not_old_when_it_is_made(void)
{
    struct pki_info info;
    struct err err = {0};
    int64_t now = (int64_t)time(NULL);
    char *pem = issue_for(2, "host", PKI_CLIENT, NULL);
    REQUIRE(pem);
    CHECK_EQ(pki_read(pem, &info, &err), 0);
    CHECK(info.begins_s <= now - DAY_S / 2 && info.begins_s > now - DAY_S / 2 - 100);
    free(pem);
}

static int openssl_says(const char *pem, const char *what, const char *expected)
{
    char path[] = "/tmp/virga-pki-XXXXXX", command[512];
    int fd = mkstemp(path);
    CHECK(write(fd, pem, strlen(pem)) > 0);
    close(fd);
    snprintf(command, sizeof(command), "openssl x509 -in %s -noout %s 2>&1 | grep -qF -- '%s'",
             path, what, expected);
    int status = system(command);
    unlink(path);
    return status;
}

static void names_and_addresses_are_nothing_but_that(void)
{
    static const char *const NAMES[] = {"virga.example", "10.1.2.3", "fd00::1",
                                        "a,DNS:evil.example", NULL};
    char *server = issue("server", PKI_SERVER, NAMES);
    REQUIRE(server);
    if (system("openssl version >/dev/null 2>&1")) {
        free(server);
        SKIP("openssl is not installed");
    }
    CHECK_EQ(openssl_says(server, "-ext subjectAltName", "DNS:virga.example, IP Address:10.1.2.3"),
             0);
    CHECK_EQ(openssl_says(server, "-ext subjectAltName", "IP Address:FD00:0:0:0:0:0:0:1"), 0);
    CHECK(openssl_says(server, "-checkhost evil.example", "does match") != 0);
    CHECK_EQ(openssl_says(server, "-checkhost virga.example", "does match certificate"), 0);
    CHECK_EQ(openssl_says(server, "-text", "Signature Algorithm: ecdsa-with-SHA256"), 0);
    CHECK_EQ(openssl_says(ca, "-ext basicConstraints", "CA:TRUE, pathlen:0"), 0);
    free(server);
}

static void refuses_what_is_no_request_of_the_right_kind(void)
{
    struct err err = {0};
    const struct pki_subject s = {.name = "x", .usage = PKI_CLIENT, .days = 1};
    const struct pki_subject nameless = {.name = "", .usage = PKI_CLIENT, .days = 1};
    char *key = pki_key_create(&err), *request = pki_request_create(key, &err);
    CHECK(!pki_sign(ca_key, ca, "not one", &s, &err));
    CHECK_EQ(err.code, EINVAL);
    CHECK(!pki_sign(ca_key, ca, request, &nameless, &err));
    CHECK(!pki_sign(key, ca, request, &s, &err)); /* not the authority's key */
    CHECK(strstr(err.msg, "do not belong together"));
    for (char *c = request; *c; c++) /* a request that was tampered with */
        if (c[0] == 'M' && c[1] == 'F' && c > request + 60) {
            c[1] = 'G';
            break;
        }
    request[strlen(request) - 60] ^= 1;
    CHECK(!pki_sign(ca_key, ca, request, &s, &err));
    CHECK(!pki_request_create("no key", &err));
    CHECK(!pki_authority_create("no key", "x", 1, &err));
    free(key);
    free(request);
}

int main(void)
{
    struct err err = {0};
    ca_key = pki_key_create(&err);
    ca = ca_key ? pki_authority_create(ca_key, "Virga", 3650, &err) : NULL;
    if (!ca) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    TAP_RUN(what_is_signed_is_trusted_for_its_usage_and_its_time);
    TAP_RUN(what_another_authority_signed_is_not_trusted);
    TAP_RUN(a_signed_certificate_cannot_sign);
    TAP_RUN(a_certificate_says_what_the_signer_was_told);
    TAP_RUN(a_short_certificate_is_not_old_when_it_is_made);
    TAP_RUN(names_and_addresses_are_nothing_but_that);
    TAP_RUN(refuses_what_is_no_request_of_the_right_kind);
    free(ca_key);
    free(ca);
    return tap_done();
}
