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
#include "blk/image.h"
#include "engine/engine.h"
#include "io/iothread.h"
#include "state/state.h"
#include "vmmapi/vm_config.h"

struct machine;

enum machine_state { MACHINE_CREATED, MACHINE_RUNNING, MACHINE_PAUSED, MACHINE_STOPPED };
const char *machine_state_name(enum machine_state state);

/* What happened, in words the API uses. */
enum machine_event_kind {
    MACHINE_EVENT_STATE,         /* the run state changed: see machine_state() */
    MACHINE_EVENT_SHUTDOWN,      /* the guest powered itself off */
    MACHINE_EVENT_RESET,         /* the guest or a caller reset it */
    MACHINE_EVENT_DEBUG_EXIT,    /* isa-debug-exit was written: `value` is the exit code */
    MACHINE_EVENT_CRASH,         /* triple fault or engine error: `text` says what */
    MACHINE_EVENT_IO_ERROR,      /* a disk failed: `device`, `text` */
    MACHINE_EVENT_ATTACHED,      /* `device` is there */
    MACHINE_EVENT_DETACHED,      /* the guest let `device` go */
    MACHINE_EVENT_ADDRESSES,     /* machine_addresses() has something else to say */
    MACHINE_EVENT_DEVICE_FAILED, /* `device` needs a reset, or its back end is gone for good: `text`
                                  */
};
struct machine_event {
    enum machine_event_kind kind;
    int value;
    const char *device; /* id, or NULL */
    const char *text;   /* or NULL */
};

struct machine_callbacks {
    /* In the main thread. */
    void (*event)(void *opaque, const struct machine_event *event);
    /* Something later needs the outside (a vsock peer, a back end that is back): connects to the
     * unix socket `path` and returns the descriptor, or -errno. Any I/O thread. May be NULL. */
    int (*connect)(void *opaque, const char *path);
    void *opaque;
};

/* What was opened for the VM outside the sandbox. -1 or NULL: none. */
struct machine_disk_files {
    struct image_fds *image; /* on the heap; NULL with a vhost-user socket */
    int vhost_user_fd;
};
struct machine_nic_files {
    int fds[VM_CONFIG_QUEUES_MAX]; /* TAP queues, or one passt or vhost-user socket */
    unsigned n_fds;
};
/* Where a serial port's bytes go: a pair of descriptors, or a listening socket that yields one. */
struct machine_console_files {
    int in_fd, out_fd; /* may be the same */
    int listen_fd;
};
struct machine_files {
    int kvm_fd;
    int kernel_fd, initrd_fd;
    struct machine_disk_files disks[VM_CONFIG_DISKS_MAX];
    struct machine_nic_files nics[VM_CONFIG_NICS_MAX];
    int share_fds[VM_CONFIG_SHARES_MAX]; /* vhost-user-fs sockets */
    int vsock_listen_fd;
    struct machine_console_files serial, virtio_console;
};
/* All none. */
void machine_files_init(struct machine_files *files);
/* Closes what is still there. */
void machine_files_fini(struct machine_files *files);

/* What a program decides for its machines. */
struct machine_setup {
    const struct engine *const *engines;       /* const table, NULL-terminated */
    const struct iothread_setup *thread_setup; /* for every thread made; NULL: none */
    struct loop *loop;                         /* the main thread's */
    struct machine_callbacks callbacks;
    bool guestless; /* no guest is behind the engine, nor somebody who plays one: what is to be
                       detached goes at once, since nobody would agree */
};

/* Creates the VM of `config` in state CREATED: RAM, engine, devices, vCPU threads (parked). Takes
 * the descriptors it uses out of `files` (they read -1 or NULL afterwards). `config` and `setup`
 * are borrowed for the machine's life. Owns: machine_destroy(). Errors name the device. */
struct machine *machine_create(const struct vm_config *config, const struct machine_setup *setup,
                               struct machine_files *files, struct err *err);
/* Stops and frees. NULL is allowed. */
void machine_destroy(struct machine *m);

enum machine_state machine_state(const struct machine *m);
const char *machine_engine_name(const struct machine *m);

/* The edges of the drawing above. Errors: EBUSY (not in a state where this makes sense, named). A
 * reset that cannot load the kernel again is a crash: MACHINE_EVENT_CRASH, then STOPPED. */
int machine_boot(struct machine *m, struct err *err);
int machine_pause(struct machine *m, struct err *err);
int machine_resume(struct machine *m, struct err *err);
int machine_reset(struct machine *m, struct err *err);
int machine_stop(struct machine *m, struct err *err);
/* Presses the power button: what follows is up to the guest. Errors: EBUSY; ENOTSUP if the guest
 * listens to no power button yet. */
int machine_power_button(struct machine *m, struct err *err);

/* Hot plug, from CREATED on: adds a disk or a NIC over descriptors that the caller opened (and
 * which this takes out of `files` when it succeeds). The guest is told. Errors: EEXIST (id),
 * ENOSPC (no slot), those of the back end. */
int machine_attach_disk(struct machine *m, const struct vm_config_disk *disk,
                        struct machine_disk_files *files, struct err *err);
int machine_attach_nic(struct machine *m, const struct vm_config_nic *nic,
                       struct machine_nic_files *files, struct err *err);
/* Asks the guest to let a disk or a NIC go; MACHINE_EVENT_DEVICE "detached" follows when it has.
 * Errors: ENOENT, ENOTSUP (another kind of device), EBUSY (not running). */
int machine_detach(struct machine *m, const char *id, struct err *err);

/* The balloon. Units: bytes taken from the guest. Errors: ENOTSUP (the VM has none). */
struct machine_balloon {
    uint64_t target_bytes, actual_bytes;
    bool has_stats; /* the guest reported: */
    uint64_t free_bytes, available_bytes, total_bytes;
};
int machine_balloon_get(struct machine *m, struct machine_balloon *balloon, struct err *err);
/* Errors: EINVAL (more than the guest's RAM). */
int machine_balloon_set(struct machine *m, uint64_t target_bytes, struct err *err);
/* The size of the terminal behind the virtio console. Errors: ENOTSUP (the VM has none). */
int machine_console_resize(struct machine *m, uint16_t columns, uint16_t rows, struct err *err);

/* A debugger. While there is one, breakpoints and steps that it set with engine_vcpu_set_debug()
 * pause the VM and are told; without one they are a crash. */
struct machine_debugger {
    /* In the main thread, PAUSED: a vCPU has met a breakpoint or done its step. */
    void (*stopped)(void *opaque, unsigned index, const struct kvm_debug_exit_arch *why);
    void *opaque;
};
/* Borrowed until set again; NULL: none. */
void machine_set_debugger(struct machine *m, const struct machine_debugger *debugger);
/* PAUSED to RUNNING with one vCPU alone; the debugger's step ends it. Errors: EBUSY. */
int machine_resume_one(struct machine *m, unsigned index, struct err *err);
unsigned machine_n_vcpus(const struct machine *m);
/* For a debugger, while the VM does not run. Borrowed. */
struct engine_vcpu *machine_vcpu(struct machine *m, unsigned index);

/* Calls fn(arg, device id, counter, value) for each counter, device by device. */
void machine_counters(struct machine *m,
                      void (*fn)(void *arg, const char *device, const char *counter,
                                 uint64_t value),
                      void *arg);

/* Calls fn(arg, NIC's id, address) for each address that the guest was seen with, NIC by NIC; the
 * texts are valid during the call. It is what the guest's own frames say (net/net_addresses.h); of
 * NICs that another process serves nothing is known, and a VM that was loaded begins with none. */
void machine_addresses(struct machine *m, void (*fn)(void *arg, const char *nic, const char *ip),
                       void *arg);

/* Writes and reads all state but RAM and disks. Save: PAUSED. Load: CREATED, a machine of the same
 * config whose RAM is in place (what holds the guest's clock is brought up to date in it); it is
 * PAUSED afterwards, or STOPPED and of no use after an error. The guest's time goes on by as much
 * as passed between the two, as in a pause. */
int machine_save(struct machine *m, struct state_writer *w, struct err *err);
int machine_load(struct machine *m, struct state_reader *r, struct err *err);
/* Between the two nothing of the VM changes but that it may be stopped: resume, reset, a new
 * generation and hot plug answer EBUSY, so that another thread can read its RAM. Errors: EBUSY (not
 * paused, held already, or about to act on what the guest asked for). */
int machine_hold(struct machine *m, struct err *err);
void machine_release(struct machine *m);
bool machine_held(const struct machine *m);
/* Makes what the guest wrote to its disks durable, and what the images need besides. Blocks.
 * Threads: any while held. Errors name the disk. */
int machine_flush_disks(struct machine *m, struct err *err);
/* Tells the guest that it went back in time or is one of several copies: a new VM generation id and
 * its event. For what was restored or cloned and not for what only moved, when its RAM is in place.
 * Does nothing where the config says so. Errors: EBUSY (not paused), EIO (no randomness). */
int machine_new_generation(struct machine *m, struct err *err);
struct guest_mem *machine_mem(struct machine *m);
/* For what drives an engine from outside (qtest). Borrowed. */
struct engine_vm *machine_engine_vm(struct machine *m);

#endif
