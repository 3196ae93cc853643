/* One VM on this host: made to be what is wanted, step by step, and told of when it changes.
 *
 * What is wanted (struct vm_want) comes whole each time and replaces what was wanted before; the
 * same again changes nothing. What is (struct vm_seen) is looked at, not remembered: drivers are
 * asked to do what may be done already, and the process is found by its socket. So it does not
 * matter where the agent, a monitor or the link to the server died, or what was told twice.
 *
 * A run has a number, its *epoch*. A VM that is wanted running is started once for an epoch: the
 * number is written down before the process is made. A guest that switches itself off stays off,
 * and one that could not be started is not tried for ever: whoever wants it again asks for a higher
 * epoch.
 *
 * While it runs, its monitor is made to have the disks and ports that are wanted of this run: what
 * it lacks is plugged, what it has besides is asked of the guest. The monitor says what it has.
 *
 *   ABSENT --> PREPARING --> STARTING --> RUNNING <--> PAUSED
 *                  |             |           |            |
 *                  +-----> FAILED            +-> STOPPING +---> STOPPED --> (removing) --> ABSENT
 */
#ifndef AGENT_AGENT_VM_H
#define AGENT_AGENT_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/network_driver.h"
#include "agent/volume_driver.h"
#include "agent/worker.h"
#include "base/err.h"
#include "io/loop.h"
#include "seed/seed_iso.h"

#define AGENT_VM_DISKS_MAX    24
#define AGENT_VM_PORTS_MAX    16
#define AGENT_VM_SEED_MAX     4
#define VM_SEEN_ADDRESSES_MAX 64 /* as the link takes */
#define VM_SEEN_PROBLEMS_MAX  8
#define AGENT_VM_UNPLUG_MS    30000

enum vm_power { VM_POWER_ABSENT, VM_POWER_STOPPED, VM_POWER_RUNNING, VM_POWER_PAUSED };

struct vm_want_disk {
    struct volume_spec volume;
    bool readonly;
    bool keep; /* the volume outlives the VM */
};

struct vm_want {
    uint64_t generation; /* told back with what is seen */
    uint64_t epoch;
    enum vm_power power;
    uint32_t grace_ms; /* for the guest to shut down by itself before its plug is pulled */
    bool tell_devices; /* changes of what the monitor has are told */
    char *config_json; /* of the monitor: CPUs, memory, kernel; no disks, NICs, sockets */
    unsigned n_disks, n_ports;
    struct vm_want_disk disks[AGENT_VM_DISKS_MAX];
    struct network_port ports[AGENT_VM_PORTS_MAX];
    unsigned n_seed; /* files of a disk for cloud-init, the last of its disks; 0: no such disk */
    struct seed_iso_file seed[AGENT_VM_SEED_MAX];
};

enum vm_seen_state {
    VM_SEEN_ABSENT,
    VM_SEEN_PREPARING,
    VM_SEEN_STARTING,
    VM_SEEN_RUNNING,
    VM_SEEN_PAUSED,
    VM_SEEN_STOPPING,
    VM_SEEN_STOPPED,
    VM_SEEN_FAILED,
};
const char *agent_vm_state_name(enum vm_seen_state state);

/* That the guest uses, by what the monitor saw it send. */
struct vm_seen_address {
    uint8_t port[16];
    char ip[46];
};

/* A disk or port that could not be plugged, or unplugged, for the present want; by the VM's id:
 * none of them. */
struct vm_seen_problem {
    uint8_t id[16];
    char reason[256];
};

struct vm_seen {
    uint8_t id[16];
    uint64_t generation; /* of the last want that was taken up */
    uint64_t epoch;      /* of the last start */
    enum vm_seen_state state;
    int exit_status;  /* of the last process: as a shell gives it; -1: not known */
    char reason[256]; /* why it is STOPPED or FAILED, or paused against what is wanted */
    unsigned n_addresses;
    struct vm_seen_address addresses[VM_SEEN_ADDRESSES_MAX];
    /* What the monitor has, while it runs: volumes and ports. */
    bool devices_known;
    unsigned n_disks, n_ports, n_problems;
    uint8_t disks[AGENT_VM_DISKS_MAX][16], ports[AGENT_VM_PORTS_MAX][16];
    struct vm_seen_problem problems[VM_SEEN_PROBLEMS_MAX];
};

/* What all VMs of a host share; borrowed by each. */
struct agent_host {
    struct loop *loop;
    struct worker_pool *workers;
    struct volume_driver *volumes;
    struct network_driver *networks;
    const char *vmm_path;
    const char *run_root; /* run directories are made in it */
    unsigned unplug_ms;   /* for a guest to let a device go; 0: AGENT_VM_UNPLUG_MS */
    /* Whether what a new volume is made from is on its way here: 1; 0: it is here, or nothing is
     * known of it; -errno: it cannot be had, and `why` says so. In the loop. NULL: always 0. */
    int (*source)(void *opaque, const struct volume_spec *volume, char why[static 256]);
    /* Called at each change of what is seen, in the loop. It must not destroy the VM. */
    void (*seen)(void *opaque, const struct vm_seen *seen);
    /* Called before a port is unplugged of a VM that runs: its counters end. NULL: nobody is. */
    void (*unplugs)(void *opaque, const uint8_t vm[16]);
    void *opaque;
};

struct agent_vm;

/* A VM by its id. If a monitor of it runs here, it is taken over: seen as RUNNING or PAUSED soon.
 * Errors: ENOMEM, ENAMETOOLONG (run_root). */
struct agent_vm *agent_vm_create(const struct agent_host *host, const uint8_t id[16],
                                 struct err *err);
/* Lets go of it: what runs goes on. Not while the pool works on it: agent_vm_busy(). */
void agent_vm_destroy(struct agent_vm *vm);

/* Copies it all. Errors: ENOMEM. */
int agent_vm_want(struct agent_vm *vm, const struct vm_want *want);
const struct vm_seen *agent_vm_seen(const struct agent_vm *vm);
/* Whether a worker has it in hand. */
bool agent_vm_busy(const struct agent_vm *vm);
/* What is wanted is not known any more: it is left as it is until agent_vm_want() comes. */
void agent_vm_let_be(struct agent_vm *vm);
/* What is wanted; NULL: not known. */
const struct vm_want *agent_vm_wanted(const struct agent_vm *vm);
/* Presses a running guest's button: reset, or power. Errors: EBUSY, it does not run. */
int agent_vm_reset(struct agent_vm *vm, struct err *err);
int agent_vm_press(struct agent_vm *vm, struct err *err);

/* Has a look at a VM that runs, for what no event tells: addresses that have grown too old. */
void agent_vm_look(struct agent_vm *vm);

/* The monitor's counters as their JSON text, terminated and valid during the call; NULL: they could
 * not be had. */
typedef void agent_vm_counted(void *opaque, const char *json);
/* Asks for them. `done` is called once, never before this returns, also when the VM ends or is
 * destroyed. Errors: EBUSY: they are being asked for; ESRCH: it does not run; ENOMEM. */
int agent_vm_count(struct agent_vm *vm, agent_vm_counted *done, void *opaque);
/* The path of the console's socket, where there is a monitor. */
const char *agent_vm_console(const struct agent_vm *vm);

#endif
