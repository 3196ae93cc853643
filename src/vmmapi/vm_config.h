/* What a VM is made of: the one description that virga-vmm takes as a JSON file or as flags
 * (vmmapi/vm_options.h), that the API shows, and that tests build by hand.
 *
 * A config goes through three steps: vm_config_init() gives the defaults; JSON and flags change
 * it, each key and value checked as it is read; vm_config_finish() fills in what was left open
 * (uuid, ids, MACs, formats) and checks what spans several keys. After it, every value is in range.
 *
 * Paths are host paths as the user wrote them; only the launcher opens them, before the sandbox. */
#ifndef VMMAPI_VM_CONFIG_H
#define VMMAPI_VM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define VM_CONFIG_JSON_MAX_BYTES (256 * 1024)
#define VM_CONFIG_CPUS_MAX       64
#define VM_CONFIG_DISKS_MAX      24
#define VM_CONFIG_NICS_MAX       16
#define VM_CONFIG_SHARES_MAX     8
#define VM_CONFIG_FORWARDS_MAX   16
#define VM_CONFIG_QUEUES_MAX     16
#define VM_CONFIG_ID_BYTES       40 /* with the final NUL; a UUID as text fits */
#define VM_CONFIG_SERIAL_BYTES   21 /* virtio-blk's 20 bytes and a NUL */
#define VM_CONFIG_TAG_BYTES      37 /* virtio-fs's 36 bytes and a NUL */
#define VM_CONFIG_IFNAME_BYTES   16 /* IFNAMSIZ */

/* A device's token buckets; 0 is unlimited. */
struct vm_config_limits {
    uint64_t iops;            /* requests a second (packets a second for a NIC) */
    uint64_t bandwidth_bytes; /* a second, both directions of a NIC counted apart */
};

enum vm_config_disk_format { VM_CONFIG_FORMAT_AUTO, VM_CONFIG_FORMAT_RAW, VM_CONFIG_FORMAT_QCOW2 };
enum vm_config_disk_cache {
    VM_CONFIG_CACHE_WRITEBACK, /* host page cache; the guest's flush is an fdatasync */
    VM_CONFIG_CACHE_NONE,      /* O_DIRECT; the guest's flush is an fdatasync */
    VM_CONFIG_CACHE_UNSAFE,    /* host page cache; the guest's flush does nothing */
};
enum vm_config_disk_on_error {
    VM_CONFIG_ON_ERROR_REPORT, /* the guest sees the I/O error */
    VM_CONFIG_ON_ERROR_STOP,   /* the VM pauses with an event; resume retries the request */
    VM_CONFIG_ON_ERROR_ENOSPC, /* stop when the host is out of space, report anything else */
};

struct vm_config_disk {
    char id[VM_CONFIG_ID_BYTES];
    char *path;                        /* an image or block device; NULL with a socket */
    char *socket;                      /* of a vhost-user-blk back end; NULL with a path */
    enum vm_config_disk_format format; /* never AUTO after vm_config_finish() */
    enum vm_config_disk_cache cache;
    enum vm_config_disk_on_error on_error;
    bool readonly;
    bool own_thread; /* an iothread of its own rather than the one that disks share */
    char serial[VM_CONFIG_SERIAL_BYTES];
    uint32_t queues;
    struct vm_config_limits limits;
};

enum vm_config_nic_kind {
    VM_CONFIG_NIC_USER, /* NAT by passt, no privileges */
    VM_CONFIG_NIC_TAP,
    VM_CONFIG_NIC_VHOST_USER,
    VM_CONFIG_NIC_NONE, /* a NIC whose cable is not plugged in */
};

struct vm_config_forward {
    bool udp;
    uint16_t host_port;
    uint16_t guest_port;
};

struct vm_config_nic {
    char id[VM_CONFIG_ID_BYTES];
    enum vm_config_nic_kind kind;
    char ifname[VM_CONFIG_IFNAME_BYTES]; /* with TAP */
    char *socket;                        /* with VHOST_USER */
    uint8_t mac[6];                      /* all zero: vm_config_finish() derives it */
    bool own_thread;
    uint32_t queues; /* pairs */
    uint32_t mtu;    /* 0: not announced */
    unsigned n_forwards;
    struct vm_config_forward forwards[VM_CONFIG_FORWARDS_MAX]; /* with USER */
    struct vm_config_limits limits;
};

struct vm_config_share {
    char tag[VM_CONFIG_TAG_BYTES];
    char *dir;    /* shared by a server that we start; NULL with a socket */
    char *socket; /* of a vhost-user-fs back end that runs already */
    bool readonly;
};

enum vm_config_console_kind {
    VM_CONFIG_CONSOLE_NONE,
    VM_CONFIG_CONSOLE_STDIO,
    VM_CONFIG_CONSOLE_PTY,
    VM_CONFIG_CONSOLE_FILE,
    VM_CONFIG_CONSOLE_UNIX, /* a listening unix socket, one client at a time */
    VM_CONFIG_CONSOLE_FD,   /* an inherited stream descriptor, both ways */
};

struct vm_config_console {
    enum vm_config_console_kind kind;
    char *path;         /* FILE, UNIX */
    uint32_t fd;        /* FD */
    uint64_t max_bytes; /* FILE: the file never grows beyond; the oldest half goes first */
};

enum vm_config_sandbox {
    VM_CONFIG_SANDBOX_AUTO,    /* every protection this kernel grants; says which */
    VM_CONFIG_SANDBOX_REQUIRE, /* refuses to start without all of them */
    VM_CONFIG_SANDBOX_OFF,     /* tests and debuggers */
};

enum vm_config_log {
    VM_CONFIG_LOG_ERROR,
    VM_CONFIG_LOG_WARN,
    VM_CONFIG_LOG_INFO,
    VM_CONFIG_LOG_DEBUG
};

struct vm_config {
    char name[64];
    uint8_t uuid[16]; /* all zero: vm_config_finish() draws one */

    char *kernel; /* NULL: the one that is on the first disk that has one */
    char *initrd;
    char *append; /* the kernel's command line, or what is added to a disk's; NULL is "" */
    char *load;   /* a saved VM that goes on instead of booting; NULL: none */

    char engine[16]; /* auto, kvm, soft, null (tests) */

    struct {
        uint32_t count;
        char model[32]; /* a CPUID template's name; "host" passes through what the host has */
        unsigned n_pins;
        uint32_t pins[VM_CONFIG_CPUS_MAX]; /* host CPU of vCPU i; n_pins is 0 or count */
    } cpus;

    struct {
        uint64_t size_bytes;
        bool hugepages;
        bool shared; /* forced on by vm_config_finish() when a vhost-user back end needs it */
        bool prealloc;
    } memory;

    unsigned n_disks;
    struct vm_config_disk disks[VM_CONFIG_DISKS_MAX];
    unsigned n_nics;
    struct vm_config_nic nics[VM_CONFIG_NICS_MAX];
    unsigned n_shares;
    struct vm_config_share shares[VM_CONFIG_SHARES_MAX];

    struct vm_config_console console;        /* the 16550, ttyS0 */
    struct vm_config_console virtio_console; /* hvc0; NONE: no such device */

    struct {
        uint32_t cid; /* 0: no vsock device */
        char *path;   /* host programs connect here; guest connects go to PATH_PORT */
    } vsock;

    bool rng;
    struct {
        bool enabled;
        bool free_page_reporting;
        bool deflate_on_oom;
    } balloon;
    bool vmgenid;
    bool debug_exit; /* isa-debug-exit on port 0x501: tests */

    char *api_socket; /* NULL: no API */
    char *gdb_socket; /* NULL: no debugger can connect */
    bool no_reboot;   /* a reset by the guest ends the VM */
    char *qtest;      /* engine null: connect to this unix socket and serve qtest; NULL: no */
    bool autostart;   /* false: wait for PUT /v1/vm/boot */

    struct {
        enum vm_config_sandbox mode;
        uint32_t uid; /* 0: chosen by the sandbox when started as root */
        uint32_t gid;
    } sandbox;
    enum vm_config_log log;
};

/* The defaults: 1 CPU, 256 MiB, rng and balloon, console on stdio, no disks, no NICs. */
void vm_config_init(struct vm_config *c);
/* Frees what the config owns. Safe on a zeroed one and twice. */
void vm_config_fini(struct vm_config *c);

/* Reads a JSON document on top of what `c` holds: scalars replace, lists are appended to.
 * Errors: EINVAL, with the path in the document ("disks[1].format"), the value and the remedy;
 * E2BIG over VM_CONFIG_JSON_MAX_BYTES or a list over its bound. After an error `c` may only be
 * given to vm_config_fini(). */
int vm_config_from_json(struct vm_config *c, const char *text, size_t text_bytes, struct err *err);
/* vm_config_from_json() of a file; errors name it. */
int vm_config_from_file(struct vm_config *c, const char *path, struct err *err);
/* The whole config as JSON, defaults spelled out, in a fixed order. Owns: free(). NULL: ENOMEM. */
char *vm_config_to_json(const struct vm_config *c);

/* Fills in what was left open and checks what spans several keys (duplicate ids, MACs, tags and
 * paths; pins against the count; consoles that share stdio). Call once, last.
 * Errors: EINVAL; EIO when no randomness can be had. */
int vm_config_finish(struct vm_config *c, struct err *err);

/* Whether a VM of config `saved` can go on as one of `now` (both finished): what its guest can tell
 * has to be the same; paths, threads, limits, consoles do not matter. Errors: EINVAL, naming the
 * first key that differs and both values. */
int vm_config_check_saved(const struct vm_config *now, const struct vm_config *saved,
                          struct err *err);

/* One disk or NIC alone, for the API's attach: from a JSON object, finished on its own (`id` must
 * be given). Owns: the _fini() below. */
int vm_config_disk_from_json(struct vm_config_disk *d, const char *text, size_t text_bytes,
                             struct err *err);
int vm_config_nic_from_json(struct vm_config_nic *n, const char *text, size_t text_bytes,
                            struct err *err);
/* A running VM's devices come and go: adds a copy of what vm_config_disk_from_json() made, or
 * removes the disk or NIC with that id, if there is one. Errors: ENOSPC (the list is full), ENOMEM.
 */
int vm_config_add_disk(struct vm_config *c, const struct vm_config_disk *d, struct err *err);
int vm_config_add_nic(struct vm_config *c, const struct vm_config_nic *n, struct err *err);
void vm_config_remove_device(struct vm_config *c, const char *id);
void vm_config_disk_fini(struct vm_config_disk *d);
void vm_config_nic_fini(struct vm_config_nic *n);

/* "512", "64K", "2M", "4G", "1T" (powers of 1024; a final "iB" or "B" is allowed after the
 * letter). Errors: EINVAL when it is not a size or does not fit 64 bits. */
int vm_config_parse_size(const char *text, uint64_t *bytes);

/* "aa:bb:cc:dd:ee:ff". Errors: EINVAL; a multicast or all-zero address is one too. */
int vm_config_parse_mac(const char *text, uint8_t mac[6]);

#endif
