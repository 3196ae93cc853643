/* Theory of operation. `run` says whether guests may execute. A thread that finds it false counts
 * itself parked and sleeps; pausing clears it, kicks every vCPU and waits until all are counted.
 * A kick that arrives before its vCPU has entered the guest makes that entry return at once (the
 * engine's contract), so there is no window in which one is lost. */
#include "machine/vcpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"

/* With the lock held. */
static bool goes(const struct vcpus *vs, unsigned index)
{
    return vs->run && (vs->only < 0 || vs->only == (int)index);
}

/* Waits until the vCPU may run. False when the thread should end. */
static bool park(struct vcpus *vs, unsigned index)
{
    pthread_mutex_lock(&vs->lock);
    vs->n_parked++;
    pthread_cond_broadcast(&vs->changed);
    while (!goes(vs, index) && !vs->quit)
        pthread_cond_wait(&vs->changed, &vs->lock);
    bool go = !vs->quit;
    if (go)
        vs->n_parked--;
    pthread_mutex_unlock(&vs->lock);
    return go;
}

static bool may_run(struct vcpus *vs, unsigned index)
{
    pthread_mutex_lock(&vs->lock);
    bool run = goes(vs, index);
    pthread_mutex_unlock(&vs->lock);
    return run;
}

static void run_guest(struct vcpu_thread *t)
{
    struct engine_exit_info info;
    while (may_run(t->all, t->index)) {
        engine_vcpu_run(t->vcpu, &info);
        if (info.reason == ENGINE_EXIT_KICKED)
            continue;
        vcpus_hold(t->all);
        t->all->ops->stopped(t->all->opaque, t->index, &info);
    }
}

static int pin_thread(struct vcpu_thread *t)
{
    int cpu = t->all->pins ? t->all->pins[t->index] : -1;
    if (cpu < 0)
        return 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
        return err_set(&t->start_err, EINVAL,
                       "vCPU %u cannot be pinned to host CPU %d: no such CPU is online here",
                       t->index, cpu);
    return 0;
}

static void *thread_main(void *arg)
{
    struct vcpu_thread *t = arg;
    struct vcpus *vs = t->all;
    char name[16];
    snprintf(name, sizeof(name), "cpu%u", t->index);
    pthread_setname_np(pthread_self(), name);
    if (!pin_thread(t) && vs->setup && vs->setup->enter)
        vs->setup->enter(vs->setup->opaque, name, &t->start_err);
    if (t->start_err.code) {
        /* Counts as parked for good: vcpus_init() sees start_err and gives up. */
        pthread_mutex_lock(&vs->lock);
        vs->n_parked++;
        pthread_cond_broadcast(&vs->changed);
        pthread_mutex_unlock(&vs->lock);
        return NULL;
    }
    while (park(vs, t->index))
        run_guest(t);
    return NULL;
}

static void wait_all_parked(struct vcpus *vs, unsigned n)
{
    pthread_mutex_lock(&vs->lock);
    while (vs->n_parked < n)
        pthread_cond_wait(&vs->changed, &vs->lock);
    pthread_mutex_unlock(&vs->lock);
}

static int start(struct vcpus *vs, struct engine_vm *vm, unsigned index, struct err *err)
{
    struct vcpu_thread *t = &vs->v[index];
    t->all = vs;
    t->index = index;
    vs->n = index + 1;
    int ret = engine_vcpu_create(vm, index, &t->vcpu, err);
    if (ret)
        return ret;
    int e = thread_start(&t->thread, thread_main, t);
    if (e)
        return err_sys(err, e, "could not start the thread of vCPU %u", index);
    t->started = true;
    return 0;
}

int vcpus_init(struct vcpus *vs, struct engine_vm *vm, unsigned n, const int *pins,
               const struct iothread_setup *setup, const struct vcpus_ops *ops, void *opaque,
               struct err *err)
{
    memset(vs, 0, sizeof(*vs));
    vs->ops = ops;
    vs->opaque = opaque;
    vs->setup = setup;
    vs->pins = pins;
    vs->only = -1;
    pthread_mutex_init(&vs->lock, NULL);
    pthread_cond_init(&vs->changed, NULL);
    int ret = 0;
    for (unsigned i = 0; !ret && i < n; i++)
        ret = start(vs, vm, i, err);
    if (!ret)
        wait_all_parked(vs, n);
    for (unsigned i = 0; !ret && i < n; i++) {
        if (!vs->v[i].start_err.code)
            continue;
        ret = -vs->v[i].start_err.code;
        if (err)
            *err = vs->v[i].start_err;
    }
    if (ret)
        vcpus_fini(vs);
    return ret;
}

void vcpus_fini(struct vcpus *vs)
{
    if (!vs->ops)
        return;
    pthread_mutex_lock(&vs->lock);
    vs->quit = true;
    vs->run = false;
    pthread_cond_broadcast(&vs->changed);
    pthread_mutex_unlock(&vs->lock);
    for (unsigned i = 0; i < vs->n; i++) {
        if (vs->v[i].started) {
            engine_vcpu_kick(vs->v[i].vcpu);
            pthread_join(vs->v[i].thread, NULL);
        }
        engine_vcpu_destroy(vs->v[i].vcpu);
    }
    pthread_cond_destroy(&vs->changed);
    pthread_mutex_destroy(&vs->lock);
    memset(vs, 0, sizeof(*vs));
}

void vcpus_resume(struct vcpus *vs)
{
    pthread_mutex_lock(&vs->lock);
    vs->run = true;
    pthread_cond_broadcast(&vs->changed);
    pthread_mutex_unlock(&vs->lock);
}

void vcpus_resume_one(struct vcpus *vs, unsigned index)
{
    pthread_mutex_lock(&vs->lock);
    vs->only = (int)index;
    pthread_mutex_unlock(&vs->lock);
    vcpus_resume(vs);
}

void vcpus_hold(struct vcpus *vs)
{
    pthread_mutex_lock(&vs->lock);
    vs->run = false;
    pthread_mutex_unlock(&vs->lock);
    for (unsigned i = 0; i < vs->n; i++)
        engine_vcpu_kick(vs->v[i].vcpu);
}

void vcpus_pause(struct vcpus *vs)
{
    vcpus_hold(vs);
    wait_all_parked(vs, vs->n);
    pthread_mutex_lock(&vs->lock);
    vs->only = -1;
    pthread_mutex_unlock(&vs->lock);
}
