/* Images from files, and from a server that behaves in every way. */
#include "agent/image_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/util.h"
#include "http_fixture.h"
#include "tap.h"

#define BODY_BYTES 300000

static char BODY[BODY_BYTES];
static struct http_fixture H;
static const char BODY_SHA256[] = /* of what set_up() fills in; by sha256sum */
    "732d4c6280bebcdc769004052fa5604805ac6994cb9dc752aa2cb689cd03b9de";

static struct image_fetch defaults(void)
{
    return (struct image_fetch){.max_bytes = MIB};
}

static int file_of(const void *data, size_t n)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    CHECK_EQ(pwrite(fd, data, n, 0), n);
    return fd;
}

static uint64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
}

static bool is_body(int fd)
{
    CLEANUP_FREE char *got = malloc(BODY_BYTES);
    return size_of(fd) == BODY_BYTES && pread(fd, got, BODY_BYTES, 0) == BODY_BYTES &&
           !memcmp(got, BODY, BODY_BYTES);
}

static void hex(const uint8_t sha[IMAGE_FETCH_SHA256_BYTES], char text[65])
{
    for (unsigned i = 0; i < IMAGE_FETCH_SHA256_BYTES; i++)
        sprintf(text + 2 * i, "%02x", sha[i]);
}

static int get(const struct image_fetch *f, const char *path, int to,
               struct image_fetch_result *result, struct err *err)
{
    char url[256];
    snprintf(url, sizeof(url), "http://user:secret@127.0.0.1:%u%s?token=hidden", H.port, path);
    return image_fetch_url(f, url, to, result, err);
}

static void a_file_is_copied_and_its_sha256_is_what_sha256sum_says(void)
{
    const struct image_fetch f = defaults();
    struct image_fetch_result r;
    char text[65];
    int from = file_of(BODY, BODY_BYTES), to = file_of("", 0);
    CHECK_EQ(image_fetch_file(&f, from, to, &r, NULL), 0);
    CHECK(is_body(to));
    CHECK_EQ(r.bytes, BODY_BYTES);
    hex(r.sha256, text);
    CHECK_STR(text, BODY_SHA256);
    CHECK_EQ(image_fetch_file(&f, from, -1, &r, NULL), 0);
    hex(r.sha256, text);
    CHECK_STR(text, BODY_SHA256);
    close(from);
    close(to);
}

static void a_file_that_is_too_large_or_none_is_refused(void)
{
    struct image_fetch f = defaults();
    struct image_fetch_result r;
    struct err err = {0};
    int from = file_of(BODY, BODY_BYTES), to = file_of("", 0), pipes[2];
    f.max_bytes = BODY_BYTES - 1;
    CHECK_EQ(image_fetch_file(&f, from, to, &r, &err), -E2BIG);
    CHECK(strstr(err.msg, "299999"));
    REQUIRE(!pipe(pipes));
    CHECK_EQ(image_fetch_file(&f, pipes[0], to, &r, &err), -EINVAL);
    for (unsigned i = 0; i < 2; i++)
        close(pipes[i]);
    close(from);
    close(to);
}

static void a_url_is_fetched_with_or_without_a_length_and_where_it_moved(void)
{
    static const char *const paths[] = {"/good", "/nolength", "/moved"};
    const struct image_fetch f = defaults();
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        struct image_fetch_result r;
        struct err err = {0};
        char text[65];
        int to = file_of("", 0);
        int ret = get(&f, paths[i], to, &r, &err);
        if (ret)
            printf("# %s: %s\n", paths[i], err.msg);
        CHECK_EQ(ret, 0);
        CHECK(is_body(to));
        hex(r.sha256, text);
        CHECK_STR(text, BODY_SHA256);
        close(to);
    }
}

/* The error, which names the URL but none of its secrets. */
static void fails(const struct image_fetch *f, const char *path, int code)
{
    struct image_fetch_result r = {.bytes = 7};
    struct err err = {0};
    int to = file_of("", 0), ret = get(f, path, to, &r, &err);
    if (ret != -code)
        printf("# %s: %s\n", path, err.msg);
    CHECK_EQ(ret, -code);
    CHECK_EQ(err.code, code);
    CHECK_EQ(r.bytes, 7); /* untouched */
    CHECK(!strstr(err.msg, "secret") && !strstr(err.msg, "hidden"));
    close(to);
}

static void what_a_server_does_wrong_is_an_error_of_its_own(void)
{
    struct image_fetch f = defaults();
    f.stall_s = 1;
    fails(&f, "/short", EIO);
    fails(&f, "/missing", ENOENT);
    fails(&f, "/stall", ETIMEDOUT);
    H.requests = 0;
    fails(&f, "/loop", ELOOP);
    CHECK_EQ(H.requests, 6); /* five redirects */
    fails(&f, "/to-file", EINVAL);
    fails(&f, "/endless", E2BIG);
    f.max_bytes = BODY_BYTES - 1;
    fails(&f, "/good", E2BIG);
    fails(&f, "/nolength", E2BIG);
}

static void only_http_and_https_are_fetched(void)
{
    static const char *const urls[] = {"file:///etc/passwd",  "ftp://127.0.0.1/x",  "/etc/passwd",
                                       "gopher://127.0.0.1/", "httpx://127.0.0.1/", ""};
    const struct image_fetch f = defaults();
    struct image_fetch_result r;
    for (unsigned i = 0; i < ARRAY_LEN(urls); i++)
        CHECK_EQ(image_fetch_url(&f, urls[i], -1, &r, NULL), -EINVAL);
}

static void private_addresses_are_refused_when_that_is_asked_for(void)
{
    struct image_fetch f = defaults();
    f.refuse_private = true;
    H.requests = 0;
    fails(&f, "/good", EACCES);
    CHECK_EQ(H.requests, 0);
}

static bool is_private(const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
        return image_fetch_is_private((struct sockaddr *)&in);
    CHECK_EQ(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return image_fetch_is_private((struct sockaddr *)&in6);
}

static void knows_which_addresses_are_public(void)
{
    static const char *const no[] = {"0.0.0.0",
                                     "10.1.2.3",
                                     "100.64.0.1",
                                     "127.0.0.1",
                                     "169.254.169.254",
                                     "172.16.0.1",
                                     "172.31.255.255",
                                     "192.168.1.1",
                                     "198.18.0.1",
                                     "224.0.0.1",
                                     "255.255.255.255",
                                     "::",
                                     "::1",
                                     "fe80::1",
                                     "fc00::1",
                                     "fd12::1",
                                     "ff02::1",
                                     "::ffff:127.0.0.1",
                                     "64:ff9b::10.0.0.1",
                                     "2002:7f00:1::",
                                     "2001:db8::1",
                                     "2001::1"};
    static const char *const yes[] = {"1.1.1.1",         "9.9.9.9",         "100.128.0.1",
                                      "172.32.0.1",      "192.169.0.1",     "198.20.0.1",
                                      "223.255.255.255", "2606:4700::1111", "2a00::1",
                                      "::ffff:9.9.9.9",  "2002:909:909::",  "2001:4860::1"};
    for (unsigned i = 0; i < ARRAY_LEN(no); i++) {
        if (!is_private(no[i]))
            printf("# %s\n", no[i]);
        CHECK(is_private(no[i]));
    }
    for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
        if (is_private(yes[i]))
            printf("# %s\n", yes[i]);
        CHECK(!is_private(yes[i]));
    }
}

static uint64_t TOLD, TOLD_TOTAL;
static void progress(void *ctx, uint64_t received, uint64_t total)
{
    CHECK(received >= TOLD);
    TOLD = received;
    TOLD_TOTAL = total;
    if (received >= BODY_BYTES / 2)
        atomic_store((_Atomic bool *)ctx, true);
}

static void progress_is_told_and_a_stop_ends_it_also_while_nothing_comes(void)
{
    _Atomic bool stop = false;
    struct image_fetch f = defaults();
    f.progress = progress;
    f.ctx = &stop;
    f.stop = &stop;
    fails(&f, "/stall", ECANCELED);
    CHECK_EQ(TOLD_TOTAL, BODY_BYTES);
    CHECK(TOLD >= BODY_BYTES / 2);
}

static void set_up(void)
{
    for (unsigned i = 0; i < BODY_BYTES; i++)
        BODY[i] = (char)(i * 31 + i / 777);
    if (!http_start(&H, BODY, BODY_BYTES)) {
        printf("Bail out! no server on the loopback\n");
        exit(1);
    }
}

/* ---- the cloud's server ---- */

static int give(const struct image_fetch *f, const char *path, int to,
                struct image_fetch_result *result, struct err *err)
{
    const struct image_fetch_server server = {.host = "127.0.0.1", .port = H.port, .patience_s = 1};
    return image_fetch_server(f, &server, path, to, result, err);
}

static void a_transfer_that_breaks_off_goes_on_where_it_ended(void)
{
    static const char *const paths[] = {"/good", "/parts", "/busy"};
    const struct image_fetch f = defaults();
    for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
        CLEANUP_CLOSE int to = file_of("", 0);
        struct image_fetch_result got = {0};
        struct err err = {0};
        char text[65];
        unsigned before = H.requests;
        CHECK_EQ(give(&f, paths[i], to, &got, &err), 0);
        CHECK_STR(err.msg, "");
        CHECK_EQ(got.bytes, BODY_BYTES);
        CHECK(is_body(to));
        hex(got.sha256, text);
        CHECK_STR(text, BODY_SHA256);
        CHECK_EQ(H.requests - before, i == 0 ? 1 : i == 1 ? 3 : 2);
    }
}

static void what_the_server_does_not_give_says_why(void)
{
    static const struct {
        const char *path, *says;
        int code;
    } cases[] = {
        {"/denied", "join again", ECONNREFUSED},
        {"/none", "404", ENOENT},
        {"/other", "412", ESTALE},
        {"/short", "have come", EIO}, /* for ever less than it said */
        {"/moved", "302", EIO},       /* nothing is followed */
        {"no-path", "no path", EINVAL},
    };
    const struct image_fetch f = defaults();
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_CLOSE int to = file_of("", 0);
        struct image_fetch_result got = {0};
        struct err err = {0};
        CHECK_EQ(give(&f, cases[i].path, to, &got, &err), -cases[i].code);
        CHECK(strstr(err.msg, cases[i].says));
        CHECK_EQ(got.bytes, 0);
    }
    const struct image_fetch small = {.max_bytes = 1000};
    struct image_fetch_result got;
    CHECK_EQ(give(&small, "/good", -1, &got, NULL), -E2BIG);
}

static void a_server_that_is_not_there_is_waited_for_until_a_stop(void)
{
    const struct image_fetch_server nobody = {.host = "127.0.0.1", .port = 1, .patience_s = 1};
    _Atomic bool stop = true;
    struct image_fetch f = defaults();
    struct image_fetch_result got;
    struct err err = {0};
    CHECK_EQ(image_fetch_server(&f, &nobody, "/good", -1, &got, &err), -EIO);
    CHECK(strstr(err.msg, "0 bytes have come"));
    f.stop = &stop;
    CHECK_EQ(image_fetch_server(&f, &nobody, "/good", -1, &got, &err), -ECANCELED);
    CHECK_EQ(give(&f, "/stall", -1, &got, &err), -ECANCELED);
}

int main(void)
{
    set_up();
    TAP_RUN(a_file_is_copied_and_its_sha256_is_what_sha256sum_says);
    TAP_RUN(a_file_that_is_too_large_or_none_is_refused);
    TAP_RUN(a_url_is_fetched_with_or_without_a_length_and_where_it_moved);
    TAP_RUN(what_a_server_does_wrong_is_an_error_of_its_own);
    TAP_RUN(only_http_and_https_are_fetched);
    TAP_RUN(private_addresses_are_refused_when_that_is_asked_for);
    TAP_RUN(knows_which_addresses_are_public);
    TAP_RUN(progress_is_told_and_a_stop_ends_it_also_while_nothing_comes);
    TAP_RUN(a_transfer_that_breaks_off_goes_on_where_it_ended);
    TAP_RUN(what_the_server_does_not_give_says_why);
    TAP_RUN(a_server_that_is_not_there_is_waited_for_until_a_stop);
    http_stop(&H);
    return tap_done();
}
