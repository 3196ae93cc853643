#include "engine/null/qtest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/util.h"
#include "bus/memory_map.h"
#include "engine/engine_provider.h"
#include "engine/null/null_engine.h"

#define DATA_MAX   (64 * 1024) /* bytes of one read or write */
#define LINE_BYTES (2 * DATA_MAX + 128)
#define WORDS_MAX  4
#define TIMER_PIN  2
#define STEP_MAX_S 3600

struct qtest {
    struct engine_vm *vm;
    struct loop *loop;
    struct loop_fd watch;
    void (*closed)(void *opaque);
    void *opaque;
    pthread_mutex_t send_lock;         /* lines come from any thread, whole */
    const struct bus_irq_ops *irq_ops; /* whom the intercepted lines would have gone to */
    void *irq_opaque;
    bool intercepting_in, intercepting_out;
    uint32_t levels; /* of intercepted lines, under send_lock */
    size_t len;
    char line[LINE_BYTES];
    char out[LINE_BYTES]; /* an answer while it is made; the loop's thread */
    uint8_t data[DATA_MAX];
};

/* ---- answers ---- */

static void send_all(struct qtest *q, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(q->watch.fd, text, len, MSG_NOSIGNAL);
        if (n <= 0 && errno != EINTR)
            return;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

static void reply(struct qtest *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void reply(struct qtest *q, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
    va_end(ap);
    size_t len = MIN((size_t)MAX(n, 0), sizeof(text) - 2);
    text[len++] = '\n';
    pthread_mutex_lock(&q->send_lock);
    send_all(q, text, len);
    pthread_mutex_unlock(&q->send_lock);
}

/* ---- interrupts ---- */

static void on_line(void *opaque, unsigned gsi, bool level)
{
    struct qtest *q = opaque;
    unsigned pin = gsi == MEMORY_MAP_IRQ_TIMER ? TIMER_PIN : gsi;
    if (pin >= MEMORY_MAP_IOAPIC_PINS)
        return;
    char text[32];
    int n = snprintf(text, sizeof(text), "IRQ %s %u\n", level ? "raise" : "lower", pin);
    pthread_mutex_lock(&q->send_lock);
    bool was = q->levels >> pin & 1;
    q->levels = (q->levels & ~(1u << pin)) | (uint32_t)level << pin;
    if (was != level)
        send_all(q, text, (size_t)n);
    pthread_mutex_unlock(&q->send_lock);
}

static const struct bus_irq_ops line_ops = {.set = on_line};

static void on_msi(void *opaque, const struct msi_message *msg)
{
    struct qtest *q = opaque;
    reply(q, "IRQ raise %u", msg->data & 0xff);
    reply(q, "IRQ lower %u", msg->data & 0xff);
}

static bool intercept(struct qtest *q, bool in, const char *what)
{
    if (!what || strcmp(what, "ioapic") != 0)
        return false;
    struct bus *bus = q->vm->config.bus;
    if (in && !q->intercepting_in) {
        q->irq_ops = bus->irq_ops;
        q->irq_opaque = bus->irq_opaque;
        bus_set_irq(bus, &line_ops, q);
        q->intercepting_in = true;
    } else if (!in) {
        null_engine_msi_hook(q->vm, on_msi, q);
        q->intercepting_out = true;
    }
    return true;
}

/* ---- memory ---- */

static void access_memory(struct qtest *q, uint64_t gpa, uint8_t *data, uint64_t len, bool is_write)
{
    while (len) {
        uint64_t n = MIN(guest_mem_contiguous(q->vm->config.mem, gpa), len);
        if (n && is_write) {
            guest_mem_write(q->vm->config.mem, gpa, data, n);
        } else if (n) {
            guest_mem_read(q->vm->config.mem, gpa, data, n);
        } else {
            n = MIN(len, 4 - (gpa & 3)); /* devices: aligned words */
            engine_mmio(q->vm->config.bus, gpa, data, (unsigned)n, is_write);
        }
        gpa += n;
        data += n;
        len -= n;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0x" and two digits a byte; what is missing is zero. False on anything that is no digit. */
static bool from_hex(const char *text, uint8_t *data, size_t len)
{
    memset(data, 0, len);
    if (text[0] == '0' && (text[1] | 0x20) == 'x')
        text += 2;
    for (size_t i = 0; *text && i < 2 * len; i++, text++) {
        int digit = hex_digit(*text);
        if (digit < 0)
            return false;
        data[i / 2] |= (uint8_t)(digit << (i & 1 ? 0 : 4));
    }
    return true;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void to_base64(const uint8_t *data, size_t len, char *text)
{
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < len ? data[i + 1] << 8 : 0) |
                     (i + 2 < len ? data[i + 2] : 0);
        *text++ = base64[v >> 18];
        *text++ = base64[v >> 12 & 63];
        *text++ = i + 1 < len ? base64[v >> 6 & 63] : '=';
        *text++ = i + 2 < len ? base64[v & 63] : '=';
    }
    *text = '\0';
}

static bool from_base64(const char *text, uint8_t *data, size_t len)
{
    uint32_t v = 0;
    unsigned bits = 0;
    size_t n = 0;
    memset(data, 0, len);
    for (; *text && *text != '=' && n < len; text++) {
        const char *at = strchr(base64, *text);
        if (!at)
            return false;
        v = v << 6 | (uint32_t)(at - base64);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            data[n++] = (uint8_t)(v >> bits);
        }
    }
    return true;
}

/* ---- commands ---- */

struct words {
    unsigned n;
    char *word[WORDS_MAX];
};

/* Parses word `i` as a number in C's notation. */
static bool number(const struct words *w, unsigned i, uint64_t *v)
{
    char *end;
    if (i >= w->n)
        return false;
    errno = 0;
    *v = strtoull(w->word[i], &end, 0);
    return !errno && end != w->word[i] && !*end;
}

static unsigned width(char letter)
{
    return letter == 'b' ? 1 : letter == 'w' ? 2 : letter == 'l' ? 4 : letter == 'q' ? 8 : 0;
}

/* in?, out?, read?, write?. Returns false if it is none of them or its numbers make no sense. */
static bool single_access(struct qtest *q, const struct words *w)
{
    static const char *const verbs[] = {"in", "out", "read", "write"};
    for (unsigned i = 0; i < ARRAY_LEN(verbs); i++) {
        size_t len = strlen(verbs[i]);
        bool ports = i < 2, is_write = i & 1;
        uint64_t addr, value = 0;
        const char *name = w->word[0];
        if (strncmp(name, verbs[i], len) != 0 || strlen(name) != len + 1)
            continue;
        unsigned size = width(name[len]);
        if (!size || (ports && size == 8) || !number(w, 1, &addr) || (ports && addr > 0xffff) ||
            (is_write && !number(w, 2, &value)))
            return false;
        if (ports && is_write)
            null_engine_out(q->vm, (uint16_t)addr, size, (uint32_t)value);
        else if (ports)
            value = null_engine_in(q->vm, (uint16_t)addr, size);
        else if (is_write)
            null_engine_write(q->vm, addr, size, value);
        else
            value = null_engine_read(q->vm, addr, size);
        if (is_write)
            reply(q, "OK");
        else
            reply(q, ports ? "OK 0x%04" PRIx64 : "OK 0x%016" PRIx64, value);
        return true;
    }
    return false;
}

static void reply_data(struct qtest *q, uint64_t size, bool as_base64)
{
    size_t len;
    if (as_base64) {
        memcpy(q->out, "OK ", 3);
        to_base64(q->data, size, q->out + 3);
        len = strlen(q->out);
    } else {
        memcpy(q->out, "OK 0x", 5);
        for (uint64_t i = 0; i < size; i++)
            snprintf(q->out + 5 + 2 * i, 3, "%02x", q->data[i]);
        len = 5 + 2 * size;
    }
    q->out[len++] = '\n';
    pthread_mutex_lock(&q->send_lock);
    send_all(q, q->out, len);
    pthread_mutex_unlock(&q->send_lock);
}

/* read, write, b64read, b64write, memset. */
static bool block_access(struct qtest *q, const struct words *w)
{
    uint64_t addr, size, value;
    const char *name = w->word[0];
    bool as_base64 = strncmp(name, "b64", 3) == 0;
    if (as_base64)
        name += 3;
    bool reads = strcmp(name, "read") == 0, writes = strcmp(name, "write") == 0;
    bool fills = !as_base64 && strcmp(name, "memset") == 0;
    if ((!reads && !writes && !fills) || !number(w, 1, &addr) || !number(w, 2, &size) ||
        size > DATA_MAX || addr + size < addr)
        return false;
    if (reads) {
        access_memory(q, addr, q->data, size, false);
        reply_data(q, size, as_base64);
        return true;
    }
    if (fills) {
        if (!number(w, 3, &value))
            return false;
        memset(q->data, (int)(value & 0xff), size);
    } else if (w->n < 4 || !(as_base64 ? from_base64(w->word[3], q->data, size)
                                       : from_hex(w->word[3], q->data, size))) {
        return false;
    }
    access_memory(q, addr, q->data, size, true);
    reply(q, "OK");
    return true;
}

static bool clock_command(struct qtest *q, const struct words *w)
{
    const int64_t max_ns = STEP_MAX_S * INT64_C(1000000000);
    int64_t now = loop_now_ns(q->loop), step = 0;
    uint64_t value;
    if (strcmp(w->word[0], "clock_step") == 0 && w->n == 1) {
        int64_t next = loop_next_deadline_ns(q->loop);
        step = next == INT64_MAX ? 0 : MAX(next - now, 0);
    } else if (!number(w, 1, &value) || value > INT64_MAX) {
        return false;
    } else if (strcmp(w->word[0], "clock_step") == 0) {
        step = (int64_t)value;
    } else if (strcmp(w->word[0], "clock_set") == 0) {
        step = MAX((int64_t)value - now, 0);
    } else {
        return false;
    }
    if (step > max_ns)
        return false;
    loop_advance_ns(q->loop, step);
    reply(q, "OK %" PRId64, loop_now_ns(q->loop));
    return true;
}

static bool interrupt_command(struct qtest *q, const struct words *w)
{
    bool in = strcmp(w->word[0], "irq_intercept_in") == 0;
    if (!in && strcmp(w->word[0], "irq_intercept_out") != 0)
        return false;
    if (!intercept(q, in, w->n > 1 ? w->word[1] : NULL))
        return false;
    reply(q, "OK");
    return true;
}

void qtest_line(struct qtest *q, char *line)
{
    struct words w = {0};
    char *rest = line;
    while (w.n < WORDS_MAX && (w.word[w.n] = strtok_r(rest, " \t\r", &rest)))
        w.n++;
    if (!w.n)
        return;
    if (strcmp(w.word[0], "endianness") == 0)
        reply(q, "OK little");
    else if (!single_access(q, &w) && !block_access(q, &w) && !clock_command(q, &w) &&
             !interrupt_command(q, &w))
        reply(q, "FAIL unknown command or arguments '%.64s'", w.word[0]);
}

/* ---- the socket ---- */

static void hang_up(struct qtest *q)
{
    loop_fd_remove(&q->watch);
    if (q->closed)
        q->closed(q->opaque);
}

/* Answers the complete lines; keeps the rest. A line that does not fit ends the connection. */
static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct qtest *q = watch->opaque;
    ssize_t n = recv(watch->fd, q->line + q->len, sizeof(q->line) - 1 - q->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(q);
        return;
    }
    q->len += (size_t)n;
    char *start = q->line, *newline;
    while ((newline = memchr(start, '\n', (size_t)(q->line + q->len - start)))) {
        *newline = '\0';
        qtest_line(q, start);
        start = newline + 1;
    }
    q->len -= (size_t)(start - q->line);
    memmove(q->line, start, q->len);
    if (q->len == sizeof(q->line) - 1)
        hang_up(q);
}

struct qtest *qtest_create(struct engine_vm *vm, struct loop *loop, int fd,
                           void (*closed)(void *opaque), void *opaque, struct err *err)
{
    struct qtest *q = calloc(1, sizeof(*q));
    if (!q) {
        err_set(err, ENOMEM, "could not allocate a qtest server");
        return NULL;
    }
    q->vm = vm;
    q->loop = loop;
    q->closed = closed;
    q->opaque = opaque;
    q->watch = (struct loop_fd){.ready = on_ready, .opaque = q};
    pthread_mutex_init(&q->send_lock, NULL);
    int ret = loop_fd_add(loop, &q->watch, fd, EPOLLIN);
    if (ret) {
        err_sys(err, -ret, "could not watch the qtest socket");
        pthread_mutex_destroy(&q->send_lock);
        free(q);
        return NULL;
    }
    return q;
}

void qtest_destroy(struct qtest *q)
{
    if (!q)
        return;
    if (q->intercepting_in)
        bus_set_irq(q->vm->config.bus, q->irq_ops, q->irq_opaque);
    if (q->intercepting_out)
        null_engine_msi_hook(q->vm, NULL, NULL);
    loop_fd_remove(&q->watch);
    close(q->watch.fd);
    pthread_mutex_destroy(&q->send_lock);
    free(q);
}
