#include "mgmt/server/server_console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_command.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"
#include "mgmt/server/server_socket.h"

#define WATCHERS_MAX     8
#define STATUS_GOING     1001 /* RFC 6455, 7.4 */
#define STATUS_TRY_LATER 1013
#define STREAM_MAX       INT32_MAX

struct server_console {
    struct server *s;
    struct web_socket *web; /* NULL: closed, and the command's result is awaited */
    struct store_id host, vm;
    uint32_t stream;
    bool asking, ended;
    struct server_console *next, **link;
};

static struct server_console *find(struct server *s, const struct store_id *host, uint32_t stream)
{
    for (struct server_console *k = s->consoles; k; k = k->next)
        if (k->stream == stream && !memcmp(&k->host, host, sizeof(*host)))
            return k;
    return NULL;
}

static void console_free(struct server_console *k)
{
    *k->link = k->next;
    if (k->next)
        k->next->link = k->link;
    free(k);
}

static void hang_up(struct server_console *k, unsigned status)
{
    k->ended = true;
    if (k->web)
        web_socket_end(k->web, status);
}

/* ---- the agent's end ---- */

void server_console_data(struct server *s, const struct store_id *host, uint32_t stream,
                         const char *data, size_t bytes)
{
    struct server_console *k = find(s, host, stream);
    if (!k || k->ended || !k->web)
        return;
    if (web_socket_send(k->web, data, bytes, false))
        hang_up(k, SERVER_SOCKET_SLOW);
}

void server_console_end(struct server *s, const struct store_id *host, uint32_t stream)
{
    struct server_console *k = find(s, host, stream);
    if (k)
        hang_up(k, STATUS_GOING);
}

void server_console_lost(struct server *s, const struct store_id *host)
{
    for (struct server_console *k = s->consoles; k; k = k->next)
        if (!memcmp(&k->host, host, sizeof(*host)))
            hang_up(k, STATUS_GOING);
}

static void end_stream(const struct server_console *k)
{
    struct server_link *link = server_link_to(k->s, &k->host);
    struct link_stream_end body = {.stream = {API_VALUE, k->stream}};
    if (link)
        server_link_send(link, LINK_TYPE_STREAM_END, &body);
}

static void opened(void *ctx, const struct link_result *result)
{
    struct server_console *k = ctx;
    k->asking = false;
    if (!k->web) { /* the watcher was faster */
        end_stream(k);
        console_free(k);
    } else if (!result || !result->ok.v) {
        hang_up(k, STATUS_TRY_LATER);
    }
}

/* ---- the watcher's ---- */

static int check(struct server_call *c, const struct catalog_object *v)
{
    const struct api_vm_console_query *query = c->request.query;
    unsigned n = 0;
    if (query->kind.is == API_VALUE && query->kind.v == API_VM_CONSOLE_QUERY_KIND_GRAPHICS)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                               "no driver of this cloud offers graphics: use kind=serial");
    for (const struct server_console *k = c->s->consoles; k; k = k->next)
        n += !memcmp(&k->vm, &v->id, sizeof(v->id));
    if (n < WATCHERS_MAX)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "%u consoles of VM %s are open: close one", n, v->name);
}

static int ask_agent(struct server_call *c, struct server_console *k,
                     const struct catalog_object *v)
{
    struct link_command command = {.stream = {API_VALUE, k->stream}};
    command.kind.is = API_VALUE;
    command.kind.v = LINK_COMMAND_KIND_VM_CONSOLE_OPEN;
    k->asking = true;
    int r = server_command_send(c->s, v, &command, opened, k);
    if (!r)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "the host of VM %s is not connected: try again when it is", v->name);
}

static int console_open(struct server_call *c, struct web_socket *socket, void **session)
{
    struct server *s = c->s;
    const struct catalog_slot *slot = server_call_object(c, CATALOG_VM, 0);
    int r = slot ? check(c, slot->now) : -ENOENT;
    struct server_console *k = r ? NULL : calloc(1, sizeof(*k));
    if (!k)
        return r ? r
                 : api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                                   "no memory: try again");
    s->last_stream = s->last_stream == STREAM_MAX ? 1 : s->last_stream + 1;
    *k = (struct server_console){.s = s,
                                 .web = socket,
                                 .host = catalog_parent(slot->now),
                                 .vm = slot->now->id,
                                 .stream = s->last_stream,
                                 .next = s->consoles,
                                 .link = &s->consoles};
    r = ask_agent(c, k, slot->now);
    if (r) {
        free(k);
        return r;
    }
    if (k->next)
        k->next->link = &k->next;
    s->consoles = k;
    *session = k;
    return 0;
}

/* Text is the terminal's size, which a serial console has no use for. */
static void console_message(void *session, const char *data, size_t bytes, bool text)
{
    struct server_console *k = session;
    struct server_link *link = text || k->ended ? NULL : server_link_to(k->s, &k->host);
    if (link)
        server_link_stream(link, k->stream, data, bytes);
}

static void console_close(void *session)
{
    struct server_console *k = session;
    k->web = NULL;
    if (k->asking)
        return; /* opened() comes */
    end_stream(k);
    console_free(k);
}

const struct server_socket_route server_socket_console = {
    .op = API_OP_VM_CONSOLE,
    .open = console_open,
    .message = console_message,
    .close = console_close,
};
