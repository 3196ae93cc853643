#include "base/deadlines.h"

#include <errno.h>
#include <stdlib.h>

static void put_at(struct deadlines *d, unsigned i, struct deadline *e)
{
    d->heap[i] = e;
    e->index = i;
}

static void up(struct deadlines *d, unsigned i)
{
    struct deadline *e = d->heap[i];
    for (; i > 1 && d->heap[i / 2]->at > e->at; i /= 2)
        put_at(d, i, d->heap[i / 2]);
    put_at(d, i, e);
}

static void down(struct deadlines *d, unsigned i)
{
    struct deadline *e = d->heap[i];
    for (unsigned child; (child = 2 * i) <= d->n; i = child) {
        if (child < d->n && d->heap[child + 1]->at < d->heap[child]->at)
            child++;
        if (d->heap[child]->at >= e->at)
            break;
        put_at(d, i, d->heap[child]);
    }
    put_at(d, i, e);
}

void deadlines_fini(struct deadlines *d)
{
    free(d->heap);
    *d = (struct deadlines){0};
}

void deadlines_remove(struct deadlines *d, struct deadline *e)
{
    unsigned i = e->index;
    if (!i)
        return;
    e->index = 0;
    struct deadline *last = d->heap[d->n--];
    if (last == e)
        return;
    put_at(d, i, last);
    up(d, i);
    down(d, last->index);
}

int deadlines_put(struct deadlines *d, struct deadline *e, int64_t at)
{
    deadlines_remove(d, e);
    if (d->n + 1 >= d->room) {
        unsigned room = d->room ? 2 * d->room : 16;
        struct deadline **heap = reallocarray(d->heap, room, sizeof(struct deadline *));
        if (!heap)
            return -ENOMEM;
        d->heap = heap;
        d->room = room;
    }
    e->at = at;
    d->n++;
    put_at(d, d->n, e);
    up(d, d->n);
    return 0;
}
