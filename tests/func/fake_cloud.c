/* A server for tests of virga-agent, driven by lines. Usage: fake-cloud DIR SECRET
 *
 * Makes an authority and a certificate of its own in DIR (authority.pem, server.pem), listens on a
 * free port of 127.0.0.1 and prints "listening PORT FINGERPRINT". Hosts join with SECRET and the
 * fingerprint; those whose name begins with "old" get a certificate that is nearly over. One that
 * is to be renewed is. What a host says is printed as "HOST TEXT", bytes of a stream as "HOST
 * stream N HEX", a connection's begin and end as "HOST open" and "HOST closed". What stands on
 * standard input is said: "HOST TEXT", "HOST stream N TEXT"; "HOST cut" ends its connection; "*
 * ..." goes to all. Only hosts that show a certificate of ours may connect, each by its own name.
 */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "api/api_json.h"
#include "api/gen/infra.h"
#include "base/util.h"
#include "base/uuid.h"
#include "link/link.h"
#include "pki/pki.h"
#include "web/web_server.h"

struct host {
    struct host *next, **at;
    struct web_socket *socket;
    char id[UUID_TEXT_BYTES];
};

static char *authority_key, *authority;
static const char *secret;
static struct host *hosts;
static struct web_loop *loop;

/* A line from standard input, on its way to the loop. */
struct line {
    struct web_post post;
    char text[];
};

static _Noreturn void die(const char *what, const struct err *err)
{
    fprintf(stderr, "fake-cloud: %s: %s\n", what, err->msg);
    exit(1);
}

/* ---- certificates ---- */

static char *sign(const char *request, const char *name, enum pki_usage usage, const char *dns,
                  struct err *err)
{
    const char *const names[] = {dns, NULL};
    const struct pki_subject s = {.name = name, .usage = usage, .days = 2, .dns_names = names};
    return pki_sign(authority_key, authority, request, &s, err);
}

/* The same certificate, begun so long ago that it is nearly over. Owns: free(); takes `pem`. */
static char *age(char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1), *out = BIO_new(BIO_s_mem());
    BIO *key_in = BIO_new_mem_buf(authority_key, -1);
    X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_in, NULL, NULL, NULL);
    char *text = NULL;
    X509_gmtime_adj(X509_getm_notBefore(cert), -100L * 86400);
    X509_sign(cert, key, EVP_sha256());
    PEM_write_bio_X509(out, cert);
    long n = BIO_get_mem_data(out, &text);
    char *aged = strndup(text, (size_t)n);
    EVP_PKEY_free(key);
    X509_free(cert);
    BIO_free(key_in);
    BIO_free(out);
    BIO_free(in);
    free(pem);
    return aged;
}

static void put(const char *dir, const char *name, const char *a, const char *b)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (!f || fputs(a, f) < 0 || fputs(b, f) < 0 || fclose(f)) {
        perror(path);
        exit(1);
    }
}

static void make_certificates(const char *dir)
{
    struct err err = {0};
    authority_key = pki_key_create(&err);
    authority = authority_key ? pki_authority_create(authority_key, "test cloud", 10, &err) : NULL;
    char *key = pki_key_create(&err), *request = key ? pki_request_create(key, &err) : NULL;
    char *cert =
        authority && request ? sign(request, "server", PKI_SERVER, "127.0.0.1", &err) : NULL;
    if (!cert)
        die("certificates", &err);
    put(dir, "authority.pem", authority, "");
    put(dir, "server.pem", cert, authority); /* the chain: agents that join look for the last */
    put(dir, "server.key", key, "");
    free(key);
    free(request);
    free(cert);
}

/* ---- joining ---- */

static void refuse(struct web_request *r, int status, const char *why)
{
    char text[300];
    int n =
        snprintf(text, sizeof(text),
                 "{\"type\":\"x\",\"title\":\"no\",\"status\":%d,\"detail\":\"%s\"}", status, why);
    web_reply(r, status, "application/problem+json", text, (size_t)n);
}

static void join(struct web_request *r)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_buf b;
    struct err err = {0};
    uint8_t id[16];
    char name[UUID_TEXT_BYTES];
    size_t bytes;
    void *body;
    const char *text = web_request_body(r, &bytes);
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_problem_init(&refusal);
    if (api_json_read(&api_types_host_join, text, bytes, 0, &arena, &body, &refusal)) {
        refuse(r, 422, "no join");
        api_arena_fini(&arena);
        return;
    }
    const struct api_host_join *j = body;
    if (strncmp(j->secret.v, secret, strlen(secret)) != 0) {
        refuse(r, 403, "the join token is not known");
        api_arena_fini(&arena);
        return;
    }
    RAND_bytes(id, sizeof(id));
    uuid_format(id, name);
    char *cert = sign(j->csr.v, name, PKI_CLIENT, NULL, &err);
    if (cert && !strncmp(j->name.v, "old", 3))
        cert = age(cert);
    api_buf_init(&b, 1 << 20);
    api_buf_printf(&b, "{\"host\":{\"id\":\"%s\",\"name\":\"%s\"},\"certificate\":", name,
                   j->name.v);
    api_buf_json_text(&b, cert ? cert : "");
    api_buf_puts(&b, ",\"ca\":");
    api_buf_json_text(&b, authority);
    api_buf_puts(&b, "}");
    web_reply(r, cert ? 201 : 422, "application/json", b.text, b.bytes);
    printf("%s joined %s\n", name, j->name.v);
    api_buf_fini(&b);
    api_arena_fini(&arena);
    free(cert);
}

static void handle(void *ctx, struct web_request *r)
{
    (void)ctx;
    if (!strcmp(web_request_path(r), "/v1/host-joins") && web_request_method(r) == WEB_POST)
        join(r);
    else
        refuse(r, 404, "nothing is there");
}

/* ---- links ---- */

static int opened(void *ctx, const struct web_request *r, struct web_socket *socket, void **session)
{
    const char *name = web_request_peer_name(r);
    struct host *h = name && strlen(name) < sizeof(h->id) ? calloc(1, sizeof(*h)) : NULL;
    (void)ctx;
    if (!h)
        return 401;
    snprintf(h->id, sizeof(h->id), "%s", name);
    h->socket = socket;
    h->next = hosts;
    h->at = &hosts;
    if (hosts)
        hosts->at = &h->next;
    hosts = h;
    printf("%s open\n", h->id);
    *session = h;
    return 0;
}

static void renew(struct host *h, const struct link_renew *renew)
{
    struct err err = {0};
    char *cert = sign(renew->csr.v, h->id, PKI_CLIENT, NULL, &err);
    if (!cert)
        return;
    struct link_certificate c = {.certificate = {API_VALUE, cert}, .ca = {API_VALUE, authority}};
    struct api_buf b;
    api_buf_init(&b, 1 << 20);
    link_write(LINK_TYPE_CERTIFICATE, &c, &b);
    web_socket_send(h->socket, b.text, b.bytes, true);
    api_buf_fini(&b);
    free(cert);
}

static void received(void *session, const char *data, size_t bytes, bool text)
{
    struct host *h = session;
    struct api_arena arena;
    struct link_message m;
    struct err err = {0};
    uint32_t stream;
    if (!text && !link_stream_read(data, bytes, &stream, &data, &bytes)) {
        printf("%s stream %u ", h->id, stream);
        for (size_t i = 0; i < bytes; i++)
            printf("%02x", (uint8_t)data[i]);
        printf("\n");
        return;
    }
    api_arena_init(&arena, LINK_ARENA_BYTES);
    if (!text || link_read(LINK_AGENT, data, bytes, &arena, &m, &err)) {
        printf("%s refused %s\n", h->id, err.msg);
        web_socket_end(h->socket, 1002);
    } else if (m.type == LINK_TYPE_HELLO && strcmp(m.hello->host.v, h->id) != 0) {
        printf("%s refused another host's hello\n", h->id);
        web_socket_end(h->socket, 1008);
    } else {
        printf("%s %.*s\n", h->id, (int)bytes, data);
        if (m.type == LINK_TYPE_RENEW)
            renew(h, m.renew);
    }
    api_arena_fini(&arena);
}

static void closed(void *session)
{
    struct host *h = session;
    printf("%s closed\n", h->id);
    *h->at = h->next;
    if (h->next)
        h->next->at = h->at;
    free(h);
}

static const struct web_socket_ops OPS = {opened, received, closed};
static const struct web_endpoint ENDPOINTS[] = {{LINK_PATH, &OPS}, {NULL, NULL}};

/* ---- standard input ---- */

static void say(struct host *h, const char *text)
{
    unsigned stream;
    int at = 0;
    if (!strcmp(text, "cut")) {
        web_socket_end(h->socket, 1001);
    } else if (sscanf(text, "stream %u %n", &stream, &at) == 1 && at) {
        struct api_buf b;
        api_buf_init(&b, 1 << 20);
        link_stream_write(stream, text + at, strlen(text + at), &b);
        api_buf_puts(&b, "\n");
        web_socket_send(h->socket, b.text, b.bytes, false);
        api_buf_fini(&b);
    } else {
        web_socket_send(h->socket, text, strlen(text), true);
    }
}

static void take_line(struct web_post *p)
{
    struct line *l = container_of(p, struct line, post);
    char *blank = strchr(l->text, ' ');
    if (blank) {
        *blank = 0;
        for (struct host *h = hosts, *next; h; h = next) {
            next = h->next;
            if (!strcmp(l->text, "*") || !strcmp(l->text, h->id))
                say(h, blank + 1);
        }
    }
    free(l);
}

static void *read_lines(void *arg)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    (void)arg;
    while ((n = getline(&text, &size, stdin)) > 0) {
        struct line *l = calloc(1, sizeof(*l) + (size_t)n + 1);
        if (!l)
            break;
        memcpy(l->text, text, (size_t)n);
        l->text[strcspn(l->text, "\n")] = 0;
        l->post.run = take_line;
        web_loop_post(loop, &l->post);
    }
    free(text);
    web_loop_stop(loop);
    return NULL;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct pki_info info;
    pthread_t reader;
    char cert[512], key[512], ca[512];
    if (argc != 3)
        return 2;
    secret = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_certificates(argv[1]);
    snprintf(cert, sizeof(cert), "%s/server.pem", argv[1]);
    snprintf(key, sizeof(key), "%s/server.key", argv[1]);
    snprintf(ca, sizeof(ca), "%s/authority.pem", argv[1]);
    loop = web_loop_create(&err);
    const struct web_config c = {.address = "127.0.0.1",
                                 .cert_path = cert,
                                 .key_path = key,
                                 .client_ca_path = ca,
                                 .body_max_bytes = 1 << 20,
                                 .message_max_bytes = LINK_MESSAGE_MAX_BYTES,
                                 .queue_max_bytes = 8 * LINK_MESSAGE_MAX_BYTES,
                                 .handle = handle,
                                 .endpoints = ENDPOINTS};
    struct web_server *s = loop ? web_server_create(loop, &c, &err) : NULL;
    if (!s || pki_read(authority, &info, &err))
        die("server", &err);
    printf("listening %u ", web_server_port(s));
    for (unsigned i = 0; i < PKI_FINGERPRINT_BYTES; i++)
        printf("%02x", info.fingerprint[i]);
    printf("\n");
    if (pthread_create(&reader, NULL, read_lines, NULL))
        return 1;
    web_loop_run(loop);
    web_loop_destroy(loop);
    web_server_destroy(s);
    free(authority_key);
    free(authority);
    return 0;
}
