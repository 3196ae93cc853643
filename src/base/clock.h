/* Monotonic time in nanoseconds. Code whose behaviour depends on time takes a `now_ns` argument or
 * a timer from io/loop.h, so that tests turn the clock themselves. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC. Units: ns. */
int64_t clock_now_ns(void);
/* CLOCK_MONOTONIC_RAW: by the hardware's own rate, which nobody steers. Units: ns. */
int64_t clock_raw_ns(void);
/* CPU time of this process, all threads. Units: ns. */
int64_t clock_process_cpu_ns(void);
/* CPU time of the calling thread. Units: ns. */
int64_t clock_thread_cpu_ns(void);

#endif
