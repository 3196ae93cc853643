/* The agent of this host: drivers, core, link, heartbeats, and the renewal of its certificate. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent_core.h"
#include "agent/agent_uplink.h"
#include "agent/host_identity.h"
#include "agent/inventory.h"
#include "agent/network_bridge.h"
#include "agent/network_kinds.h"
#include "agent/network_user.h"
#include "agent/volume_file.h"
#include "agent/volume_pools.h"
#include "base/util.h"
#include "base/uuid.h"
#include "cmd/virga-agent/agent.h"
#include "pki/pki.h"

#define MS_NS        INT64_C(1000000)
#define ARENA_BYTES  (8u << 20)
#define PROBLEMS_MAX 16
#define FULL_PERCENT 95 /* of a pool: it is said to be a problem */

struct service {
    const struct agent_options *options;
    struct loop *loop;
    int lock_fd;
    char vmm[PATH_MAX], image_builder[PATH_MAX], host[256];
    uint16_t port;
    struct host_identity identity;
    bool has_identity; /* of its own, that can be renewed */
    uint8_t id[16];
    struct volume_driver *volumes;
    struct network_driver *networks;
    struct agent_core *core;
    struct agent_uplink *uplink;

    struct loop_fd signals;
    struct loop_timer beat;
    int64_t beat_ms;
    uint64_t beats;
    bool up;
    struct api_arena probed_arena; /* of what the monitor said once */
    struct link_inventory probed;
    char *renewal_key;
};

/* ---- what is said ---- */

static int send_message(void *opaque, enum link_type type, void *body)
{
    struct service *s = opaque;
    return agent_uplink_send(s->uplink, type, body);
}

static int send_stream(void *opaque, uint32_t stream, const void *data, size_t bytes)
{
    struct service *s = opaque;
    return agent_uplink_stream(s->uplink, stream, data, bytes);
}

static void took(void *opaque, int64_t seq)
{
    struct service *s = opaque;
    agent_uplink_took(s->uplink, seq);
}

static const struct agent_core_ops CORE_OPS = {send_message, send_stream, took};

static unsigned read_pools(const struct service *s, struct link_pool_state *pools)
{
    for (unsigned i = 0; i < s->options->n_pools; i++)
        inventory_pool(s->options->pools[i].name, s->options->pools[i].dir, &pools[i]);
    return s->options->n_pools;
}

static void say_inventory(struct service *s)
{
    const char *volume_drivers[] = {"file"}, *network_drivers[] = {"user", "bridge"};
    struct link_pool_state pools[AGENT_LIST_MAX];
    struct link_inventory inventory;
    struct api_arena arena;
    struct err err = {0};
    api_arena_init(&arena, ARENA_BYTES);
    if (inventory_read("", s->options->bridges, &arena, &inventory, &err)) {
        log_line(LOG_ERROR, "agent", "what this host has cannot be told: %s", err.msg);
    } else {
        inventory.engines = s->probed.engines;
        inventory.vmm_version = s->probed.vmm_version;
        inventory.agent_version = (struct api_text){API_VALUE, VIRGA_VERSION};
        inventory.pools.is = API_VALUE;
        inventory.pools.n = read_pools(s, pools);
        inventory.pools.v = pools;
        inventory.volume_drivers = (struct api_texts){API_VALUE, 1, volume_drivers};
        inventory.network_drivers =
            (struct api_texts){API_VALUE, s->options->n_bridges ? 2 : 1, network_drivers};
        (void)agent_uplink_send(s->uplink, LINK_TYPE_INVENTORY, &inventory);
    }
    api_arena_fini(&arena);
}

static void add_pool_problems(const struct link_heartbeat *beat, char text[][128],
                              const char **problems, uint32_t *n)
{
    for (uint32_t i = 0; i < beat->pools.n && *n < PROBLEMS_MAX; i++) {
        const struct link_pool_state *p = &beat->pools.v[i];
        if (p->state.v == LINK_POOL_STATE_STATE_OFFLINE)
            snprintf(text[*n], 128, "the pool %.60s is offline", p->name.v);
        else if (p->free_bytes.v < p->size_bytes.v / 100 * (100 - FULL_PERCENT))
            snprintf(text[*n], 128, "the pool %.60s is nearly full", p->name.v);
        else
            continue;
        problems[*n] = text[*n];
        ++*n;
    }
}

static void say_beat(struct service *s)
{
    struct link_pool_state pools[AGENT_LIST_MAX];
    const char *problems[PROBLEMS_MAX];
    char text[PROBLEMS_MAX][128];
    uint32_t n = 0;
    struct link_heartbeat beat = {.number = {API_VALUE, (int64_t)++s->beats},
                                  .vms_running = {API_VALUE, agent_core_running(s->core)}};
    double load = inventory_load("");
    int64_t memory = inventory_memory_free_mib("");
    if (load >= 0)
        beat.load_1m = (struct api_number){API_VALUE, load};
    if (memory >= 0)
        beat.memory_free_mib = (struct api_int){API_VALUE, memory};
    beat.pools.is = API_VALUE;
    beat.pools.n = read_pools(s, pools);
    beat.pools.v = pools;
    for (const char *p; n < PROBLEMS_MAX && (p = agent_core_problem(s->core, n));)
        problems[n++] = p;
    add_pool_problems(&beat, text, problems, &n);
    beat.health.is = API_VALUE;
    beat.health.v = n ? LINK_HEARTBEAT_HEALTH_DEGRADED : LINK_HEARTBEAT_HEALTH_OK;
    beat.problems = (struct api_texts){n ? API_VALUE : API_ABSENT, n, problems};
    (void)agent_uplink_send(s->uplink, LINK_TYPE_HEARTBEAT, &beat);
}

/* ---- a new certificate ---- */

static void ask_for_renewal(struct service *s)
{
    struct err err = {0};
    if (!s->has_identity || s->renewal_key || !host_identity_is_old(&s->identity, time(NULL)))
        return;
    s->renewal_key = pki_key_create(&err);
    char *csr = s->renewal_key ? pki_request_create(s->renewal_key, &err) : NULL;
    if (csr) {
        struct link_renew renew = {.csr = {API_VALUE, csr}};
        (void)agent_uplink_send(s->uplink, LINK_TYPE_RENEW, &renew);
    } else {
        log_line(LOG_ERROR, "agent", "a new certificate cannot be asked for: %s", err.msg);
    }
    free(csr);
}

static void forget_renewal(struct service *s)
{
    pki_wipe(s->renewal_key);
    free(s->renewal_key);
    s->renewal_key = NULL;
}

static void take_certificate(struct service *s, const struct link_certificate *c)
{
    struct host_identity fresh;
    struct err err = {0};
    if (!s->renewal_key)
        return;
    int ret = host_identity_renew(s->options->state_dir, s->id, s->renewal_key, c->certificate.v,
                                  c->ca.v, &err);
    forget_renewal(s);
    if (!ret)
        ret = host_identity_load(s->options->state_dir, &fresh, &err);
    if (ret) {
        log_line(LOG_ERROR, "agent", "the new certificate is not taken: %s", err.msg);
        return;
    }
    /* The paths stay, and workers read them. */
    s->identity.begins_s = fresh.begins_s;
    s->identity.ends_s = fresh.ends_s;
    log_line(LOG_INFO, "agent", "this host has a new certificate");
    agent_uplink_renew(s->uplink);
}

/* ---- the link ---- */

static void on_up(void *opaque, const struct link_welcome *welcome)
{
    struct service *s = opaque;
    log_line(LOG_INFO, "agent", "the server has said welcome");
    s->up = true;
    s->beats = 0;
    s->beat_ms = welcome->heartbeat_ms.v;
    say_inventory(s);
    say_beat(s);
    agent_core_up(s->core, welcome);
    ask_for_renewal(s);
    loop_timer_arm(s->loop, &s->beat, loop_now_ns(s->loop) + s->beat_ms * MS_NS);
}

static void on_message(void *opaque, const struct link_message *m)
{
    struct service *s = opaque;
    if (m->type == LINK_TYPE_CERTIFICATE)
        take_certificate(s, m->certificate);
    else
        agent_core_message(s->core, m);
}

static void on_stream(void *opaque, uint32_t stream, const char *data, size_t bytes)
{
    struct service *s = opaque;
    agent_core_stream(s->core, stream, data, bytes);
}

static void on_down(void *opaque, const char *why, unsigned ms)
{
    struct service *s = opaque;
    if (s->up || s->beats != UINT64_MAX)
        log_line(LOG_WARN, "agent", "there is no link to the server: %s: again_ms=%u", why, ms);
    s->up = false;
    s->beats = UINT64_MAX; /* said once until there was a link again */
    loop_timer_cancel(s->loop, &s->beat);
    forget_renewal(s);
    agent_core_down(s->core);
}

static const struct agent_uplink_ops UPLINK_OPS = {on_up, on_message, on_stream, on_down};

static void beat_due(struct loop_timer *t)
{
    struct service *s = container_of(t, struct service, beat);
    say_beat(s);
    ask_for_renewal(s);
    loop_timer_arm(s->loop, t, loop_now_ns(s->loop) + s->beat_ms * MS_NS);
}

/* ---- the host's parts ---- */

static void signalled(struct loop_fd *w, uint32_t events)
{
    struct service *s = container_of(w, struct service, signals);
    struct signalfd_siginfo info;
    (void)events;
    if (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        loop_stop(s->loop);
}

static int watch_signals(struct service *s, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->signals.ready = signalled;
    int ret = fd < 0 ? -errno : loop_fd_add(s->loop, &s->signals, fd, EPOLLIN);
    return ret ? err_sys(err, -ret, "could not watch for signals") : 0;
}

/* Two agents with one state would both start its VMs. */
static int lock_state(struct service *s, struct err *err)
{
    char path[PATH_MAX];
    if (mkdir(s->options->state_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the directory %s", s->options->state_dir);
    snprintf(path, sizeof(path), "%s/lock", s->options->state_dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return err_sys(err, errno, "could not open %s", path);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, EBUSY, "another agent runs with the state directory %s",
                       s->options->state_dir);
    return 0;
}

static int find_monitor(struct service *s, struct err *err)
{
    char self[PATH_MAX] = "";
    if (s->options->vmm) {
        if (!realpath(s->options->vmm, s->vmm))
            return err_sys(err, errno, "could not find the monitor %s", s->options->vmm);
        return 0;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? strrchr(self, '/') : NULL;
    if (slash)
        *slash = 0;
    if (!slash || snprintf(s->vmm, sizeof(s->vmm), "%s/virga-vmm", self) >= (int)sizeof(s->vmm) ||
        access(s->vmm, X_OK))
        return err_set(err, ENOENT, "there is no virga-vmm beside this program: give --vmm");
    return 0;
}

static bool is_program(const char *path, char real[PATH_MAX])
{
    if (realpath(path, real) && !access(real, X_OK))
        return true;
    real[0] = 0;
    return false;
}

/* In its build folder this program takes the sources' recipe. Installed it never does: they may be
 * anybody's by then. Without a recipe this host builds no images. */
static int find_image_builder(struct service *s, struct err *err)
{
    char self[PATH_MAX] = "", beside[PATH_MAX + 64];
    if (s->options->image_builder)
        return is_program(s->options->image_builder, s->image_builder)
                   ? 0
                   : err_sys(err, errno, "could not find the image builder %s",
                             s->options->image_builder);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? strrchr(self, '/') : NULL;
    if (!slash)
        return 0;
    *slash = 0;
    snprintf(beside, sizeof(beside), "%s/../share/virga/image/build", self);
    if (!strcmp(self, VIRGA_BUILD_DIR))
        is_program(VIRGA_SOURCE_DIR "/tools/image/build", s->image_builder);
    else if (!is_program(beside, s->image_builder)) /* wherever the whole was moved to */
        is_program(VIRGA_DATA_DIR "/image/build", s->image_builder);
    return 0;
}

static int open_drivers(struct service *s, struct err *err)
{
    const struct agent_options *o = s->options;
    s->volumes = volume_pools_open(err);
    if (!s->volumes)
        return -ENOMEM;
    for (unsigned i = 0; i < o->n_pools; i++) {
        struct volume_driver *d = volume_file_open(o->pools[i].dir, err);
        if (!d)
            return err_wrap(err, "pool %s", o->pools[i].name);
        int ret = volume_pools_add(s->volumes, o->pools[i].name, d, err);
        if (ret)
            return ret;
    }
    struct network_driver *user = network_user_open(err), *bridge = NULL;
    if (user && o->n_bridges && !(bridge = network_bridge_open(err))) {
        user->ops->close(user);
        return err_wrap(err, "bridges");
    }
    s->networks = user ? network_kinds_open(user, bridge, o->bridges, err) : NULL;
    return s->networks ? 0 : -ENOMEM;
}

/* Who this host is, and where its server. */
static int identify(struct service *s, struct err *err)
{
    const struct agent_options *o = s->options;
    const char *server = o->server;
    int ret = 0;
    if (o->id) {
        if (uuid_parse(o->id, s->id))
            return err_set(err, EINVAL, "--id %.40s is no UUID", o->id);
    } else if (o->cert) {
        struct pki_info info;
        FILE *f = fopen(o->cert, "re");
        char pem[PKI_PEM_MAX_BYTES] = "";
        size_t n = f ? fread(pem, 1, sizeof(pem) - 1, f) : 0;
        if (f)
            fclose(f);
        ret = n ? pki_read(pem, &info, err) : err_set(err, EINVAL, "could not read %s", o->cert);
        if (!ret && uuid_parse(info.name, s->id))
            ret = err_set(err, EINVAL, "%.200s is the certificate of %.64s, which is no host's id",
                          o->cert, info.name);
    } else {
        ret = host_identity_load(o->state_dir, &s->identity, err);
        s->has_identity = !ret;
        memcpy(s->id, s->identity.id, 16);
        if (!server[0])
            server = s->identity.server;
    }
    if (ret)
        return ret;
    return agent_split_server(server, s->host, &s->port, err);
}

static const char *authority_path(const struct service *s)
{
    return s->has_identity ? s->identity.authority_path : s->options->authority;
}

static const char *cert_path(const struct service *s)
{
    return s->has_identity ? s->identity.cert_path : s->options->cert;
}

static const char *key_path(const struct service *s)
{
    return s->has_identity ? s->identity.cert_path : s->options->key;
}

static int start_core(struct service *s, struct err *err)
{
    const struct agent_options *o = s->options;
    const struct agent_core_config c = {
        .loop = s->loop,
        .state_dir = o->state_dir,
        .run_root = o->run_dir,
        .vmm_path = s->vmm,
        .volumes = s->volumes,
        .networks = s->networks,
        .workers = o->workers,
        .images = {.folders = o->imports,
                   .builder = s->image_builder[0] ? s->image_builder : NULL,
                   .private_urls = o->private_urls,
                   .server = {.host = s->host,
                              .port = s->port,
                              .authority_path = authority_path(s),
                              .cert_path = cert_path(s),
                              .key_path = key_path(s)}},
        .ops = &CORE_OPS,
        .opaque = s};
    struct agent_core_config whole = c;
    memcpy(whole.host, s->id, 16);
    s->core = agent_core_create(&whole, err);
    return s->core ? 0 : -EIO;
}

static int start_link(struct service *s, struct err *err)
{
    struct agent_uplink_config c = {.loop = s->loop,
                                    .host = s->host,
                                    .port = s->port,
                                    .authority_path = authority_path(s),
                                    .cert_path = cert_path(s),
                                    .key_path = key_path(s),
                                    .ops = &UPLINK_OPS,
                                    .opaque = s};
    memcpy(c.id, s->id, 16);
    if (getrandom(c.instance, sizeof(c.instance), 0) != sizeof(c.instance))
        return err_set(err, EIO, "could not draw random numbers");
    if (inventory_boot("", c.boot))
        memcpy(c.boot, c.instance, sizeof(c.boot));
    s->uplink = agent_uplink_create(&c, err);
    return s->uplink ? 0 : -EIO;
}

static int start(struct service *s, struct err *err)
{
    int ret = lock_state(s, err);
    if (!ret)
        ret = find_monitor(s, err);
    if (!ret)
        ret = find_image_builder(s, err);
    if (!ret)
        ret = identify(s, err);
    if (!ret)
        ret = open_drivers(s, err);
    s->loop = ret ? NULL : loop_create(0, err);
    if (!s->loop)
        return ret ? ret : -ENOMEM;
    ret = watch_signals(s, err);
    if (!ret)
        ret = inventory_probe(s->vmm, &s->probed_arena, &s->probed, err);
    if (!ret)
        ret = start_core(s, err);
    return ret ? ret : start_link(s, err);
}

int agent_service(const struct agent_options *o, struct err *err)
{
    struct service s = {.options = o, .lock_fd = -1, .beat = {.expired = beat_due}};
    char id[UUID_TEXT_BYTES];
    api_arena_init(&s.probed_arena, ARENA_BYTES);
    int ret = start(&s, err);
    if (!ret) {
        uuid_format(s.id, id);
        log_line(LOG_INFO, "agent", "serving: host=%s server=%s:%u vms=%u", id, s.host, s.port,
                 agent_core_running(s.core));
        loop_run(s.loop);
        log_line(LOG_INFO, "agent", "ending; VMs go on: vms=%u", agent_core_running(s.core));
    }
    /* The core says nothing more once it is down. */
    if (s.core)
        agent_core_down(s.core);
    agent_uplink_destroy(s.uplink, "the agent was told to end");
    agent_core_destroy(s.core);
    forget_renewal(&s);
    if (s.loop) {
        loop_timer_cancel(s.loop, &s.beat);
        loop_fd_remove(&s.signals);
        loop_destroy(s.loop);
    }
    if (s.networks)
        s.networks->ops->close(s.networks);
    if (s.volumes)
        s.volumes->ops->close(s.volumes);
    if (s.lock_fd >= 0)
        close(s.lock_fd);
    api_arena_fini(&s.probed_arena);
    return ret;
}
