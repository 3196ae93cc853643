/* What happened, as CloudEvents: made with the transaction, shown once it is durable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_internal.h"

struct server_events {
    struct server *s;
};

struct server_events *server_events_create(struct server *s)
{
    struct server_events *e = calloc(1, sizeof(*e));
    if (e)
        e->s = s;
    return e;
}

void server_events_destroy(struct server_events *e)
{
    free(e);
}

const char *server_event_text(struct server_txn *t, const char *type,
                              const struct catalog_object *about, const char *data)
{
    struct api_buf b;
    char time[SERVER_TIME_BYTES], id[UUID_TEXT_BYTES];
    server_meta_time(server_now_ms(), time);
    api_buf_init(&b, STORE_BODY_MAX);
    api_buf_printf(&b,
                   "\"specversion\":\"1.0\",\"source\":\"virga\",\"type\":\"%s\",\"subject\":"
                   "\"%s/%s\",\"time\":\"%s\",\"datacontenttype\":\"application/json\"",
                   type, catalog_kinds[about->kind].name, about->id_text, time);
    if (!catalog_id_is_zero(&about->project)) {
        uuid_format(about->project.bytes, id);
        api_buf_printf(&b, ",\"virgaproject\":\"%s\"", id);
    }
    if (t->call && !auth_record_id_is_zero(&t->call->who.user)) {
        uuid_format(t->call->who.user.bytes, id);
        api_buf_printf(&b, ",\"virgaprincipal\":\"%s\"", id);
    }
    if (t->call) {
        api_buf_puts(&b, ",\"virgarequestid\":");
        api_buf_json_text(&b, t->call->request_id);
    }
    if (data)
        api_buf_printf(&b, ",\"data\":%s", data);
    api_buf_putc(&b, '}');
    const char *text = b.failed ? NULL : api_arena_text(&t->arena, b.text, b.bytes);
    api_buf_fini(&b);
    return text;
}

void server_event_publish(struct server *s, uint64_t position, const struct store_id *project,
                          const char *text, size_t bytes)
{
    (void)s;
    (void)position;
    (void)project;
    (void)text;
    (void)bytes;
}
