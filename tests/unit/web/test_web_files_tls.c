/* The same through TLS, where bytes wait in one more place: a body into a file on a slow disk, and
 * back. */
#include "web/web_server.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"
#include "http_client.h"
#include "pki/pki.h"
#include "tap.h"

#define BIG_BYTES (16u << 20)

static char BIG[BIG_BYTES], GOT[BIG_BYTES];
static int FILE_ = -1;
static _Atomic int ENDED = -1;
static _Atomic bool SLOW;

static void passed(void *arg, const char *name)
{
    while (SLOW)
        usleep(1000);
}

static int where(void *ctx, const struct web_request *r, struct web_body_file *file)
{
    *file = (struct web_body_file){.fd = FILE_, .max_bytes = BIG_BYTES};
    return WEB_BODY_FILE;
}

static void body_ended(void *ctx, void *user, int code)
{
    ENDED = code;
}

static void handle(void *ctx, struct web_request *r)
{
    if (web_request_method(r) == WEB_GET)
        web_reply_file(r, 200, NULL, dup(FILE_), 0, BIG_BYTES);
    else
        web_reply(r, 204, NULL, NULL, 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0);
    if (f)
        fclose(f);
}

static SSL *connected(const struct web_server *s, SSL_CTX *ctx)
{
    int fd = http_connect(s);
    SSL *ssl = SSL_new(ctx);
    CHECK_EQ(SSL_set_fd(ssl, fd), 1);
    CHECK_EQ(SSL_connect(ssl), 1);
    return ssl;
}

/* Sends until nothing is taken for a second. */
static size_t send_until_it_blocks(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    size_t n = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (n < BIG_BYTES && poll(&p, 1, 1000) > 0) {
        int sent = SSL_write(ssl, BIG + n, (int)(BIG_BYTES - n));
        if (sent > 0)
            n += (size_t)sent;
    }
    fcntl(fd, F_SETFL, 0);
    return n;
}

static size_t receive(SSL *ssl, char *buf, size_t want)
{
    size_t n = 0;
    while (n < want) {
        int got = SSL_read(ssl, buf + n, (int)(want - n));
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    return n;
}

static size_t receive_head(SSL *ssl, char *head, size_t max)
{
    size_t n = 0;
    while (n + 1 < max && receive(ssl, head + n, 1) == 1) {
        head[++n] = 0;
        if (strstr(head, "\r\n\r\n"))
            return n;
    }
    return 0;
}

static struct web_server *SERVER;
static SSL_CTX *CTX;

static void a_body_through_tls_waits_for_the_disk_and_comes_back(void)
{
    char head[1024];
    int small = 65536;
    FILE_ = memfd_create("body", MFD_CLOEXEC);
    for (size_t i = 0; i < BIG_BYTES; i++)
        BIG[i] = (char)(i * 7 + i / 4096 + i / 65536);
    SLOW = true;
    SSL *ssl = connected(SERVER, CTX);
    CHECK_EQ(setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    int n = snprintf(head, sizeof(head), "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n",
                     BIG_BYTES);
    CHECK_EQ(SSL_write(ssl, head, n), n);
    size_t sent = send_until_it_blocks(ssl);
    CHECK(sent < BIG_BYTES - (4u << 20));
    SLOW = false;
    while (sent < BIG_BYTES) {
        int more = SSL_write(ssl, BIG + sent, (int)(BIG_BYTES - sent));
        REQUIRE(more > 0);
        sent += (size_t)more;
    }
    REQUIRE(receive_head(ssl, head, sizeof(head)));
    CHECK(!strncmp(head, "HTTP/1.1 204 ", 13));
    CHECK_EQ(ENDED, 0);
    static const char get[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    CHECK_EQ(SSL_write(ssl, get, sizeof(get) - 1), sizeof(get) - 1);
    REQUIRE(receive_head(ssl, head, sizeof(head)));
    CHECK_EQ(receive(ssl, GOT, BIG_BYTES), BIG_BYTES);
    CHECK(!memcmp(GOT, BIG, BIG_BYTES));
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    close(FILE_);
}

int main(void)
{
    char dir[] = "/tmp/virga-test-XXXXXX", cert[64], key[64];
    struct err err = {0};
    pthread_t thread;
    CHECK(mkdtemp(dir));
    snprintf(cert, sizeof(cert), "%s/cert", dir);
    snprintf(key, sizeof(key), "%s/key", dir);
    char *key_pem = pki_key_create(NULL), *pem = pki_authority_create(key_pem, "test", 2, NULL);
    write_file(cert, pem);
    write_file(key, key_pem);
    struct web_loop *loop = web_loop_create(&err);
    const struct web_config c = {.address = "127.0.0.1",
                                 .cert_path = cert,
                                 .key_path = key,
                                 .handle = handle,
                                 .body = where,
                                 .body_ended = body_ended};
    SERVER = web_server_create(loop, &c, &err);
    CTX = SSL_CTX_new(TLS_client_method());
    if (!SERVER || !CTX) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    SSL_CTX_set_mode(CTX, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    fault_tell(passed, NULL);
    pthread_create(&thread, NULL, http_serve, loop);
    TAP_RUN(a_body_through_tls_waits_for_the_disk_and_comes_back);
    web_loop_stop(loop);
    pthread_join(thread, NULL);
    web_loop_destroy(loop);
    web_server_destroy(SERVER);
    SSL_CTX_free(CTX);
    unlink(cert);
    unlink(key);
    rmdir(dir);
    free(key_pem);
    free(pem);
    return tap_done();
}
