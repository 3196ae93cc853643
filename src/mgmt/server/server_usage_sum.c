#include "mgmt/server/server_usage_sum.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_arena.h"
#include "api/gen/system.h"
#include "base/util.h"
#include "mgmt/server/server_internal.h"

#define ARENA_MAX_BYTES (256u << 20)
#define BUCKETS         65536

/* What is added up in one record. */
struct key {
    struct store_id project, of; /* `of`: an object, a flavor, nothing */
    enum api_usage_record_meter meter;
};

struct group {
    struct key key;
    double quantity;
    int64_t begin_ms, end_ms;
    bool open;
    const char *name, *flavor;
    struct group *next;
};

/* The last row of a counter. */
struct counter {
    struct store_id source;
    uint64_t epoch, cumulative;
    struct counter *next;
};

struct server_usage_sum {
    int64_t begin_ms, end_ms;
    enum api_usage_list_query_group_by by;
    struct api_arena arena;
    size_t n;
    struct group *groups[BUCKETS];
    struct counter *counters[BUCKETS];
};

struct server_usage_sum *server_usage_sum_create(int64_t begin_ms, int64_t end_ms,
                                                 enum api_usage_list_query_group_by by)
{
    struct server_usage_sum *sum = calloc(1, sizeof(*sum));
    if (!sum)
        return NULL;
    sum->begin_ms = begin_ms;
    sum->end_ms = end_ms;
    sum->by = by;
    api_arena_init(&sum->arena, ARENA_MAX_BYTES);
    return sum;
}

void server_usage_sum_destroy(struct server_usage_sum *sum)
{
    if (!sum)
        return;
    api_arena_fini(&sum->arena);
    free(sum);
}

static unsigned bucket_of(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return (unsigned)((h ^ h >> 32) % BUCKETS);
}

/* NULL: no memory. */
static struct group *group_of(struct server_usage_sum *sum, const struct store_id *project,
                              const struct store_id *object, enum api_usage_record_meter meter,
                              const char *flavor, const char *name)
{
    struct key key; /* its padding is part of it */
    memset(&key, 0, sizeof(key));
    key.project = *project;
    key.meter = meter;
    if (sum->by == API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE)
        key.of = *object;
    else if (sum->by == API_USAGE_LIST_QUERY_GROUP_BY_FLAVOR && flavor[0])
        (void)catalog_id_parse(flavor, &key.of);
    struct group **at = &sum->groups[bucket_of(&key, sizeof(key))], *g = *at;
    while (g && memcmp(&g->key, &key, sizeof(key)) != 0)
        g = g->next;
    if (g)
        return g;
    g = api_arena_alloc(&sum->arena, sizeof(*g));
    if (!g)
        return NULL;
    *g = (struct group){.begin_ms = INT64_MAX, .next = *at};
    memcpy(&g->key, &key, sizeof(key));
    if (sum->by != API_USAGE_LIST_QUERY_GROUP_BY_METER && flavor[0])
        g->flavor = api_arena_text(&sum->arena, flavor, strlen(flavor));
    if (sum->by == API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE && name[0])
        g->name = api_arena_text(&sum->arena, name, strlen(name));
    *at = g;
    sum->n++;
    return g;
}

static void widen(struct group *g, int64_t begin_ms, int64_t end_ms)
{
    g->begin_ms = MIN(g->begin_ms, begin_ms);
    g->end_ms = MAX(g->end_ms, end_ms);
}

int server_usage_sum_interval(struct server_usage_sum *sum, const struct store_id *project,
                              const struct store_id *object, const struct server_usage_row *row,
                              int64_t now_ms)
{
    bool open = !row->end_ms;
    int64_t begin = MAX(row->begin_ms, sum->begin_ms);
    int64_t end = MIN(open ? now_ms : row->end_ms, sum->end_ms);
    if (end <= begin)
        return 0;
    for (unsigned i = 0; i < row->n; i++) {
        const struct server_usage_rate *rate = &row->rates[i];
        struct group *g = group_of(sum, project, object, rate->meter, row->flavor, row->name);
        if (!g)
            return -ENOMEM;
        g->quantity += (double)(end - begin) / 1000 * (double)rate->rate;
        g->open |= open && now_ms <= sum->end_ms;
        widen(g, begin, end);
    }
    return 0;
}

static struct counter *counter_of(struct server_usage_sum *sum, const struct store_id *source,
                                  bool *is_new)
{
    struct counter **at = &sum->counters[bucket_of(source, sizeof(*source))], *k = *at;
    while (k && memcmp(&k->source, source, sizeof(*source)) != 0)
        k = k->next;
    *is_new = !k;
    if (k)
        return k;
    k = api_arena_alloc(&sum->arena, sizeof(*k));
    if (k) {
        *k = (struct counter){.source = *source, .next = *at};
        *at = k;
    }
    return k;
}

/* What it has grown by since the row before. */
static int add_counter(struct server_usage_sum *sum, const struct store_row *row)
{
    enum api_usage_record_meter meter;
    uint64_t cumulative, before;
    bool is_new;
    if (server_usage_row_meter_of(row->name.data, row->name.len_bytes, &meter) ||
        server_usage_row_read_counter(row->body.data, row->body.len_bytes, &cumulative, &before))
        return 0;
    struct counter *k = counter_of(sum, &row->actor, &is_new);
    if (!k)
        return -ENOMEM;
    if (!is_new)
        before = k->epoch == row->epoch ? k->cumulative : 0;
    k->epoch = row->epoch;
    k->cumulative = cumulative;
    if (row->at_ms < sum->begin_ms || row->at_ms >= sum->end_ms || cumulative <= before)
        return 0;
    struct group *g = group_of(sum, &row->project, &row->object, meter, "", "");
    if (!g)
        return -ENOMEM;
    g->quantity += (double)(cumulative - before);
    widen(g, row->at_ms, row->at_ms);
    return 0;
}

int server_usage_sum_row(struct server_usage_sum *sum, const struct store_row *row)
{
    static const char interval[] = SERVER_USAGE_INTERVAL;
    struct server_usage_row r;
    if (row->name.len_bytes != sizeof(interval) - 1 ||
        memcmp(row->name.data, interval, sizeof(interval) - 1) != 0)
        return add_counter(sum, row);
    if (server_usage_row_read(row->body.data, row->body.len_bytes, &r) || !r.end_ms)
        return 0;
    return server_usage_sum_interval(sum, &row->project, &row->object, &r, 0);
}

static enum api_usage_record_unit unit_of(enum api_usage_record_meter meter)
{
    switch (meter) {
    case API_USAGE_RECORD_METER_VCPU_TIME:
    case API_USAGE_RECORD_METER_RESERVATION_TIME:
        return API_USAGE_RECORD_UNIT_VCPU_S;
    case API_USAGE_RECORD_METER_MEMORY_TIME:
        return API_USAGE_RECORD_UNIT_MIB_S;
    case API_USAGE_RECORD_METER_VOLUME_TIME:
    case API_USAGE_RECORD_METER_SNAPSHOT_TIME:
    case API_USAGE_RECORD_METER_IMAGE_TIME:
        return API_USAGE_RECORD_UNIT_GIB_S;
    case API_USAGE_RECORD_METER_EGRESS:
        return API_USAGE_RECORD_UNIT_BYTES;
    default:
        return API_USAGE_RECORD_UNIT_S;
    }
}

static struct api_text text(struct server_usage_sum *sum, const char *v)
{
    const char *copy = v ? api_arena_text(&sum->arena, v, strlen(v)) : NULL;
    return (struct api_text){copy ? API_VALUE : API_ABSENT, copy};
}

static struct api_text id_text(struct server_usage_sum *sum, const struct store_id *id)
{
    char uuid[UUID_TEXT_BYTES];
    uuid_format(id->bytes, uuid);
    return text(sum, catalog_id_is_zero(id) ? NULL : uuid);
}

static struct api_text time_text(struct server_usage_sum *sum, int64_t ms)
{
    char t[SERVER_TIME_BYTES];
    server_meta_time(ms, t);
    return text(sum, t);
}

/* Short, and the same for the same project, meter and thing: so pages go on where they were. */
static struct api_text record_id(struct server_usage_sum *sum, const struct key *key)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char id[40];
    SHA256((const uint8_t *)key, sizeof(*key), hash);
    for (unsigned i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", hash[i]);
    return text(sum, id);
}

static void fill(struct server_usage_sum *sum, const struct group *g, struct api_usage_record *r)
{
    bool by_resource = sum->by == API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE;
    r->id = record_id(sum, &g->key);
    r->project = id_text(sum, &g->key.project);
    r->meter.is = API_VALUE;
    r->meter.v = g->key.meter;
    if (by_resource)
        r->resource = id_text(sum, &g->key.of);
    r->resource_name = text(sum, g->name);
    r->flavor = text(sum, g->flavor);
    r->quantity = (struct api_number){API_VALUE, g->quantity};
    r->unit.is = API_VALUE;
    r->unit.v = unit_of(g->key.meter);
    r->begin = time_text(sum, g->begin_ms);
    r->end = time_text(sum, g->end_ms);
    if (g->open)
        r->open = (struct api_bool){API_VALUE, true};
}

int server_usage_sum_records(struct server_usage_sum *sum, const void ***docs, size_t *n)
{
    const void **list = api_arena_array(&sum->arena, sum->n + 1, sizeof(*list));
    size_t at = 0;
    for (unsigned i = 0; list && i < BUCKETS; i++)
        for (const struct group *g = sum->groups[i]; g; g = g->next) {
            struct api_usage_record *r = api_json_new(&api_types_usage_record, &sum->arena);
            if (!r)
                return -ENOMEM;
            fill(sum, g, r);
            if (r->id.is != API_VALUE || r->begin.is != API_VALUE || r->end.is != API_VALUE)
                return -ENOMEM;
            list[at++] = r;
        }
    if (!list)
        return -ENOMEM;
    *docs = list;
    *n = at;
    return 0;
}
