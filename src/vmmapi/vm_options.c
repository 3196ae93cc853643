/* Each flag is a row: what the help says, and the function that reads its value. The comma lists
 * of --disk, --net and the like use the same keys as the JSON document. */
#include "vmmapi/vm_options.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "vmmapi/vm_config_internal.h"

#define VALUE_MAX_BYTES 8192

/* Takes the next comma-separated piece off *p into `out` (a doubled comma is a literal one).
 * Returns false at the end. */
static bool next_piece(const char **p, char *out, size_t out_bytes)
{
    size_t n = 0;
    const char *s = *p;
    if (!s)
        return false;
    while (*s) {
        if (*s == ',' && s[1] == ',')
            s++;
        else if (*s == ',')
            break;
        if (n + 1 < out_bytes)
            out[n++] = *s;
        s++;
    }
    out[n] = '\0';
    *p = *s ? s + 1 : NULL;
    return true;
}

/* "key=value", or "key" alone for a boolean. */
static int apply_piece(void *object, const struct vm_config_object *o, const char *flag,
                       char *piece, struct err *err)
{
    char where[96];
    char *eq = strchr(piece, '=');
    size_t key_len = eq ? (size_t)(eq - piece) : strlen(piece);
    snprintf(where, sizeof(where), "--%s %.*s", flag, (int)MIN(key_len, 60), piece);
    const struct vm_config_field *f = vm_config_find_field(o, piece, key_len);
    if (!f)
        return vm_config_unknown_key(o, where, err);
    if (!eq && f->kind != VM_CONFIG_KIND_BOOL)
        return err_set(err, EINVAL, "%s has no value: write %s=VALUE", where, f->key);
    return vm_config_set_text(object, f, where, eq ? eq + 1 : "on", err);
}

static int apply_rest(void *object, const struct vm_config_object *o, const char *flag,
                      const char *rest, struct err *err)
{
    char piece[VALUE_MAX_BYTES];
    while (next_piece(&rest, piece, sizeof(piece))) {
        int r = apply_piece(object, o, flag, piece, err);
        if (r)
            return r;
    }
    return 0;
}

static int set_key(void *object, const struct vm_config_object *o, const char *key,
                   const char *flag, const char *text, struct err *err)
{
    char where[48];
    snprintf(where, sizeof(where), "--%s", flag);
    return vm_config_set_text(object, vm_config_find_field(o, key, strlen(key)), where, text, err);
}

static void *append(struct vm_config *c, const char *list, const char *flag, struct err *err)
{
    char where[48];
    snprintf(where, sizeof(where), "--%s", flag);
    return vm_config_list_append(c, vm_config_find_field(&vm_config_root, list, strlen(list)),
                                 where, err);
}

/* The text after "prefix:" if `s` begins so, or NULL. */
static const char *after(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);
    return !strncmp(s, prefix, n) && s[n] == ':' ? s + n + 1 : NULL;
}

static int read_disk(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    struct vm_config_disk *d = append(c, "disks", flag, err);
    if (!d)
        return -E2BIG;
    const char *socket = after(first, "vhost-user");
    int r = set_key(d, &vm_config_disk_object, socket ? "socket" : "path", flag,
                    socket ? socket : first, err);
    return r ? r : apply_rest(d, &vm_config_disk_object, flag, rest, err);
}

static int read_net(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    const char *tap = after(first, "tap"), *socket = after(first, "vhost-user");
    if (!strcmp(first, "none") && !rest)
        return 0; /* no NIC at all; with a mac or an id it is one whose cable is out */
    struct vm_config_nic *n = append(c, "nics", flag, err);
    if (!n)
        return -E2BIG;
    int r = set_key(n, &vm_config_nic_object, "kind", flag,
                    tap      ? "tap"
                    : socket ? "vhost-user"
                             : first,
                    err);
    if (!r && tap)
        r = set_key(n, &vm_config_nic_object, "tap", flag, tap, err);
    if (!r && socket)
        r = set_key(n, &vm_config_nic_object, "socket", flag, socket, err);
    return r ? r : apply_rest(n, &vm_config_nic_object, flag, rest, err);
}

/* DIR:TAG or vhost-user:SOCKET:TAG; the tag is what follows the last colon. */
static int read_share(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    const char *socket = after(first, "vhost-user");
    char *colon = strrchr(first, ':');
    if (!colon || (socket && colon < socket))
        return err_set(err, EINVAL, "--%s is \"%.64s\": use DIR:TAG, where the guest mounts by TAG",
                       flag, value);
    *colon = '\0';
    struct vm_config_share *s = append(c, "shares", flag, err);
    if (!s)
        return -E2BIG;
    int r = set_key(s, &vm_config_share_object, socket ? "socket" : "dir", flag,
                    socket ? socket : first, err);
    if (!r)
        r = set_key(s, &vm_config_share_object, "tag", flag, colon + 1, err);
    return r ? r : apply_rest(s, &vm_config_share_object, flag, rest, err);
}

static int read_console_into(struct vm_config_console *con, const char *flag, const char *value,
                             struct err *err)
{
    static const char *const with_argument[] = {"file", "unix", "fd", NULL};
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    const char *argument = NULL, *kind = first;
    for (unsigned i = 0; with_argument[i] && !argument; i++)
        if ((argument = after(first, with_argument[i])))
            kind = with_argument[i];
    int r = set_key(con, &vm_config_console_object, "kind", flag, kind, err);
    if (!r && argument)
        r = set_key(con, &vm_config_console_object, strcmp(kind, "fd") ? "path" : "fd", flag,
                    argument, err);
    return r ? r : apply_rest(con, &vm_config_console_object, flag, rest, err);
}

static int read_console(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return read_console_into(&c->console, flag, value, err);
}

static int read_virtio_console(struct vm_config *c, const char *flag, const char *value,
                               struct err *err)
{
    return read_console_into(&c->virtio_console, flag, value, err);
}

static int read_cpus(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return set_key(c, &vm_config_cpus_object, "count", flag, value, err);
}

static int read_cpu_model(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return set_key(c, &vm_config_cpus_object, "model", flag, value, err);
}

static int read_pin(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    c->cpus.n_pins = 0;
    return set_key(c, &vm_config_cpus_object, "pin", flag, value, err);
}

static int read_memory(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    int r = set_key(c, &vm_config_memory_object, "size", flag, first, err);
    return r ? r : apply_rest(c, &vm_config_memory_object, flag, rest, err);
}

/* CID:PATH */
static int read_vsock(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char cid[16];
    size_t n = strcspn(value, ":");
    if (!value[n] || n >= sizeof(cid))
        return err_set(err, EINVAL, "--%s is \"%.64s\": use CID:PATH, as in 3:/run/vm.vsock", flag,
                       value);
    memcpy(cid, value, n);
    cid[n] = '\0';
    int r = set_key(c, &vm_config_vsock_object, "cid", flag, cid, err);
    return r ? r : set_key(c, &vm_config_vsock_object, "path", flag, value + n + 1, err);
}

static int read_balloon(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return set_key(c, &vm_config_balloon_object, "enabled", flag, value, err);
}

static int read_sandbox(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    char first[VALUE_MAX_BYTES];
    const char *rest = value;
    next_piece(&rest, first, sizeof(first));
    int r = set_key(c, &vm_config_sandbox_object, "mode", flag, first, err);
    return r ? r : apply_rest(c, &vm_config_sandbox_object, flag, rest, err);
}

static int read_paused(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    c->autostart = false;
    return 0;
}

static int read_debug_exit(struct vm_config *c, const char *flag, const char *value,
                           struct err *err)
{
    c->debug_exit = true;
    return 0;
}

static int read_no_reboot(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    c->no_reboot = true;
    return 0;
}

static int read_config(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return vm_config_from_file(c, value, err);
}

/* Flags whose name is the document's key. */
static int read_root(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    return set_key(c, &vm_config_root, flag, flag, value, err);
}

const struct vm_options_flag vm_options_flags[] = {
    {"config", "FILE", "read the VM's JSON description first; flags change it", true},
    {"name", "NAME", "the VM's name in logs and the API", false},
    {"uuid", "UUID", "the VM's identity (drawn at random)", false},
    {"kernel", "FILE",
     "bzImage, PVH or plain ELF, or multiboot 1 image to boot; without it, the disk's", false},
    {"initrd", "FILE", "initial RAM disk", false},
    {"append", "TEXT",
     "the kernel's command line; what is added to the disk's own without --kernel", false},
    {"disk", "PATH[,readonly][,format=raw|qcow2][,KEY=VALUE...]|vhost-user:SOCKET",
     "a disk; keys: id, cache, on_error, serial, queues, own_thread, iops, bandwidth", true},
    {"net", "user[,forward=HOSTPORT:GUESTPORT]|tap:NAME|vhost-user:SOCKET|none[,KEY=VALUE...]",
     "a NIC; keys: id, mac, queues, mtu, own_thread, pps, bandwidth", true},
    {"cpus", "N", "number of vCPUs (1)", false},
    {"pin", "LIST", "host CPU of each vCPU in turn, as in 2,3 or 0-3", false},
    {"cpu-model", "NAME", "named CPUID template (host)", false},
    {"memory", "SIZE[,hugepages][,shared][,prealloc]", "guest RAM (256M)", false},
    {"engine", "auto|kvm|soft", "what executes guest code (auto)", false},
    {"console", "stdio|pty|file:PATH[,max=SIZE]|unix:PATH|none", "where ttyS0 goes (stdio)", false},
    {"virtio-console", "stdio|pty|file:PATH[,max=SIZE]|unix:PATH|none", "adds hvc0 (none)", false},
    {"share", "DIR:TAG[,readonly]|vhost-user:SOCKET:TAG", "a host directory by virtio-fs", true},
    {"vsock", "CID:PATH", "virtio-vsock; the host end is unix sockets at PATH", false},
    {"rng", "on|off", "virtio-rng (on)", false},
    {"balloon", "on|off", "virtio-balloon (on)", false},
    {"api", "SOCKET", "serve the HTTP API on this unix socket", false},
    {"gdb", "SOCKET", "serve gdb on this unix socket; with --paused it starts the guest", false},
    {"load", "FILE", "go on with the VM that PUT /v1/vm/save wrote; the other flags as it had them",
     false},
    {"paused", NULL, "wait for PUT /v1/vm/boot before the guest starts", false},
    {"sandbox", "auto|require|off[,uid=N][,gid=N]", "how much protection must be had (auto)",
     false},
    {"log", "error|warn|info|debug", "how much is logged on stderr (warn)", false},
    {"no-reboot", NULL, "a reset by the guest ends the VM", false},
    {"debug-exit", NULL, "tests: a guest's write to port 0x501 ends the VM", false},
    {"qtest", "SOCKET", "tests: with --engine null, serve QEMU's qtest protocol to this socket",
     false},
    {NULL, NULL, NULL, false},
};

/* Those that are not simply a key of the document's root. */
static const struct {
    const char *name;
    int (*read)(struct vm_config *c, const char *flag, const char *value, struct err *err);
} readers[] = {
    {"config", read_config},
    {"disk", read_disk},
    {"net", read_net},
    {"cpus", read_cpus},
    {"pin", read_pin},
    {"cpu-model", read_cpu_model},
    {"memory", read_memory},
    {"console", read_console},
    {"virtio-console", read_virtio_console},
    {"share", read_share},
    {"vsock", read_vsock},
    {"balloon", read_balloon},
    {"no-reboot", read_no_reboot},
    {"paused", read_paused},
    {"sandbox", read_sandbox},
    {"debug-exit", read_debug_exit},
};

static int read_flag(struct vm_config *c, const char *flag, const char *value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (!strcmp(readers[i].name, flag))
            return readers[i].read(c, flag, value, err);
    return read_root(c, flag, value, err);
}

static const struct vm_options_flag *find_flag(const char *name, size_t len)
{
    for (const struct vm_options_flag *f = vm_options_flags; f->name; f++)
        if (strlen(f->name) == len && !memcmp(f->name, name, len))
            return f;
    return NULL;
}

int vm_options_parse(struct vm_config *c, int argc, char *const argv[], struct err *err)
{
    uint64_t seen = 0;
    _Static_assert(ARRAY_LEN(vm_options_flags) <= 64, "one bit a flag");
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--", 2) || !arg[2])
            return err_set(err, EINVAL, "\"%.64s\" is not a flag: all begin with --; see --help",
                           arg);
        size_t len = strcspn(arg + 2, "=");
        const struct vm_options_flag *f = find_flag(arg + 2, len);
        if (!f)
            return err_set(err, EINVAL, "%.64s is not a known flag: see --help", arg);
        const char *value = arg[2 + len] ? arg + 2 + len + 1 : NULL;
        if (!f->value && value)
            return err_set(err, EINVAL, "--%s takes no value: write it alone", f->name);
        if (f->value && !value && ++i >= argc)
            return err_set(err, EINVAL, "--%s has no value: give %s", f->name, f->value);
        if (f->value && !value)
            value = argv[i];
        if (value && strlen(value) >= VALUE_MAX_BYTES)
            return err_set(err, EINVAL, "--%s has a value of %zu bytes: at most %d are read",
                           f->name, strlen(value), VALUE_MAX_BYTES - 1);
        uint64_t bit = UINT64_C(1) << (f - vm_options_flags);
        if (!f->many && seen & bit)
            return err_set(err, EINVAL, "--%s is given twice: give it once", f->name);
        seen |= bit;
        int r = read_flag(c, f->name, value, err);
        if (r)
            return r;
    }
    return 0;
}

void vm_options_print_help(FILE *out)
{
    for (const struct vm_options_flag *f = vm_options_flags; f->name; f++)
        fprintf(out, "  --%s%s%s\n        %s\n", f->name, f->value ? " " : "",
                f->value ? f->value : "", f->help);
}
