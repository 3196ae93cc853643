/* The loop's side: the table, what is wanted against what is there, one job an entry (step()), and
 * listing what is there again. */
#include "agent/agent_volumes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_volumes_internal.h"
#include "api/api_format.h"
#include "base/util.h"
#include "base/uuid.h"
#include "link/link.h"

#define S_NS          INT64_C(1000000000)
#define RETRY_FIRST_S 2
#define RETRY_MAX_S   300
#define TICK_S        1  /* progress, and what is to be tried again */
#define LOOK_S        60 /* how much is used changes without us */

struct listed {
    struct volume_info *infos;
    size_t n, capacity;
    bool failed;
};

struct agent_volumes {
    struct agent_volumes_config config;
    struct agent_volumes_entry **entries;
    unsigned n, capacity;
    struct loop_timer tick;
    int64_t look_ns; /* when to list again */

    struct work look; /* on a worker while `looking` */
    bool looking, look_again;
    struct listed listed;
    bool stopping;
    uint64_t changes, look_changes; /* jobs that ended; a list that began before is not news */
};

const struct agent_volumes_config *agent_volumes_config_of(const struct agent_volumes *v)
{
    return &v->config;
}

/* ---- the table ---- */

static struct agent_volumes_entry *find(struct agent_volumes *v, enum volume_kind kind,
                                        const uint8_t id[16])
{
    for (unsigned i = 0; i < v->n; i++)
        if (v->entries[i]->kind == kind && !memcmp(v->entries[i]->id, id, 16))
            return v->entries[i];
    return NULL;
}

static struct agent_volumes_entry *find_or_add(struct agent_volumes *v, enum volume_kind kind,
                                               const uint8_t id[16])
{
    struct agent_volumes_entry *e = find(v, kind, id);
    if (e)
        return e;
    if (v->n == v->capacity) {
        unsigned capacity = MAX(2 * v->capacity, 32u);
        struct agent_volumes_entry **entries = realloc(v->entries, capacity * sizeof(e));
        if (!entries)
            return NULL;
        v->entries = entries;
        v->capacity = capacity;
    }
    e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->owner = v;
    e->kind = kind;
    memcpy(e->id, id, 16);
    e->state = LINK_VOLUME_SEEN_STATE_ABSENT;
    v->entries[v->n++] = e;
    return e;
}

static void remove_at(struct agent_volumes *v, unsigned i)
{
    struct agent_volumes_entry *e = v->entries[i];
    v->entries[i] = v->entries[--v->n];
    agent_volumes_want_fini(&e->want);
    agent_volumes_want_fini(&e->job);
    free(e);
}

static void tell(struct agent_volumes *v, struct agent_volumes_entry *e)
{
    e->dirty = true;
    v->config.changed(v->config.opaque);
}

static void see(struct agent_volumes *v, struct agent_volumes_entry *e,
                enum link_volume_seen_state state, const char *reason)
{
    e->state = state;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
    tell(v, e);
}

/* ---- one entry ---- */

static void step(struct agent_volumes *v, struct agent_volumes_entry *e);

/* What will fail in the same way as long as the same is wanted. */
static bool is_final(int code)
{
    return code == EINVAL || code == EEXIST || code == ENOTSUP || code == EPERM ||
           code == EBADMSG || code == ENAMETOOLONG || code == ECANCELED || code == E2BIG ||
           code == EACCES;
}

static void job_done(struct work *w)
{
    struct agent_volumes_entry *e = container_of(w, struct agent_volumes_entry, work);
    struct agent_volumes *v = e->owner;
    e->working = false;
    if (!w->ran)
        return;
    v->changes++;
    e->there = e->job_there;
    if (e->there)
        e->info = e->job_info;
    e->generation = e->job.generation;
    if (e->job_came || !e->there) {
        e->came = e->job_came;
        e->result = e->job_result;
    }
    if (e->job_err.code) {
        int64_t wait_s = MIN((int64_t)RETRY_FIRST_S << MIN(e->failures, 10u), RETRY_MAX_S);
        e->failures++;
        e->retry_ns = is_final(e->job_err.code) ? 0 : loop_now_ns(v->config.loop) + wait_s * S_NS;
        see(v, e, LINK_VOLUME_SEEN_STATE_FAILED, e->job_err.msg);
    } else {
        e->failures = 0;
        e->retry_ns = 0;
        see(v, e, e->there ? LINK_VOLUME_SEEN_STATE_READY : LINK_VOLUME_SEEN_STATE_ABSENT, "");
    }
    step(v, e);
    for (unsigned i = 0; e->kind == VOLUME_IMAGE && i < v->n; i++)
        if (v->entries[i]->kind == VOLUME_VOLUME)
            step(v, v->entries[i]); /* it may have waited */
}

/* A volume is not tried before the image that it is made from has come: its failure would be the
 * answer to what is wanted, and might be heard after the image had come. */
static bool waits_for_image(struct agent_volumes *v, struct agent_volumes_entry *e)
{
    char why[256];
    if (e->kind != VOLUME_VOLUME || !e->want.present ||
        agent_volumes_source(v, &e->want.spec, why) <= 0)
        return false;
    if (e->state != LINK_VOLUME_SEEN_STATE_WORKING || strcmp(e->reason, why) != 0)
        see(v, e, LINK_VOLUME_SEEN_STATE_WORKING, why);
    return true;
}

static void step(struct agent_volumes *v, struct agent_volumes_entry *e)
{
    bool again = e->retry_ns && e->retry_ns <= loop_now_ns(v->config.loop);
    if (!e->managed || e->working || (e->generation == e->want.generation && !again) ||
        waits_for_image(v, e))
        return;
    if (agent_volumes_want_copy(&e->job, &e->want)) {
        see(v, e, LINK_VOLUME_SEEN_STATE_FAILED, "the agent has no memory left");
        return;
    }
    e->work = (struct work){.run = agent_volumes_job, .done = job_done};
    e->working = true;
    e->retry_ns = 0;
    e->percent = e->told_percent = 0;
    e->received_bytes = e->told_bytes = 0;
    e->stop = v->stopping;
    if (e->state != LINK_VOLUME_SEEN_STATE_FAILED || e->generation != e->want.generation)
        see(v, e, LINK_VOLUME_SEEN_STATE_WORKING, "");
    worker_submit(v->config.workers, &e->work);
}

/* ---- looking at what is there ---- */

static bool note(void *opaque, const struct volume_info *info)
{
    struct listed *l = opaque;
    if (l->n == l->capacity) {
        size_t capacity = MAX(2 * l->capacity, 32u);
        struct volume_info *infos = realloc(l->infos, capacity * sizeof(*infos));
        l->failed = l->failed || !infos;
        if (!infos)
            return false;
        l->infos = infos;
        l->capacity = capacity;
    }
    l->infos[l->n++] = *info;
    return true;
}

static void list_all(struct agent_volumes *v, struct err *err)
{
    struct volume_driver *d = v->config.pools;
    v->listed.n = 0;
    v->listed.failed = false;
    if (d->ops->list(d, note, &v->listed, err))
        v->listed.failed = true;
}

static bool differs(const struct agent_volumes_entry *e, const struct volume_info *info)
{
    return !e->there || e->info.size_bytes != info->size_bytes ||
           e->info.used_bytes != info->used_bytes;
}

static void take_listed(struct agent_volumes *v, const struct volume_info *info)
{
    struct agent_volumes_entry *e = find_or_add(v, info->kind, info->id);
    if (!e || e->working || !differs(e, info))
        return;
    e->there = true;
    e->info = *info;
    if (e->state == LINK_VOLUME_SEEN_STATE_ABSENT)
        e->state = LINK_VOLUME_SEEN_STATE_READY;
    tell(v, e);
}

static bool is_listed(const struct agent_volumes *v, const struct agent_volumes_entry *e)
{
    for (size_t i = 0; i < v->listed.n; i++)
        if (v->listed.infos[i].kind == e->kind && !memcmp(v->listed.infos[i].id, e->id, 16))
            return true;
    return false;
}

/* What was there and is not: a VM's own, that went with it; or something took it from us. It is
 * not made again by itself: an empty volume in its place would hide that. */
static void take_missing(struct agent_volumes *v)
{
    for (unsigned i = 0; i < v->n; i++) {
        struct agent_volumes_entry *e = v->entries[i];
        if (!e->there || e->working || is_listed(v, e))
            continue;
        e->there = false;
        if (e->managed && e->want.present)
            see(v, e, LINK_VOLUME_SEEN_STATE_FAILED, "it was here, and is not any more");
        else
            see(v, e, LINK_VOLUME_SEEN_STATE_ABSENT, "");
    }
}

static void look_run(struct work *w)
{
    list_all(container_of(w, struct agent_volumes, look), NULL);
}

static void look_done(struct work *w)
{
    struct agent_volumes *v = container_of(w, struct agent_volumes, look);
    v->looking = false;
    if (!w->ran)
        return;
    if (!v->listed.failed && v->look_changes == v->changes) {
        for (size_t i = 0; i < v->listed.n; i++)
            take_listed(v, &v->listed.infos[i]);
        take_missing(v);
    } else if (v->look_changes != v->changes) {
        v->look_again = true;
    }
    if (v->look_again)
        agent_volumes_look(v);
}

void agent_volumes_look(struct agent_volumes *v)
{
    v->look_again = v->looking;
    if (v->looking)
        return;
    v->looking = true;
    v->look_changes = v->changes;
    v->look_ns = loop_now_ns(v->config.loop) + LOOK_S * S_NS;
    v->look = (struct work){.run = look_run, .done = look_done};
    worker_submit(v->config.workers, &v->look);
}

static void ticked(struct loop_timer *t)
{
    struct agent_volumes *v = container_of(t, struct agent_volumes, tick);
    int64_t now_ns = loop_now_ns(v->config.loop);
    for (unsigned i = 0; i < v->n; i++) {
        struct agent_volumes_entry *e = v->entries[i];
        unsigned percent = e->percent;
        uint64_t bytes = e->received_bytes;
        if (e->working && (percent != e->told_percent || bytes != e->told_bytes)) {
            e->told_percent = percent;
            e->told_bytes = bytes;
            tell(v, e);
        }
        step(v, e);
    }
    if (now_ns >= v->look_ns)
        agent_volumes_look(v);
    loop_timer_arm(v->config.loop, t, now_ns + TICK_S * S_NS);
}

/* ---- from outside ---- */

struct agent_volumes *agent_volumes_create(const struct agent_volumes_config *config,
                                           struct err *err)
{
    struct agent_volumes *v = calloc(1, sizeof(*v));
    struct err why = {0};
    if (!v) {
        err_set(err, ENOMEM, "could not allocate the table of volumes");
        return NULL;
    }
    v->config = *config;
    v->tick.expired = ticked;
    list_all(v, &why);
    if (v->listed.failed) {
        err_set(err, why.code ? why.code : ENOMEM, "could not list volumes: %.400s", why.msg);
        agent_volumes_destroy(v);
        return NULL;
    }
    for (size_t i = 0; i < v->listed.n; i++)
        take_listed(v, &v->listed.infos[i]);
    int64_t now_ns = loop_now_ns(config->loop);
    v->look_ns = now_ns + LOOK_S * S_NS;
    loop_timer_arm(config->loop, &v->tick, now_ns + TICK_S * S_NS);
    return v;
}

void agent_volumes_stop(struct agent_volumes *v)
{
    v->stopping = true;
    for (unsigned i = 0; i < v->n; i++)
        v->entries[i]->stop = true;
}

void agent_volumes_destroy(struct agent_volumes *v)
{
    if (!v)
        return;
    loop_timer_cancel(v->config.loop, &v->tick);
    while (v->n)
        remove_at(v, v->n - 1);
    free(v->entries);
    free(v->listed.infos);
    free(v);
}

static enum volume_kind kind_of(enum link_volume_kind kind)
{
    return kind == LINK_VOLUME_KIND_IMAGE      ? VOLUME_IMAGE
           : kind == LINK_VOLUME_KIND_SNAPSHOT ? VOLUME_SNAPSHOT
                                               : VOLUME_VOLUME;
}

static enum link_volume_kind link_kind_of(enum volume_kind kind)
{
    return kind == VOLUME_IMAGE      ? LINK_VOLUME_KIND_IMAGE
           : kind == VOLUME_SNAPSHOT ? LINK_VOLUME_KIND_SNAPSHOT
                                     : LINK_VOLUME_KIND_VOLUME;
}

/* The want as ours; its texts are borrowed. */
static int read_want(const struct link_volume_want *want, struct agent_volumes_want *w,
                     struct err *err)
{
    enum volume_kind kind = kind_of(want->kind.v);
    *w = (struct agent_volumes_want){.generation = (uint64_t)want->generation.v,
                                     .present = want->present.v};
    link_uuid(&want->id, w->spec.id);
    link_uuid(&want->source, w->spec.source);
    snprintf(w->spec.pool, sizeof(w->spec.pool), "%s",
             want->pool.is == API_VALUE ? want->pool.v : "");
    if (!w->present)
        return 0;
    if (kind == VOLUME_VOLUME && want->size_bytes.is != API_VALUE)
        return err_set(err, EINVAL, "a volume has a size");
    if (kind == VOLUME_SNAPSHOT && want->source.is != API_VALUE)
        return err_set(err, EINVAL, "a snapshot is of a volume");
    if (kind == VOLUME_VOLUME) {
        w->spec.size_bytes = (uint64_t)want->size_bytes.v;
        w->spec.from_source = want->source.is == API_VALUE;
        w->spec.must_exist = want->existing.v;
        w->spec.source_kind = kind_of(want->source_kind.v);
        if (w->spec.from_source && want->source_kind.is != API_VALUE)
            return err_set(err, EINVAL, "a volume is made of an image or a snapshot: say which");
    }
    return kind == VOLUME_IMAGE ? agent_volumes_image_read(want, w, err) : 0;
}

/* Something new is made from an image that could not be had: whoever waits for it wants to know how
 * it is now. */
static void image_asked_again(struct agent_volumes *v, struct agent_volumes_entry *e)
{
    if (!e->working && !e->retry_ns) {
        tell(v, e); /* it can only fail again */
        return;
    }
    e->retry_ns = e->working ? 0 : loop_now_ns(v->config.loop);
    see(v, e, LINK_VOLUME_SEEN_STATE_WORKING, "");
}

int agent_volumes_want(struct agent_volumes *v, const struct link_volume_want *want,
                       struct err *err)
{
    struct agent_volumes_want w;
    int ret = read_want(want, &w, err);
    if (ret)
        return err_wrap(err, "volume %s", want->id.v);
    struct agent_volumes_entry *e = find_or_add(v, kind_of(want->kind.v), w.spec.id);
    if (!e)
        return err_set(err, ENOMEM, "could not allocate a volume");
    e->named = true;
    if (e->managed && w.generation < e->want.generation)
        return 0; /* an old message */
    bool first = !e->managed, same = e->managed && w.generation == e->want.generation;
    if (agent_volumes_want_copy(&e->want, &w))
        return err_set(err, ENOMEM, "could not allocate a volume");
    e->managed = true;
    if (e->working && !w.present)
        e->stop = true; /* what is being fetched is not waited for */
    if (first) {
        e->generation = 0;
        tell(v, e);
    }
    if (same && e->kind == VOLUME_IMAGE && e->state == LINK_VOLUME_SEEN_STATE_FAILED)
        image_asked_again(v, e);
    step(v, e);
    return 0;
}

void agent_volumes_begin_full(struct agent_volumes *v)
{
    for (unsigned i = 0; i < v->n; i++)
        v->entries[i]->named = false;
}

void agent_volumes_end_full(struct agent_volumes *v)
{
    for (unsigned i = v->n; i-- > 0;) {
        struct agent_volumes_entry *e = v->entries[i];
        if (e->named)
            continue;
        if (e->managed)
            tell(v, e);
        e->managed = false;
        if (!e->working && !e->there)
            remove_at(v, i);
    }
}

void agent_volumes_gone(struct agent_volumes *v, const uint8_t id[16])
{
    for (unsigned i = v->n; i-- > 0;) {
        struct agent_volumes_entry *e = v->entries[i];
        if (!memcmp(e->id, id, 16) && !e->working && !e->there)
            remove_at(v, i);
    }
}

int agent_volumes_source(struct agent_volumes *v, const struct volume_spec *volume,
                         char why[static 256])
{
    const struct agent_volumes_entry *made = find(v, VOLUME_VOLUME, volume->id);
    const struct agent_volumes_entry *e =
        volume->from_source && volume->source_kind == VOLUME_IMAGE && !(made && made->there)
            ? find(v, VOLUME_IMAGE, volume->source)
            : NULL;
    if (!e || e->there || !e->managed || !e->want.present)
        return 0;
    bool failed = e->state == LINK_VOLUME_SEEN_STATE_FAILED;
    if (failed)
        snprintf(why, 256, "its image: %.240s", e->reason);
    else
        snprintf(why, 256, "its image is being fetched");
    return failed ? -ENOENT : 1;
}

static void set_int(struct api_int *out, uint64_t v)
{
    *out = (struct api_int){API_VALUE, (int64_t)MIN(v, (uint64_t)72057594037927936)};
}

/* False: no memory. */
static bool describe(struct agent_volumes *v, const struct agent_volumes_entry *e,
                     struct api_arena *arena, struct link_volume_seen *out)
{
    char *id = api_arena_alloc(arena, UUID_TEXT_BYTES);
    if (!id)
        return false;
    uuid_format(e->id, id);
    *out = (struct link_volume_seen){.id = {API_VALUE, id}};
    out->kind.is = out->state.is = API_VALUE;
    out->kind.v = link_kind_of(e->kind);
    out->state.v = e->state;
    out->managed =
        (struct api_bool){API_VALUE, e->managed || v->config.in_use(v->config.opaque, e->id)};
    set_int(&out->generation, e->generation);
    if (e->there) {
        set_int(&out->size_bytes, e->info.size_bytes);
        set_int(&out->used_bytes, e->info.used_bytes);
        if (e->info.pool[0])
            out->pool = (struct api_text){API_VALUE, e->info.pool};
    }
    if (e->working && e->percent)
        set_int(&out->progress_percent, e->percent);
    if (e->reason[0])
        out->reason = (struct api_text){API_VALUE, e->reason};
    return e->kind != VOLUME_IMAGE || agent_volumes_image_describe(e, arena, out);
}

bool agent_volumes_next(struct agent_volumes *v, bool all, unsigned *at, struct api_arena *arena,
                        struct link_volume_seen *out)
{
    for (; *at < v->n; ++*at) {
        struct agent_volumes_entry *e = v->entries[*at];
        if (!all && !e->dirty)
            continue;
        if (!describe(v, e, arena, out))
            return false;
        e->dirty = false;
        ++*at;
        return true;
    }
    return false;
}
