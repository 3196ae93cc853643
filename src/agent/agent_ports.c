#include "agent/agent_ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/uuid.h"
#include "link/link.h"

struct entry {
    struct agent_ports *owner;
    uint8_t id[16];
    bool managed, named, dirty, present, there;
    uint64_t wanted_generation, generation;
    char reason[256]; /* why it could not be taken away */

    struct work work; /* unplugs it, while `working` */
    bool working;
    struct err job_err;
    uint64_t job_generation;
};

struct agent_ports {
    struct agent_ports_config config;
    struct entry **entries;
    unsigned n, capacity;

    struct work look; /* on a worker while `looking` */
    bool looking, look_again;
    bool failed;
    uint8_t (*listed)[16];
    unsigned n_listed, listed_capacity;
};

/* ---- the table ---- */

static struct entry *find_or_add(struct agent_ports *p, const uint8_t id[16])
{
    for (unsigned i = 0; i < p->n; i++)
        if (!memcmp(p->entries[i]->id, id, 16))
            return p->entries[i];
    if (p->n == p->capacity) {
        unsigned capacity = MAX(2 * p->capacity, 32u);
        struct entry **entries = realloc(p->entries, capacity * sizeof(*entries));
        if (!entries)
            return NULL;
        p->entries = entries;
        p->capacity = capacity;
    }
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->owner = p;
    e->present = true;
    memcpy(e->id, id, 16);
    p->entries[p->n++] = e;
    return e;
}

static void remove_at(struct agent_ports *p, unsigned i)
{
    free(p->entries[i]);
    p->entries[i] = p->entries[--p->n];
}

static void tell(struct entry *e)
{
    e->dirty = true;
    e->owner->config.changed(e->owner->config.opaque);
}

/* ---- taking away ---- */

static void unplug(struct work *w)
{
    struct entry *e = container_of(w, struct entry, work);
    struct network_driver *d = e->owner->config.networks;
    e->job_err = (struct err){0};
    int ret = d->ops->unplug(d, e->id, &e->job_err);
    if (ret && !e->job_err.code)
        err_set(&e->job_err, -ret, "could not take the port away");
}

static void step(struct entry *e);

static void unplugged(struct work *w)
{
    struct entry *e = container_of(w, struct entry, work);
    e->working = false;
    if (!w->ran)
        return;
    e->generation = e->job_generation;
    snprintf(e->reason, sizeof(e->reason), "%.*s", (int)sizeof(e->reason) - 1, e->job_err.msg);
    e->there = e->there && e->job_err.code;
    tell(e);
    step(e);
}

static void step(struct entry *e)
{
    struct agent_ports *p = e->owner;
    if (!e->managed || e->working || e->generation == e->wanted_generation)
        return;
    if (e->present || p->config.in_use(p->config.opaque, e->id)) {
        e->generation = e->wanted_generation;
        tell(e);
        return;
    }
    e->job_generation = e->wanted_generation;
    e->work = (struct work){.run = unplug, .done = unplugged};
    e->working = true;
    worker_submit(p->config.workers, &e->work);
}

/* ---- looking at what is there ---- */

static bool note(void *opaque, const uint8_t id[16])
{
    struct agent_ports *p = opaque;
    if (p->n_listed == p->listed_capacity) {
        unsigned capacity = MAX(2 * p->listed_capacity, 32u);
        void *listed = realloc(p->listed, (size_t)capacity * 16);
        p->failed = p->failed || !listed;
        if (!listed)
            return false;
        p->listed = listed;
        p->listed_capacity = capacity;
    }
    memcpy(p->listed[p->n_listed++], id, 16);
    return true;
}

static void list_all(struct agent_ports *p, struct err *err)
{
    struct network_driver *d = p->config.networks;
    p->n_listed = 0;
    p->failed = false;
    if (d->ops->list(d, note, p, err))
        p->failed = true;
}

static bool is_listed(const struct agent_ports *p, const uint8_t id[16])
{
    for (unsigned i = 0; i < p->n_listed; i++)
        if (!memcmp(p->listed[i], id, 16))
            return true;
    return false;
}

static void take_list(struct agent_ports *p)
{
    for (unsigned i = 0; i < p->n_listed; i++)
        (void)find_or_add(p, p->listed[i]);
    for (unsigned i = 0; i < p->n; i++) {
        struct entry *e = p->entries[i];
        bool there = is_listed(p, e->id);
        if (e->working || e->there == there)
            continue;
        e->there = there;
        tell(e);
    }
}

static void look_run(struct work *w)
{
    list_all(container_of(w, struct agent_ports, look), NULL);
}

static void look_done(struct work *w)
{
    struct agent_ports *p = container_of(w, struct agent_ports, look);
    p->looking = false;
    if (!w->ran)
        return;
    if (!p->failed)
        take_list(p);
    if (p->look_again)
        agent_ports_look(p);
}

void agent_ports_look(struct agent_ports *p)
{
    p->look_again = p->looking;
    if (p->looking)
        return;
    p->looking = true;
    p->look = (struct work){.run = look_run, .done = look_done};
    worker_submit(p->config.workers, &p->look);
}

/* ---- from outside ---- */

struct agent_ports *agent_ports_create(const struct agent_ports_config *config, struct err *err)
{
    struct agent_ports *p = calloc(1, sizeof(*p));
    struct err why = {0};
    if (!p) {
        err_set(err, ENOMEM, "could not allocate the table of ports");
        return NULL;
    }
    p->config = *config;
    list_all(p, &why);
    if (p->failed) {
        err_set(err, why.code ? why.code : ENOMEM, "could not list ports: %.400s", why.msg);
        agent_ports_destroy(p);
        return NULL;
    }
    take_list(p);
    return p;
}

void agent_ports_destroy(struct agent_ports *p)
{
    if (!p)
        return;
    while (p->n)
        remove_at(p, p->n - 1);
    free(p->entries);
    free(p->listed);
    free(p);
}

int agent_ports_want(struct agent_ports *p, const struct link_port_want *want, struct err *err)
{
    uint8_t id[16];
    link_uuid(&want->id, id);
    struct entry *e = find_or_add(p, id);
    if (!e)
        return err_set(err, ENOMEM, "could not allocate a port");
    e->named = true;
    if (e->managed && (uint64_t)want->generation.v < e->wanted_generation)
        return 0; /* an old message */
    if (!e->managed)
        e->generation = 0;
    e->managed = true;
    e->wanted_generation = (uint64_t)want->generation.v;
    e->present = want->present.v;
    step(e);
    return 0;
}

void agent_ports_begin_full(struct agent_ports *p)
{
    for (unsigned i = 0; i < p->n; i++)
        p->entries[i]->named = false;
}

void agent_ports_end_full(struct agent_ports *p)
{
    for (unsigned i = p->n; i-- > 0;) {
        struct entry *e = p->entries[i];
        if (e->named)
            continue;
        if (e->managed)
            tell(e);
        e->managed = false;
        if (!e->working && !e->there)
            remove_at(p, i);
    }
}

void agent_ports_gone(struct agent_ports *p, const uint8_t id[16])
{
    for (unsigned i = p->n; i-- > 0;)
        if (!memcmp(p->entries[i]->id, id, 16) && !p->entries[i]->working && !p->entries[i]->there)
            remove_at(p, i);
}

static bool describe(const struct agent_ports *p, const struct entry *e, struct api_arena *arena,
                     struct link_port_seen *out)
{
    char *id = api_arena_alloc(arena, UUID_TEXT_BYTES);
    if (!id)
        return false;
    uuid_format(e->id, id);
    *out = (struct link_port_seen){
        .id = {API_VALUE, id},
        .managed = {API_VALUE, e->managed || p->config.in_use(p->config.opaque, e->id)},
        .generation = {API_VALUE, (int64_t)e->generation}};
    out->state.is = API_VALUE;
    out->state.v = e->reason[0] ? LINK_PORT_SEEN_STATE_FAILED
                   : e->there   ? LINK_PORT_SEEN_STATE_PLUGGED
                                : LINK_PORT_SEEN_STATE_ABSENT;
    if (e->reason[0])
        out->reason = (struct api_text){API_VALUE, e->reason};
    return true;
}

bool agent_ports_next(struct agent_ports *p, bool all, unsigned *at, struct api_arena *arena,
                      struct link_port_seen *out)
{
    for (; *at < p->n; ++*at) {
        struct entry *e = p->entries[*at];
        if (!all && !e->dirty)
            continue;
        if (!describe(p, e, arena, out))
            return false;
        e->dirty = false;
        ++*at;
        return true;
    }
    return false;
}
