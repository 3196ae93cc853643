/* A filter that makes requests fail or wait, for tests of what lies above it. */
#ifndef BLK_FAULTY_H
#define BLK_FAULTY_H

#include "blk/blk.h"

#define FAULTY_RULES_MAX 8

/* The first rule that matches a request decides what happens to it. */
struct faulty_rule {
    unsigned op_mask;  /* 1 << BLK_WRITE | ... */
    uint64_t from, to; /* only requests that touch [from, to); to = 0: any */
    unsigned skip;     /* let so many matching requests pass first */
    unsigned count;    /* then apply to so many; 0: to all */
    int error;         /* positive errno value to fail with, 0: pass on */
    bool after;        /* fail after the backend did it, instead of in its place */
    int64_t delay_ns;  /* first wait so long, by the loop's clock */
};

/* Owns `below`. */
struct blk *faulty_create(struct blk *below, struct err *err);

/* Adds a rule and returns its number; faulty_clear() removes all. */
unsigned faulty_add(struct blk *b, const struct faulty_rule *rule);
void faulty_clear(struct blk *b);
/* How many requests a rule was applied to. */
unsigned faulty_hits(const struct blk *b, unsigned rule);

#endif
