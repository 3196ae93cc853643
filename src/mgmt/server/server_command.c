/* Commands that wait for their results. */
#include "mgmt/server/server_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"

#define TIMEOUT_US (INT64_C(10) * 1000000)

struct server_command {
    struct server *s;
    struct store_id id, host;
    struct web_timer *timer;
    server_command_done *done;
    void *ctx;
    struct server_command *next, **link;
};

static void end(struct server_command *k, const struct link_result *result)
{
    server_command_done *done = k->done;
    void *ctx = k->ctx;
    *k->link = k->next;
    if (k->next)
        k->next->link = k->link;
    web_timer_destroy(k->timer);
    free(k);
    done(ctx, result);
}

static void timed_out(void *ctx)
{
    end(ctx, NULL);
}

int server_command_send(struct server *s, const struct catalog_object *vm,
                        struct link_command *command, server_command_done *done, void *ctx)
{
    struct store_id host_id = catalog_parent(vm);
    struct server_link *link = server_link_to(s, &host_id);
    struct server_command *k = link ? calloc(1, sizeof(*k)) : NULL;
    char id[UUID_TEXT_BYTES];
    if (!k)
        return link ? -ENOMEM : -ENOTCONN;
    *k = (struct server_command){.s = s,
                                 .id = catalog_id(server_now_ms()),
                                 .host = host_id,
                                 .done = done,
                                 .ctx = ctx,
                                 .next = s->commands,
                                 .link = &s->commands};
    k->timer = web_timer_create(s->loop, timed_out, k);
    if (!k->timer) {
        free(k);
        return -ENOMEM;
    }
    if (k->next)
        k->next->link = &k->next;
    s->commands = k;
    web_timer_arm(k->timer, TIMEOUT_US);
    uuid_format(k->id.bytes, id);
    command->id = (struct api_text){API_VALUE, id};
    command->vm = (struct api_text){API_VALUE, vm->id_text};
    server_link_send(link, LINK_TYPE_COMMAND, command);
    return 0;
}

void server_command_result(struct server *s, const struct store_id *host,
                           const struct link_result *result)
{
    struct store_id id;
    link_uuid(&result->id, id.bytes);
    for (struct server_command *k = s->commands; k; k = k->next)
        if (!memcmp(&k->id, &id, sizeof(id)) && !memcmp(&k->host, host, sizeof(*host))) {
            end(k, result);
            return;
        }
}

void server_command_lost(struct server *s, const struct store_id *host)
{
    struct server_command *k = s->commands;
    while (k) {
        bool hit = !host || !memcmp(&k->host, host, sizeof(*host));
        struct server_command *next = k->next;
        if (hit)
            end(k, NULL);
        k = hit ? s->commands : next; /* what was called may have sent another */
    }
}

/* ---- the end of a console's text ---- */

static void refuse_later(struct server_call *c, const char *why)
{
    api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "%s", why);
    c->refusal.retry_after_s = 2;
    server_call_refuse(c);
}

static void log_come(void *ctx, const struct link_result *result)
{
    struct server_call *c = ctx;
    if (!result) {
        refuse_later(c, "the VM's host has not answered: try again");
        return;
    }
    if (!result->ok.v) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
                        "the VM's host has no console of it: %s",
                        result->reason.is == API_VALUE ? result->reason.v : "it does not say why");
        server_call_refuse(c);
        return;
    }
    struct api_vm_console_log log = {.text = result->text, .truncated = result->truncated};
    if (log.text.is != API_VALUE)
        log.text = (struct api_text){API_VALUE, ""};
    server_call_reply_struct(c, 200, &api_types_vm_console_log, &log);
}

int server_command_console_log(struct server_call *c)
{
    const struct api_vm_console_log_query *query = c->request.query;
    const struct catalog_slot *slot = server_call_object(c, CATALOG_VM, 0);
    struct link_command command = {.max_bytes = {API_VALUE, query->max_kib.v * 1024}};
    command.kind.is = API_VALUE;
    command.kind.v = LINK_COMMAND_KIND_VM_CONSOLE_LOG;
    if (!slot)
        return -ENOENT;
    int r = server_command_send(c->s, slot->now, &command, log_come, c);
    if (!r)
        return 0;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           r == -ENOTCONN
                               ? "the host of VM %s is not connected: try again when it is"
                               : "no memory for VM %s: try again",
                           slot->now->name);
}
