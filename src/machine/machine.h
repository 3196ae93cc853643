/* A VM: wires engine, memory, buses, chip set, virtio devices and their back ends, and owns the run
 * state. Everything here is called from the main thread (the one that runs `loop`) unless said.
 *
 * Run states:
 *
 *   CREATED --machine_boot()--> RUNNING <--machine_pause()/machine_resume()--> PAUSED
 *      |                          | | ^                                          |
 *      |                          | | '-- reset (guest's or machine_reset()) ----'
 *      |                          | '---- I/O error with policy "stop" ---> PAUSED
 *      '---- machine_load() ----> | (PAUSED)
 *                                 '-- power off, triple fault, engine error, machine_stop() -->
 * STOPPED
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"
#include "io/iothread.h"
#include "state/state.h"
#include "vmmapi/vm_config.h"

struct machine;

enum machine_state { MACHINE_CREATED, MACHINE_RUNNING, MACHINE_PAUSED, MACHINE_STOPPED };
const char *machine_state_name(enum machine_state state);

/* What happened, in words the API uses. */
enum machine_event_kind {
    MACHINE_EVENT_STATE,      /* the run state changed: see machine_state() */
    MACHINE_EVENT_SHUTDOWN,   /* the guest powered itself off */
    MACHINE_EVENT_RESET,      /* the guest or a caller reset it */
    MACHINE_EVENT_DEBUG_EXIT, /* isa-debug-exit was written: `value` is the exit code */
    MACHINE_EVENT_CRASH,      /* triple fault or engine error: `text` says what */
    MACHINE_EVENT_IO_ERROR,   /* a disk failed: `device`, `text` */
    MACHINE_EVENT_DEVICE,     /* attached or detached: `device`, `text` */
};
struct machine_event {
    enum machine_event_kind kind;
    int value;
    const char *device; /* id, or NULL */
    const char *text;   /* or NULL */
};

struct machine_callbacks {
    /* In the main thread, never from inside a machine_*() call of the same thread. */
    void (*event)(void *opaque, const struct machine_event *event);
    /* Something later needs the outside (a vsock peer, a back end's reconnect): connect to `path`
     * and return the descriptor or -errno. Any I/O thread. May be NULL. */
    int (*connect)(void *opaque, const char *path);
    void *opaque;
};

/* What the launcher opened. Descriptors are taken over on success and on failure; -1 = none. */
#define MACHINE_QUEUE_FDS_MAX 16
struct machine_disk_files {
    struct blk_image *image; /* raw or qcow2 chain (NULL for vhost-user) */
    int vhost_user_fd;
};
struct machine_nic_files {
    int fds[MACHINE_QUEUE_FDS_MAX]; /* TAP queues, or one passt or vhost-user socket */
    unsigned n_fds;
};
struct machine_files {
    int kvm_fd;
    int kernel_fd, initrd_fd;
    struct machine_disk_files disks[VM_CONFIG_DISKS_MAX];
    struct machine_nic_files nics[VM_CONFIG_NICS_MAX];
    int share_fds[VM_CONFIG_SHARES_MAX]; /* vhost-user-fs sockets */
    int vsock_listen_fd;
    int serial_in_fd, serial_out_fd, serial_listen_fd;
    int console_in_fd, console_out_fd; /* virtio console */
};
void machine_files_init(struct machine_files *files);

#endif
