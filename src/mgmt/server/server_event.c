/* What happened, as CloudEvents: made with the transaction, shown once it is durable, and the
 * newest of them kept in memory. */
#include "mgmt/server/server_event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define RING_EVENTS 16384 /* a power of two */
#define RING_BYTES  (32u << 20)

struct kept {
    struct server_event event;
    char text[]; /* the event, its type */
};

struct server_events {
    struct server *s;
    uint64_t newest, memory;
    struct kept *ring[RING_EVENTS];
    size_t first, n, bytes; /* `first` runs on; its place is modulo */
    struct server_event_reader *readers;
};

struct server_events *server_events_create(struct server *s)
{
    struct server_events *e = calloc(1, sizeof(*e));
    if (e)
        e->s = s;
    return e;
}

static struct kept **place(struct server_events *e, size_t i)
{
    return &e->ring[(e->first + i) % RING_EVENTS];
}

static void drop_first(struct server_events *e)
{
    struct kept *k = *place(e, 0);
    e->memory = k->event.position;
    e->bytes -= k->event.bytes;
    e->first++;
    e->n--;
    free(k);
}

void server_events_destroy(struct server_events *e)
{
    while (e && e->n)
        drop_first(e);
    free(e);
}

void server_events_end(struct server *s)
{
    struct server_events *e = s->events;
    for (struct server_event_reader *r = e ? e->readers : NULL, *next; r; r = next) {
        next = r->next;
        if (r->end)
            r->end(r);
    }
}

void server_events_begin(struct server *s, uint64_t position)
{
    s->events->newest = s->events->memory = position;
}

void server_events_lost(struct server *s, uint64_t position)
{
    struct server_events *e = s->events;
    while (e->n)
        drop_first(e);
    e->newest = e->memory = MAX(e->newest, position);
    for (struct server_event_reader *r = e->readers, *next; r; r = next) {
        next = r->next;
        r->lost(r);
    }
}

static void member(struct api_buf *b, const char *before, const char *text)
{
    api_buf_puts(b, before);
    api_buf_json_text(b, text);
}

const char *server_event_text(struct server_txn *t, const char *type,
                              const struct catalog_object *about, bool shown)
{
    struct api_buf b;
    char time[SERVER_TIME_BYTES], id[UUID_TEXT_BYTES];
    server_meta_time(server_now_ms(), time);
    api_buf_init(&b, STORE_BODY_MAX);
    member(&b, "\"specversion\":\"1.0\",\"source\":\"virga\",\"type\":", type);
    member(&b, ",\"datacontenttype\":\"application/json\",\"time\":", time);
    api_buf_puts(&b, ",\"subject\":\"");
    api_buf_puts(&b, catalog_kinds[about->kind].name);
    api_buf_putc(&b, '/');
    api_buf_puts(&b, about->id_text);
    api_buf_putc(&b, '"');
    if (!catalog_id_is_zero(&about->project)) {
        uuid_format(about->project.bytes, id);
        member(&b, ",\"virgaproject\":", id);
    }
    if (t->call && !auth_record_id_is_zero(&t->call->who.user)) {
        uuid_format(t->call->who.user.bytes, id);
        member(&b, ",\"virgaprincipal\":", id);
    }
    if (t->call)
        member(&b, ",\"virgarequestid\":", t->call->request_id);
    if (shown) {
        api_buf_puts(&b, ",\"data\":");
        catalog_write(about, &b);
    }
    api_buf_putc(&b, '}');
    const char *text = b.failed ? NULL : api_arena_text(&t->arena, b.text, b.bytes);
    api_buf_fini(&b);
    return text;
}

/* NULL: no memory. */
static struct kept *keep(const struct store_row *row)
{
    char id[32];
    size_t id_bytes =
        (size_t)snprintf(id, sizeof(id), "{\"id\":\"%llu\",", (unsigned long long)row->position);
    size_t bytes = id_bytes + row->body.len_bytes;
    struct kept *k = malloc(sizeof(*k) + bytes + 1 + row->name.len_bytes + 1);
    if (!k)
        return NULL;
    char *type = k->text + bytes + 1;
    memcpy(k->text, id, id_bytes);
    memcpy(k->text + id_bytes, row->body.data, row->body.len_bytes);
    k->text[bytes] = 0;
    memcpy(type, row->name.data, row->name.len_bytes);
    type[row->name.len_bytes] = 0;
    k->event = (struct server_event){.position = row->position,
                                     .project = row->project,
                                     .object = row->object,
                                     .kind = row->kind,
                                     .type = type,
                                     .text = k->text,
                                     .bytes = bytes};
    return k;
}

/* Without memory for it nothing is in memory any more: readers go to the store. */
void server_event_publish(struct server *s, const struct store_row *row)
{
    struct server_events *e = s->events;
    struct kept *k = row->position > e->newest ? keep(row) : NULL;
    if (row->position <= e->newest)
        return;
    e->newest = row->position;
    while (e->n && (!k || e->n == RING_EVENTS || e->bytes + k->event.bytes > RING_BYTES))
        drop_first(e);
    if (!k) {
        e->memory = row->position;
        return;
    }
    *place(e, e->n++) = k;
    e->bytes += k->event.bytes;
    for (struct server_event_reader *r = e->readers, *next; r; r = next) {
        next = r->next;
        r->event(r, &k->event);
    }
}

uint64_t server_event_newest(const struct server *s)
{
    return s->events->newest;
}

uint64_t server_event_memory(const struct server *s)
{
    return s->events->memory;
}

const struct server_event *server_event_next(const struct server *s, uint64_t after)
{
    struct server_events *e = s->events;
    size_t low = 0, high = e->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((*place(e, middle))->event.position <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->n ? &(*place(e, low))->event : NULL;
}

void server_event_add(struct server *s, struct server_event_reader *r)
{
    r->next = s->events->readers;
    r->link = &s->events->readers;
    if (r->next)
        r->next->link = &r->next;
    s->events->readers = r;
}

void server_event_remove(struct server_event_reader *r)
{
    if (!r->link)
        return;
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    r->link = NULL;
}

/* ---- who may read what ---- */

int server_event_filter_init(struct server_event_filter *f, struct server_call *c,
                             const struct api_text *type, const struct api_text *subject)
{
    memset(f, 0, sizeof(*f));
    f->who = c->who;
    f->all = c->request.all_projects;
    f->project = c->project;
    if ((type->is == API_VALUE && strlen(type->v) >= sizeof(f->type)) ||
        (subject->is == API_VALUE && strlen(subject->v) >= sizeof(f->subject)))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_QUERY_INVALID,
                               "type or subject is longer than any event has it");
    if (type->is == API_VALUE)
        snprintf(f->type, sizeof(f->type), "%s", type->v);
    if (subject->is == API_VALUE)
        snprintf(f->subject, sizeof(f->subject), "%s", subject->v);
    return 0;
}

bool server_event_asked(const struct server_event_filter *f, const struct server_event *e)
{
    if (!f->all && memcmp(&f->project, &e->project, sizeof(e->project)) != 0)
        return false;
    if (strncmp(e->type, f->type, strlen(f->type)) != 0)
        return false;
    if (!f->subject[0])
        return true;
    char id[UUID_TEXT_BYTES], subject[256];
    uuid_format(e->object.bytes, id);
    snprintf(subject, sizeof(subject), "%s/%s",
             e->kind < CATALOG_KINDS && e->kind ? catalog_kinds[e->kind].name : "", id);
    return !strcmp(subject, f->subject);
}

bool server_event_may(struct server *s, const struct server_event_filter *f,
                      const struct server_event *e)
{
    if (!f->all)
        return true; /* the call was allowed in its project */
    if (catalog_id_is_zero(&e->project))
        return f->who.cloud_role >= API_ROLE_OPERATOR;
    struct auth_id project = server_auth_id(&e->project);
    return auth_role_in(s->auth, &f->who, &project) >= API_ROLE_READER;
}

int server_event_after(struct server_call *c, const struct api_text *after, uint64_t *position)
{
    char *end = NULL;
    *position = server_event_newest(c->s);
    if (after->is != API_VALUE)
        return 0;
    errno = 0;
    unsigned long long v = strtoull(after->v, &end, 10);
    if (after->v[0] < '0' || after->v[0] > '9' || *end || errno || v > INT64_MAX)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_QUERY_INVALID, "after",
                               "%s is no event's number: use the id of an event, or 0", after->v);
    *position = v;
    return 0;
}
