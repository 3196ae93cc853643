#include "api/api_arena.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CHUNK_BYTES ((size_t)4096)

struct api_arena_chunk {
    struct api_arena_chunk *next;
    size_t bytes_in;
    alignas(max_align_t) char bytes[];
};

/* ---- chunks of the usual size that a thread has at hand ----
 *
 * Most arenas live for one request, message or transaction, and one chunk: malloc() takes longer
 * for it than all that is done in it. ASan shall see what is used after it was freed. */
#ifdef __SANITIZE_ADDRESS__
#define AT_HAND_MAX 0
#else
#define AT_HAND_MAX 64
#endif

static _Thread_local struct {
    struct api_arena_chunk *first;
    int n;
    bool freed_at_exit;
} at_hand;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_ends;
static bool has_key;

static void free_at_hand(void *unused)
{
    (void)unused;
    while (at_hand.first) {
        struct api_arena_chunk *next = at_hand.first->next;
        free(at_hand.first);
        at_hand.first = next;
    }
    at_hand.n = AT_HAND_MAX; /* whatever ends later in this thread keeps none */
}

static void make_key(void)
{
    has_key = !pthread_key_create(&thread_ends, free_at_hand);
}

static struct api_arena_chunk *take_chunk(size_t bytes)
{
    struct api_arena_chunk *c = bytes == CHUNK_BYTES ? at_hand.first : NULL;
    if (!c)
        return malloc(sizeof(*c) + bytes);
    at_hand.first = c->next;
    at_hand.n--;
    return c;
}

static void give_chunk(struct api_arena_chunk *c)
{
    if (!at_hand.freed_at_exit) {
        pthread_once(&once, make_key);
        at_hand.freed_at_exit = true;
        if (!has_key || pthread_setspecific(thread_ends, &at_hand))
            at_hand.n = AT_HAND_MAX;
    }
    if (c->bytes_in != CHUNK_BYTES || at_hand.n >= AT_HAND_MAX) {
        free(c);
        return;
    }
    c->next = at_hand.first;
    at_hand.first = c;
    at_hand.n++;
}

/* ---- arenas ---- */

void api_arena_init(struct api_arena *a, size_t limit_bytes)
{
    *a = (struct api_arena){.limit_bytes = limit_bytes};
}

void api_arena_fini(struct api_arena *a)
{
    while (a->chunks) {
        struct api_arena_chunk *next = a->chunks->next;
        give_chunk(a->chunks);
        a->chunks = next;
    }
    api_arena_init(a, a->limit_bytes);
}

static void *alloc_aligned(struct api_arena *a, size_t bytes, size_t align)
{
    if (bytes > a->limit_bytes)
        return NULL;
    bytes = bytes ? bytes : 1;
    size_t at = align_up(a->used, align);
    if (!a->chunks || at > a->size || bytes > a->size - at) {
        size_t size = MAX(bytes, a->chunk_bytes ? a->chunk_bytes : CHUNK_BYTES);
        if (size > a->limit_bytes - MIN(a->total_bytes, a->limit_bytes))
            return NULL;
        struct api_arena_chunk *c = take_chunk(size);
        if (!c)
            return NULL;
        c->bytes_in = size;
        c->next = a->chunks;
        a->chunks = c;
        a->size = size;
        a->used = at = 0;
        a->total_bytes += size;
    }
    a->taken_bytes += at - a->used + bytes;
    a->used = at + bytes;
    return a->chunks->bytes + at;
}

void *api_arena_alloc(struct api_arena *a, size_t bytes)
{
    void *p = alloc_aligned(a, bytes, alignof(max_align_t));
    return p ? memset(p, 0, bytes) : NULL;
}

void *api_arena_array(struct api_arena *a, size_t n, size_t item_bytes)
{
    if (item_bytes && n > SIZE_MAX / item_bytes)
        return NULL;
    return api_arena_alloc(a, n * item_bytes);
}

char *api_arena_text(struct api_arena *a, const char *text, size_t bytes)
{
    char *copy = bytes < SIZE_MAX ? alloc_aligned(a, bytes + 1, 1) : NULL;
    if (!copy)
        return NULL;
    if (bytes)
        memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}
