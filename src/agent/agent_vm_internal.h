/* What the files of agent_vm share. */
#ifndef AGENT_AGENT_VM_INTERNAL_H
#define AGENT_AGENT_VM_INTERNAL_H

#include <jansson.h>

#include "agent/agent_vm.h"
#include "agent/vm_client.h"
#include "agent/vm_process.h"

#define AGENT_VM_SEED_ID "seed" /* of the disk for cloud-init; other devices have UUIDs */

/* What a worker does for a VM. */
enum agent_vm_job { AGENT_VM_JOB_START, AGENT_VM_JOB_REMOVE, AGENT_VM_JOB_TRIM, AGENT_VM_JOB_PLUG };

/* A device on its way into a monitor: what it is told, with open files and sockets. */
struct agent_vm_plug {
    bool port;      /* a port; else a disk */
    unsigned index; /* in vm->job */
    char *json;
    unsigned n_fds;
    int fds[VM_CLIENT_FDS_MAX];
};

struct agent_vm {
    const struct agent_host *host;
    struct vm_want want; /* power ABSENT and generation 0 until one came */
    bool wanted;         /* one came */
    struct vm_seen seen;
    char run_dir[VM_PROCESS_PATH_BYTES], api[VM_PROCESS_PATH_BYTES];
    char console[VM_PROCESS_PATH_BYTES];

    /* The worker's, while it has the VM: a copy of what is wanted, and what came of it. */
    struct work work;
    bool working;
    struct vm_want job;
    enum agent_vm_job job_kind;
    struct agent_vm_plug plug;
    struct vm_config_nic nics[AGENT_VM_PORTS_MAX];
    struct err job_err;
    int job_pidfd; /* of the process that was started; -1 */

    int pidfd; /* of the process; -1: none */
    struct loop_fd exit;
    struct vm_client *client; /* while there is a process */
    bool answered;            /* the API has said what the VM does */
    unsigned asked;           /* requests under way, one behind the other */
    struct loop_timer timer;  /* STARTING: ask again; STOPPING: pull the plug */
    int64_t start_deadline_ns;
    bool stopping, button_pressed, plug_pulled;
    bool news;                   /* addresses have changed and were not told yet */
    bool asks_again;             /* something happened while a request was under way */
    uint64_t tried_epoch;        /* the last that a start was tried for; it is tried once */
    uint64_t resumed_generation; /* the last for which a paused VM was resumed */
    bool stale_ports;            /* detached ones are plugged still; found when a want came */
    bool remove_failed;          /* a while ago: tried again by the timer, or another want */

    /* Devices of a monitor that runs. For one generation of what is wanted: */
    uint64_t plug_generation;
    int64_t unplug_deadline_ns;
    int64_t plug_again_ns, unplug_again_ns; /* not before */
    uint8_t plugging[16];                   /* the one that is under way, either way */
    char refusal[256];                      /* why the last one was not let go */
    bool foreign_devices;                   /* some have names that are not ours */

    agent_vm_counted *counted; /* NULL: nobody has asked */
    void *counted_opaque;
};

/* agent_vm.c: one step at a time. */
void agent_vm_step(struct agent_vm *vm);
void agent_vm_tell_news(struct agent_vm *vm);
void agent_vm_ask(struct agent_vm *vm);
void agent_vm_begin(struct agent_vm *vm, enum agent_vm_job kind);
void agent_vm_arm(struct agent_vm *vm, int64_t ms);
/* A request has been answered: whether its monitor is still there. */
bool agent_vm_answered(struct agent_vm *vm);

/* agent_vm_plug.c: what the monitor has, by its answer; the next step of what it shall have, while
 * nothing else is under way; what a plug job came to. */
void agent_vm_take_devices(struct agent_vm *vm, const json_t *state);
void agent_vm_step_devices(struct agent_vm *vm);
void agent_vm_plug_ready(struct agent_vm *vm);
void agent_vm_plug_fini(struct agent_vm_plug *plug);

/* agent_vm_job.c: what blocks. They run on a worker with vm->job, and fill job_err, job_pidfd. */
void agent_vm_job_start(struct work *w);
void agent_vm_job_remove(struct work *w);
/* Takes away the ports that were plugged once and are not wanted now. */
void agent_vm_job_trim(struct work *w);
/* agent_vm_plug_job.c: makes vm->plug of the device of vm->job that it names. */
void agent_vm_job_plug(struct work *w);
/* Into the monitor's config, of vm->job: what start and plug have in common. 1: there is nothing
 * of the disk that a monitor could have (a driver of tests). */
int agent_vm_make_disk(struct agent_vm *vm, unsigned i);
int agent_vm_add_disk(struct agent_vm *vm, unsigned i, struct vm_config *c);
int agent_vm_make_port(struct agent_vm *vm, unsigned i);
int agent_vm_add_nic(struct agent_vm *vm, unsigned i, struct vm_config *c);
/* agent_vm_ports.c: one more, before it is plugged. */
int agent_vm_note_port(struct agent_vm *vm, const uint8_t id[16]);
/* agent_vm_ports.c. The first two fill job_err, on the worker: before ports are plugged; and when
 * the VM goes. */
int agent_vm_note_ports(struct agent_vm *vm);
int agent_vm_unplug_noted(struct agent_vm *vm);
bool agent_vm_has_stale_ports(const char *run_dir, const struct vm_want *want);
/* agent_vm_addresses.c: from a monitor's answer; none, if it has no such list. Whether they are
 * others than before. */
bool agent_vm_take_addresses(struct vm_seen *seen, const json_t *list);
/* The epoch of the last start; 0: none. */
uint64_t agent_vm_read_epoch(const char *run_dir);

void agent_vm_want_fini(struct vm_want *want);
int agent_vm_want_copy(struct vm_want *to, const struct vm_want *from);

#endif
