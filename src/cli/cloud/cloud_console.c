/* `virga vm console`: a guest's serial console on this terminal, over a WebSocket.
 *
 * Two threads: the WebSocket's loop, which writes what the guest says straight to standard output,
 * and one that reads what is typed and hands it over, a piece at a time. The reader waits until its
 * piece was taken, so that nothing piles up. Ctrl-] ends it, as in telnet. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_run.h"
#include "web/web_client.h"
#include "web/web_loop.h"

#define ESCAPE_KEY    0x1d /* Ctrl-] */
#define PIECE_BYTES   1024
#define MESSAGE_BYTES (1u << 20)
#define PATH_BYTES    2048
#define QUEUE_BYTES   (1u << 20)

struct console {
    struct web_loop *loop;
    struct web_client *client;
    struct web_link *link; /* the loop's thread only; NULL: it is gone */
    struct web_post typed;
    char piece[PIECE_BYTES];
    size_t piece_bytes; /* 0: the escape key was typed */
    sem_t taken;
    int open_fd;       /* tells the reader that there is somebody to type to */
    int end_fd;        /* wakes the reader when all is over */
    int signal_fd;     /* a signal is as good as the escape key: the terminal is put back */
    bool opened, left; /* left: by the escape key */
    char why[160];
    bool is_terminal;
    struct termios before;
};

static void on_typed(struct web_post *p)
{
    struct console *c = container_of(p, struct console, typed);
    if (c->link && c->piece_bytes)
        web_link_send(c->link, c->piece, c->piece_bytes, false);
    else if (c->link) {
        c->left = true;
        web_link_end(c->link, 1000);
    }
    sem_post(&c->taken);
}

/* Hands a piece to the loop; an empty one asks for the end. */
static void hand_over(struct console *c, const char *data, size_t bytes)
{
    memcpy(c->piece, data, bytes);
    c->piece_bytes = bytes;
    web_loop_post(c->loop, &c->typed);
    while (sem_wait(&c->taken) && errno == EINTR)
        ;
}

/* What was read from the terminal. False: the person has had enough. */
static bool pass_on(struct console *c, const char *data, size_t n)
{
    const char *key = c->is_terminal ? memchr(data, ESCAPE_KEY, n) : NULL;
    size_t bytes = key ? (size_t)(key - data) : n;
    if (bytes)
        hand_over(c, data, bytes);
    if (key)
        hand_over(c, "", 0);
    return !key;
}

static void *read_keys(void *ctx)
{
    struct console *c = ctx;
    char data[PIECE_BYTES];
    /* Nothing is read before there is somebody to take it. */
    struct pollfd fds[] = {
        {c->open_fd, POLLIN, 0}, {c->end_fd, POLLIN, 0}, {c->signal_fd, POLLIN, 0}};
    while (poll(fds, ARRAY_LEN(fds), -1) >= 0 || errno == EINTR) {
        if (fds[2].revents)
            hand_over(c, "", 0);
        if (fds[1].revents || fds[2].revents)
            break;
        if (!fds[0].revents)
            continue;
        if (fds[0].fd == c->open_fd) {
            fds[0].fd = STDIN_FILENO;
            continue;
        }
        ssize_t n = read(STDIN_FILENO, data, sizeof(data));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            fds[0].fd = -1; /* what the guest says is still shown */
        else if (!pass_on(c, data, (size_t)n))
            break;
    }
    return NULL;
}

static void set_raw(const struct console *c)
{
    if (!c->is_terminal)
        return;
    struct termios raw = c->before;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void wake(int fd)
{
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof(one));
}

static void on_open(void *session)
{
    struct console *c = session;
    struct winsize size;
    char text[64];
    c->opened = true;
    set_raw(c);
    wake(c->open_fd);
    if (!c->is_terminal || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
        return;
    int n = snprintf(text, sizeof(text), "{\"rows\":%u,\"columns\":%u}", size.ws_row, size.ws_col);
    web_link_send(c->link, text, (size_t)n, true);
}

static void on_message(void *session, const char *data, size_t bytes, bool text)
{
    (void)session;
    for (size_t at = 0; !text && at < bytes;) {
        ssize_t n = write(STDOUT_FILENO, data + at, bytes - at);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
    }
}

static void on_close(void *session, const char *why)
{
    struct console *c = session;
    c->link = NULL;
    snprintf(c->why, sizeof(c->why), "%s", why);
    wake(c->end_fd);
    web_loop_stop(c->loop);
}

/* Runs until one side has had enough. */
static int talk(struct console *c, const struct web_link_target *target, struct err *err)
{
    static const struct web_link_ops ops = {on_open, on_message, on_close};
    pthread_t reader;
    c->link = web_link_connect(c->client, target, &ops, c, err);
    if (!c->link)
        return -ECONNREFUSED;
    int r = pthread_create(&reader, NULL, read_keys, c);
    if (!r) {
        web_loop_run(c->loop);
        sem_post(&c->taken); /* a piece that came too late was taken by nobody */
        pthread_join(reader, NULL);
    }
    if (c->is_terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &c->before);
    return r ? err_sys(err, r, "could not start a thread") : 0;
}

static int open_console(struct cloud_run *r, struct console *c, const char *path, struct err *err)
{
    struct cloud_http_place place;
    const char *env = getenv("VIRGA_CA_FILE");
    const char *ca = env && *env ? env : json_string_value(json_object_get(r->profile, "ca_file"));
    int e = cloud_http_place(r->url, &place, err);
    if (e)
        return e;
    if (!place.tls)
        ca = NULL;
    else if (!ca)
        ca = "/etc/ssl/certs/ca-certificates.crt";
    char *host = place.host;
    if (*host == '[') { /* libwebsockets has addresses bare */
        host++;
        host[strcspn(host, "]")] = '\0';
    }
    const struct web_client_config config = {
        .authority_path = ca, .message_max_bytes = MESSAGE_BYTES, .queue_max_bytes = QUEUE_BYTES};
    const struct web_link_target target = {.host = host, .port = place.port, .path = path};
    c->loop = web_loop_create(err);
    c->client = c->loop ? web_client_create(c->loop, &config, err) : NULL;
    e = c->client ? talk(c, &target, err) : -EIO;
    if (c->loop)
        web_loop_destroy(c->loop);
    web_client_destroy(c->client);
    return e;
}

/* A ticket rather than the token: it opens this one WebSocket and is worthless after. */
static int get_path(struct cloud_run *r, struct api_buf *path)
{
    json_t *ticket = NULL, *vm = NULL;
    struct cloud_call get = {.op = API_OP_VM_GET, .params = {r->args.words[0]}};
    struct cloud_call make = {.op = API_OP_TICKET_CREATE};
    int status = cloud_run_call(r, &get, &vm, NULL);
    status = status ? status : cloud_run_call(r, &make, &ticket, NULL);
    const char *kind = json_string_value(json_object_get(r->args.query, "kind"));
    const struct {
        const char *before, *text;
    } parts[] = {
        {"/v1/projects/", json_string_value(json_object_get(vm, "project"))},
        {"/vms/", json_string_value(json_object_get(vm, "id"))},
        {"/console?kind=", kind ? kind : "serial"},
        {"&ticket=", json_string_value(json_object_get(ticket, "ticket"))},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        api_buf_puts(path, parts[i].before);
        cloud_run_escape(path, parts[i].text ? parts[i].text : "");
    }
    json_decref(vm);
    json_decref(ticket);
    return status;
}

/* Signals come to the reader, which ends the talk: the terminal is put back. */
static void init(struct console *c)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGINT};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&signals, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    *c = (struct console){.typed = {.run = on_typed},
                          .signal_fd = signalfd(-1, &signals, SFD_CLOEXEC),
                          .open_fd = eventfd(0, EFD_CLOEXEC),
                          .end_fd = eventfd(0, EFD_CLOEXEC)};
    c->is_terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &c->before);
    sem_init(&c->taken, 0, 0);
}

static void fini(struct console *c)
{
    sem_destroy(&c->taken);
    close(c->open_fd);
    close(c->end_fd);
    close(c->signal_fd);
}

int cloud_run_console(struct cloud_run *r)
{
    struct console c;
    struct err err = {0};
    struct api_buf path;
    if (r->args.n_words != 1) {
        err_set(&err, EINVAL, "one word is needed: the VM; virga vm ls");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    api_buf_init(&path, PATH_BYTES);
    int status = get_path(r, &path);
    if (status) {
        api_buf_fini(&path);
        return status;
    }
    init(&c);
    if (c.is_terminal)
        fprintf(stderr, "virga: this is the console of VM \"%s\"; Ctrl-] (^]) ends it\n",
                r->args.words[0]);
    int e = path.failed ? err_set(&err, EINVAL, "the server's answer is too long for a path")
                        : open_console(r, &c, path.text, &err);
    api_buf_fini(&path);
    if (!e && !c.opened)
        e = err_set(&err, ECONNREFUSED,
                    "the console could not be opened: %s: see virga vm show %.64s", c.why,
                    r->args.words[0]);
    if (e)
        status = cloud_run_fail(r, CLOUD_EXIT_UNREACHABLE, &err);
    else if (c.is_terminal)
        fprintf(stderr, "\nvirga: %s\n", c.left ? "left the console" : "the console was closed");
    fini(&c);
    return status;
}
