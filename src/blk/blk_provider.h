/* For implementers of block backends: embed struct blk as the first member, fill in `info`, call
 * blk_init(). */
#ifndef BLK_BLK_PROVIDER_H
#define BLK_BLK_PROVIDER_H

#include "blk/blk.h"

struct blk_ops {
    /* Begins a request that blk_submit() has checked; ends it with blk_complete(), at once or
     * later. req->scratch and req->next are the backend's until then. */
    void (*submit)(struct blk *b, struct blk_request *req);
    /* Makes progress on what is in flight and blocks if there is none to make yet; only called
     * while something is in flight. May run completions of other backends of the loop. */
    void (*poll)(struct blk *b);
    /* Optional: reads the size again into b->info. */
    int (*refresh)(struct blk *b, struct err *err);
    /* Writes back, closes what is below and frees. Nothing is in flight. */
    void (*close)(struct blk *b);
};

struct blk {
    const struct blk_ops *ops;
    struct loop *loop;
    struct blk_info info;
    unsigned in_flight;
};

void blk_init(struct blk *b, const struct blk_ops *ops, struct loop *loop);
/* Ends a request. The request may be reused, and the next submitted, from inside. */
void blk_complete(struct blk *b, struct blk_request *req, int result);

#endif
