/* The vCPU threads of a VM: one each, parked until resumed. The machine's own thread pauses and
 * resumes them; a vCPU that cannot go on parks itself and says why. */
#ifndef MACHINE_VCPUS_H
#define MACHINE_VCPUS_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "io/iothread.h"

struct vcpus_ops {
    /* The vCPU left the guest for good (triple fault, engine error, debug). Called in its thread,
     * without locks, after all vCPUs have been asked to hold. */
    void (*stopped)(void *opaque, unsigned index, const struct engine_exit_info *info);
};

struct vcpu_thread {
    struct vcpus *all;
    unsigned index;
    struct engine_vcpu *vcpu;
    pthread_t thread;
    bool started;
    struct err start_err;
};

struct vcpus {
    unsigned n;
    struct vcpu_thread v[ENGINE_VCPUS_MAX];
    const struct vcpus_ops *ops;
    void *opaque;
    const struct iothread_setup *setup;
    const int *pins; /* host CPU of each vCPU, -1 or NULL: anywhere */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool run, quit;
    int only;          /* a debugger's step: the one that may run; -1: all */
    unsigned n_parked; /* threads that are not in the guest */
};

/* Creates the vCPUs and their threads, parked. `pins` and `setup` are borrowed and may be NULL.
 * Owns: vcpus_fini(). */
int vcpus_init(struct vcpus *vs, struct engine_vm *vm, unsigned n, const int *pins,
               const struct iothread_setup *setup, const struct vcpus_ops *ops, void *opaque,
               struct err *err);
/* Joins the threads and destroys the vCPUs. */
void vcpus_fini(struct vcpus *vs);

void vcpus_resume(struct vcpus *vs);
/* Lets one run while the others stay parked, until the next pause. */
void vcpus_resume_one(struct vcpus *vs, unsigned index);
/* Asks all vCPUs to leave the guest, without waiting. Threads: any. */
void vcpus_hold(struct vcpus *vs);
/* vcpus_hold() and waits until all are parked. Not with the device lock held: a vCPU may be
 * waiting for it. */
void vcpus_pause(struct vcpus *vs);

#endif
