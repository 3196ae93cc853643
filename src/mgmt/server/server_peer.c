#include "mgmt/server/server_peer.h"

#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_internal.h"

#define PEERS_MAX      64 /* servers that were ever heard: those heard least lately are forgotten */
#define TICKS_A_SAYING 5

struct peer {
    struct store_id id;
    int64_t heard_ns;
};

struct server_peers {
    struct peer peers[PEERS_MAX];
    unsigned n, ticks;
    bool saying;
    struct store_txn txn;
    struct store_op op;
};

struct server_peers *server_peers_create(void)
{
    return calloc(1, sizeof(struct server_peers));
}

void server_peers_destroy(struct server_peers *p)
{
    free(p);
}

static struct peer *find(struct server_peers *p, const struct store_id *id)
{
    for (unsigned i = 0; i < p->n; i++)
        if (!memcmp(&p->peers[i].id, id, sizeof(*id)))
            return &p->peers[i];
    return NULL;
}

static struct peer *place_for(struct server_peers *p)
{
    if (p->n < PEERS_MAX)
        return &p->peers[p->n++];
    struct peer *oldest = &p->peers[0];
    for (unsigned i = 1; i < p->n; i++)
        if (p->peers[i].heard_ns < oldest->heard_ns)
            oldest = &p->peers[i];
    return oldest;
}

bool server_peer_heard(struct server *s, const struct store_id *owner, struct store_text name,
                       int64_t now_ns)
{
    static const char counter[] = SERVER_PEER_COUNTER;
    if (name.len_bytes != sizeof(counter) - 1 || memcmp(name.data, counter, name.len_bytes) != 0)
        return false;
    struct peer *peer = find(s->peers, owner);
    if (!peer)
        peer = place_for(s->peers);
    *peer = (struct peer){.id = *owner, .heard_ns = now_ns};
    return true;
}

bool server_peer_lives(struct server *s, const char *id_text, int64_t now_ns)
{
    struct store_id id;
    if (catalog_id_parse(id_text, &id) || !memcmp(&id, &s->config.id, sizeof(id)))
        return false;
    const struct peer *peer = find(s->peers, &id);
    return peer && now_ns - peer->heard_ns <= SERVER_PEER_LEASE_NS;
}

static void said(struct store_txn *txn, void *ctx)
{
    struct server *s = ctx;
    (void)txn; /* one that failed is followed by another */
    s->peers->saying = false;
}

void server_peer_tick(struct server *s)
{
    struct server_peers *p = s->peers;
    if (!s->follow || p->saying || p->ticks++ % TICKS_A_SAYING)
        return;
    p->op = (struct store_op){.type = STORE_ADD,
                              .add = {.owner = s->config.id,
                                      .name = store_text_of(SERVER_PEER_COUNTER),
                                      .delta = 1,
                                      .limit = -1}};
    p->txn = (struct store_txn){.ops = &p->op, .n_ops = 1};
    p->saying = !store_submit(s->store, &p->txn, said, s);
}
