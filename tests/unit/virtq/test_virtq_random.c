/* Rings under random traffic against a model, and under random bytes. */
#include "virtq/virtq.h"

#include "virtq_rig.h"

static uint32_t rnd_state = 1;
static uint32_t rnd(uint32_t below)
{
    rnd_state = rnd_state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(rnd_state >> 4) * below >> 28);
}

/* ---- random traffic against a model ---- */

/* What the model remembers of a request in flight. */
struct model {
    bool used;
    unsigned n_out, n_in;
    struct vdrv_buf bufs[8];
    uint32_t written;
    struct virtq_chain chain; /* the device's copy */
    struct iovec iov[8];
    uint64_t in_gpa[8];
};

#define DATA_BASE 0x100000
#define SEG_BYTES 256

/* Each request has memory of its own, filled with a pattern that tells where it is from. */
static void model_add(struct rig *g, struct model *models, unsigned m)
{
    struct model *o = &models[m];
    memset(o, 0, sizeof(*o));
    o->n_out = rnd(4);
    o->n_in = rnd(4) + (o->n_out == 0);
    for (unsigned i = 0; i < o->n_out + o->n_in; i++) {
        o->bufs[i].gpa = DATA_BASE + (m * 8 + i) * SEG_BYTES;
        o->bufs[i].len = 1 + rnd(SEG_BYTES);
        memset(guest_mem_ptr(&g->mem, o->bufs[i].gpa, SEG_BYTES), i < o->n_out ? (int)(m ^ i) : 0,
               SEG_BYTES);
    }
    bool indirect = g->ring.config.indirect && rnd(2);
    o->used = vdrv_ring_add(&g->ring, o->bufs, o->n_out, o->n_in, indirect, m) >= 0;
}

static bool model_matches(const struct rig *g, const struct model *o, const struct virtq_chain *c)
{
    uint32_t in = 0, out = 0;
    if (c->n_out != o->n_out || c->n_in != o->n_in)
        return false;
    for (unsigned i = 0; i < o->n_out + o->n_in; i++) {
        if (c->iov[i].iov_base != g->mem.regions[0].hva + o->bufs[i].gpa ||
            c->iov[i].iov_len != o->bufs[i].len)
            return false;
        *(i < o->n_out ? &out : &in) += o->bufs[i].len;
        if (i >= o->n_out && c->in_gpa[i - o->n_out] != o->bufs[i].gpa)
            return false;
    }
    return c->in_bytes == in && c->out_bytes == out;
}

/* Fills the first `n` bytes of the writable buffers. */
static void fill_in(const struct virtq_chain *c, uint32_t n, uint8_t with)
{
    for (unsigned i = c->n_out; n; i++) {
        uint32_t part = (uint32_t)MIN(n, c->iov[i].iov_len);
        memset(c->iov[i].iov_base, with, part);
        n -= part;
    }
}

static bool filled_in(const struct rig *g, const struct model *o, uint8_t with)
{
    uint32_t left = o->written;
    for (unsigned i = o->n_out; i < o->n_out + o->n_in; i++) {
        const uint8_t *p = guest_mem_ptr(&g->mem, o->bufs[i].gpa, SEG_BYTES);
        for (unsigned b = 0; b < SEG_BYTES; b++) {
            uint8_t expect = b < o->bufs[i].len && left ? with : 0;
            if (p[b] != expect)
                return false;
            left -= b < o->bufs[i].len && left ? 1 : 0;
        }
    }
    return true;
}

#define MODELS 64

struct traffic {
    struct rig g;
    struct model models[MODELS];
    unsigned order[MODELS], in_device; /* popped, in a random order */
    unsigned completed;
    bool driver_sleeps, device_sleeps, interrupted, kicked;
};

/* A driver that waits for nothing has no reason to be woken. */
static bool in_flight(const struct traffic *t)
{
    for (unsigned m = 0; m < MODELS; m++)
        if (t->models[m].used)
            return true;
    return false;
}

static void driver_step(struct traffic *t)
{
    struct rig *g = &t->g;
    int id;
    uintptr_t cookie = 0;
    uint32_t len;
    if (t->driver_sleeps && !t->interrupted)
        return;
    t->driver_sleeps = t->interrupted = false;
    vdrv_ring_disable_interrupts(&g->ring);
    while (vdrv_ring_used(&g->ring, &id, &cookie, &len)) {
        REQUIRE(id >= 0 && cookie < MODELS);
        struct model *o = &t->models[cookie];
        CHECK(o->used);
        CHECK_EQ(len, o->written);
        CHECK(filled_in(g, o, (uint8_t)(cookie + 1)));
        o->used = false;
        t->completed++;
    }
    for (unsigned n = rnd(6); n; n--) {
        unsigned m = rnd(MODELS);
        if (!t->models[m].used)
            model_add(g, t->models, m);
    }
    if (vdrv_ring_publish(&g->ring))
        t->kicked = true;
    t->driver_sleeps = !vdrv_ring_enable_interrupts(&g->ring) && in_flight(t);
}

static void device_step(struct traffic *t)
{
    struct rig *g = &t->g;
    if (t->device_sleeps && !t->kicked && !t->in_device)
        return;
    t->kicked = t->device_sleeps = false;
    virtq_disable_kicks(&g->vq);
    for (unsigned n = rnd(8); n; n--) {
        int ret = rig_pop(g);
        CHECK(ret >= 0);
        if (ret <= 0)
            break;
        unsigned m = (unsigned)g->ring.cookie[g->chain.id];
        struct model *o = &t->models[m];
        CHECK(o->used && model_matches(g, o, &g->chain));
        o->chain = g->chain;
        o->chain.iov = o->iov;
        o->chain.in_gpa = o->in_gpa;
        memcpy(o->iov, g->iov, sizeof(o->iov));
        memcpy(o->in_gpa, g->in_gpa, sizeof(o->in_gpa));
        t->order[t->in_device++] = m;
    }
    for (unsigned n = rnd(8); n && t->in_device; n--) {
        unsigned at = rnd(t->in_device);
        struct model *o = &t->models[t->order[at]];
        o->written = rnd(o->chain.in_bytes + 1);
        fill_in(&o->chain, o->written, (uint8_t)(t->order[at] + 1));
        virtq_push(&g->vq, &o->chain, o->written);
        t->order[at] = t->order[--t->in_device];
    }
    if (virtq_publish(&g->vq))
        t->interrupted = true;
    t->device_sleeps = !virtq_enable_kicks(&g->vq);
}

/* Both sides sleep unless notified: a lost kick or interrupt ends the progress. */
static void random_traffic_arrives_intact_and_never_stalls(void)
{
    static struct traffic t;
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        static const uint16_t sizes[] = {1, 2, 4, 16, 64};
        for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
            memset(&t, 0, sizeof(t));
            struct virtq_config c = formats[f];
            c.size = (uint16_t)(sizes[s] + (c.packed && sizes[s] > 1 ? rnd(3) : 0));
            rig_init(&t.g, c);
            CHECK(!virtq_enable_kicks(&t.g.vq));
            t.device_sleeps = true;
            unsigned last = 0, idle = 0;
            for (unsigned step = 0; step < 20000 && idle < 300; step++) {
                if (rnd(2))
                    driver_step(&t);
                else
                    device_step(&t);
                idle = t.completed == last ? idle + 1 : 0;
                last = t.completed;
            }
            CHECK(idle < 300);
            CHECK(t.completed > 1000);
            rig_fini(&t.g);
        }
    }
}

static uint8_t marked[MEM_BYTES];

static void mark_bytes(void *opaque, uint64_t gpa, uint64_t len)
{
    memset(marked + gpa, 1, len);
}

/* Compared byte by byte: a log of pages would hide what shares a page with something else. */
static void everything_the_device_writes_is_marked_dirty(void)
{
    static struct traffic t;
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        memset(&t, 0, sizeof(t));
        rig_init(&t.g, formats[f]);
        t.g.xlate.mark_dirty = mark_bytes;
        uint8_t *before = malloc(MEM_BYTES), *now = t.g.mem.regions[0].hva;
        CHECK(!virtq_enable_kicks(&t.g.vq));
        for (unsigned step = 0; step < 100; step++) {
            driver_step(&t);
            t.kicked = true;
            memset(marked, 0, MEM_BYTES);
            memcpy(before, now, MEM_BYTES);
            device_step(&t);
            t.interrupted = true;
            unsigned missed = 0;
            for (unsigned p = 0; p < MEM_BYTES; p += 4096)
                for (unsigned i = p; memcmp(before + p, now + p, 4096) && i < p + 4096; i++)
                    missed += before[i] != now[i] && !marked[i];
            CHECK_EQ(missed, 0);
        }
        free(before);
        rig_fini(&t.g);
    }
}

/* Random bytes in the ring: pop refuses or gives iovecs inside guest memory, in bounded time. */
static void random_rings_are_refused_or_served(void)
{
    for (unsigned f = 0; f < ARRAY_LEN(formats); f++) {
        struct rig g;
        rig_init(&g, formats[f]);
        uint8_t *hva = g.mem.regions[0].hva;
        for (unsigned round = 0; round < 20000; round++) {
            for (unsigned i = 0; i < 64; i++)
                hva[0x1000 + rnd(0x400)] = (uint8_t)rnd(256);
            for (unsigned i = 0; i < 16; i++) /* addresses low enough to be RAM now and then */
                memset(hva + 0x1000 + 16 * rnd(16) + 3, 0, 5 + 4 * rnd(2));
            virtq_set_base(&g.vq, round * 2654435761u);
            for (unsigned n = 0; n < 20 && rig_pop(&g) == 1; n++) {
                for (unsigned i = 0; i < (unsigned)g.chain.n_in + g.chain.n_out; i++) {
                    size_t off = (size_t)((uint8_t *)g.iov[i].iov_base - hva);
                    CHECK(range_within(off, g.iov[i].iov_len, MEM_BYTES));
                }
                virtq_push(&g.vq, &g.chain, rnd(100));
            }
            virtq_publish(&g.vq);
            virtq_enable_kicks(&g.vq);
        }
        rig_fini(&g);
    }
}

int main(void)
{
    TAP_RUN(random_traffic_arrives_intact_and_never_stalls);
    TAP_RUN(everything_the_device_writes_is_marked_dirty);
    TAP_RUN(random_rings_are_refused_or_served);
    return tap_done();
}
