/* A store as naive as it can be: arrays that are searched from the first to the last, copied whole
 * before each transaction. What a provider answers and holds is compared with it. */
#ifndef TESTS_UNIT_MGMT_STORE_STORE_MODEL_H
#define TESTS_UNIT_MGMT_STORE_STORE_MODEL_H

#include "store_rig.h"

#define MODEL_MAX   64
#define MODEL_LINES 8000

struct model_object {
    bool living, known; /* known and not living: a tombstone */
    uint8_t kind;
    unsigned id, project;
    char name[8], body[24];
    uint64_t seq;
    int64_t gone_ms;
};

struct model_small {
    bool known;
    unsigned id;
    char name[8];
    int64_t value, epoch;
    uint64_t seq;
};

struct model_state {
    uint64_t seq, tombstone_horizon;
    struct model_object objects[MODEL_MAX];
    struct model_small claims[MODEL_MAX], counters[MODEL_MAX], keys[MODEL_MAX], sources[MODEL_MAX];
    unsigned n_lines[3], first_event;
};

struct model {
    struct model_state s;
    char *lines[3][MODEL_LINES];
    int64_t event_ms[MODEL_LINES];
};

static inline struct model_object *model_object(struct model_state *m, uint8_t kind, unsigned id)
{
    struct model_object *free_one = NULL;
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        struct model_object *o = &m->objects[i];
        if (o->known && o->kind == kind && o->id == id)
            return o;
        if (!o->known && !free_one)
            free_one = o;
    }
    *free_one = (struct model_object){.kind = kind, .id = id};
    return free_one;
}

static inline struct model_small *model_small(struct model_small *list, unsigned id,
                                              struct store_text name)
{
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        struct model_small *c = &list[i];
        if (!c->known) {
            *c = (struct model_small){.id = id};
            snprintf(c->name, sizeof(c->name), "%.*s", (int)name.len_bytes, name.data);
            return c;
        }
        if (c->id == id && strlen(c->name) == name.len_bytes &&
            !memcmp(c->name, name.data, name.len_bytes))
            return c;
    }
    abort();
}

static inline int model_put(struct model_state *m, const struct store_object *in, int64_t *current)
{
    struct model_object *o = model_object(m, in->kind, rig_number(&in->id));
    bool living = o->known && o->living;
    *current = living ? (int64_t)o->seq : 0;
    if (in->when == STORE_IF_ABSENT && living)
        return -EEXIST;
    if (in->when == STORE_IF_SEQ && (!living || o->seq != in->seq))
        return -ESTALE;
    char name[8];
    snprintf(name, sizeof(name), "%.*s", (int)in->name.len_bytes, in->name.data);
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        struct model_object *x = &m->objects[i];
        if (x->known && x->living && x != o && x->kind == in->kind &&
            x->project == rig_number(&in->project) && !strcmp(x->name, name)) {
            *current = (int64_t)x->seq;
            return -ENOTUNIQ;
        }
    }
    o->known = o->living = true;
    o->project = rig_number(&in->project);
    memcpy(o->name, name, sizeof(name));
    snprintf(o->body, sizeof(o->body), "%.*s", (int)in->body.len_bytes, in->body.data);
    o->seq = ++m->seq;
    return 0;
}

static inline int model_delete(struct model_state *m, const struct store_object *in,
                               int64_t *current)
{
    struct model_object *o = model_object(m, in->kind, rig_number(&in->id));
    bool living = o->known && o->living;
    *current = living ? (int64_t)o->seq : 0;
    if (!living)
        return -ENOENT;
    if (in->when == STORE_IF_SEQ && o->seq != in->seq)
        return -ESTALE;
    o->living = false;
    o->gone_ms = in->at_ms;
    o->seq = ++m->seq;
    return 0;
}

static inline int model_small_op(struct model_state *m, const struct store_op *op, int64_t *current)
{
    struct store_text none = {"", 0};
    if (op->type == STORE_RAISE) {
        struct model_small *c = model_small(m->claims, rig_number(&op->raise.host), none);
        *current = c->value;
        if ((uint64_t)c->value != op->raise.expected)
            return -ESTALE;
        c->known = true;
        c->value++;
        c->seq = ++m->seq;
    } else if (op->type == STORE_ADD) {
        struct model_small *c = model_small(m->counters, rig_number(&op->add.owner), op->add.name);
        int64_t sum = c->value + op->add.delta;
        *current = c->value;
        if (op->add.delta > 0 && op->add.limit >= 0 && sum > op->add.limit)
            return -EDQUOT;
        if (sum < 0)
            return -ERANGE;
        c->known = true;
        c->value = sum;
        c->seq = ++m->seq;
    } else {
        struct model_small *c = model_small(m->keys, rig_number(&op->key.principal), op->key.key);
        *current = (int64_t)c->seq;
        if (c->known && c->value > op->key.at_ms)
            return -EEXIST;
        c->known = true;
        c->value = op->key.expires_ms;
        c->seq = ++m->seq;
    }
    return 0;
}

static inline int model_append(struct model *m, const struct store_op *op, int64_t *current)
{
    unsigned table = op->type == STORE_EVENT   ? STORE_EVENTS
                     : op->type == STORE_AUDIT ? STORE_AUDIT_TRAIL
                                               : STORE_USAGE_ROWS;
    if (op->type == STORE_USAGE) {
        struct model_small *c =
            model_small(m->s.sources, rig_number(&op->row.actor), (struct store_text){"", 0});
        int64_t epoch = (int64_t)op->row.epoch, number = (int64_t)op->row.number;
        *current = c->value;
        if (c->known && (epoch < c->epoch || (epoch == c->epoch && number <= c->value)))
            return -EALREADY;
        c->known = true;
        c->epoch = epoch;
        c->value = number;
    }
    struct store_row row = op->row;
    row.position = ++m->s.seq;
    struct rig_text t = {.text = NULL};
    rig_add_row(&row, &t);
    unsigned n = m->s.n_lines[table]++;
    if (n >= MODEL_LINES)
        abort();
    free(m->lines[table][n]);
    m->lines[table][n] = t.text;
    if (table == STORE_EVENTS)
        m->event_ms[n] = row.at_ms;
    return 0;
}

/* Tombstones and events; keys are told from others only by their expiry, which nothing changes. */
static inline int model_expire(struct model *m, const struct store_expire *e, int64_t *removed)
{
    *removed = 0;
    if (e->what == STORE_OLD_EVENTS) {
        while (m->s.first_event < m->s.n_lines[STORE_EVENTS] && *removed < e->max_rows &&
               m->event_ms[m->s.first_event] <= e->before_ms) {
            m->s.first_event++;
            ++*removed;
        }
    } else if (e->what == STORE_OLD_TOMBSTONES) {
        while (*removed < e->max_rows) {
            struct model_object *old = NULL;
            for (unsigned i = 0; i < MODEL_MAX; i++) {
                struct model_object *o = &m->s.objects[i];
                if (o->known && !o->living && o->gone_ms <= e->before_ms &&
                    (!old || o->seq < old->seq))
                    old = o;
            }
            if (!old)
                break;
            if (old->seq > m->s.tombstone_horizon)
                m->s.tombstone_horizon = old->seq;
            old->known = false;
            ++*removed;
        }
    }
    return 0;
}

static inline int model_op(struct model *m, const struct store_op *op, int64_t *current)
{
    switch (op->type) {
    case STORE_PUT:
        return model_put(&m->s, &op->object, current);
    case STORE_DELETE:
        return model_delete(&m->s, &op->object, current);
    case STORE_RAISE:
    case STORE_ADD:
    case STORE_KEY:
        return model_small_op(&m->s, op, current);
    case STORE_EXPIRE:
        return model_expire(m, &op->expire, current);
    default:
        return model_append(m, op, current);
    }
}

/* Returns what the transaction's result must be. */
static inline int model_txn(struct model *m, const struct store_txn *txn, unsigned *failed_op,
                            int64_t *current)
{
    struct model_state before = m->s;
    for (unsigned i = 0; i < txn->n_ops; i++) {
        int r = model_op(m, &txn->ops[i], current);
        if (r) {
            m->s = before;
            *failed_op = i;
            return r;
        }
    }
    return 0;
}

static inline int model_compare_lines(const void *a, const void *b)
{
    uint64_t x = strtoull(*(char *const *)a, NULL, 10), y = strtoull(*(char *const *)b, NULL, 10);
    return (x > y) - (x < y);
}

/* What a load (after 0, no tombstones) or a follow must show. */
static inline struct rig_text model_records(struct model *m, uint64_t after, bool everything)
{
    struct rig_text unsorted = {.text = NULL}, sorted = {.text = NULL};
    char *lines[4 * MODEL_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        struct model_object *o = &m->s.objects[i];
        struct store_record r = {.type = o->living ? STORE_OBJECT : STORE_TOMBSTONE,
                                 .seq = o->seq,
                                 .kind = o->kind,
                                 .id = rig_id(o->id),
                                 .project = rig_id(o->project),
                                 .name = store_text_of(o->name),
                                 .body = store_text_of(o->body)};
        if (o->known && o->seq > after && (o->living || !everything))
            rig_add_record(&r, &unsorted);
        struct model_small *c = &m->s.claims[i];
        r = (struct store_record){
            .type = STORE_CLAIM, .seq = c->seq, .id = rig_id(c->id), .value = c->value};
        if (c->known && c->seq > after)
            rig_add_record(&r, &unsorted);
        c = &m->s.counters[i];
        r = (struct store_record){.type = STORE_COUNTER,
                                  .seq = c->seq,
                                  .id = rig_id(c->id),
                                  .name = store_text_of(c->name),
                                  .value = c->value};
        if (c->known && c->seq > after)
            rig_add_record(&r, &unsorted);
    }
    char *save = NULL;
    for (char *l = strtok_r(unsorted.text, "\n", &save); l && n < 4 * MODEL_MAX;
         l = strtok_r(NULL, "\n", &save))
        lines[n++] = l;
    if (n)
        qsort(lines, n, sizeof(lines[0]), model_compare_lines);
    for (unsigned i = 0; i < n; i++)
        rig_text_add(&sorted, lines[i]);
    rig_text_free(&unsorted);
    return sorted;
}

static inline struct rig_text model_rows(struct model *m, enum store_table table)
{
    struct rig_text t = {.text = NULL};
    for (unsigned i = table == STORE_EVENTS ? m->s.first_event : 0; i < m->s.n_lines[table]; i++) {
        m->lines[table][i][strcspn(m->lines[table][i], "\n")] = 0;
        rig_text_add(&t, m->lines[table][i]);
    }
    return t;
}

static inline void model_free(struct model *m)
{
    for (unsigned t = 0; t < 3; t++)
        for (unsigned i = 0; i < MODEL_LINES; i++)
            free(m->lines[t][i]);
    free(m);
}

#endif
