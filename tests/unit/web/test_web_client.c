/* Links to a server on the same loop, plain and with certificates of an authority of our own. */
#include "web/web_client.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "pki/pki.h"
#include "tap.h"
#include "web/web_server.h"

#define LIMIT_NS (INT64_C(20) * 1000000000)

static struct web_loop *LOOP;
static pthread_t THREAD;
static char DIR_[40];

/* ---- certificates ---- */

static const char *file(const char *name)
{
    static char paths[8][80];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", DIR_, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(file(name), "we");
    CHECK(f && fputs(text, f) >= 0);
    if (f)
        fclose(f);
}

static char *ca_key, *ca;

static void issue(const char *name, enum pki_usage usage, const char *dns)
{
    char file_name[64], *key = pki_key_create(NULL), *request = pki_request_create(key, NULL);
    const char *const names[] = {dns, NULL};
    const struct pki_subject s = {.name = name, .usage = usage, .days = 2, .dns_names = names};
    char *pem = pki_sign(ca_key, ca, request, &s, NULL);
    CHECK(pem);
    snprintf(file_name, sizeof(file_name), "%s.pem", name);
    write_file(file_name, pem);
    snprintf(file_name, sizeof(file_name), "%s.key", name);
    write_file(file_name, key);
    free(key);
    free(request);
    free(pem);
}

static void make_certificates(void)
{
    char *other_key = pki_key_create(NULL);
    char *other = pki_authority_create(other_key, "Another", 2, NULL);
    ca_key = pki_key_create(NULL);
    ca = pki_authority_create(ca_key, "Virga", 2, NULL);
    write_file("ca.pem", ca);
    write_file("other.pem", other);
    issue("server", PKI_SERVER, "localhost");
    issue("wrong", PKI_SERVER, "elsewhere.example");
    issue("host-7", PKI_CLIENT, NULL);
    free(other_key);
    free(other);
}

/* ---- the server ---- */

static char PEER[64];
static _Atomic unsigned sessions, sessions_closed;

static void no_request(void *ctx, struct web_request *r)
{
    (void)ctx;
    web_reply(r, 404, NULL, NULL, 0);
}

static int server_open(void *ctx, const struct web_request *r, struct web_socket *socket,
                       void **session)
{
    const char *name = web_request_peer_name(r), *token = web_request_header(r, "authorization");
    bool needs_name = ctx;
    snprintf(PEER, sizeof(PEER), "%s", name ? name : "");
    if (needs_name ? !name : !token || strcmp(token, "Bearer t") != 0)
        return 401;
    *session = socket;
    sessions++;
    return 0;
}

static void server_message(void *session, const char *data, size_t bytes, bool text)
{
    if (bytes == 3 && !memcmp(data, "end", 3))
        web_socket_end(session, 4001);
    else
        CHECK_EQ(web_socket_send(session, data, bytes, text), 0);
}

static void server_close(void *session)
{
    (void)session;
    sessions_closed++;
}

static const struct web_socket_ops SERVER = {server_open, server_message, server_close};
static const struct web_endpoint ENDPOINTS[] = {{"/agent", &SERVER}, {NULL, NULL}};
static const char *const HEADERS[] = {"authorization", NULL};

static struct web_server *serve(const char *cert, const char *key, bool mutual)
{
    struct err err = {0};
    const struct web_config c = {.address = "127.0.0.1",
                                 .cert_path = cert,
                                 .key_path = key,
                                 .client_ca_path = mutual ? file("ca.pem") : NULL,
                                 .body_max_bytes = 1000,
                                 .message_max_bytes = 100000,
                                 .queue_max_bytes = 1000000,
                                 .headers = HEADERS,
                                 .handle = no_request,
                                 .endpoints = ENDPOINTS,
                                 .ctx = mutual ? &LOOP : NULL};
    struct web_server *s = web_server_create(LOOP, &c, &err);
    if (!s) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return s;
}

/* ---- a link, driven from the test's thread ---- */

static struct link_test {
    struct web_post post;
    struct web_client *client;
    struct web_link_target target;
    struct web_link *link;
    const char *to_send;
    size_t to_send_bytes;
    bool to_end;
    _Atomic unsigned done, opened, closed, received;
    int ret;
    char data[65536];
    size_t bytes;
    char why[512];
} L;

static void link_open(void *session)
{
    CHECK(session == &L);
    L.opened++;
}

static void link_message(void *session, const char *data, size_t bytes, bool text)
{
    (void)session, (void)text;
    L.bytes = MIN(bytes, sizeof(L.data));
    memcpy(L.data, data, L.bytes);
    L.received++;
}

static void link_close(void *session, const char *why)
{
    (void)session;
    L.link = NULL;
    snprintf(L.why, sizeof(L.why), "%s", why);
    L.closed++;
}

static const struct web_link_ops LINK = {link_open, link_message, link_close};

static void act(struct web_post *p)
{
    struct err err = {0};
    (void)p;
    if (L.to_send) {
        L.ret = L.link ? web_link_send(L.link, L.to_send, L.to_send_bytes, true) : -1;
        L.to_send = NULL;
    } else if (L.to_end) {
        L.to_end = false;
        if (L.link)
            web_link_end(L.link, 1000);
    } else {
        L.link = web_link_connect(L.client, &L.target, &LINK, &L, &err);
        if (!L.link) {
            snprintf(L.why, sizeof(L.why), "%s", err.msg);
            L.closed++;
        }
    }
    L.done++;
}

static void do_in_loop(void)
{
    unsigned before = L.done;
    L.post.run = act;
    web_loop_post(LOOP, &L.post);
    while (L.done == before)
        usleep(100);
}

static bool reaches(_Atomic unsigned *n, unsigned value)
{
    int64_t end = clock_now_ns() + LIMIT_NS;
    while (*n < value && clock_now_ns() < end)
        usleep(100);
    return *n >= value;
}

static void connect_to(struct web_client *c, struct web_server *s, const char *authorization)
{
    memset(&L, 0, sizeof(L));
    L.client = c;
    L.target = (struct web_link_target){.host = "localhost",
                                        .port = web_server_port(s),
                                        .path = "/agent",
                                        .authorization = authorization};
    do_in_loop();
}

static int say(const char *data, size_t bytes)
{
    L.to_send = data;
    L.to_send_bytes = bytes;
    do_in_loop();
    return L.ret;
}

static struct web_server *plain, *secure, *wrong;
static struct web_client *plain_client, *host, *nameless, *stranger;

static void messages_go_both_ways(void)
{
    static char much[60000];
    connect_to(plain_client, plain, "Bearer t");
    REQUIRE(reaches(&L.opened, 1));
    CHECK_EQ(say("hello", 5), 0);
    CHECK(reaches(&L.received, 1));
    CHECK(L.bytes == 5 && !memcmp(L.data, "hello", 5));
    for (size_t i = 0; i < sizeof(much); i++)
        much[i] = (char)('a' + i % 23);
    CHECK_EQ(say(much, sizeof(much)), 0);
    CHECK(reaches(&L.received, 2));
    CHECK(L.bytes == sizeof(much) && !memcmp(L.data, much, sizeof(much)));
    CHECK_EQ(say("end", 3), 0); /* the server ends it */
    CHECK(reaches(&L.closed, 1));
    CHECK(!L.link);
}

static void we_may_end_it_too(void)
{
    unsigned before = sessions_closed;
    connect_to(plain_client, plain, "Bearer t");
    REQUIRE(reaches(&L.opened, 1));
    L.to_end = true;
    do_in_loop();
    CHECK(reaches(&L.closed, 1));
    CHECK(reaches(&sessions_closed, before + 1));
}

static void a_refusal_closes_it_without_ever_opening(void)
{
    connect_to(plain_client, plain, "Bearer wrong");
    CHECK(reaches(&L.closed, 1));
    CHECK_EQ(L.opened, 0);
    CHECK(strstr(L.why, "unauthorized"));
}

static void nobody_at_the_port_is_told(void)
{
    connect_to(plain_client, plain, "Bearer t");
    REQUIRE(reaches(&L.opened, 1));
    L.to_end = true;
    do_in_loop();
    CHECK(reaches(&L.closed, 1));
    memset(&L, 0, sizeof(L));
    L.client = plain_client;
    L.target = (struct web_link_target){.host = "127.0.0.1", .port = 1, .path = "/agent"};
    do_in_loop();
    CHECK(reaches(&L.closed, 1));
    CHECK_EQ(L.opened, 0);
    CHECK(L.why[0]);
}

static void with_certificates_each_end_knows_the_other(void)
{
    connect_to(host, secure, NULL);
    REQUIRE(reaches(&L.opened, 1));
    CHECK_STR(PEER, "host-7");
    CHECK_EQ(say("hello", 5), 0);
    CHECK(reaches(&L.received, 1));
    CHECK_EQ(say("end", 3), 0);
    CHECK(reaches(&L.closed, 1));
}

static void a_host_without_a_certificate_is_nobody(void)
{
    connect_to(nameless, secure, NULL);
    CHECK(reaches(&L.closed, 1));
    CHECK_EQ(L.opened, 0);
    CHECK_STR(PEER, "");
    CHECK(strstr(L.why, "unauthorized"));
}

static void a_server_that_is_not_the_one_is_not_talked_to(void)
{
    unsigned before = sessions;
    connect_to(stranger, secure, NULL); /* another authority */
    CHECK(reaches(&L.closed, 1));
    CHECK_EQ(L.opened, 0);
    CHECK(strstr(L.why, "SSL"));
    connect_to(host, wrong, NULL); /* the right authority, another name */
    CHECK(reaches(&L.closed, 1));
    CHECK_EQ(L.opened, 0);
    CHECK(strstr(L.why, "SSL"));
    CHECK_EQ(sessions, before);
}

static void a_certificate_that_is_not_there_is_named(void)
{
    struct err err = {0};
    const struct web_client_config c = {.authority_path = "/no/such/ca.pem"};
    CHECK(!web_client_create(LOOP, &c, &err));
    CHECK(strstr(err.msg, "/no/such/ca.pem"));
}

static void *run(void *arg)
{
    web_loop_run(arg);
    return NULL;
}

static struct web_client *client_of(const char *authority, const char *cert, const char *key)
{
    struct err err = {0};
    const struct web_client_config c = {.authority_path = authority,
                                        .cert_path = cert,
                                        .key_path = key,
                                        .message_max_bytes = 100000,
                                        .queue_max_bytes = 1000000};
    struct web_client *client = web_client_create(LOOP, &c, &err);
    if (!client) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return client;
}

static void set_up(void)
{
    strcpy(DIR_, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    make_certificates();
    LOOP = web_loop_create(NULL);
    plain = serve(NULL, NULL, false);
    secure = serve(file("server.pem"), file("server.key"), true);
    wrong = serve(file("wrong.pem"), file("wrong.key"), true);
    plain_client = client_of(NULL, NULL, NULL);
    host = client_of(file("ca.pem"), file("host-7.pem"), file("host-7.key"));
    nameless = client_of(file("ca.pem"), NULL, NULL);
    stranger = client_of(file("other.pem"), file("host-7.pem"), file("host-7.key"));
    pthread_create(&THREAD, NULL, run, LOOP);
}

static void tear_down(void)
{
    char command[80];
    web_loop_stop(LOOP);
    pthread_join(THREAD, NULL);
    web_loop_destroy(LOOP);
    struct web_server *const servers[] = {plain, secure, wrong};
    struct web_client *const clients[] = {plain_client, host, nameless, stranger};
    for (unsigned i = 0; i < ARRAY_LEN(servers); i++)
        web_server_destroy(servers[i]);
    for (unsigned i = 0; i < ARRAY_LEN(clients); i++)
        web_client_destroy(clients[i]);
    free(ca_key);
    free(ca);
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
}

int main(void)
{
    set_up();
    TAP_RUN(messages_go_both_ways);
    TAP_RUN(we_may_end_it_too);
    TAP_RUN(a_refusal_closes_it_without_ever_opening);
    TAP_RUN(nobody_at_the_port_is_told);
    TAP_RUN(with_certificates_each_end_knows_the_other);
    TAP_RUN(a_host_without_a_certificate_is_nobody);
    TAP_RUN(a_server_that_is_not_the_one_is_not_talked_to);
    TAP_RUN(a_certificate_that_is_not_there_is_named);
    tear_down();
    return tap_done();
}
