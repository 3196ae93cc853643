/* What falls due first: a heap, ordered by time, of what is embedded in those that wait.
 *
 * Putting and removing take O(log n), the first is at hand. Equal times come in any order.
 * Threads: none of its own; the user's. */
#ifndef BASE_DEADLINES_H
#define BASE_DEADLINES_H

#include <stdint.h>

/* Zero-initialise. */
struct deadline {
    int64_t at;     /* in the user's unit */
    unsigned index; /* 1-based; 0 while it is in no heap */
};

/* Zero-initialise. Owns no deadline. */
struct deadlines {
    struct deadline **heap; /* 1-based */
    unsigned n, room;
};

void deadlines_fini(struct deadlines *d);
/* Puts it in, or elsewhere when it is in already. Errors: ENOMEM, only when there are more than
 * ever: then it is in no heap. */
int deadlines_put(struct deadlines *d, struct deadline *e, int64_t at);
/* One that is not in is left as it is. */
void deadlines_remove(struct deadlines *d, struct deadline *e);

static inline struct deadline *deadlines_first(const struct deadlines *d)
{
    return d->n ? d->heap[1] : (struct deadline *)0;
}

#endif
