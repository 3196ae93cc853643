/* An agent without a link: messages go in as a server would say them, and what comes out is read as
 * a server would. Drivers are null, monitors are this program again. */
#include "agent/agent_core.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/network_null.h"
#include "agent/vm_process.h"
#include "agent/volume_null.h"
#include "agent/volume_pools.h"
#include "base/clock.h"
#include "base/util.h"
#include "fake_monitor.h"
#include "tap.h"

#define LIMIT_NS (INT64_C(20) * 1000000000)
#define VM_ID    "0a000000-0000-0000-0000-000000000000"
#define DISK_ID  "0d000000-0000-0000-0000-000000000000"
#define PORT_ID  "0e000000-0000-0000-0000-000000000000"
#define IMAGE_ID "0f000000-0000-0000-0000-000000000000"
#define SNAP_ID  "0f100000-0000-0000-0000-000000000000"

struct seen_object {
    char id[40], kind[12], state[16], reason[200];
    char addresses[1024]; /* of a VM: "IP MAC PORT," each */
    char devices[512];    /* of a VM: ids of volumes and ports; "-": it was not said */
    bool managed;
    int64_t generation, epoch, size_bytes;
};

static struct fixture {
    char dir[40], vmm[64], run[96];
    struct loop *loop;
    struct volume_driver *pools, *pool;
    struct network_driver *networks;
    struct agent_core *core;
    const char *folders[2];

    /* What the server knows, by what it was told. */
    struct seen_object seen[32];
    unsigned n_seen, n_full, n_messages[LINK_TYPE_N];
    struct {
        bool ok, truncated;
        char id[40], reason[200], text[200];
    } result;
    char stream[200], stream_end[200];
    uint64_t epoch, number;
    int64_t egress;
    int64_t took;
    int fail; /* the next sends fail so */
} F;

/* ---- the server's ear ---- */

static struct seen_object *object(const char *id, const char *kind)
{
    for (unsigned i = 0; i < F.n_seen; i++)
        if (!strcmp(F.seen[i].id, id) && !strcmp(F.seen[i].kind, kind))
            return &F.seen[i];
    if (F.n_seen == ARRAY_LEN(F.seen))
        return &F.seen[0];
    struct seen_object *o = &F.seen[F.n_seen++];
    memset(o, 0, sizeof(*o));
    snprintf(o->id, sizeof(o->id), "%s", id);
    snprintf(o->kind, sizeof(o->kind), "%s", kind);
    return o;
}

static void note(const char *id, const char *kind, const char *state, bool managed,
                 int64_t generation, const struct api_text *reason)
{
    struct seen_object *o = object(id, kind);
    snprintf(o->state, sizeof(o->state), "%s", state);
    snprintf(o->reason, sizeof(o->reason), "%s", reason->is == API_VALUE ? reason->v : "");
    o->managed = managed;
    o->generation = generation;
}

static void hear_seen(const struct link_seen *s)
{
    if (s->full.v)
        F.n_seen = 0;
    F.n_full += s->full.v && !s->more.v;
    for (uint32_t i = 0; i < s->vms.n; i++) {
        const struct link_vm_seen *v = &s->vms.v[i];
        note(v->id.v, "vm", link_types_vm_seen_state.names[v->state.v], v->managed.v,
             v->generation.v, &v->reason);
        struct seen_object *o = object(v->id.v, "vm");
        o->epoch = v->epoch.v;
        o->addresses[0] = 0;
        for (uint32_t k = 0; k < v->addresses.n; k++) {
            const struct link_address *a = &v->addresses.v[k];
            size_t at = strlen(o->addresses);
            snprintf(o->addresses + at, sizeof(o->addresses) - at, "%s %s %s,", a->ip.v,
                     a->mac.is == API_VALUE ? a->mac.v : "-",
                     a->port.is == API_VALUE ? a->port.v : "-");
        }
    }
    for (uint32_t i = 0; i < s->vms.n; i++) {
        const struct link_vm_seen *v = &s->vms.v[i];
        struct seen_object *o = object(v->id.v, "vm");
        const struct api_texts *lists[] = {&v->disks, &v->ports};
        snprintf(o->devices, sizeof(o->devices), "%s",
                 v->disks.is == API_VALUE && v->ports.is == API_VALUE ? "" : "-");
        for (unsigned k = 0; k < 2; k++)
            for (uint32_t n = 0; n < lists[k]->n; n++) {
                size_t at = strlen(o->devices);
                snprintf(o->devices + at, sizeof(o->devices) - at, "%s ", lists[k]->v[n]);
            }
    }
    for (uint32_t i = 0; i < s->volumes.n; i++) {
        const struct link_volume_seen *v = &s->volumes.v[i];
        const char *kind = link_types_volume_kind.names[v->kind.v];
        note(v->id.v, kind, link_types_volume_seen_state.names[v->state.v], v->managed.v,
             v->generation.v, &v->reason);
        object(v->id.v, kind)->size_bytes = v->size_bytes.v;
    }
    for (uint32_t i = 0; i < s->ports.n; i++) {
        const struct link_port_seen *p = &s->ports.v[i];
        note(p->id.v, "port", link_types_port_seen_state.names[p->state.v], p->managed.v,
             p->generation.v, &p->reason);
    }
}

static void hear(const struct link_message *m)
{
    F.n_messages[m->type]++;
    if (m->type == LINK_TYPE_SEEN) {
        hear_seen(m->seen);
    } else if (m->type == LINK_TYPE_RESULT) {
        F.result.ok = m->result->ok.v;
        snprintf(F.result.id, sizeof(F.result.id), "%s", m->result->id.v);
        snprintf(F.result.reason, sizeof(F.result.reason), "%s",
                 m->result->reason.is == API_VALUE ? m->result->reason.v : "");
        snprintf(F.result.text, sizeof(F.result.text), "%s",
                 m->result->text.is == API_VALUE ? m->result->text.v : "");
    } else if (m->type == LINK_TYPE_STREAM_END) {
        snprintf(F.stream_end, sizeof(F.stream_end), "%s", m->stream_end->reason.v);
    } else if (m->type == LINK_TYPE_USAGE) {
        F.epoch = (uint64_t)m->usage->epoch.v;
        F.number = (uint64_t)m->usage->number.v;
        for (uint32_t i = 0; i < m->usage->items.n; i++)
            if (!strcmp(m->usage->items.v[i].object.v, PORT_ID) &&
                m->usage->items.v[i].meter.v == LINK_USAGE_ITEM_METER_EGRESS_BYTES)
                F.egress = m->usage->items.v[i].value.v;
    }
}

static int send_message(void *opaque, enum link_type type, void *body)
{
    struct api_arena arena;
    struct api_buf b;
    struct link_message m;
    struct err err = {0};
    (void)opaque;
    if (F.fail)
        return -F.fail;
    api_arena_init(&arena, LINK_ARENA_BYTES);
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(type, body, &b);
    if (link_read(LINK_AGENT, b.text, b.bytes, &arena, &m, &err)) {
        CHECK(!"a server would not take this");
        printf("# %s: %s\n", err.msg, b.text);
    } else {
        hear(&m);
    }
    api_buf_fini(&b);
    api_arena_fini(&arena);
    return 0;
}

static int send_stream(void *opaque, uint32_t stream, const void *data, size_t bytes)
{
    (void)opaque;
    size_t n = strlen(F.stream);
    if (F.fail)
        return -F.fail;
    snprintf(F.stream + n, sizeof(F.stream) - n, "%u:%.*s", stream, (int)bytes, (const char *)data);
    return 0;
}

static void took(void *opaque, int64_t seq)
{
    (void)opaque;
    F.took = seq;
}

static const struct agent_core_ops OPS = {send_message, send_stream, took};

/* ---- the agent ---- */

static void up(void)
{
    const struct link_welcome welcome = {.usage_ms = {API_VALUE, 100}};
    agent_core_up(F.core, &welcome);
}

static void start_agent(void)
{
    struct err err = {0};
    const struct agent_core_config c = {.loop = F.loop,
                                        .host = {9},
                                        .state_dir = F.dir,
                                        .vmm_path = F.vmm,
                                        .volumes = F.pools,
                                        .networks = F.networks,
                                        .workers = 2,
                                        .images = {.folders = F.folders},
                                        .ops = &OPS};
    F.core = agent_core_create(&c, &err);
    if (!F.core) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void set_up(void)
{
    char self[4096];
    memset(&F, 0, sizeof(F));
    strcpy(F.dir, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(F.dir));
    snprintf(F.vmm, sizeof(F.vmm), "%s/vmm", F.dir);
    snprintf(F.run, sizeof(F.run), "%s/run/" VM_ID, F.dir);
    F.folders[0] = F.dir;
    CHECK(realpath("/proc/self/exe", self));
    CHECK_EQ(symlink(self, F.vmm), 0);
    F.loop = loop_create(0, NULL);
    F.pools = volume_pools_open(NULL);
    F.pool = volume_null_open(NULL);
    volume_pools_add(F.pools, "local", F.pool, NULL);
    F.networks = network_null_open(NULL);
    start_agent();
    up();
}

static void kill_vm(void)
{
    int pidfd;
    if (!vm_process_find(F.run, &pidfd, NULL)) {
        vm_process_kill(pidfd, NULL);
        close(pidfd);
    }
}

static void tear_down(void)
{
    char command[80];
    agent_core_destroy(F.core);
    kill_vm();
    F.pools->ops->close(F.pools);
    F.networks->ops->close(F.networks);
    loop_destroy(F.loop);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    snprintf(command, sizeof(command), "rm -rf %s", F.dir);
    CHECK_EQ(system(command), 0);
}

static bool runs(void)
{
    int pidfd;
    if (vm_process_find(F.run, &pidfd, NULL))
        return false;
    close(pidfd);
    return true;
}

static void say(const char *text)
{
    struct api_arena arena;
    struct link_message m;
    struct err err = {0};
    api_arena_init(&arena, LINK_ARENA_BYTES);
    if (link_read(LINK_SERVER, text, strlen(text), &arena, &m, &err)) {
        CHECK(!"the test says something that is not allowed");
        printf("# %s: %s\n", err.msg, text);
    } else {
        agent_core_message(F.core, &m);
    }
    api_arena_fini(&arena);
}

#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        int64_t end_ns = clock_now_ns() + LIMIT_NS;                                                \
        while (!(cond) && clock_now_ns() < end_ns)                                                 \
            loop_run_once(F.loop, 10);                                                             \
        REQUIRE(cond);                                                                             \
    } while (0)

static bool is(const char *id, const char *kind, const char *state)
{
    return !strcmp(object(id, kind)->state, state);
}

/* Everything that is under way has come to an end, as far as a tenth of a second can tell. */
static void settle(void)
{
    int64_t end_ns = clock_now_ns() + 100000000;
    while (clock_now_ns() < end_ns)
        loop_run_once(F.loop, 10);
}

#define WANT_VM(generation, epoch, power)                                                          \
    "{\"id\":\"" VM_ID "\",\"generation\":" #generation ",\"epoch\":" #epoch ",\"power\":\"" power \
    "\",\"grace_ms\":0,\"config\":{\"kernel\":\"/k\"},\"disks\":[{\"volume\":\"" DISK_ID           \
    "\",\"size_bytes\":1048576}],\"ports\":[{\"id\":\"" PORT_ID                                    \
    "\",\"kind\":\"user\",\"mac\":\"52:54:00:00:00:01\"}],\"seed\":[{\"name\":\"meta-data\","      \
    "\"text\":\"instance-id: x\"}]}"
#define FULL "true"
#define PART "false"
#define DESIRED(seq, full, what)                                                                   \
    "{\"type\":\"desired\",\"seq\":" #seq ",\"full\":" full "," what "}"
#define ONE_VM(seq, full, generation, epoch, power)                                                \
    DESIRED(seq, full, "\"vms\":[" WANT_VM(generation, epoch, power) "]")

/* ---- */

static void a_vm_comes_and_goes_as_it_is_wanted(void)
{
    char path[128];
    set_up();
    WAIT(F.n_full == 1);
    CHECK_EQ(F.n_seen, 0);
    say(ONE_VM(4, FULL, 1, 1, "running"));
    CHECK_EQ(F.took, 4);
    WAIT(is(VM_ID, "vm", "running"));
    CHECK(object(VM_ID, "vm")->managed);
    CHECK_EQ(object(VM_ID, "vm")->epoch, 1);
    WAIT(is(DISK_ID, "volume", "ready"));
    CHECK(object(DISK_ID, "volume")->managed);
    CHECK_EQ(object(DISK_ID, "volume")->size_bytes, 1048576);
    WAIT(is(PORT_ID, "port", "plugged"));
    CHECK(object(PORT_ID, "port")->managed);
    snprintf(path, sizeof(path), "%s/seed", F.run);
    CHECK_EQ(access(path, R_OK), 0);
    CHECK_EQ(agent_core_running(F.core), 1);
    say(ONE_VM(5, PART, 2, 1, "absent"));
    WAIT(is(VM_ID, "vm", "absent"));
    CHECK_EQ(object(VM_ID, "vm")->generation, 2);
    WAIT(is(DISK_ID, "volume", "absent"));
    WAIT(is(PORT_ID, "port", "absent"));
    CHECK(!runs());
    say("{\"type\":\"gone\",\"vms\":[\"" VM_ID "\"],\"volumes\":[\"" DISK_ID
        "\"],\"ports\":[\"" PORT_ID "\"]}");
    settle();
    agent_core_down(F.core);
    up();
    WAIT(F.n_full == 2);
    CHECK_EQ(F.n_seen, 0);
    tear_down();
}

static void what_a_full_set_does_not_name_is_left_alone_and_said_to_be_unknown(void)
{
    set_up();
    say(ONE_VM(4, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    say(DESIRED(5, FULL, "\"more\":true")); /* not whole: nothing is missing yet */
    settle();
    CHECK(object(VM_ID, "vm")->managed);
    CHECK_EQ(F.took, 4);
    say(DESIRED(6, FULL, "\"vms\":[]"));
    WAIT(!object(VM_ID, "vm")->managed);
    CHECK(is(VM_ID, "vm", "running"));
    CHECK_EQ(F.took, 6);
    settle();
    CHECK(runs());
    /* It is taken up again by the same want: nothing is started again. */
    say(ONE_VM(7, FULL, 1, 1, "running"));
    WAIT(object(VM_ID, "vm")->managed);
    settle();
    CHECK_EQ(object(VM_ID, "vm")->epoch, 1);
    tear_down();
}

static void a_link_that_ends_within_a_full_set_makes_nothing_unknown(void)
{
    set_up();
    say(ONE_VM(4, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    say(DESIRED(5, FULL, "\"more\":true"));
    agent_core_down(F.core);
    up();
    WAIT(F.n_full == 2);
    CHECK(object(VM_ID, "vm")->managed);
    say(ONE_VM(6, FULL, 1, 1, "running"));
    settle();
    CHECK(object(VM_ID, "vm")->managed);
    tear_down();
}

static void an_agent_that_starts_again_adopts_and_waits_for_what_is_wanted(void)
{
    set_up();
    say(ONE_VM(4, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    agent_core_destroy(F.core);
    CHECK(runs());
    start_agent();
    up();
    WAIT(is(VM_ID, "vm", "running") && !object(VM_ID, "vm")->managed);
    settle();
    CHECK(runs());
    say(ONE_VM(4, FULL, 1, 1, "running"));
    WAIT(object(VM_ID, "vm")->managed);
    settle();
    CHECK_EQ(object(VM_ID, "vm")->epoch, 1);
    say(ONE_VM(5, PART, 2, 1, "stopped"));
    WAIT(is(VM_ID, "vm", "stopped"));
    tear_down();
}

static void volumes_images_and_snapshots_are_made_and_removed(void)
{
    char text[512], path[64];
    set_up();
    snprintf(path, sizeof(path), "%s/image", F.dir);
    FILE *f = fopen(path, "we");
    CHECK(f && fputs("an image", f) >= 0 && !fclose(f));
    snprintf(
        text, sizeof(text),
        "{\"type\":\"desired\",\"seq\":1,\"full\":true,\"volumes\":[{\"id\":\"" IMAGE_ID
        "\",\"kind\":\"image\",\"generation\":1,\"present\":true,\"format\":\"raw\",\"origin\":"
        "{\"kind\":\"path\",\"path\":\"%s\"},\"sha256\":"
        "\"98eae1c15a1b2dea31b5a98dd4e67dbeca2ac6c7e42b5e39c0a8ed3a8ba1e0d1\"}]}",
        path);
    say(text);
    WAIT(is(IMAGE_ID, "image", "failed"));
    CHECK(strstr(object(IMAGE_ID, "image")->reason, "SHA-256") != NULL);
    snprintf(
        text, sizeof(text),
        "{\"type\":\"desired\",\"seq\":2,\"volumes\":[{\"id\":\"" IMAGE_ID
        "\",\"kind\":\"image\",\"generation\":2,\"present\":true,\"format\":\"raw\",\"origin\":"
        "{\"kind\":\"path\",\"path\":\"%s\"}}]}",
        path);
    say(text);
    WAIT(is(IMAGE_ID, "image", "ready"));
    CHECK_EQ(object(IMAGE_ID, "image")->generation, 2);
    say("{\"type\":\"desired\",\"seq\":3,\"volumes\":[{\"id\":\"" DISK_ID
        "\",\"kind\":\"volume\",\"generation\":1,\"present\":true,\"size_bytes\":2097152,"
        "\"source_kind\":\"image\",\"source\":\"" IMAGE_ID "\"}]}");
    WAIT(is(DISK_ID, "volume", "ready"));
    say("{\"type\":\"desired\",\"seq\":4,\"volumes\":[{\"id\":\"" DISK_ID
        "\",\"kind\":\"volume\",\"generation\":2,\"present\":true,\"size_bytes\":4194304},"
        "{\"id\":\"" SNAP_ID "\",\"kind\":\"snapshot\",\"generation\":1,\"present\":true,"
        "\"source\":\"" DISK_ID "\"}]}");
    WAIT(object(DISK_ID, "volume")->size_bytes == 4194304);
    WAIT(is(SNAP_ID, "snapshot", "ready"));
    say("{\"type\":\"desired\",\"seq\":5,\"volumes\":[{\"id\":\"" IMAGE_ID
        "\",\"kind\":\"image\",\"generation\":3,\"present\":false}]}");
    WAIT(is(IMAGE_ID, "image", "failed")); /* a volume is made of it; it is tried again */
    say("{\"type\":\"desired\",\"seq\":6,\"volumes\":[{\"id\":\"" DISK_ID
        "\",\"kind\":\"volume\",\"generation\":3,\"present\":false}]}");
    WAIT(is(DISK_ID, "volume", "absent"));
    WAIT(is(IMAGE_ID, "image", "absent"));
    say(DESIRED(7, FULL, "\"volumes\":[]"));
    WAIT(!object(SNAP_ID, "snapshot")->managed);
    CHECK(is(SNAP_ID, "snapshot", "ready"));
    tear_down();
}

static void what_cannot_be_done_says_why(void)
{
    set_up();
    F.folders[0] = NULL;
    say("{\"type\":\"desired\",\"seq\":1,\"volumes\":[{\"id\":\"" IMAGE_ID
        "\",\"kind\":\"image\",\"generation\":1,\"present\":true,\"origin\":{\"kind\":\"path\","
        "\"path\":\"/etc/passwd\"}},{\"id\":\"" DISK_ID
        "\",\"kind\":\"image\",\"generation\":1,\"present\":true,\"origin\":{\"kind\":\"debian\"}},"
        "{\"id\":\"" SNAP_ID "\",\"kind\":\"volume\",\"generation\":1,\"present\":true,"
        "\"size_bytes\":512,\"pool\":\"none\"}]}");
    WAIT(is(IMAGE_ID, "image", "failed") && is(DISK_ID, "image", "failed") &&
         is(SNAP_ID, "volume", "failed"));
    CHECK(strstr(object(IMAGE_ID, "image")->reason, "no folder") != NULL);
    CHECK(strstr(object(DISK_ID, "image")->reason, "builds no images") != NULL);
    CHECK(strstr(object(SNAP_ID, "volume")->reason, "no pool none") != NULL);
    say("{\"type\":\"desired\",\"seq\":2,\"vms\":[{\"id\":\"" VM_ID
        "\",\"generation\":3,\"epoch\":1,\"power\":\"running\",\"ports\":[{\"id\":\"" PORT_ID
        "\",\"kind\":\"bridge\",\"mac\":\"52:54:00:00:00:01\"}]}]}");
    WAIT(is(VM_ID, "vm", "failed"));
    CHECK_EQ(object(VM_ID, "vm")->generation, 3);
    CHECK(strstr(object(VM_ID, "vm")->reason, "names its bridge") != NULL);
    tear_down();
}

static void a_port_that_was_left_over_is_taken_away_when_it_is_named(void)
{
    struct network_port port = {.id = {0xe}};
    struct vm_config_nic nic;
    set_up();
    CHECK_EQ(F.networks->ops->plug(F.networks, &port, &nic, NULL), 0);
    agent_core_destroy(F.core);
    start_agent();
    up();
    WAIT(is(PORT_ID, "port", "plugged"));
    CHECK(!object(PORT_ID, "port")->managed);
    say(DESIRED(1, FULL, "\"ports\":[]"));
    settle();
    CHECK(is(PORT_ID, "port", "plugged"));
    say(DESIRED(2, PART,
                "\"ports\":[{\"id\":\"" PORT_ID "\",\"generation\":1,\"present\":false}]"));
    WAIT(is(PORT_ID, "port", "absent"));
    /* One that a VM has stays. */
    say(ONE_VM(3, PART, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    WAIT(is(PORT_ID, "port", "plugged"));
    say(DESIRED(4, PART,
                "\"ports\":[{\"id\":\"" PORT_ID "\",\"generation\":2,\"present\":false}]"));
    WAIT(object(PORT_ID, "port")->generation == 2);
    CHECK(is(PORT_ID, "port", "plugged"));
    tear_down();
}

#define COMMAND(id, kind, more)                                                                    \
    "{\"type\":\"command\",\"id\":\"0c000000-0000-0000-0000-00000000000" #id "\",\"kind\":\"" kind \
    "\",\"vm\":\"" VM_ID "\"" more "}"

static void a_command_is_done_once(void)
{
    set_up();
    say(COMMAND(1, "vm_reset", ""));
    CHECK(!F.result.ok);
    CHECK(strstr(F.result.reason, "no such VM") != NULL);
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    say(COMMAND(1, "vm_reset", "")); /* the same again: not done now either */
    CHECK(!F.result.ok);
    settle();
    CHECK(is(VM_ID, "vm", "running"));
    say(COMMAND(2, "vm_reset", ""));
    CHECK(F.result.ok);
    WAIT(is(VM_ID, "vm", "failed")); /* this guest does not survive it */
    say(ONE_VM(2, PART, 2, 2, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    say(COMMAND(2, "vm_reset", ""));
    CHECK(F.result.ok);
    CHECK_EQ(F.n_messages[LINK_TYPE_RESULT], 4);
    settle();
    CHECK(is(VM_ID, "vm", "running"));
    tear_down();
}

static void a_console_is_read_and_written(void)
{
    set_up();
    say(COMMAND(1, "vm_console_open", ",\"stream\":5"));
    CHECK(!F.result.ok);
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    settle(); /* "hello" has been read */
    say(COMMAND(2, "vm_console_open", ",\"stream\":5"));
    CHECK(F.result.ok);
    say(COMMAND(3, "vm_console_open", ",\"stream\":5"));
    CHECK(!F.result.ok);
    agent_core_stream(F.core, 5, "echo", 4);
    agent_core_stream(F.core, 6, "nobody", 6);
    WAIT(strstr(F.stream, "echo") != NULL);
    CHECK_STR(F.stream, "5:echo");
    say(COMMAND(4, "vm_console_log", ",\"max_bytes\":7"));
    CHECK(F.result.ok);
    CHECK_STR(F.result.text, "lo\necho");
    say("{\"type\":\"stream_end\",\"stream\":5}");
    agent_core_stream(F.core, 5, "x", 1);
    settle();
    CHECK_STR(F.stream, "5:echo");
    say(COMMAND(5, "vm_console_open", ",\"stream\":7"));
    say(ONE_VM(2, PART, 2, 1, "stopped"));
    WAIT(is(VM_ID, "vm", "stopped"));
    CHECK_STR(F.stream_end, "the VM has ended");
    tear_down();
}

static void a_stream_that_nobody_reads_is_ended(void)
{
    set_up();
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    say(COMMAND(2, "vm_console_open", ",\"stream\":5"));
    settle();
    agent_core_stream(F.core, 5, "a", 1);
    F.fail = EAGAIN;
    settle();
    F.fail = 0;
    F.stream[0] = 0;
    agent_core_stream(F.core, 5, "b", 1); /* it has no console any more */
    settle();
    CHECK_STR(F.stream, "");
    tear_down();
}

/* A null volume is nothing that a monitor could have; the seed is no volume. */
static void what_a_vm_has_is_said_to_a_server_that_changes_it(void)
{
    set_up();
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running"));
    CHECK_STR(object(VM_ID, "vm")->devices, "-");
    say(ONE_VM(2, PART, 2, 1, "running\",\"devices\":true,\"x\":\""));
    WAIT(object(VM_ID, "vm")->generation == 2);
    CHECK_STR(object(VM_ID, "vm")->devices, PORT_ID " ");
    say(ONE_VM(3, PART, 3, 1, "running"));
    WAIT(object(VM_ID, "vm")->generation == 3);
    CHECK_STR(object(VM_ID, "vm")->devices, "-");
    tear_down();
}

static void what_could_not_be_said_is_said_later(void)
{
    set_up();
    WAIT(F.n_full == 1);
    F.fail = EAGAIN;
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(agent_core_running(F.core) == 1);
    settle();
    CHECK(!object(VM_ID, "vm")->managed);
    F.fail = 0;
    WAIT(F.n_full == 2);
    WAIT(is(VM_ID, "vm", "running"));
    tear_down();
}

static void guest_has(const char *text)
{
    char path[160], part[170];
    snprintf(path, sizeof(path), "%s/guest", F.run);
    snprintf(part, sizeof(part), "%s.part", path);
    FILE *f = fopen(part, "w");
    REQUIRE(f);
    fputs(text, f);
    fclose(f);
    CHECK_EQ(rename(part, path), 0); /* whole, or not */
}

static bool addresses_are(const char *text)
{
    return !strcmp(object(VM_ID, "vm")->addresses, text);
}

static void the_guests_addresses_are_said_with_their_port(void)
{
#define MAC " 52:54:00:00:00:01 " PORT_ID ","
    set_up();
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(is(VM_ID, "vm", "running") && is(DISK_ID, "volume", "ready") &&
         is(PORT_ID, "port", "plugged"));
    CHECK(addresses_are(""));
    guest_has(PORT_ID " 10.0.0.5\n" PORT_ID " fe80::1\n");
    WAIT(addresses_are("10.0.0.5" MAC "fe80::1" MAC));
    guest_has(PORT_ID " 10.0.0.6\n" VM_ID " 10.0.0.7\n"); /* it has no such port */
    WAIT(addresses_are("10.0.0.6" MAC "10.0.0.7 - -,"));
    unsigned said = F.n_messages[LINK_TYPE_SEEN];
    int64_t egress = F.egress;
    WAIT(F.egress > egress + 300); /* looked at again and again */
    CHECK_EQ(F.n_messages[LINK_TYPE_SEEN], said);
    /* Another agent does not know which port that is until it is told. */
    agent_core_destroy(F.core);
    start_agent();
    up();
    WAIT(is(VM_ID, "vm", "running") && addresses_are("10.0.0.6 - -,10.0.0.7 - -,"));
    say(ONE_VM(2, FULL, 2, 1, "running"));
    WAIT(addresses_are("10.0.0.6" MAC "10.0.0.7 - -,"));
    say(ONE_VM(3, FULL, 3, 1, "stopped"));
    WAIT(is(VM_ID, "vm", "stopped"));
    CHECK(addresses_are(""));
    tear_down();
}

static void what_is_used_is_said_until_it_is_acknowledged(void)
{
    char ack[200];
    set_up();
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(F.egress >= 300);
    int64_t before = F.egress;
    agent_core_destroy(F.core);
    F.egress = 0;
    start_agent();
    up();
    say(ONE_VM(1, FULL, 1, 1, "running"));
    WAIT(F.egress > before); /* it has gone on where it was */
    CHECK(F.egress < before + 10000);
    say(ONE_VM(2, PART, 2, 1, "absent"));
    WAIT(is(VM_ID, "vm", "absent"));
    uint64_t first = F.number;
    WAIT(F.number > first + 1); /* again and again */
    snprintf(ack, sizeof(ack),
             "{\"type\":\"usage_ack\",\"source\":\"09000000-0000-0000-0000-000000000000\","
             "\"epoch\":%llu,\"number\":%llu}",
             (unsigned long long)F.epoch, (unsigned long long)F.number);
    say(ack);
    uint64_t acked = F.number;
    settle();
    settle();
    settle();
    CHECK_EQ(F.number, acked);
    CHECK(!agent_core_problem(F.core, 0));
    tear_down();
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--config"))
        _exit(fake_monitor_main(argv[2]));
    TAP_RUN(a_vm_comes_and_goes_as_it_is_wanted);
    TAP_RUN(what_a_full_set_does_not_name_is_left_alone_and_said_to_be_unknown);
    TAP_RUN(a_link_that_ends_within_a_full_set_makes_nothing_unknown);
    TAP_RUN(an_agent_that_starts_again_adopts_and_waits_for_what_is_wanted);
    TAP_RUN(volumes_images_and_snapshots_are_made_and_removed);
    TAP_RUN(what_cannot_be_done_says_why);
    TAP_RUN(a_port_that_was_left_over_is_taken_away_when_it_is_named);
    TAP_RUN(a_command_is_done_once);
    TAP_RUN(a_console_is_read_and_written);
    TAP_RUN(a_stream_that_nobody_reads_is_ended);
    TAP_RUN(what_a_vm_has_is_said_to_a_server_that_changes_it);
    TAP_RUN(what_could_not_be_said_is_said_later);
    TAP_RUN(the_guests_addresses_are_said_with_their_port);
    TAP_RUN(what_is_used_is_said_until_it_is_acknowledged);
    return tap_done();
}
