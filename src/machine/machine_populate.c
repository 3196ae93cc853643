/* Makes RAM resident that the kernel is about to write, while it is still being read. */
#include "base/thread.h"
#include "base/util.h"
#include "machine/machine_internal.h"

#define STEP_BYTES UINT64_C(0x200000) /* a huge page */

/* The next piece, from the end of the last range downwards: reading goes the other way. */
static bool next_piece(struct machine_populate *p, uint64_t *gpa, uint64_t *len)
{
    bool any = false;
    pthread_mutex_lock(&p->lock);
    if (p->n) {
        uint64_t begin = p->ranges[p->n - 1].gpa, end = begin + p->ranges[p->n - 1].len;
        *gpa = MAX((end - 1) & ~(STEP_BYTES - 1), begin);
        *len = end - *gpa;
        p->ranges[p->n - 1].len = *gpa - begin;
        if (*gpa == begin)
            p->n--;
        any = true;
    }
    pthread_mutex_unlock(&p->lock);
    return any;
}

static void *populate(void *arg)
{
    struct machine *m = arg;
    const struct iothread_setup *setup = m->setup.thread_setup;
    struct err err = {0};
    uint64_t gpa, len;
    pthread_setname_np(pthread_self(), "worker-ram");
    if (setup && setup->enter && setup->enter(setup->opaque, "worker-ram", &err))
        return NULL;
    /* What cannot be had now is had as it is touched, or not at all then. */
    while (!atomic_load(&m->populate.stop) && next_piece(&m->populate, &gpa, &len) &&
           guest_mem_populate(&m->mem, gpa, len) == 0)
        continue;
    return NULL;
}

void machine_populate(void *machine, uint64_t gpa, uint64_t len)
{
    struct machine *m = machine;
    struct machine_populate *p = &m->populate;
    pthread_mutex_lock(&p->lock);
    if (p->n < MACHINE_POPULATE_MAX) {
        p->ranges[p->n].gpa = gpa;
        p->ranges[p->n++].len = len;
    }
    pthread_mutex_unlock(&p->lock);
    if (!p->started)
        p->started = thread_start(&p->thread, populate, m) == 0;
}

void machine_populate_end(struct machine *m)
{
    atomic_store(&m->populate.stop, true);
    if (m->populate.started)
        pthread_join(m->populate.thread, NULL);
    m->populate.started = false;
}
