/* Leases: what no two ports may have is taken in memory until the transaction ends, and by a row in
 * the store for as long as the port has it. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_network_internal.h"

#define NAME_BYTES 64

server_ipam_number server_network_forward(bool udp, int64_t host_port)
{
    return (server_ipam_number)udp << 16 | (server_ipam_number)host_port;
}

static const struct store_id *network_of(enum server_network_lease what,
                                         const struct store_id *network)
{
    static const struct store_id cloud;
    return what == SERVER_NETWORK_ADDRESS ? network : &cloud;
}

/* ---- rows ---- */

static void name_of(enum server_network_lease what, server_ipam_number x, char name[NAME_BYTES])
{
    char text[SERVER_ADDRESS_BYTES];
    if (what == SERVER_NETWORK_ADDRESS) {
        server_address_format(x, text);
        snprintf(name, NAME_BYTES, "ip %s", text);
    } else if (what == SERVER_NETWORK_MAC) {
        server_address_mac_format((uint64_t)x, text);
        snprintf(name, NAME_BYTES, "mac %s", text);
    } else {
        snprintf(name, NAME_BYTES, "%s %u", x >> 16 ? "udp" : "tcp", (unsigned)(x & 0xffff));
    }
}

static int number_of(const char *name, size_t bytes, enum server_network_lease *what,
                     server_ipam_number *x)
{
    char text[NAME_BYTES];
    if (bytes >= sizeof(text))
        return -EINVAL;
    memcpy(text, name, bytes);
    text[bytes] = '\0';
    if (!strncmp(text, "ip ", 3)) {
        *what = SERVER_NETWORK_ADDRESS;
        return server_address_parse(text + 3, x);
    }
    if (!strncmp(text, "mac ", 4)) {
        *what = SERVER_NETWORK_MAC;
        *x = server_address_mac_parse(text + 4);
        return 0;
    }
    *what = SERVER_NETWORK_FORWARD;
    *x = server_network_forward(!strncmp(text, "udp ", 4), strtol(text + 4, NULL, 10));
    return 0;
}

static struct store_id id_of(const struct store_id *network, const char *name)
{
    uint8_t in[sizeof(*network) + NAME_BYTES], hash[SHA256_DIGEST_LENGTH];
    struct store_id id;
    size_t bytes = strlen(name);
    memcpy(in, network, sizeof(*network));
    memcpy(in + sizeof(*network), name, bytes);
    SHA256(in, sizeof(*network) + bytes, hash);
    memcpy(id.bytes, hash, sizeof(id.bytes));
    return id;
}

static int add_row(struct server_txn *t, enum store_op_type type, enum server_network_lease what,
                   const struct store_id *network, server_ipam_number x,
                   const struct catalog_object *for_whom)
{
    char name[NAME_BYTES];
    name_of(what, x, name);
    const char *kept = api_arena_text(&t->arena, name, strlen(name));
    const char *whose =
        for_whom ? api_arena_text(&t->arena, for_whom->id_text, UUID_TEXT_BYTES - 1) : "";
    struct store_op op = {.type = type};
    if (!kept || !whose) {
        t->failed = t->failed ? t->failed : -ENOMEM;
        return -ENOMEM;
    }
    op.object = (struct store_object){.kind = CATALOG_LEASE,
                                      .id = id_of(network_of(what, network), name),
                                      .project = *network_of(what, network),
                                      .name = store_text_of(kept),
                                      .body = store_text_of(whose),
                                      .when = type == STORE_PUT ? STORE_IF_ABSENT : STORE_ALWAYS,
                                      .at_ms = server_now_ms()};
    server_txn_op(t, &op);
    return 0;
}

/* ---- in memory ---- */

struct lease_hold {
    struct server_hold hold;
    enum server_network_lease what;
    struct store_id network;
    server_ipam_number x;
};

static void lease_end(struct server *s, struct server_hold *h, bool done)
{
    const struct lease_hold *l = container_of(h, struct lease_hold, hold);
    struct server_ipam *ipam = server_network_numbers(s, l->what, &l->network);
    (void)done; /* what was published is in the other half */
    if (ipam)
        (void)server_ipam_remove(&ipam->flight, l->x);
}

int server_network_take(struct server_txn *t, enum server_network_lease what,
                        const struct store_id *network, server_ipam_number x,
                        const struct catalog_object *for_whom)
{
    struct server_ipam *ipam = server_network_numbers(t->s, what, network);
    struct lease_hold *h = api_arena_alloc(&t->arena, sizeof(*h));
    if (!ipam || !h)
        return -ENOMEM;
    if (server_ipam_has(&ipam->shown, x))
        return -EEXIST;
    int r = server_ipam_add(&ipam->flight, x);
    if (r)
        return r;
    *h = (struct lease_hold){.hold = {.end = lease_end}, .what = what, .network = *network, .x = x};
    server_txn_hold(t, &h->hold);
    return add_row(t, STORE_PUT, what, network, x, for_whom);
}

void server_network_give(struct server_txn *t, enum server_network_lease what,
                         const struct store_id *network, server_ipam_number x)
{
    (void)add_row(t, STORE_DELETE, what, network, x, NULL);
}

bool server_network_clash(struct server *s, const struct store_op *op)
{
    enum server_network_lease what;
    server_ipam_number x;
    if (op->type != STORE_PUT || op->object.kind != CATALOG_LEASE ||
        number_of(op->object.name.data, op->object.name.len_bytes, &what, &x))
        return false;
    struct server_ipam *ipam = server_network_numbers(s, what, &op->object.project);
    if (ipam)
        (void)server_ipam_add(&ipam->shown, x);
    return true;
}

/* ---- what a port has ---- */

void server_network_leases(const struct catalog_object *v,
                           void (*each)(void *ctx, enum server_network_lease what,
                                        const struct store_id *network, server_ipam_number x),
                           void *ctx)
{
    static const struct store_id cloud;
    const struct api_port *port = v->doc;
    const struct api_port_status *status = port->status.is == API_VALUE ? port->status.v : NULL;
    struct store_id network;
    server_ipam_number x;
    if (!status || port->network.is != API_VALUE || catalog_id_parse(port->network.v, &network))
        return;
    for (uint32_t i = 0; status->addresses.is == API_VALUE && i < status->addresses.n; i++)
        if (!server_address_parse(status->addresses.v[i], &x))
            each(ctx, SERVER_NETWORK_ADDRESS, &network, x);
    if (status->mac.is == API_VALUE)
        each(ctx, SERVER_NETWORK_MAC, &cloud, server_address_mac_parse(status->mac.v));
    for (uint32_t i = 0; status->forwards.is == API_VALUE && i < status->forwards.n; i++)
        each(ctx, SERVER_NETWORK_FORWARD, &cloud,
             server_network_forward(status->forwards.v[i].protocol.v ==
                                        API_PORT_FORWARD_PROTOCOL_UDP,
                                    status->forwards.v[i].host_port.v));
}

static void give_one(void *ctx, enum server_network_lease what, const struct store_id *network,
                     server_ipam_number x)
{
    server_network_give(ctx, what, network, x);
}

void server_network_give_all(struct server_txn *t, const struct catalog_object *port)
{
    server_network_leases(port, give_one, t);
}
