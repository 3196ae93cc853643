/* The log: one line a record on stderr (or a given fd), "level module: message key=value ...".
 * Libraries return errors; programs log outcomes once. Whatever a guest or a peer can cause goes
 * through LOG_LIMITED(), so that it cannot fill a disk. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Sets where and how much is written. `context` (VM id, request id) is borrowed and printed in
 * every line; NULL for none. Threads: call before threads are made. */
void log_setup(int fd, enum log_level most_verbose, const char *context);

/* Writes one line with a single write(2). Threads: any. */
void log_line(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A limiter lets a burst of 8 lines through, then one a second, and says how many it held back. */
struct log_limit {
    _Atomic int64_t next_ns;
    _Atomic uint32_t held_back;
};

/* True when a line may be written now; *held_back receives how many were not since the last. */
bool log_limit_pass(struct log_limit *limit, uint32_t *held_back);

#define LOG_LIMITED(level, module, fmt, ...)                                                       \
    do {                                                                                           \
        static struct log_limit log_limit_here;                                                    \
        uint32_t log_held_back;                                                                    \
        if (log_limit_pass(&log_limit_here, &log_held_back))                                       \
            log_line(level, module, fmt " held_back=%u", __VA_ARGS__, log_held_back);              \
    } while (0)

#endif
