#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BURST_LINES       8
#define REFILL_NS         1000000000
#define LOG_CONTEXT_BYTES 128

/* The one mutable file-scope object of the libraries: set once before threads exist. */
static struct {
    int fd;
    enum log_level most_verbose;
    const char *context;
} config = {.fd = STDERR_FILENO, .most_verbose = LOG_INFO};

void log_setup(int fd, enum log_level most_verbose, const char *context)
{
    config.fd = fd;
    config.most_verbose = most_verbose;
    config.context = context;
}

void log_line(enum log_level level, const char *module, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if (level > config.most_verbose)
        return;
    char line[1024], context[LOG_CONTEXT_BYTES] = "";
    if (config.context)
        snprintf(context, sizeof(context), " %s", config.context);
    /* The message is cut where it would push the context out. */
    int room = (int)(sizeof(line) - 1 - strlen(context));
    int n = snprintf(line, (size_t)room, "%s %s: ", names[level], module);
    va_list ap;
    va_start(ap, fmt);
    if (n < room - 1)
        n += vsnprintf(line + n, (size_t)(room - n), fmt, ap);
    va_end(ap);
    if (n > room - 1)
        n = room - 1;
    /* A name chosen by a guest or a peer must not make two lines of one. */
    for (int k = 0; k < n; k++)
        if ((unsigned char)line[k] < ' ' || line[k] == 0x7f)
            line[k] = '?';
    n += snprintf(line + n, sizeof(line) - (size_t)n, "%s", context);
    line[n++] = '\n';
    ssize_t ignored = write(config.fd, line, (size_t)n);
    (void)ignored;
}

/* next_ns is the time at which the bucket would be empty-to-full by BURST_LINES: a line moves it
 * one refill ahead, and is held back while it is more than a full burst ahead of now. */
bool log_limit_pass(struct log_limit *limit, uint32_t *held_back)
{
    int64_t now = clock_now_ns();
    int64_t next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    int64_t base = next > now ? next : now;
    if (base - now >= (int64_t)BURST_LINES * REFILL_NS ||
        !atomic_compare_exchange_strong(&limit->next_ns, &next, base + REFILL_NS)) {
        atomic_fetch_add_explicit(&limit->held_back, 1, memory_order_relaxed);
        return false;
    }
    *held_back = atomic_exchange(&limit->held_back, 0);
    return true;
}
