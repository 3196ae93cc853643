/* Memory that goes all at once: what one request was read into. Bounded, so that no request can
 * make the server hold more than it says. */
#ifndef API_API_ARENA_H
#define API_API_ARENA_H

#include <stddef.h>

struct api_arena_chunk;

struct api_arena {
    struct api_arena_chunk *chunks;
    size_t used, size;  /* of the newest chunk */
    size_t taken_bytes; /* by all that was allocated, without what chunks have left */
    size_t total_bytes, limit_bytes;
    size_t chunk_bytes; /* the least that is taken at once; 0: 4 KiB. Small for what is kept long */
};

/* Allocates nothing yet. limit_bytes bounds all chunks together. */
void api_arena_init(struct api_arena *a, size_t limit_bytes);
/* Frees everything; the arena is as after init. Safe on a zeroed one and twice. */
void api_arena_fini(struct api_arena *a);
/* Zeroed memory, aligned for any type. NULL: no memory, or over the limit. */
void *api_arena_alloc(struct api_arena *a, size_t bytes);
/* n items of item_bytes each; NULL also where the product overflows. */
void *api_arena_array(struct api_arena *a, size_t n, size_t item_bytes);
/* A copy of text with a NUL behind it. NULL as above. */
char *api_arena_text(struct api_arena *a, const char *text, size_t bytes);

#endif
