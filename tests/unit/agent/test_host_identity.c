/* What a host keeps of itself, by certificates of an authority of the test's. */
#include "agent/host_identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/host_join.h"
#include "agent/state_file.h"
#include "base/util.h"
#include "pki/pki.h"
#include "tap.h"

#define NAME  "01890a5d-ac96-774b-bcce-b302099a8057"
#define OTHER "01890a5d-ac96-774b-bcce-b302099a8058"

static char DIR_[40], STATE[64];
static char *ca_key, *ca;

static char *issue(const char *key, const char *name, enum pki_usage usage)
{
    char *request = pki_request_create(key, NULL);
    const struct pki_subject s = {.name = name, .usage = usage, .days = 9};
    char *pem = pki_sign(ca_key, ca, request, &s, NULL);
    CHECK(pem);
    free(request);
    return pem;
}

static void set_up(void)
{
    strcpy(DIR_, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(STATE, sizeof(STATE), "%s/state", DIR_);
    ca_key = pki_key_create(NULL);
    ca = pki_authority_create(ca_key, "Virga", 10, NULL);
}

static void tear_down(void)
{
    char command[80];
    free(ca_key);
    free(ca);
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
}

static void what_is_kept_is_found_again(void)
{
    struct host_identity h;
    struct stat st;
    struct err err = {0};
    set_up();
    CHECK_EQ(host_identity_load(STATE, &h, &err), -ENOENT);
    CHECK(strstr(err.msg, "virga-agent join") != NULL);
    char *key = pki_key_create(NULL), *cert = issue(key, NAME, PKI_CLIENT);
    REQUIRE(!host_identity_store(STATE, key, cert, ca, "server:8443", NULL));
    REQUIRE(!host_identity_load(STATE, &h, NULL));
    CHECK_EQ(h.id[15], 0x57);
    CHECK_STR(h.server, "server:8443");
    CHECK(!stat(h.cert_path, &st) && (st.st_mode & 0777) == 0600);
    int64_t now_s = time(NULL);
    CHECK(!host_identity_is_old(&h, now_s));
    CHECK(host_identity_is_old(&h, now_s + 7 * 86400));
    free(key);
    free(cert);
    tear_down();
}

static void a_new_certificate_takes_the_old_ones_place_if_it_is_this_hosts(void)
{
    struct host_identity h;
    struct err err = {0};
    size_t bytes;
    set_up();
    char *key = pki_key_create(NULL), *cert = issue(key, NAME, PKI_CLIENT);
    CHECK_EQ(host_identity_store(STATE, key, cert, ca, "server:8443", NULL), 0);
    CHECK_EQ(host_identity_load(STATE, &h, NULL), 0);
    char *before = state_file_read(h.cert_path, &bytes, NULL);
    char *fresh_key = pki_key_create(NULL);
    char *others = issue(fresh_key, OTHER, PKI_CLIENT),
         *servers = issue(fresh_key, NAME, PKI_SERVER);
    char *other_ca_key = pki_key_create(NULL);
    char *other_ca = pki_authority_create(other_ca_key, "Another", 10, NULL);
    char *good = issue(fresh_key, NAME, PKI_CLIENT);
    CHECK_EQ(host_identity_renew(STATE, h.id, fresh_key, others, ca, &err), -EACCES);
    CHECK(host_identity_renew(STATE, h.id, fresh_key, servers, ca, &err) < 0);
    CHECK(host_identity_renew(STATE, h.id, fresh_key, good, other_ca, &err) < 0);
    char *after = state_file_read(h.cert_path, &bytes, NULL);
    CHECK_STR(after, before);
    free(after);
    CHECK_EQ(host_identity_renew(STATE, h.id, fresh_key, good, ca, &err), 0);
    after = state_file_read(h.cert_path, &bytes, NULL);
    CHECK(strstr(after, good) && strstr(after, fresh_key));
    CHECK_EQ(host_identity_load(STATE, &h, NULL), 0);
    CHECK_STR(h.server, "server:8443");
    char *const all[] = {key,     cert,         before,   fresh_key, others,
                         servers, other_ca_key, other_ca, good,      after};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        free(all[i]);
    tear_down();
}

static void a_certificate_that_is_no_hosts_is_refused(void)
{
    struct host_identity h;
    struct err err = {0};
    set_up();
    char *key = pki_key_create(NULL), *cert = issue(key, "admin", PKI_CLIENT);
    CHECK_EQ(host_identity_store(STATE, key, cert, ca, "server:8443", NULL), 0);
    CHECK_EQ(host_identity_load(STATE, &h, &err), -EINVAL);
    CHECK(strstr(err.msg, "admin") != NULL);
    free(key);
    free(cert);
    tear_down();
}

static void a_url_to_join_by_is_taken_apart(void)
{
    const char *server, *secret;
    char a[] = "https://host:8443/#token.ff", b[] = "https://host:8443/token.ff", c[] = "token.ff",
         d[] = "https://host:8443/", e[] = "https:///x";
    CHECK_EQ(host_join_split(a, &server, &secret), 0);
    CHECK_STR(server, "host:8443");
    CHECK_STR(secret, "token.ff");
    CHECK_EQ(host_join_split(b, &server, &secret), 0);
    CHECK_STR(secret, "token.ff");
    CHECK_EQ(host_join_split(c, &server, &secret), -EINVAL);
    CHECK_EQ(host_join_split(d, &server, &secret), -EINVAL);
    CHECK_EQ(host_join_split(e, &server, &secret), -EINVAL);
}

int main(void)
{
    TAP_RUN(what_is_kept_is_found_again);
    TAP_RUN(a_new_certificate_takes_the_old_ones_place_if_it_is_this_hosts);
    TAP_RUN(a_certificate_that_is_no_hosts_is_refused);
    TAP_RUN(a_url_to_join_by_is_taken_apart);
    return tap_done();
}
