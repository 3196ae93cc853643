/* What is no part of the API: whether the server lives, whether it can work, and its metrics in
 * Prometheus' text format. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_vm.h"

#define METRICS_TYPE "text/plain; version=0.0.4"

static void metric(struct api_buf *b, const char *name, const char *type, const char *help,
                   double value)
{
    api_buf_printf(b, "# HELP virga_%s %s\n# TYPE virga_%s %s\nvirga_%s ", name, help, name, type,
                   name);
    api_buf_json_number(b, value);
    api_buf_putc(b, '\n');
}

static double count_hosts(struct server *s)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_HOST);
    double n = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct server_host *host = all->slots[i]->aux;
        n += host && host->link;
    }
    return n;
}

static double count_pending(struct server *s)
{
    double n = 0;
    for (const struct server_vm *vm = s->pending_vms; vm; vm = vm->next_pending)
        n++;
    return n;
}

static void write_metrics(struct server *s, struct api_buf *b)
{
    struct store_status status;
    store_status(s->store, &status);
    metric(b, "api_requests_total", "counter", "Requests taken.", (double)s->n_requests);
    metric(b, "api_refused_total", "counter", "Requests refused.", (double)s->n_refused);
    metric(b, "api_errors_total", "counter", "Requests that failed by the server's own fault.",
           (double)s->n_errors);
    metric(b, "store_transactions_total", "counter", "Transactions committed.",
           (double)status.done);
    metric(b, "store_groups_total", "counter", "Commits, each of many transactions.",
           (double)status.groups);
    metric(b, "store_failed_total", "counter", "Transactions that the store could not take.",
           (double)status.failed);
    metric(b, "store_queue_length", "gauge", "Transactions that wait.", status.queued);
    metric(b, "store_seq", "gauge", "The number of the last row written.", (double)status.seq);
    metric(b, "hosts_connected", "gauge", "Hosts whose agents are connected.", count_hosts(s));
    metric(b, "vms_unsettled", "gauge", "VMs that are on their way to another state.",
           count_pending(s));
    metric(b, "cpu_seconds_total", "counter", "CPU time of the server.",
           (double)clock_process_cpu_ns() / 1e9);
    api_buf_puts(b, "# HELP virga_objects Objects by kind.\n# TYPE virga_objects gauge\n");
    for (unsigned kind = CATALOG_NONE + 1; kind < CATALOG_KINDS; kind++)
        api_buf_printf(b, "virga_objects{kind=\"%s\"} %zu\n", catalog_kinds[kind].name,
                       catalog_all(s->catalog, (enum catalog_kind)kind)->n);
}

bool server_plain_reply(struct server_call *c)
{
    const char *path = web_request_path(c->web);
    struct store_status status;
    struct api_buf b;
    api_buf_init(&b, SERVER_BODY_MAX_BYTES);
    int code = 200;
    const char *type = "text/plain";
    if (!strcmp(path, "/healthz")) {
        api_buf_puts(&b, "ok\n");
    } else if (!strcmp(path, "/readyz")) {
        store_status(c->s->store, &status);
        code = status.last.code || status.in_doubt ? 503 : 200;
        api_buf_printf(&b, "%s\n",
                       status.last.code  ? status.last.msg
                       : status.in_doubt ? "the store does not say what became of a commit"
                                         : "ok");
    } else if (!strcmp(path, "/metrics")) {
        type = METRICS_TYPE;
        write_metrics(c->s, &b);
    } else {
        api_buf_fini(&b);
        return false;
    }
    web_reply(c->web, b.failed ? 503 : code, type, b.text, b.failed ? 0 : b.bytes);
    api_buf_fini(&b);
    api_arena_fini(&c->arena);
    free(c);
    return true;
}
