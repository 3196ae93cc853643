#include "blk/faulty.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "blk/blk_provider.h"

struct faulty_live {
    struct faulty_rule rule;
    unsigned seen, hits;
};

struct faulty {
    struct blk blk;
    struct blk *below;
    unsigned n_rules;
    struct faulty_live rules[FAULTY_RULES_MAX];
    struct pending *delayed;
};

struct pending {
    struct blk_request child;
    struct blk_request *parent;
    struct faulty *faulty;
    struct loop_timer timer;
    struct pending *next; /* while delayed */
    int error;
    bool after;
};

static void finish(struct pending *p, int result)
{
    struct faulty *f = p->faulty;
    struct blk_request *parent = p->parent;
    free(p);
    blk_complete(&f->blk, parent, result);
}

static void child_done(struct blk_request *child, int result)
{
    struct pending *p = child->opaque;
    finish(p, p->error ? -p->error : result);
}

static void go(struct pending *p)
{
    if (p->error && !p->after) {
        finish(p, -p->error);
        return;
    }
    struct blk_request *parent = p->parent;
    p->child = (struct blk_request){
        .op = parent->op,
        .flags = parent->flags,
        .offset = parent->offset,
        .len_bytes = parent->len_bytes,
        .iov = parent->iov,
        .n_iov = parent->n_iov,
        .done = child_done,
        .opaque = p,
    };
    blk_submit(p->faulty->below, &p->child);
}

static void undelay(struct pending *p)
{
    for (struct pending **at = &p->faulty->delayed; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    loop_timer_cancel(p->faulty->blk.loop, &p->timer);
    go(p);
}

static void expired(struct loop_timer *t)
{
    undelay(t->opaque);
}

static struct faulty_live *match(struct faulty *f, const struct blk_request *req)
{
    for (unsigned i = 0; i < f->n_rules; i++) {
        struct faulty_live *live = &f->rules[i];
        const struct faulty_rule *r = &live->rule;
        if (!(r->op_mask & (1u << req->op)))
            continue;
        if (r->to && (req->offset >= r->to || req->offset + req->len_bytes <= r->from))
            continue;
        unsigned nth = live->seen++;
        if (nth < r->skip || (r->count && nth - r->skip >= r->count))
            continue;
        live->hits++;
        return live;
    }
    return NULL;
}

static void submit(struct blk *b, struct blk_request *req)
{
    struct faulty *f = (struct faulty *)b;
    struct pending *p = calloc(1, sizeof(*p));
    if (!p) {
        blk_complete(b, req, -ENOMEM);
        return;
    }
    p->faulty = f;
    p->parent = req;
    struct faulty_live *live = match(f, req);
    if (live) {
        p->error = live->rule.error;
        p->after = live->rule.after;
    }
    if (!live || !live->rule.delay_ns) {
        go(p);
        return;
    }
    p->timer = (struct loop_timer){.expired = expired, .opaque = p};
    p->next = f->delayed;
    f->delayed = p;
    loop_timer_arm(b->loop, &p->timer, loop_now_ns(b->loop) + live->rule.delay_ns);
}

/* A drain does not wait for delays: what is held goes on at once. */
static void poll_below(struct blk *b)
{
    struct faulty *f = (struct faulty *)b;
    if (f->delayed)
        undelay(f->delayed);
    else if (f->below->in_flight)
        f->below->ops->poll(f->below);
}

static int refresh(struct blk *b, struct err *err)
{
    struct faulty *f = (struct faulty *)b;
    int r = blk_refresh(f->below, err);
    b->info = f->below->info;
    return r;
}

static void close_faulty(struct blk *b)
{
    struct faulty *f = (struct faulty *)b;
    blk_close(f->below);
    free(f);
}

static const struct blk_ops faulty_ops = {
    .submit = submit,
    .poll = poll_below,
    .refresh = refresh,
    .close = close_faulty,
};

struct blk *faulty_create(struct blk *below, struct err *err)
{
    struct faulty *f = calloc(1, sizeof(*f));
    if (!f) {
        err_set(err, ENOMEM, "could not allocate a faulty disk");
        return NULL;
    }
    blk_init(&f->blk, &faulty_ops, below->loop);
    f->below = below;
    f->blk.info = below->info;
    return &f->blk;
}

unsigned faulty_add(struct blk *b, const struct faulty_rule *rule)
{
    struct faulty *f = (struct faulty *)b;
    assert(f->n_rules < FAULTY_RULES_MAX);
    f->rules[f->n_rules] = (struct faulty_live){.rule = *rule};
    return f->n_rules++;
}

void faulty_clear(struct blk *b)
{
    ((struct faulty *)b)->n_rules = 0;
}

unsigned faulty_hits(const struct blk *b, unsigned rule)
{
    return ((const struct faulty *)b)->rules[rule].hits;
}
