/* Defaults, and what holds across keys. */
#include "vmmapi/vm_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "vmmapi/vm_config_internal.h"

void vm_config_init(struct vm_config *c)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->name, sizeof(c->name), "vm");
    snprintf(c->engine, sizeof(c->engine), "auto");
    snprintf(c->cpus.model, sizeof(c->cpus.model), "host");
    c->cpus.count = 1;
    c->memory.size_bytes = 256 * MIB;
    vm_config_console_object.init(&c->console);
    vm_config_console_object.init(&c->virtio_console);
    c->console.kind = VM_CONFIG_CONSOLE_STDIO;
    c->rng = true;
    c->balloon.enabled = true;
    c->balloon.free_page_reporting = true;
    c->balloon.deflate_on_oom = true;
    c->vmgenid = true;
    c->autostart = true;
    c->log = VM_CONFIG_LOG_WARN;
}

void vm_config_fini(struct vm_config *c)
{
    vm_config_free_object(c, &vm_config_root);
}

void vm_config_disk_fini(struct vm_config_disk *d)
{
    vm_config_free_object(d, &vm_config_disk_object);
}

void vm_config_nic_fini(struct vm_config_nic *n)
{
    vm_config_free_object(n, &vm_config_nic_object);
}

static int copy_text(char *const from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

int vm_config_add_disk(struct vm_config *c, const struct vm_config_disk *d, struct err *err)
{
    if (c->n_disks == VM_CONFIG_DISKS_MAX)
        return err_set(err, ENOSPC, "no room for disk '%s': a VM has at most %d disks", d->id,
                       VM_CONFIG_DISKS_MAX);
    struct vm_config_disk copy = *d;
    copy.socket = NULL;
    if (copy_text(d->path, &copy.path) || copy_text(d->socket, &copy.socket)) {
        vm_config_disk_fini(&copy);
        return err_set(err, ENOMEM, "could not allocate disk '%s'", d->id);
    }
    c->disks[c->n_disks++] = copy;
    return 0;
}

int vm_config_add_nic(struct vm_config *c, const struct vm_config_nic *n, struct err *err)
{
    if (c->n_nics == VM_CONFIG_NICS_MAX)
        return err_set(err, ENOSPC, "no room for nic '%s': a VM has at most %d NICs", n->id,
                       VM_CONFIG_NICS_MAX);
    struct vm_config_nic copy = *n;
    if (copy_text(n->socket, &copy.socket))
        return err_set(err, ENOMEM, "could not allocate nic '%s'", n->id);
    c->nics[c->n_nics++] = copy;
    return 0;
}

void vm_config_remove_device(struct vm_config *c, const char *id)
{
    for (unsigned i = 0; i < c->n_disks; i++) {
        if (strcmp(c->disks[i].id, id) != 0)
            continue;
        vm_config_disk_fini(&c->disks[i]);
        memmove(&c->disks[i], &c->disks[i + 1], (--c->n_disks - i) * sizeof(c->disks[0]));
        memset(&c->disks[c->n_disks], 0, sizeof(c->disks[0]));
        return;
    }
    for (unsigned i = 0; i < c->n_nics; i++) {
        if (strcmp(c->nics[i].id, id) != 0)
            continue;
        vm_config_nic_fini(&c->nics[i]);
        memmove(&c->nics[i], &c->nics[i + 1], (--c->n_nics - i) * sizeof(c->nics[0]));
        memset(&c->nics[c->n_nics], 0, sizeof(c->nics[0]));
        return;
    }
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n >= t && !strcmp(s + n - t, tail);
}

int vm_config_finish_disk(struct vm_config_disk *d, const char *where, struct err *err)
{
    if (!d->path == !d->socket)
        return err_set(err, EINVAL, "%s has %s: give either path or socket", where,
                       d->path ? "both path and socket" : "no path");
    if (d->socket && d->format != VM_CONFIG_FORMAT_AUTO)
        return err_set(err, EINVAL, "%s.format is given for a vhost-user socket: leave it out",
                       where);
    if (d->socket && (d->limits.iops || d->limits.bandwidth_bytes))
        return err_set(err, EINVAL,
                       "%s has rate limits on a vhost-user socket: set them in its back end",
                       where);
    if (d->socket && d->readonly)
        return err_set(err, EINVAL,
                       "%s.readonly is on, but another process serves the disk: make it readonly "
                       "there",
                       where);
    /* By the file's name, never by its content: a guest writes the content of a raw image and
     * could turn it into a qcow2 that names any file of the host as its backing file. */
    if (d->format == VM_CONFIG_FORMAT_AUTO)
        d->format =
            d->path && ends_with(d->path, ".qcow2") ? VM_CONFIG_FORMAT_QCOW2 : VM_CONFIG_FORMAT_RAW;
    return 0;
}

static int check_nic_kind(const struct vm_config_nic *n, const char *where, struct err *err)
{
    if (n->kind == VM_CONFIG_NIC_TAP && !n->ifname[0])
        return err_set(err, EINVAL, "%s has no tap: name the interface, as in tap:vm0", where);
    if (n->kind == VM_CONFIG_NIC_VHOST_USER && !n->socket)
        return err_set(err, EINVAL, "%s has no socket: give the vhost-user back end's path", where);
    if (n->kind != VM_CONFIG_NIC_TAP && n->ifname[0])
        return err_set(err, EINVAL, "%s.tap is \"%s\": it goes with the kind tap only", where,
                       n->ifname);
    if (n->kind != VM_CONFIG_NIC_VHOST_USER && n->socket)
        return err_set(err, EINVAL, "%s.socket is given: it goes with the kind vhost-user only",
                       where);
    if (n->kind != VM_CONFIG_NIC_USER && n->n_forwards)
        return err_set(err, EINVAL, "%s.forward is given: it goes with the kind user only", where);
    if (n->kind == VM_CONFIG_NIC_USER && n->queues > 1)
        return err_set(err, EINVAL, "%s.queues is %u: the kind user has one; use tap or vhost-user",
                       where, n->queues);
    return 0;
}

int vm_config_finish_nic(struct vm_config_nic *n, const char *where, struct err *err)
{
    int r = check_nic_kind(n, where, err);
    if (r)
        return r;
    if (n->kind == VM_CONFIG_NIC_VHOST_USER && (n->limits.iops || n->limits.bandwidth_bytes))
        return err_set(err, EINVAL,
                       "%s has rate limits on a vhost-user socket: set them in its back end",
                       where);
    if (n->mtu && n->mtu < 68)
        return err_set(err, EINVAL, "%s.mtu is %u: use 68 to 65535, or 0 to announce none", where,
                       n->mtu);
    for (unsigned i = 0; i < n->n_forwards; i++)
        for (unsigned k = 0; k < i; k++)
            if (n->forwards[i].udp == n->forwards[k].udp &&
                n->forwards[i].host_port == n->forwards[k].host_port)
                return err_set(err, EINVAL, "%s.forward names host port %u twice", where,
                               n->forwards[i].host_port);
    return 0;
}

static int draw_random(void *out, size_t bytes, struct err *err)
{
    if (getrandom(out, bytes, 0) != (ssize_t)bytes)
        return err_sys(err, EIO, "could not draw random bytes");
    return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n--)
        if (*p++)
            return false;
    return true;
}

static int finish_uuid(struct vm_config *c, struct err *err)
{
    if (!all_zero(c->uuid, 16))
        return 0;
    int r = draw_random(c->uuid, 16, err);
    c->uuid[6] = (uint8_t)((c->uuid[6] & 0x0f) | 0x40);
    c->uuid[8] = (uint8_t)((c->uuid[8] & 0x3f) | 0x80);
    return r;
}

/* A MAC that is the same at every start of the VM with this uuid, and another in its clones: FNV-1a
 * of uuid and position, all 46 bits that a locally administered unicast address leaves free. */
static void derive_mac(const uint8_t uuid[16], unsigned index, uint8_t mac[6])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 17; i++) {
        h ^= i < 16 ? uuid[i] : index;
        h *= UINT64_C(0x100000001b3);
    }
    h ^= h >> 48;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)(h >> (8 * i));
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static void finish_id(char *id, const char *prefix, unsigned index)
{
    if (!id[0])
        snprintf(id, VM_CONFIG_ID_BYTES, "%s%u", prefix, index);
}

static int finish_disks(struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->n_disks; i++) {
        struct vm_config_disk *d = &c->disks[i];
        char where[24];
        snprintf(where, sizeof(where), "disks[%u]", i);
        finish_id(d->id, "disk", i);
        int r = vm_config_finish_disk(d, where, err);
        if (r)
            return r;
        if (d->socket)
            c->memory.shared = true;
        for (unsigned k = 0; k < i; k++) {
            const struct vm_config_disk *o = &c->disks[k];
            if (!strcmp(o->id, d->id))
                return err_set(err, EINVAL, "%s.id is \"%s\", as is that of disks[%u]", where,
                               d->id, k);
            if (o->path && d->path && !strcmp(o->path, d->path) && !(o->readonly && d->readonly))
                return err_set(err, EINVAL,
                               "%s.path is \"%.200s\", as is that of disks[%u]: an image can be "
                               "shared only when both are readonly",
                               where, d->path, k);
            if (o->socket && d->socket && !strcmp(o->socket, d->socket))
                return err_set(err, EINVAL, "%s.socket is \"%s\", as is that of disks[%u]", where,
                               d->socket, k);
        }
    }
    return 0;
}

static int finish_nics(struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->n_nics; i++) {
        struct vm_config_nic *n = &c->nics[i];
        char where[24];
        snprintf(where, sizeof(where), "nics[%u]", i);
        finish_id(n->id, "net", i);
        if (all_zero(n->mac, 6))
            derive_mac(c->uuid, i, n->mac);
        int r = vm_config_finish_nic(n, where, err);
        if (r)
            return r;
        if (n->kind == VM_CONFIG_NIC_VHOST_USER)
            c->memory.shared = true;
        for (unsigned k = 0; k < i; k++) {
            const struct vm_config_nic *o = &c->nics[k];
            if (!strcmp(o->id, n->id))
                return err_set(err, EINVAL, "%s.id is \"%s\", as is that of nics[%u]", where, n->id,
                               k);
            if (!memcmp(o->mac, n->mac, 6))
                return err_set(err, EINVAL, "%s.mac is that of nics[%u] too: give each its own",
                               where, k);
            if (n->ifname[0] && !strcmp(o->ifname, n->ifname))
                return err_set(err, EINVAL, "%s.tap is \"%s\", as is that of nics[%u]", where,
                               n->ifname, k);
        }
    }
    return 0;
}

static int finish_shares(struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->n_shares; i++) {
        const struct vm_config_share *s = &c->shares[i];
        if (!s->tag[0])
            return err_set(err, EINVAL, "shares[%u] has no tag: the guest mounts by it", i);
        if (!s->dir == !s->socket)
            return err_set(err, EINVAL, "shares[%u] has %s: give either dir or socket", i,
                           s->dir ? "both dir and socket" : "no dir");
        if (s->socket && s->readonly)
            return err_set(err, EINVAL,
                           "shares[%u].readonly is on, but another process serves the share: "
                           "make it readonly there",
                           i);
        for (unsigned k = 0; k < i; k++)
            if (!strcmp(c->shares[k].tag, s->tag))
                return err_set(err, EINVAL, "shares[%u].tag is \"%s\", as is that of shares[%u]", i,
                               s->tag, k);
        c->memory.shared = true;
    }
    return 0;
}

static int check_console(const struct vm_config_console *c, const char *where, struct err *err)
{
    bool wants_path = c->kind == VM_CONFIG_CONSOLE_FILE || c->kind == VM_CONFIG_CONSOLE_UNIX;
    if (wants_path && !c->path)
        return err_set(err, EINVAL, "%s has no path: write it as file:PATH or unix:PATH", where);
    if (!wants_path && c->path)
        return err_set(err, EINVAL, "%s.path is given: it goes with the kinds file and unix only",
                       where);
    if (c->kind == VM_CONFIG_CONSOLE_UNIX && strlen(c->path) > 107)
        return err_set(err, EINVAL, "%s.path is over the 107 bytes of a socket's name", where);
    return 0;
}

static int check_consoles(const struct vm_config *c, struct err *err)
{
    int r = check_console(&c->console, "console", err);
    if (!r)
        r = check_console(&c->virtio_console, "virtio_console", err);
    if (r)
        return r;
    if (c->console.kind == VM_CONFIG_CONSOLE_STDIO && c->virtio_console.kind == c->console.kind)
        return err_set(err, EINVAL,
                       "virtio_console is stdio, as is console: set one of them to pty, file, unix "
                       "or none");
    if (c->console.path && c->virtio_console.path &&
        !strcmp(c->console.path, c->virtio_console.path))
        return err_set(err, EINVAL, "virtio_console.path is that of console too");
    return 0;
}

static int check_cpus_and_memory(const struct vm_config *c, struct err *err)
{
    static const char *const engines[] = {"auto", "kvm", "soft", "null", NULL};
    unsigned i = 0;
    while (engines[i] && strcmp(engines[i], c->engine) != 0)
        i++;
    if (!engines[i])
        return err_set(err, EINVAL, "engine is \"%s\": use auto, kvm or soft", c->engine);
    if (c->cpus.n_pins && c->cpus.n_pins != c->cpus.count)
        return err_set(err, EINVAL,
                       "cpus.pin names %u host CPUs for %u vCPUs: name one for each vCPU",
                       c->cpus.n_pins, c->cpus.count);
    uint64_t unit = c->memory.hugepages ? 2 * MIB : 4 * KIB;
    if (c->memory.size_bytes % unit)
        return err_set(err, EINVAL, "memory.size is %" PRIu64 ": use a multiple of %" PRIu64,
                       c->memory.size_bytes, unit);
    return 0;
}

int vm_config_finish(struct vm_config *c, struct err *err)
{
    int r = finish_uuid(c, err);
    if (!r)
        r = check_cpus_and_memory(c, err);
    if (!r)
        r = finish_disks(c, err);
    if (!r)
        r = finish_nics(c, err);
    if (!r)
        r = finish_shares(c, err);
    if (!r)
        r = check_consoles(c, err);
    if (r)
        return r;
    if (c->initrd && !c->kernel)
        return err_set(err, EINVAL,
                       "initrd is \"%.200s\" but there is no kernel: give both, or neither to boot "
                       "what is on the disk",
                       c->initrd);
    if (!c->vsock.cid != !c->vsock.path)
        return err_set(err, EINVAL, "vsock has only a %s: give cid and path",
                       c->vsock.cid ? "cid" : "path");
    if (c->qtest && strcmp(c->engine, "null"))
        return err_set(err, EINVAL, "qtest is set, engine is \"%s\": it drives engine null only",
                       c->engine);
    if (!c->autostart && !c->api_socket && !c->gdb_socket)
        return err_set(err, EINVAL,
                       "autostart is off but there is no api socket to start the VM by: give api "
                       "or gdb");
    return 0;
}
