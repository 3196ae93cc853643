/* The tables: which keys each object of the config has. */
#include "vmmapi/vm_config_internal.h"

#include "base/util.h"

#define AT(type, member)   .offset = (uint32_t)offsetof(type, member)
#define CNT(type, member)  .count_offset = (uint32_t)offsetof(type, member)
#define ROOM(type, member) .max = sizeof(((type *)0)->member)
#define PATH_ROOM          .min = 1, .max = 4095
#define SEEN               .seen = true

static const char *const format_names[] = {"auto", "raw", "qcow2", NULL};
static const char *const cache_names[] = {"writeback", "none", "unsafe", NULL};
static const char *const on_error_names[] = {"report", "stop", "enospc", NULL};
static const char *const nic_kind_names[] = {"user", "tap", "vhost-user", "none", NULL};
static const char *const console_names[] = {"none", "stdio", "pty", "file", "unix", "fd", NULL};
static const char *const sandbox_names[] = {"auto", "require", "off", NULL};
static const char *const log_names[] = {"error", "warn", "info", "debug", NULL};

static const struct vm_config_field disk_fields[] = {
    {"id", VM_CONFIG_KIND_NAME, AT(struct vm_config_disk, id), ROOM(struct vm_config_disk, id),
     SEEN},
    {"path", VM_CONFIG_KIND_STRING, AT(struct vm_config_disk, path), PATH_ROOM},
    {"socket", VM_CONFIG_KIND_STRING, AT(struct vm_config_disk, socket), .min = 1, .max = 107},
    {"format", VM_CONFIG_KIND_ENUM, AT(struct vm_config_disk, format), .names = format_names},
    {"cache", VM_CONFIG_KIND_ENUM, AT(struct vm_config_disk, cache), .names = cache_names},
    {"on_error", VM_CONFIG_KIND_ENUM, AT(struct vm_config_disk, on_error), .names = on_error_names},
    {"readonly", VM_CONFIG_KIND_BOOL, AT(struct vm_config_disk, readonly), SEEN},
    {"own_thread", VM_CONFIG_KIND_BOOL, AT(struct vm_config_disk, own_thread)},
    {"serial", VM_CONFIG_KIND_TEXT, AT(struct vm_config_disk, serial),
     ROOM(struct vm_config_disk, serial), SEEN},
    {"queues", VM_CONFIG_KIND_UINT, AT(struct vm_config_disk, queues), .min = 1,
     .max = VM_CONFIG_QUEUES_MAX, SEEN},
    {"iops", VM_CONFIG_KIND_SIZE, AT(struct vm_config_disk, limits.iops), .max = 1000000000},
    {"bandwidth", VM_CONFIG_KIND_SIZE, AT(struct vm_config_disk, limits.bandwidth_bytes),
     .max = 1024 * GIB},
};

static const struct vm_config_field nic_fields[] = {
    {"id", VM_CONFIG_KIND_NAME, AT(struct vm_config_nic, id), ROOM(struct vm_config_nic, id), SEEN},
    {"kind", VM_CONFIG_KIND_ENUM, AT(struct vm_config_nic, kind), .names = nic_kind_names},
    {"tap", VM_CONFIG_KIND_NAME, AT(struct vm_config_nic, ifname),
     ROOM(struct vm_config_nic, ifname)},
    {"socket", VM_CONFIG_KIND_STRING, AT(struct vm_config_nic, socket), .min = 1, .max = 107},
    {"mac", VM_CONFIG_KIND_MAC, AT(struct vm_config_nic, mac), SEEN},
    {"own_thread", VM_CONFIG_KIND_BOOL, AT(struct vm_config_nic, own_thread)},
    {"queues", VM_CONFIG_KIND_UINT, AT(struct vm_config_nic, queues), .min = 1,
     .max = VM_CONFIG_QUEUES_MAX, SEEN},
    /* Spec: virtio 1.2, 5.1.4.1: an announced MTU is at least 68; 65535 is IPv4's largest. */
    {"mtu", VM_CONFIG_KIND_UINT, AT(struct vm_config_nic, mtu), .max = 65535, SEEN},
    {"forward", VM_CONFIG_KIND_FORWARDS, AT(struct vm_config_nic, forwards),
     CNT(struct vm_config_nic, n_forwards), .max = VM_CONFIG_FORWARDS_MAX},
    {"pps", VM_CONFIG_KIND_SIZE, AT(struct vm_config_nic, limits.iops), .max = 1000000000},
    {"bandwidth", VM_CONFIG_KIND_SIZE, AT(struct vm_config_nic, limits.bandwidth_bytes),
     .max = 1024 * GIB},
};

static const struct vm_config_field share_fields[] = {
    {"tag", VM_CONFIG_KIND_TEXT, AT(struct vm_config_share, tag), ROOM(struct vm_config_share, tag),
     SEEN},
    {"dir", VM_CONFIG_KIND_STRING, AT(struct vm_config_share, dir), PATH_ROOM},
    {"socket", VM_CONFIG_KIND_STRING, AT(struct vm_config_share, socket), .min = 1, .max = 107},
    {"readonly", VM_CONFIG_KIND_BOOL, AT(struct vm_config_share, readonly)},
};

static const struct vm_config_field console_fields[] = {
    {"kind", VM_CONFIG_KIND_ENUM, AT(struct vm_config_console, kind), .names = console_names},
    {"path", VM_CONFIG_KIND_STRING, AT(struct vm_config_console, path), PATH_ROOM},
    {"fd", VM_CONFIG_KIND_UINT, AT(struct vm_config_console, fd), .max = 1048575},
    {"max", VM_CONFIG_KIND_SIZE, AT(struct vm_config_console, max_bytes), .min = 4 * KIB,
     .max = 1024 * GIB},
};

static const struct vm_config_field vsock_fields[] = {
    /* 0, 1 and 2 are the hypervisor, loopback and the host; the top value is "any". */
    {"cid", VM_CONFIG_KIND_UINT, AT(struct vm_config, vsock.cid), .min = 3, .max = 4294967294,
     SEEN},
    /* Room for "_" and a port number within sun_path's 108 bytes. */
    {"path", VM_CONFIG_KIND_STRING, AT(struct vm_config, vsock.path), .min = 1, .max = 96},
};

static const struct vm_config_field balloon_fields[] = {
    {"enabled", VM_CONFIG_KIND_BOOL, AT(struct vm_config, balloon.enabled), SEEN},
    {"free_page_reporting", VM_CONFIG_KIND_BOOL, AT(struct vm_config, balloon.free_page_reporting),
     SEEN},
    {"deflate_on_oom", VM_CONFIG_KIND_BOOL, AT(struct vm_config, balloon.deflate_on_oom), SEEN},
};

static const struct vm_config_field cpus_fields[] = {
    {"count", VM_CONFIG_KIND_UINT, AT(struct vm_config, cpus.count), .min = 1,
     .max = VM_CONFIG_CPUS_MAX, SEEN},
    {"model", VM_CONFIG_KIND_NAME, AT(struct vm_config, cpus.model),
     ROOM(struct vm_config, cpus.model), SEEN},
    {"pin", VM_CONFIG_KIND_UINTS, AT(struct vm_config, cpus.pins),
     CNT(struct vm_config, cpus.n_pins), .max = VM_CONFIG_CPUS_MAX},
};

static const struct vm_config_field memory_fields[] = {
    {"size", VM_CONFIG_KIND_SIZE, AT(struct vm_config, memory.size_bytes), .min = MIB,
     .max = 4096 * GIB, SEEN},
    {"hugepages", VM_CONFIG_KIND_BOOL, AT(struct vm_config, memory.hugepages)},
    {"shared", VM_CONFIG_KIND_BOOL, AT(struct vm_config, memory.shared)},
    {"prealloc", VM_CONFIG_KIND_BOOL, AT(struct vm_config, memory.prealloc)},
};

static const struct vm_config_field sandbox_fields[] = {
    {"mode", VM_CONFIG_KIND_ENUM, AT(struct vm_config, sandbox.mode), .names = sandbox_names},
    {"uid", VM_CONFIG_KIND_UINT, AT(struct vm_config, sandbox.uid), .max = 4294967294},
    {"gid", VM_CONFIG_KIND_UINT, AT(struct vm_config, sandbox.gid), .max = 4294967294},
};

static void disk_init(void *object)
{
    struct vm_config_disk *d = object;
    d->own_thread = true;
    d->queues = 1;
}

static void nic_init(void *object)
{
    struct vm_config_nic *n = object;
    n->own_thread = true;
    n->queues = 1;
}

static void console_init(void *object)
{
    struct vm_config_console *c = object;
    c->max_bytes = 64 * MIB;
}

#define FIELDS(f) .fields = (f), .n_fields = ARRAY_LEN(f)

const struct vm_config_object vm_config_disk_object = {"disk", sizeof(struct vm_config_disk),
                                                       disk_init, FIELDS(disk_fields)};
const struct vm_config_object vm_config_nic_object = {"NIC", sizeof(struct vm_config_nic), nic_init,
                                                      FIELDS(nic_fields)};
const struct vm_config_object vm_config_share_object = {"share", sizeof(struct vm_config_share),
                                                        NULL, FIELDS(share_fields)};
const struct vm_config_object vm_config_console_object = {
    "console", sizeof(struct vm_config_console), console_init, FIELDS(console_fields)};
/* These live inside struct vm_config itself: their offsets are from its start. */
const struct vm_config_object vm_config_vsock_object = {"vsock", 0, NULL, FIELDS(vsock_fields)};
const struct vm_config_object vm_config_balloon_object = {"balloon", 0, NULL,
                                                          FIELDS(balloon_fields)};
const struct vm_config_object vm_config_cpus_object = {"cpus", 0, NULL, FIELDS(cpus_fields)};
const struct vm_config_object vm_config_memory_object = {"memory", 0, NULL, FIELDS(memory_fields)};
const struct vm_config_object vm_config_sandbox_object = {"sandbox", 0, NULL,
                                                          FIELDS(sandbox_fields)};

static const struct vm_config_field root_fields[] = {
    {"name", VM_CONFIG_KIND_NAME, AT(struct vm_config, name), ROOM(struct vm_config, name)},
    {"uuid", VM_CONFIG_KIND_UUID, AT(struct vm_config, uuid), SEEN},
    {"kernel", VM_CONFIG_KIND_STRING, AT(struct vm_config, kernel), PATH_ROOM},
    {"initrd", VM_CONFIG_KIND_STRING, AT(struct vm_config, initrd), PATH_ROOM},
    /* Linux's own limit on x86: COMMAND_LINE_SIZE. */
    {"append", VM_CONFIG_KIND_STRING, AT(struct vm_config, append), .max = 2047},
    {"load", VM_CONFIG_KIND_STRING, AT(struct vm_config, load), PATH_ROOM},
    {"engine", VM_CONFIG_KIND_NAME, AT(struct vm_config, engine), ROOM(struct vm_config, engine)},
    {"cpus", VM_CONFIG_KIND_OBJECT, .object = &vm_config_cpus_object},
    {"memory", VM_CONFIG_KIND_OBJECT, .object = &vm_config_memory_object},
    {"disks", VM_CONFIG_KIND_LIST, AT(struct vm_config, disks), CNT(struct vm_config, n_disks),
     .max = VM_CONFIG_DISKS_MAX, .object = &vm_config_disk_object},
    {"nics", VM_CONFIG_KIND_LIST, AT(struct vm_config, nics), CNT(struct vm_config, n_nics),
     .max = VM_CONFIG_NICS_MAX, .object = &vm_config_nic_object},
    {"shares", VM_CONFIG_KIND_LIST, AT(struct vm_config, shares), CNT(struct vm_config, n_shares),
     .max = VM_CONFIG_SHARES_MAX, .object = &vm_config_share_object},
    {"console", VM_CONFIG_KIND_OBJECT, AT(struct vm_config, console),
     .object = &vm_config_console_object},
    {"virtio_console", VM_CONFIG_KIND_OBJECT, AT(struct vm_config, virtio_console),
     .object = &vm_config_console_object},
    {"vsock", VM_CONFIG_KIND_OBJECT, .object = &vm_config_vsock_object},
    {"rng", VM_CONFIG_KIND_BOOL, AT(struct vm_config, rng), SEEN},
    {"balloon", VM_CONFIG_KIND_OBJECT, .object = &vm_config_balloon_object},
    {"vmgenid", VM_CONFIG_KIND_BOOL, AT(struct vm_config, vmgenid), SEEN},
    {"debug_exit", VM_CONFIG_KIND_BOOL, AT(struct vm_config, debug_exit), SEEN},
    {"no_reboot", VM_CONFIG_KIND_BOOL, AT(struct vm_config, no_reboot)},
    {"qtest", VM_CONFIG_KIND_STRING, AT(struct vm_config, qtest), .min = 1, .max = 107},
    {"api", VM_CONFIG_KIND_STRING, AT(struct vm_config, api_socket), .min = 1, .max = 107},
    {"gdb", VM_CONFIG_KIND_STRING, AT(struct vm_config, gdb_socket), .min = 1, .max = 107},
    {"autostart", VM_CONFIG_KIND_BOOL, AT(struct vm_config, autostart)},
    {"sandbox", VM_CONFIG_KIND_OBJECT, .object = &vm_config_sandbox_object},
    {"log", VM_CONFIG_KIND_ENUM, AT(struct vm_config, log), .names = log_names},
};

const struct vm_config_object vm_config_root = {"config", sizeof(struct vm_config), NULL,
                                                FIELDS(root_fields)};

const struct vm_config_field *vm_config_find_field(const struct vm_config_object *o,
                                                   const char *key, size_t key_len)
{
    for (size_t i = 0; i < o->n_fields; i++)
        if (strlen(o->fields[i].key) == key_len && !memcmp(o->fields[i].key, key, key_len))
            return &o->fields[i];
    return NULL;
}
