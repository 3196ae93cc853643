#include "base/thread.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (4 * 1024 * 1024) /* frames are several times as large */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES (4 * 1024 * 1024)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES (512 * 1024)
#endif

int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int e = pthread_create(thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return e;
}
