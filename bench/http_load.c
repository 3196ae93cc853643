/* Requests a second and their latency, of one HTTP/1.1 server, by a number of connections each of
 * which has one request on its way: `bench-http_load HOST PORT [flags]`, result as JSON.
 *
 *   -c N        connections (16)
 *   -t S        seconds (3); -n N instead: requests in all
 *   -r N        requests a second over all connections, sent when they are due whether the server
 *               keeps up or not; latency counts from when each was due (0: as fast as answers come)
 *   -m METHOD   (GET)
 *   -p PATH     (/), "@" in it and in the body becomes the number of the request
 *   -b BODY     JSON
 *   -H HEADER   "Name: value", several
 *   -e STATUS   what an answer must have (200); others are counted as wrong
 *
 * One thread, epoll. What it costs itself is CPU time that the server does not get where the two
 * share cores: `client_cpu_s` says how much. */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

#define CONNS_MAX    4096
#define SAMPLES_MAX  (1 << 20)
#define REQUEST_MAX  65536
#define ANSWER_BYTES (1 << 20)

struct conn {
    int fd;
    bool busy;
    int64_t due_ns;
    char *answer;
    size_t bytes;
};

static struct {
    const char *host, *port, *method, *path, *body;
    char headers[8192];
    unsigned conns, status;
    double seconds, rate;
    uint64_t requests;
} o = {.method = "GET", .path = "/", .conns = 16, .status = 200, .seconds = 3};

static struct conn conns[CONNS_MAX];
static float samples[SAMPLES_MAX];
static uint64_t sent, done, wrong, first_number;
static char first_wrong[512];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int on = 1;
    if (getaddrinfo(o.host, o.port, &hints, &list))
        die(o.host);
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    freeaddrinfo(list);
    return fd;
}

/* `template` with each "@" as the number. */
static size_t expand(char *out, size_t room, const char *template, uint64_t number)
{
    size_t n = 0;
    for (; *template && n + 24 < room; template ++)
        if (*template == '@')
            n += (size_t)sprintf(out + n, "%llu", (unsigned long long)number);
        else
            out[n++] = *template;
    out[n] = 0;
    return n;
}

static void send_request(struct conn *c, int64_t due_ns)
{
    static char text[REQUEST_MAX], path[4096], body[REQUEST_MAX / 2];
    uint64_t number = first_number + sent++;
    expand(path, sizeof(path), o.path, number);
    size_t body_bytes = o.body ? expand(body, sizeof(body), o.body, number) : 0;
    int n =
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\n%s", o.method, path, o.headers);
    if (o.body)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", body_bytes,
                      body);
    else
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    if (write(c->fd, text, (size_t)n) != n)
        die("write");
    c->busy = true;
    c->due_ns = due_ns;
    c->bytes = 0;
}

/* The length of the whole answer, or 0 while it is not known. */
static size_t answer_length(struct conn *c)
{
    char *end = memmem(c->answer, c->bytes, "\r\n\r\n", 4);
    if (!end)
        return 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    size_t head = (size_t)(end - c->answer) + 4;
    return head + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void finished(struct conn *c, int64_t now_ns)
{
    unsigned status = (unsigned)strtoul(c->answer + 9, NULL, 10);
    if (status != o.status && !wrong++)
        snprintf(first_wrong, sizeof(first_wrong), "%.*s",
                 (int)MIN(c->bytes, sizeof(first_wrong) - 1), c->answer);
    samples[done++ % SAMPLES_MAX] = (float)(now_ns - c->due_ns) / 1e6f;
    c->busy = false;
}

static void receive(struct conn *c)
{
    ssize_t n = read(c->fd, c->answer + c->bytes, ANSWER_BYTES - c->bytes - 1);
    if (n <= 0)
        die("the server closed a connection");
    c->bytes += (size_t)n;
    c->answer[c->bytes] = 0;
    size_t length = answer_length(c);
    if (length && c->bytes >= length)
        finished(c, clock_now_ns());
}

static bool more(int64_t begin_ns, int64_t now_ns)
{
    return o.requests ? sent < o.requests : now_ns - begin_ns < (int64_t)(o.seconds * 1e9);
}

static void send_due(int64_t begin_ns)
{
    int64_t now_ns = clock_now_ns();
    for (unsigned i = 0; i < o.conns && more(begin_ns, now_ns); i++) {
        int64_t due_ns = o.rate > 0 ? begin_ns + (int64_t)((double)sent * 1e9 / o.rate) : now_ns;
        if (due_ns > now_ns)
            return;
        if (!conns[i].busy)
            send_request(&conns[i], due_ns);
    }
}

static unsigned busy(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o.conns; i++)
        n += conns[i].busy;
    return n;
}

/* Until the next request is due, asleep: the server has the same cores. */
static int wait_events(int epoll, struct epoll_event *events, int most, int64_t begin_ns)
{
    int64_t left = 100000000;
    if (o.rate > 0)
        left = MIN(left, begin_ns + (int64_t)((double)sent * 1e9 / o.rate) - clock_now_ns());
    if (left <= 0 && busy() < o.conns)
        left = 0;
    else if (left <= 0) /* late, with every connection waiting for its answer */
        left = 100000000;
    struct timespec wait = {left / 1000000000, left % 1000000000};
    return epoll_pwait2(epoll, events, most, &wait, NULL);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void run(void)
{
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    prctl(PR_SET_TIMERSLACK, 1UL);
    for (unsigned i = 0; i < o.conns; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        conns[i].fd = dial();
        conns[i].answer = malloc(ANSWER_BYTES);
        if (!conns[i].answer || epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &e))
            die("epoll");
    }
    int64_t begin_ns = clock_now_ns();
    while (more(begin_ns, clock_now_ns()) || busy()) {
        send_due(begin_ns);
        int n = wait_events(epoll, events, ARRAY_LEN(events), begin_ns);
        for (int i = 0; i < n; i++)
            receive(&conns[events[i].data.u32]);
    }
    double s = (double)(clock_now_ns() - begin_ns) / 1e9;
    size_t n = MIN(done, (uint64_t)SAMPLES_MAX);
    qsort(samples, n, sizeof(samples[0]), by_value);
    printf("{\"requests\": %llu, \"seconds\": %.3f, \"per_s\": %.1f, \"wrong\": %llu, \"p50_ms\": "
           "%.3f, \"p99_ms\": %.3f, "
           "\"max_ms\": %.3f, \"client_cpu_s\": %.3f}\n",
           (unsigned long long)done, s, (double)done / s, (unsigned long long)wrong,
           n ? samples[n / 2] : 0.0, n ? samples[n * 99 / 100] : 0.0, n ? samples[n - 1] : 0.0,
           (double)clock_process_cpu_ns() / 1e9);
    if (wrong)
        fprintf(stderr, "%s\n", first_wrong);
}

int main(int argc, char **argv)
{
    int flag;
    while ((flag = getopt(argc, argv, "c:t:n:r:m:p:b:H:e:f:")) != -1)
        switch (flag) {
        case 'c':
            o.conns = MIN((unsigned)atoi(optarg), (unsigned)CONNS_MAX);
            break;
        case 't':
            o.seconds = atof(optarg);
            break;
        case 'n':
            o.requests = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            o.rate = atof(optarg);
            break;
        case 'm':
            o.method = optarg;
            break;
        case 'p':
            o.path = optarg;
            break;
        case 'b':
            o.body = optarg;
            break;
        case 'H':
            snprintf(o.headers + strlen(o.headers), sizeof(o.headers) - strlen(o.headers), "%s\r\n",
                     optarg);
            break;
        case 'e':
            o.status = (unsigned)atoi(optarg);
            break;
        case 'f':
            first_number = strtoull(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    if (argc - optind != 2) {
        fputs("usage: bench-http_load [flags] HOST PORT\n", stderr);
        return 2;
    }
    o.host = argv[optind];
    o.port = argv[optind + 1];
    run();
    return 0;
}
