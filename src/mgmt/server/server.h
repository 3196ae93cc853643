/* The management server: the cloud's REST API over its catalog and its store.
 *
 * One thread, the loop's, owns everything here; the store's thread commits, workers read and hash.
 * Design: docs/arch/22-server.md. */
#ifndef MGMT_SERVER_SERVER_H
#define MGMT_SERVER_SERVER_H

#include <stdint.h>

#include "base/err.h"
#include "mgmt/auth/auth_password.h"
#include "mgmt/store/store.h"

struct server;

struct server_config {
    /* Opens the store with this config, whose server, wake and wake_ctx are filled in. */
    struct store *(*open_store)(void *ctx, const struct store_config *config, struct err *err);
    void *open_ctx;
    struct store_id id;         /* this server's; not all zero */
    const char *address;        /* the API's; NULL: all */
    uint16_t port;              /* 0: any free one */
    const char *agents_address; /* where agents are awaited; NULL: all */
    uint16_t agents_port;       /* 0: any free one */
    const char *agents_name;    /* a name or address by which they reach it; NULL: localhost only */
    const char *cert_path;      /* PEM; NULL: plain HTTP */
    const char *key_path;       /* PEM */
    const char *state_dir;      /* for certificates and spooled uploads; NULL: no agents */
    const char *import_dir;     /* whose files may be imported as images; NULL: none */
    const char *description;    /* path of openapi.json; NULL: not served */
    /* A new cloud's first password is written there before the cloud is stored, so that no crash
     * loses it; NULL: only server_steal_first_password() has it. */
    const char *first_password_path;
    unsigned follow_ms; /* how often other servers' commits are asked for; 0: never */
    struct auth_password_cost password_cost; /* all zero: auth_password_cost_default */
};

/* Opens the store, loads the catalog, listens. The strings of `config` are borrowed. Blocks. */
struct server *server_create(const struct server_config *config, struct err *err);
/* Serves until server_stop(). */
void server_run(struct server *s);
/* Threads: any; async-signal-safe is not promised. */
void server_stop(struct server *s);
void server_destroy(struct server *s);
uint16_t server_port(const struct server *s);
uint16_t server_agents_port(const struct server *s);
/* The first administrator's password, when this server has just made that user; NULL otherwise.
 * To be shown once, and wiped. */
char *server_steal_first_password(struct server *s);

#endif
