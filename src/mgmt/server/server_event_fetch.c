/* Events that are no longer in memory, read by a worker. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_event.h"

#define READ_AT_ONCE 500
#define ROWS_MAX     5000 /* of one fetch, whether asked for or not */
#define BYTES_MAX    (4u << 20)

static int add(struct server_event_fetch *f, const struct store_row *row,
               const struct server_event *e)
{
    char id[32];
    size_t id_bytes =
        (size_t)snprintf(id, sizeof(id), "{\"id\":\"%llu\",", (unsigned long long)row->position);
    char *text = malloc(id_bytes + row->body.len_bytes + 1);
    struct server_event *events = reallocarray(f->events, f->n + 1, sizeof(*events));
    if (events)
        f->events = events;
    if (!events || !text) {
        free(text);
        return -EAGAIN;
    }
    memcpy(text, id, id_bytes);
    memcpy(text + id_bytes, row->body.data, row->body.len_bytes);
    f->events[f->n] = *e;
    f->events[f->n].text = text;
    f->events[f->n].bytes = id_bytes + row->body.len_bytes;
    f->events[f->n].type = "";
    f->bytes += f->events[f->n++].bytes;
    return 0;
}

/* Ends the read early where the fetch is full: a positive value is not an error. */
static int each(const struct store_row *row, void *ctx)
{
    struct server_event_fetch *f = ctx;
    char type[STORE_NAME_MAX + 1];
    struct server_event e = {.position = row->position,
                             .project = row->project,
                             .object = row->object,
                             .kind = row->kind,
                             .type = type};
    memcpy(type, row->name.data, row->name.len_bytes);
    type[row->name.len_bytes] = 0;
    int r = server_event_asked(&f->filter, &e) ? add(f, row, &e) : 0;
    if (r)
        return r;
    f->rows++;
    f->after = row->position;
    return f->n == f->limit || f->bytes > BYTES_MAX;
}

static void work(struct server_job *j)
{
    struct server_event_fetch *f = container_of(j, struct server_event_fetch, job);
    unsigned before;
    int r;
    do {
        before = f->rows;
        r = store_rows(f->s->store, STORE_EVENTS, f->after, READ_AT_ONCE, each, f, &f->err);
    } while (!r && f->rows - before == READ_AT_ONCE && f->rows < ROWS_MAX);
    f->end = !r && f->rows - before < READ_AT_ONCE;
    f->result = r > 0 ? 0 : r;
}

int server_event_fetch(struct server_event_fetch *f)
{
    f->job.work = work;
    return server_workers_submit(f->s->workers, &f->job);
}

void server_event_fetch_fini(struct server_event_fetch *f)
{
    for (size_t i = 0; i < f->n; i++)
        free((char *)(uintptr_t)f->events[i].text);
    free(f->events);
    f->events = NULL;
    f->n = f->bytes = 0;
    f->rows = 0;
}
