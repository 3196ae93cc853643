/* Threads with a small stack. With the C library's 8 MiB, transparent huge pages make 2 MiB of it
 * resident for the few KiB that a thread of ours uses. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* Starts fn(arg) in a new thread. Returns 0 or the error number of pthread_create(3). */
int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

#endif
