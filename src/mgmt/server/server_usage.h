/* Metering: what projects use, kept once and never lost or counted twice.
 *
 * Two kinds of meters. *Intervals* (so many vCPUs from then until then) are open in the object that
 * is used: server_usage_open() writes the interval's begin and rates into the version that the
 * transaction writes anyway, server_usage_close() takes them out again and adds one row to the
 * store's usage. Both are part of that transaction, which is conditional on the object's last
 * write; so an interval is open, or a row, or neither, never both, wherever a process dies.
 *
 * *Counters* (bytes sent) are counted by an agent, cumulative since an epoch of the agent's own. A
 * row holds the cumulative value and is taken only if it is higher than the last of its epoch;
 * whoever adds up takes differences of neighbours, so a report that is lost, late or repeated, even
 * by two servers at once, changes no sum.
 *
 * Threads: the loop's. */
#ifndef MGMT_SERVER_SERVER_USAGE_H
#define MGMT_SERVER_SERVER_USAGE_H

#include <stdint.h>

#include "api/gen/enums.h"
#include "mgmt/catalog/catalog.h"

struct server;
struct server_call;
struct server_txn;

/* So much a second. Units: vm_time and floating_ip_time 1; vcpu_time vCPUs; memory_time MiB;
 * volume_time, snapshot_time, image_time GiB; reservation_time vCPUs. */
struct server_usage_rate {
    enum api_usage_record_meter meter;
    int64_t rate;
};
#define SERVER_USAGE_RATES_MAX 8

/* Begins an interval of `v`, a new version that is not sealed yet (before server_txn_put()). One
 * that is open is closed first: so a resize is an open. `flavor` is an id as text; NULL: none.
 * Errors are the transaction's (t->failed). */
void server_usage_open(struct server_txn *t, struct catalog_object *v,
                       const struct server_usage_rate *rates, unsigned n, const char *flavor);
/* Ends the interval of `v`, such a version; without one there is nothing to do. */
void server_usage_close(struct server_txn *t, struct catalog_object *v);
/* The same of an object that the transaction removes. */
void server_usage_end(struct server_txn *t, const struct catalog_object *v);

/* What an agent has counted. */
struct server_usage_counter {
    struct store_id project, object; /* a VM, a port, a volume */
    struct store_id
        by; /* whose epochs these are, where others count the same object; zero: its own */
    enum api_usage_record_meter meter;
    uint64_t epoch, cumulative;
};
/* `result`: 0: it is durable, or was counted before: to be acknowledged. Otherwise it is to be sent
 * again (-EAGAIN). May be called before server_usage_count() returns. */
typedef void server_usage_counted(void *ctx, int result);
void server_usage_count(struct server *s, const struct server_usage_counter *counter,
                        server_usage_counted *counted, void *ctx);

/* The handler of usage_list. */
int server_usage_list(struct server_call *c);

struct server_usage *server_usage_create(struct server *s);
/* Counters under way have been answered: the store is closed first. */
void server_usage_destroy(struct server_usage *u);

#endif
