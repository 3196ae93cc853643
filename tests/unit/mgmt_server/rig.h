/* A server on the null store, in a thread of its own; a client that asks it; and an agent that is
 * played: what it would say is called in the server's thread. */
#ifndef TESTS_UNIT_MGMT_SERVER_RIG_H
#define TESTS_UNIT_MGMT_SERVER_RIG_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/server/server_storage_internal.h"
#include "mgmt/store/null/store_null.h"
#include "tap.h"

#define RIG_BYTES 65536

struct rig {
    struct server *s;
    struct store *store;
    pthread_t thread;
    char dir[64], token[128];
    struct store_id id;
    /* The last answer. */
    int status;
    char body[RIG_BYTES];
};

static inline struct store *rig_open(void *ctx, const struct store_config *config, struct err *err)
{
    struct rig *r = ctx;
    r->store = store_null_create(config, err);
    return r->store;
}

static inline void *rig_thread(void *arg)
{
    server_run(((struct rig *)arg)->s);
    return NULL;
}

/* ---- in the server's thread ---- */

struct rig_step {
    struct web_post post;
    void (*run)(struct rig *r, void *arg);
    struct rig *r;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool ended;
};

static inline void rig_post(struct web_post *p)
{
    struct rig_step *step = container_of(p, struct rig_step, post);
    step->run(step->r, step->arg);
    pthread_mutex_lock(&step->lock);
    step->ended = true;
    pthread_cond_signal(&step->done);
    pthread_mutex_unlock(&step->lock);
}

/* Runs something there, and waits until it has. */
static inline void rig_in(struct rig *r, void (*run)(struct rig *r, void *arg), void *arg)
{
    struct rig_step step = {.post = {.run = rig_post}, .run = run, .r = r, .arg = arg};
    pthread_mutex_init(&step.lock, NULL);
    pthread_cond_init(&step.done, NULL);
    web_loop_post(r->s->loop, &step.post);
    pthread_mutex_lock(&step.lock);
    while (!step.ended)
        pthread_cond_wait(&step.done, &step.lock);
    pthread_mutex_unlock(&step.lock);
    pthread_cond_destroy(&step.done);
    pthread_mutex_destroy(&step.lock);
}

/* ---- the client ---- */

static inline int rig_connect(const struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(server_port(r->s))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
        abort();
    return fd;
}

static inline void rig_read(struct rig *r, int fd)
{
    static char text[RIG_BYTES];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    const char *body = strstr(text, "\r\n\r\n");
    r->status = 0;
    sscanf(text, "HTTP/1.%*d %d", &r->status);
    snprintf(r->body, sizeof(r->body), "%s", body ? body + 4 : "");
}

/* Asks; headers are whole lines, may be "". Returns the status; r->body has the answer. */
static inline int rig_send(struct rig *r, const char *method, const char *path, const char *headers,
                           const char *body, size_t bytes)
{
    char head[2048];
    int fd = rig_connect(r);
    int n = snprintf(head, sizeof(head),
                     "%s /v1%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
                     "%s\r\nContent-Length: %zu\r\n%s\r\n",
                     method, path, r->token, bytes, headers);
    /* A server that has answered already may not take the rest. */
    if (send(fd, head, (size_t)n, MSG_NOSIGNAL) == n && bytes &&
        send(fd, body, bytes, MSG_NOSIGNAL) < 0)
        printf("# %s %s: the body was not taken\n", method, path);
    rig_read(r, fd);
    close(fd);
    return r->status;
}

static inline int rig_ask(struct rig *r, const char *method, const char *path, const char *json)
{
    const char *type = !strcmp(method, "PATCH") ? "Content-Type: application/merge-patch+json\r\n"
                                                : "Content-Type: application/json\r\n";
    return rig_send(r, method, path, json ? type : "", json, json ? strlen(json) : 0);
}

/* The value of the first "name": in the last answer, as text; "" if there is none. */
static inline const char *rig_value(const struct rig *r, const char *name)
{
    static char values[8][512];
    static unsigned next;
    char key[64], *value = values[next++ % 8];
    snprintf(key, sizeof(key), "\"%s\":", name);
    const char *at = strstr(r->body, key);
    value[0] = 0;
    if (!at)
        return value;
    at += strlen(key);
    bool quoted = *at == '"';
    at += quoted;
    size_t n = strcspn(at, quoted ? "\"" : ",}]");
    snprintf(value, sizeof(values[0]), "%.*s", (int)n, at);
    return value;
}

static inline void rig_id(const char *text, struct store_id *id)
{
    if (catalog_id_parse(text, id))
        memset(id, 0, sizeof(*id));
}

/* The end of an operation: "done", "failed", ...; the last answer is the operation. */
static inline const char *rig_end(struct rig *r, const char *operation)
{
    char path[128];
    snprintf(path, sizeof(path), "/operations/%s/wait?timeout_s=30", operation);
    rig_ask(r, "GET", path, NULL);
    return rig_value(r, "state");
}

/* The state of an object. */
static inline const char *rig_state(struct rig *r, const char *path)
{
    rig_ask(r, "GET", path, NULL);
    return rig_value(r, "state");
}

/* ---- hosts ---- */

static inline void rig_put_host(struct rig *r, void *arg)
{
    static const struct store_id nobody;
    const struct store_id *id = arg;
    struct catalog_object *v = catalog_new(CATALOG_HOST, id, &nobody);
    struct server_txn *t = server_txn_begin(r->s, NULL);
    struct api_host *doc = v->doc;
    server_meta_text(v, &doc->name, v->id_text);
    doc->status.is = API_VALUE;
    doc->status.v = api_json_new(&api_types_host_status, &v->arena);
    doc->status.v->state.is = API_VALUE;
    doc->status.v->state.v = API_HOST_STATUS_STATE_UP;
    server_txn_put(t, NULL, v, false);
    server_txn_commit(t, NULL, NULL);
}

/* The host is taken from the cloud. */
static inline void rig_remove_host(struct rig *r, void *arg)
{
    struct server_txn *t = server_txn_begin(r->s, NULL);
    server_txn_remove(t, catalog_find(r->s->catalog, CATALOG_HOST, arg));
    server_txn_commit(t, NULL, NULL);
}

/* Its lease has ended. */
static inline void rig_lose_host(struct rig *r, void *arg)
{
    struct catalog_slot *slot = catalog_find(r->s->catalog, CATALOG_HOST, arg);
    struct server_txn *t = server_txn_begin(r->s, NULL);
    struct catalog_object *v = catalog_copy(slot->now);
    ((struct api_host *)v->doc)->status.v->state.v = API_HOST_STATUS_STATE_UNREACHABLE;
    server_txn_put(t, slot, v, false);
    server_txn_commit(t, NULL, NULL);
}

struct rig_pools {
    struct store_id host;
    uint64_t size_gib;
    const char *reason;
};

static inline void rig_pools_in(struct rig *r, void *arg)
{
    const struct rig_pools *p = arg;
    const struct server_storage_pool pool = {.name = "local",
                                             .location = "/srv/pool",
                                             .kind = API_POOL_KIND_LOCAL,
                                             .size_bytes = p->size_gib * GIB,
                                             .free_bytes = p->size_gib * GIB / 2,
                                             .reason = p->reason};
    server_storage_pools_seen(r->s, &p->host, &pool, p->size_gib ? 1 : 0);
}

/* An agent says that its host has a pool "local" of so many GiB; 0: its link has ended. */
static inline void rig_pools(struct rig *r, const struct store_id *host, uint64_t size_gib,
                             const char *reason)
{
    struct rig_pools p = {*host, size_gib, reason};
    rig_in(r, rig_pools_in, &p);
}

struct rig_there {
    struct store_id host;
    bool there;
};

static inline void rig_there_in(struct rig *r, void *arg)
{
    struct rig_there *t = arg;
    t->there = server_storage_host_exists(r->s, &t->host);
}

static inline void rig_host(struct rig *r, struct store_id *host, uint64_t size_gib)
{
    *host = catalog_id(server_now_ms());
    struct rig_there there = {.host = *host};
    rig_in(r, rig_put_host, host);
    for (int i = 0; i < 10000 && !there.there; i++) { /* it is there when the store has it */
        rig_in(r, rig_there_in, &there);
        if (!there.there)
            usleep(1000);
    }
    rig_pools(r, host, size_gib, NULL);
    /* Its pool comes into being by a write that nobody waits for. */
    for (int i = 0; i < 1000 && rig_ask(r, "GET", "/pools/local", NULL) != 200; i++)
        usleep(1000);
}

/* ---- the whole ---- */

static inline void rig_sign_in(struct rig *r)
{
    char body[256];
    char *password = server_steal_first_password(r->s);
    snprintf(body, sizeof(body), "{\"user\":\"admin\",\"password\":\"%s\"}", password);
    free(password);
    rig_ask(r, "POST", "/sessions", body);
    snprintf(r->token, sizeof(r->token), "%s", rig_value(r, "secret"));
}

static inline void rig_init(struct rig *r)
{
    struct err err = {0};
    memset(r, 0, sizeof(*r));
    snprintf(r->dir, sizeof(r->dir), "/tmp/virga-test-XXXXXX");
    if (!mkdtemp(r->dir))
        abort();
    r->id.bytes[0] = 1;
    const struct server_config config = {
        .open_store = rig_open,
        .open_ctx = r,
        .id = r->id,
        .address = "127.0.0.1",
        .password_cost = {.memory_kib = 64, .passes = 1, .lanes = 1},
        .state_dir = r->dir,
        .import_dir = r->dir};
    r->s = server_create(&config, &err);
    if (!r->s) {
        printf("Bail out! %s\n", err.msg);
        abort();
    }
    pthread_create(&r->thread, NULL, rig_thread, r);
    rig_sign_in(r);
}

static inline void rig_fini(struct rig *r)
{
    char command[128];
    server_stop(r->s);
    pthread_join(r->thread, NULL);
    server_destroy(r->s);
    snprintf(command, sizeof(command), "rm -rf %s", r->dir);
    if (system(command))
        printf("# %s stays\n", r->dir);
}

#endif
