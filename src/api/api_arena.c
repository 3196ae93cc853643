#include "api/api_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CHUNK_BYTES ((size_t)4096)

struct api_arena_chunk {
    struct api_arena_chunk *next;
    alignas(max_align_t) char bytes[];
};

void api_arena_init(struct api_arena *a, size_t limit_bytes)
{
    *a = (struct api_arena){.limit_bytes = limit_bytes};
}

void api_arena_fini(struct api_arena *a)
{
    while (a->chunks) {
        struct api_arena_chunk *next = a->chunks->next;
        free(a->chunks);
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
        struct api_arena_chunk *c = calloc(1, sizeof(*c) + size);
        if (!c)
            return NULL;
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
    return alloc_aligned(a, bytes, alignof(max_align_t));
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
    if (copy && bytes)
        memcpy(copy, text, bytes);
    return copy;
}
