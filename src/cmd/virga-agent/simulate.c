/* `virga-agent --simulate N`: hosts that are not there, on one thread. With a join secret in the
 * environment (VIRGA_JOIN_SECRET) each joins as a host of its own and keeps its identity in the
 * state directory; otherwise all show the same certificate, or none. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/host_identity.h"
#include "agent/host_join.h"
#include "agent/simulated_host.h"
#include "base/util.h"
#include "cmd/virga-agent/agent.h"
#include "link/link.h"

#define QUEUE_BYTES  (8u << 20)
#define TELL_US      INT64_C(2000000)
#define BYE_US       INT64_C(300000)
#define JOIN_AT_ONCE 8 /* each waits for the server most of the time */
/* A handshake takes two milliseconds of either end: more at once, and they end by time and begin
 * again. */
#define DIALS_A_SECOND 200

struct fleet {
    struct simulated_host_config config;
    struct simulated_host **hosts;
    struct web_client **clients; /* one a host, or one for all */
    unsigned n, n_clients, told_up, told_running;
    struct web_timer *tell, *bye;
    struct web_post stop;
    sigset_t signals;
};

static void tell(void *ctx)
{
    struct fleet *f = ctx;
    unsigned up = 0, running = 0;
    for (unsigned i = 0; i < f->n; i++) {
        up += simulated_host_is_up(f->hosts[i]);
        running += simulated_host_running(f->hosts[i]);
    }
    if (up != f->told_up || running != f->told_running)
        log_line(LOG_INFO, "agent", "the fleet: hosts=%u up=%u vms=%u", f->n, up, running);
    f->told_up = up;
    f->told_running = running;
    web_timer_arm(f->tell, TELL_US);
}

static void leave(void *ctx)
{
    struct fleet *f = ctx;
    web_loop_stop(f->config.loop);
}

static void stop(struct web_post *p)
{
    struct fleet *f = container_of(p, struct fleet, stop);
    for (unsigned i = 0; i < f->n; i++)
        simulated_host_stop(f->hosts[i]);
    web_timer_arm(f->bye, BYE_US);
}

static void *wait_for_signal(void *arg)
{
    struct fleet *f = arg;
    int signal_number;
    sigwait(&f->signals, &signal_number);
    web_loop_post(f->config.loop, &f->stop);
    return NULL;
}

static struct web_client *make_client(struct fleet *f, const char *authority, const char *cert,
                                      const char *key, struct err *err)
{
    const struct web_client_config c = {.authority_path = authority,
                                        .cert_path = cert,
                                        .key_path = key,
                                        .message_max_bytes = LINK_MESSAGE_MAX_BYTES,
                                        .queue_max_bytes = QUEUE_BYTES};
    struct web_client *client = web_client_create(f->config.loop, &c, err);
    if (client)
        f->clients[f->n_clients++] = client;
    return client;
}

/* The same host each time that the simulation runs. */
static void made_up_id(unsigned i, uint8_t id[16])
{
    static const uint8_t BASE[16] = {'v', 'i', 'r', 'g', 'a', '-', 0x75, 'm', 0x80};
    memcpy(id, BASE, sizeof(BASE));
    for (unsigned k = 0; k < 4; k++)
        id[15 - k] = (uint8_t)(i >> 8 * k);
}

static int joined_identity(const struct agent_options *o, unsigned i, struct host_identity *who,
                           struct err *err)
{
    char dir[400], name[64];
    uint8_t id[16];
    snprintf(dir, sizeof(dir), "%s/host%u", o->state_dir, i);
    if (!host_identity_load(dir, who, NULL))
        return 0;
    snprintf(name, sizeof(name), "%.40s-%u", o->name ? o->name : "simulated", i);
    const struct host_join_request r = {.server = o->server,
                                        .secret = getenv("VIRGA_JOIN_SECRET"),
                                        .name = name,
                                        .authority_path = o->authority,
                                        .state_dir = dir};
    int ret = host_join(&r, id, err);
    return ret ? ret : host_identity_load(dir, who, err);
}

struct joins {
    const struct agent_options *options;
    struct host_identity *who; /* of each host */
    atomic_uint next;
    pthread_mutex_t lock;
    int failed; /* the first one, and why: under the lock */
    struct err *err;
};

static void *join_some(void *arg)
{
    struct joins *j = arg;
    struct err err = {0};
    unsigned i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->options->simulate) {
        int ret = joined_identity(j->options, i, &j->who[i], &err);
        if (!ret)
            continue;
        atomic_store(&j->next, j->options->simulate);
        pthread_mutex_lock(&j->lock);
        if (!j->failed) {
            j->failed = ret;
            *j->err = err;
            err_wrap(j->err, "host %u", i);
        }
        pthread_mutex_unlock(&j->lock);
    }
    return NULL;
}

static int join_all(const struct agent_options *o, struct host_identity *who, struct err *err)
{
    struct joins j = {.options = o, .who = who, .err = err, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[JOIN_AT_ONCE];
    unsigned n = 0;
    while (n < JOIN_AT_ONCE && !pthread_create(&threads[n], NULL, join_some, &j))
        n++;
    if (!n)
        join_some(&j);
    while (n)
        pthread_join(threads[--n], NULL);
    return j.failed;
}

/* `joined` NULL: nobody has joined. */
static int add_host(struct fleet *f, const struct agent_options *o, unsigned i,
                    const struct host_identity *joined, struct err *err)
{
    struct host_identity who;
    struct web_client *client = f->n_clients ? f->clients[0] : NULL;
    if (joined) {
        who = *joined;
        client = make_client(f, who.authority_path, who.cert_path, who.cert_path, err);
    } else {
        made_up_id(i, who.id);
        if (!client)
            client = make_client(f, o->authority, o->cert, o->key, err);
    }
    f->config.first_dial_ms = i * 1000 / DIALS_A_SECOND;
    struct simulated_host *h =
        client ? simulated_host_create(&f->config, client, who.id, err) : NULL;
    if (!h)
        return -ENOMEM;
    f->hosts[f->n++] = h;
    return 0;
}

static int add_hosts(struct fleet *f, const struct agent_options *o, struct err *err)
{
    struct host_identity *who = NULL;
    int ret = 0;
    if (getenv("VIRGA_JOIN_SECRET")) {
        who = calloc(o->simulate, sizeof(*who));
        ret = who ? join_all(o, who, err)
                  : err_set(err, ENOMEM, "no memory for %u hosts", o->simulate);
    }
    for (unsigned i = 0; i < o->simulate && !ret; i++)
        ret = add_host(f, o, i, who ? &who[i] : NULL, err);
    free(who);
    return ret;
}

static int run(struct fleet *f, const struct agent_options *o, struct err *err)
{
    pthread_t waiter;
    if (mkdir(o->state_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the directory %s", o->state_dir);
    int ret = add_hosts(f, o, err);
    if (ret)
        return ret;
    f->stop.run = stop;
    f->tell = web_timer_create(f->config.loop, tell, f);
    f->bye = web_timer_create(f->config.loop, leave, f);
    if (!f->tell || !f->bye)
        return err_set(err, ENOMEM, "could not make a timer");
    web_timer_arm(f->tell, TELL_US);
    ret = pthread_create(&waiter, NULL, wait_for_signal, f);
    if (ret)
        return err_sys(err, ret, "could not start a thread");
    web_loop_run(f->config.loop);
    pthread_join(waiter, NULL);
    return 0;
}

int agent_simulate(const struct agent_options *o, struct err *err)
{
    char host[256];
    struct fleet f = {.config = {.server = host,
                                 .cpus = o->sim_cpus,
                                 .numa_nodes = o->sim_numa_nodes,
                                 .memory_mib = o->sim_memory_mib,
                                 .pool_bytes = o->sim_pool_bytes}};
    sigemptyset(&f.signals);
    sigaddset(&f.signals, SIGTERM);
    sigaddset(&f.signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &f.signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    int ret = agent_split_server(o->server, host, &f.config.port, err);
    if (ret)
        return ret;
    f.hosts = calloc(o->simulate, sizeof(*f.hosts));
    f.clients = calloc(o->simulate, sizeof(struct web_client *));
    f.config.loop = web_loop_create(err);
    if (f.hosts && f.clients && f.config.loop)
        ret = run(&f, o, err);
    else
        ret = err_set(err, ENOMEM, "could not allocate a fleet of %u hosts", o->simulate);
    for (unsigned i = 0; i < f.n; i++)
        simulated_host_fini(f.hosts[i]);
    web_timer_destroy(f.tell);
    web_timer_destroy(f.bye);
    web_loop_destroy(f.config.loop);
    for (unsigned i = 0; i < f.n; i++)
        simulated_host_destroy(f.hosts[i]);
    for (unsigned i = 0; i < f.n_clients; i++)
        web_client_destroy(f.clients[i]);
    free(f.hosts);
    free(f.clients);
    return ret;
}
