/* All state of a VM is its row in a table; what is wanted of it is true at once. */
#include "agent/simulated_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "agent/agent_link.h"
#include "api/api_format.h"
#include "base/log.h"
#include "base/util.h"
#include "base/uuid.h"

#define ARENA_BYTES (4u << 20)
#define PART_MAX    500
#define EGRESS_STEP 65536 /* that a VM "sends" between two looks */

/* What a VM has, said while the server changes it; else nobody's memory. */
struct devices {
    uint32_t n_disks, n_ports;
    uint8_t ids[24 + 16][16]; /* disks, then ports */
};

struct thing {
    uint8_t id[16];
    uint64_t generation, epoch, value; /* value: a VM's egress, a volume's size */
    uint8_t kind;                      /* of a volume: enum link_volume_kind */
    uint8_t state;                     /* enum link_vm_seen_state or link_volume_seen_state */
    bool managed, named, dirty;
    struct devices *devices; /* of a VM; NULL: not asked for */
};

struct table {
    struct thing *rows;
    unsigned n, capacity;
};

struct simulated_host {
    const struct simulated_host_config *config;
    struct agent_link *link;
    struct web_timer *beat;
    char id[UUID_TEXT_BYTES], boot[UUID_TEXT_BYTES];
    int64_t beat_ms, usage_ms, since_usage_ms, desired_seq;
    uint64_t beats, usage_epoch, usage_number;
    bool collecting;
    struct table vms, volumes;
};

/* ---- tables ---- */

static struct thing *find(struct table *t, const uint8_t id[16], uint8_t kind)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->rows[i].kind == kind && !memcmp(t->rows[i].id, id, 16))
            return &t->rows[i];
    return NULL;
}

static struct thing *find_or_add(struct table *t, const uint8_t id[16], uint8_t kind)
{
    struct thing *row = find(t, id, kind);
    if (row)
        return row;
    if (t->n == t->capacity) {
        unsigned capacity = MAX(2 * t->capacity, 8u);
        struct thing *rows = realloc(t->rows, capacity * sizeof(*rows));
        if (!rows)
            return NULL;
        t->rows = rows;
        t->capacity = capacity;
    }
    row = &t->rows[t->n++];
    *row = (struct thing){.kind = kind};
    memcpy(row->id, id, 16);
    return row;
}

static void remove_row(struct table *t, struct thing *row)
{
    free(row->devices);
    *row = t->rows[--t->n];
}

/* ---- saying ---- */

static void describe_ids(struct api_texts *out, const uint8_t (*ids)[16], uint32_t n,
                         struct api_arena *arena)
{
    const char **list = api_arena_array(arena, n, sizeof(*list));
    char *texts = api_arena_alloc(arena, (size_t)n * UUID_TEXT_BYTES);
    if (n && (!list || !texts))
        return;
    for (uint32_t i = 0; i < n; i++) {
        list[i] = texts + i * UUID_TEXT_BYTES;
        uuid_format(ids[i], texts + i * UUID_TEXT_BYTES);
    }
    *out = (struct api_texts){API_VALUE, n, list};
}

static void describe_vm(const struct thing *row, char *id, struct api_arena *arena,
                        struct link_vm_seen *out)
{
    uuid_format(row->id, id);
    *out = (struct link_vm_seen){.id = {API_VALUE, id},
                                 .managed = {API_VALUE, row->managed},
                                 .generation = {API_VALUE, (int64_t)row->generation},
                                 .epoch = {API_VALUE, (int64_t)row->epoch}};
    out->state.is = API_VALUE;
    out->state.v = (enum link_vm_seen_state)row->state;
    const struct devices *d = row->devices;
    if (!d)
        return;
    describe_ids(&out->disks, d->ids, d->n_disks, arena);
    describe_ids(&out->ports, d->ids + d->n_disks, d->n_ports, arena);
}

static void describe_volume(const struct thing *row, char *id, struct link_volume_seen *out)
{
    uuid_format(row->id, id);
    *out = (struct link_volume_seen){.id = {API_VALUE, id},
                                     .managed = {API_VALUE, row->managed},
                                     .generation = {API_VALUE, (int64_t)row->generation},
                                     .size_bytes = {API_VALUE, (int64_t)row->value}};
    out->kind.is = out->state.is = API_VALUE;
    out->kind.v = (enum link_volume_kind)row->kind;
    out->state.v = (enum link_volume_seen_state)row->state;
}

/* Rows from *at on, at most a part of them; those that have changed, or all. */
static uint32_t pick(struct table *t, unsigned *at, bool all, struct thing **rows)
{
    uint32_t n = 0;
    for (; *at < t->n && n < PART_MAX; ++*at)
        if (all || t->rows[*at].dirty) {
            rows[n++] = &t->rows[*at];
            t->rows[*at].dirty = false;
        }
    return n;
}

static void say_seen(struct simulated_host *h, bool all)
{
    unsigned vm_at = 0, volume_at = 0;
    bool more = true;
    while (more) {
        struct api_arena arena;
        struct thing *rows[PART_MAX];
        struct link_seen seen = {.desired_seq = {API_VALUE, h->desired_seq}};
        api_arena_init(&arena, ARENA_BYTES);
        seen.vms.n = pick(&h->vms, &vm_at, all, rows);
        seen.vms.v = api_arena_array(&arena, seen.vms.n, sizeof(*seen.vms.v));
        for (uint32_t i = 0; seen.vms.v && i < seen.vms.n; i++)
            describe_vm(rows[i], api_arena_alloc(&arena, UUID_TEXT_BYTES), &arena, &seen.vms.v[i]);
        seen.volumes.n = pick(&h->volumes, &volume_at, all, rows);
        seen.volumes.v = api_arena_array(&arena, seen.volumes.n, sizeof(*seen.volumes.v));
        for (uint32_t i = 0; seen.volumes.v && i < seen.volumes.n; i++)
            describe_volume(rows[i], api_arena_alloc(&arena, UUID_TEXT_BYTES), &seen.volumes.v[i]);
        more = vm_at < h->vms.n || volume_at < h->volumes.n;
        seen.vms.is = seen.vms.n ? API_VALUE : API_ABSENT;
        seen.volumes.is = seen.volumes.n ? API_VALUE : API_ABSENT;
        seen.full = (struct api_bool){API_VALUE, all};
        seen.more = (struct api_bool){API_VALUE, all && more};
        if (all || seen.vms.n || seen.volumes.n)
            (void)agent_link_send(h->link, LINK_TYPE_SEEN, &seen);
        api_arena_fini(&arena);
    }
}

static void say_inventory(struct simulated_host *h)
{
    const struct simulated_host_config *c = h->config;
    struct link_engine engines[] = {{.name = {API_VALUE, "kvm"}, .usable = {API_VALUE, true}}};
    struct link_pool_state pools[] = {{.name = {API_VALUE, "local"},
                                       .driver = {API_VALUE, "file"},
                                       .size_bytes = {API_VALUE, (int64_t)c->pool_bytes},
                                       .free_bytes = {API_VALUE, (int64_t)c->pool_bytes}}};
    struct link_numa_node nodes[64] = {{.node = {API_VALUE, 0}}};
    int64_t cpus[4096];
    unsigned n_nodes = MIN(MAX(c->numa_nodes, 1u), 64u), n = MIN(c->cpus, 4096u);
    const char *drivers[] = {"file", "user", "bridge"};
    pools[0].state.is = API_VALUE;
    for (unsigned i = 0; i < n; i++)
        cpus[i] = i;
    for (unsigned i = 0; i < n_nodes; i++) {
        unsigned first = n * i / n_nodes, end = n * (i + 1) / n_nodes;
        nodes[i].node = (struct api_int){API_VALUE, i};
        nodes[i].cpus = (struct api_ints){API_VALUE, end - first, cpus + first};
        nodes[i].memory_mib = (struct api_int){API_VALUE, (int64_t)(c->memory_mib / n_nodes)};
    }
    struct link_inventory inventory = {.cpus = {API_VALUE, n},
                                       .cores = {API_VALUE, n},
                                       .cpu_model = {API_VALUE, "simulated"},
                                       .memory_mib = {API_VALUE, (int64_t)c->memory_mib},
                                       .engines = {API_VALUE, 1, engines},
                                       .pools = {API_VALUE, 1, pools},
                                       .numa = {API_VALUE, n_nodes, nodes},
                                       .volume_drivers = {API_VALUE, 1, drivers},
                                       .network_drivers = {API_VALUE, 2, drivers + 1},
                                       .agent_version = {API_VALUE, VIRGA_VERSION}};
    (void)agent_link_send(h->link, LINK_TYPE_INVENTORY, &inventory);
}

static void say_usage(struct simulated_host *h)
{
    struct api_arena arena;
    struct timespec t;
    char at[API_FORMAT_TIME_BYTES];
    clock_gettime(CLOCK_REALTIME, &t);
    api_format_time_text(t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000, at);
    api_arena_init(&arena, ARENA_BYTES);
    uint32_t n = 0, max = MIN(h->vms.n, 1000u);
    struct link_usage_item *items = api_arena_array(&arena, max, sizeof(*items));
    for (unsigned i = 0; items && i < h->vms.n && n < max; i++) {
        struct thing *row = &h->vms.rows[i];
        char *id = row->state == LINK_VM_SEEN_STATE_RUNNING
                       ? api_arena_alloc(&arena, UUID_TEXT_BYTES)
                       : NULL;
        if (!id)
            continue;
        row->value += EGRESS_STEP;
        uuid_format(row->id, id);
        items[n].vm = items[n].object = (struct api_text){API_VALUE, id};
        items[n].run = (struct api_int){API_VALUE, (int64_t)row->epoch};
        items[n].kind.is = items[n].meter.is = API_VALUE;
        items[n].kind.v = LINK_USAGE_ITEM_KIND_VM;
        items[n].meter.v = LINK_USAGE_ITEM_METER_EGRESS_BYTES;
        items[n++].value = (struct api_int){API_VALUE, (int64_t)row->value};
    }
    struct link_usage usage = {.source = {API_VALUE, h->id},
                               .epoch = {API_VALUE, (int64_t)h->usage_epoch},
                               .number = {API_VALUE, (int64_t)++h->usage_number},
                               .at = {API_VALUE, at},
                               .items = {API_VALUE, n, items}};
    if (n)
        (void)agent_link_send(h->link, LINK_TYPE_USAGE, &usage);
    api_arena_fini(&arena);
}

static void beat(void *ctx)
{
    struct simulated_host *h = ctx;
    if (!agent_link_is_up(h->link))
        return;
    struct link_heartbeat message = {.number = {API_VALUE, (int64_t)++h->beats},
                                     .load_1m = {API_VALUE, 0.5},
                                     .memory_free_mib = {API_VALUE, (int64_t)h->config->memory_mib},
                                     .vms_running = {API_VALUE, simulated_host_running(h)}};
    message.health.is = API_VALUE;
    (void)agent_link_send(h->link, LINK_TYPE_HEARTBEAT, &message);
    h->since_usage_ms += h->beat_ms;
    if (h->since_usage_ms >= h->usage_ms) {
        h->since_usage_ms = 0;
        say_usage(h);
    }
    web_timer_arm(h->beat, h->beat_ms * 1000);
}

/* ---- hearing ---- */

/* A VM's disks come with it, and go unless they are kept. */
static void want_disks(struct simulated_host *h, const struct link_vm_want *w)
{
    uint8_t id[16];
    bool gone = w->power.v == LINK_VM_WANT_POWER_ABSENT;
    for (uint32_t i = 0; i < w->disks.n; i++) {
        const struct link_disk *d = &w->disks.v[i];
        link_uuid(&d->volume, id);
        struct thing *row = find_or_add(&h->volumes, id, LINK_VOLUME_KIND_VOLUME);
        if (!row)
            continue;
        uint8_t state =
            gone && !d->keep.v ? LINK_VOLUME_SEEN_STATE_ABSENT : LINK_VOLUME_SEEN_STATE_READY;
        row->named = true;
        row->dirty = row->dirty || row->state != state || !row->managed;
        row->managed = true;
        row->state = state;
        row->value = (uint64_t)d->size_bytes.v;
    }
}

/* They come and go at once. */
static void want_devices(struct thing *row, const struct link_vm_want *w)
{
    free(row->devices);
    row->devices = w->devices.v ? calloc(1, sizeof(*row->devices)) : NULL;
    struct devices *d = row->devices;
    if (!d)
        return;
    d->n_disks = MIN(w->disks.n, 24u);
    d->n_ports = MIN(w->ports.n, 16u);
    for (uint32_t i = 0; i < d->n_disks; i++)
        link_uuid(&w->disks.v[i].volume, d->ids[i]);
    for (uint32_t i = 0; i < d->n_ports; i++)
        link_uuid(&w->ports.v[i].id, d->ids[d->n_disks + i]);
}

static void want_vm(struct simulated_host *h, const struct link_vm_want *w)
{
    uint8_t id[16];
    link_uuid(&w->id, id);
    struct thing *row = find_or_add(&h->vms, id, 0);
    if (!row)
        return;
    row->named = true;
    if (row->managed && (uint64_t)w->generation.v < row->generation)
        return;
    bool starts = (uint64_t)w->epoch.v > row->epoch;
    bool runs = row->state == LINK_VM_SEEN_STATE_RUNNING || row->state == LINK_VM_SEEN_STATE_PAUSED;
    row->managed = row->dirty = true;
    row->generation = (uint64_t)w->generation.v;
    want_disks(h, w);
    want_devices(row, w);
    switch (w->power.v) {
    case LINK_VM_WANT_POWER_RUNNING:
    case LINK_VM_WANT_POWER_PAUSED:
        if (starts)
            row->value = 0;
        row->epoch = MAX(row->epoch, (uint64_t)w->epoch.v);
        if (starts || runs)
            row->state = w->power.v == LINK_VM_WANT_POWER_PAUSED ? LINK_VM_SEEN_STATE_PAUSED
                                                                 : LINK_VM_SEEN_STATE_RUNNING;
        break;
    case LINK_VM_WANT_POWER_STOPPED:
        row->state = LINK_VM_SEEN_STATE_STOPPED;
        break;
    default:
        row->state = LINK_VM_SEEN_STATE_ABSENT;
        break;
    }
}

static void want_volume(struct simulated_host *h, const struct link_volume_want *w)
{
    uint8_t id[16];
    link_uuid(&w->id, id);
    struct thing *row = find_or_add(&h->volumes, id, (uint8_t)w->kind.v);
    if (!row)
        return;
    row->named = true;
    if (row->managed && (uint64_t)w->generation.v < row->generation)
        return;
    row->managed = row->dirty = true;
    row->generation = (uint64_t)w->generation.v;
    if (w->size_bytes.is == API_VALUE)
        row->value = (uint64_t)w->size_bytes.v;
    row->state = w->present.v ? LINK_VOLUME_SEEN_STATE_READY : LINK_VOLUME_SEEN_STATE_ABSENT;
}

static void name_none(struct table *t)
{
    for (unsigned i = 0; i < t->n; i++)
        t->rows[i].named = false;
}

static void let_be(struct table *t)
{
    for (unsigned i = t->n; i-- > 0;) {
        struct thing *row = &t->rows[i];
        if (row->named)
            continue;
        row->dirty = row->dirty || row->managed;
        row->managed = false;
        if (!row->state) /* absent, in both enums */
            remove_row(t, row);
    }
}

static void take_desired(struct simulated_host *h, const struct link_desired *d)
{
    if (d->full.v && !h->collecting) {
        name_none(&h->vms);
        name_none(&h->volumes);
        h->collecting = true;
    }
    for (uint32_t i = 0; i < d->vms.n; i++)
        want_vm(h, &d->vms.v[i]);
    for (uint32_t i = 0; i < d->volumes.n; i++)
        want_volume(h, &d->volumes.v[i]);
    h->desired_seq = MAX(h->desired_seq, d->seq.v);
    if (d->full.v && !d->more.v) {
        let_be(&h->vms);
        let_be(&h->volumes);
        h->collecting = false;
    }
    say_seen(h, false);
}

static void take_gone(struct simulated_host *h, const struct link_gone *g)
{
    uint8_t id[16];
    for (uint32_t i = 0; i < g->vms.n; i++) {
        link_uuid(&(struct api_text){API_VALUE, g->vms.v[i]}, id);
        struct thing *row = find(&h->vms, id, 0);
        if (row && row->state == LINK_VM_SEEN_STATE_ABSENT)
            remove_row(&h->vms, row);
    }
    for (uint32_t i = 0; i < g->volumes.n; i++)
        for (uint8_t kind = 0; kind < LINK_VOLUME_KIND_N; kind++) {
            link_uuid(&(struct api_text){API_VALUE, g->volumes.v[i]}, id);
            struct thing *row = find(&h->volumes, id, kind);
            if (row && row->state == LINK_VOLUME_SEEN_STATE_ABSENT)
                remove_row(&h->volumes, row);
        }
}

static void on_hello(void *opaque, struct link_hello *hello)
{
    struct simulated_host *h = opaque;
    hello->host = (struct api_text){API_VALUE, h->id};
    hello->boot = hello->instance = (struct api_text){API_VALUE, h->boot};
    hello->desired_seq = (struct api_int){API_VALUE, h->desired_seq};
    hello->simulated = (struct api_bool){API_VALUE, true};
}

static void on_up(void *opaque, const struct link_welcome *welcome)
{
    struct simulated_host *h = opaque;
    uint16_t part = 0;
    h->collecting = false;
    h->beat_ms = welcome->heartbeat_ms.v;
    h->usage_ms = welcome->usage_ms.v;
    say_inventory(h);
    say_seen(h, true);
    /* Not all hosts of a fleet at once. */
    if (getrandom(&part, sizeof(part), GRND_NONBLOCK) < 0)
        part = 0;
    web_timer_arm(h->beat, h->beat_ms * 1000 * part / 65536);
}

static void on_message(void *opaque, const struct link_message *m, struct api_arena *arena)
{
    struct simulated_host *h = opaque;
    (void)arena;
    if (m->type == LINK_TYPE_DESIRED) {
        take_desired(h, m->desired);
    } else if (m->type == LINK_TYPE_GONE) {
        take_gone(h, m->gone);
    } else if (m->type == LINK_TYPE_COMMAND) {
        struct link_result result = {.id = m->command->id, .ok = {API_VALUE, true}};
        (void)agent_link_send(h->link, LINK_TYPE_RESULT, &result);
    }
}

static void on_stream(void *opaque, uint32_t stream, const char *data, size_t bytes)
{
    struct simulated_host *h = opaque;
    struct api_buf b;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_stream_write(stream, data, bytes, &b); /* what is typed is what is shown */
    if (!b.failed)
        (void)agent_link_send_frame(h->link, b.text, b.bytes, false);
    api_buf_fini(&b);
}

static void on_down(void *opaque, const char *why, unsigned ms)
{
    (void)opaque;
    LOG_LIMITED(LOG_WARN, "agent", "a simulated host has no link: %s: again_ms=%u", why, ms);
}

static const struct agent_link_ops OPS = {on_hello, on_up, on_message, on_stream, on_down};

/* ---- from outside ---- */

struct simulated_host *simulated_host_create(const struct simulated_host_config *config,
                                             struct web_client *client, const uint8_t id[16],
                                             struct err *err)
{
    struct simulated_host *h = calloc(1, sizeof(*h));
    struct timespec t;
    uint8_t boot[16];
    if (!h) {
        err_set(err, ENOMEM, "could not allocate a host");
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    h->config = config;
    h->usage_epoch = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    uuid_format(id, h->id);
    if (getrandom(boot, sizeof(boot), 0) != sizeof(boot))
        memcpy(boot, id, sizeof(boot));
    uuid_format(boot, h->boot);
    const struct agent_link_config link = {.loop = config->loop,
                                           .client = client,
                                           .host = config->server,
                                           .port = config->port,
                                           .first_dial_ms = config->first_dial_ms,
                                           .ops = &OPS,
                                           .opaque = h};
    h->beat = web_timer_create(config->loop, beat, h);
    h->link = h->beat ? agent_link_create(&link, err) : NULL;
    if (!h->link) {
        if (!h->beat)
            err_set(err, ENOMEM, "could not make a timer");
        web_timer_destroy(h->beat);
        free(h);
        return NULL;
    }
    return h;
}

void simulated_host_stop(struct simulated_host *h)
{
    agent_link_stop(h->link, "the simulation ends");
}

void simulated_host_fini(struct simulated_host *h)
{
    agent_link_fini(h->link);
    web_timer_destroy(h->beat);
    h->beat = NULL;
}

void simulated_host_destroy(struct simulated_host *h)
{
    if (!h)
        return;
    agent_link_destroy(h->link);
    for (unsigned i = 0; i < h->vms.n; i++)
        free(h->vms.rows[i].devices);
    free(h->vms.rows);
    free(h->volumes.rows);
    free(h);
}

bool simulated_host_is_up(const struct simulated_host *h)
{
    return agent_link_is_up(h->link);
}

unsigned simulated_host_running(const struct simulated_host *h)
{
    unsigned n = 0;
    for (unsigned i = 0; i < h->vms.n; i++)
        n += h->vms.rows[i].state == LINK_VM_SEEN_STATE_RUNNING;
    return n;
}
