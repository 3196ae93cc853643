/* The interpreter as two executors: by soft_step(), which takes every instruction alone, and by
 * soft_run(), which runs blocks. Both on the vCPU of conform_guest.c. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "conform_guest.h"

/* More instructions than any case needs. */
#define STEPS_MAX 100000

#define PF_FETCH 16 /* error code */

struct soft {
    struct conform_executor step, run;
    struct conform_guest guest;
};

static void load(struct soft *s, const struct conform_case *c)
{
    struct soft_cpu *cpu = s->guest.cpu;
    struct kvm_xsave xsave = {0};
    for (unsigned i = 0; i < CONFORM_PAGES; i++)
        memcpy(conform_guest_page(&s->guest, i), c->mem[i], 4096);
    soft_vm_dma_written(cpu->vm, conform_guest_page(&s->guest, CONFORM_PAGE_CODE), 4096);
    conform_guest_enter(&s->guest, c->mode);
    memcpy(cpu->r, c->in.r, sizeof(c->in.r));
    cpu->rip = c->in.rip;
    soft_rflags_set(cpu, c->in.rflags);
    memcpy(xsave.region, c->in.xsave, CONFORM_XSAVE_BYTES);
    soft_fpu_from_xsave(cpu, &xsave);
    cpu->op = NULL;
    cpu->pending.there = false;
    cpu->shadow = false;
}

static void store(struct soft *s, const struct conform_case *c, struct conform_result *r)
{
    struct soft_cpu *cpu = s->guest.cpu;
    struct kvm_xsave xsave = {0};
    memcpy(r->out.r, cpu->r, sizeof(r->out.r));
    r->out.rip = cpu->rip;
    r->out.rflags = soft_rflags_get(cpu);
    soft_fpu_to_xsave(cpu, &xsave);
    memcpy(r->out.xsave, xsave.region, CONFORM_XSAVE_BYTES);
    for (unsigned i = 0; i < X86_N_SEGMENTS; i++)
        r->selectors[i] = cpu->seg[i].sel;
    r->has_bases = true;
    r->bases[0] = cpu->seg[X86_FS].base;
    r->bases[1] = cpu->seg[X86_GS].base;
    r->changed = 0;
    for (unsigned i = 0; i < CONFORM_PAGES; i++) {
        const uint8_t *page = conform_guest_page(&s->guest, i);
        if (memcmp(page, c->mem[i], 4096) == 0)
            continue;
        r->changed |= 1u << i;
        memcpy(r->mem[i], page, 4096);
    }
}

static bool arrived(struct soft *s, uint64_t rip)
{
    return rip - CONFORM_CODE >= 4096 ||
           conform_guest_page(&s->guest, CONFORM_PAGE_CODE)[rip - CONFORM_CODE] == CONFORM_FILL;
}

/* Up to an int3, which is the debugger's: where the code arrives, or the handler of a fault. */
static void run_on(struct soft *s, struct conform_result *r)
{
    struct engine_exit_info info = {0};
    struct soft_cpu *cpu = s->guest.cpu;
    cpu->debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    soft_run(cpu, &info);
    cpu->debug.control = 0;
    r->ran = info.reason == ENGINE_EXIT_DEBUG;
    if (conform_guest_caught(&s->guest, r) && r->vector == SOFT_PF && r->error & PF_FETCH &&
        r->cr2 == cpu->rip)
        r->vector = CONFORM_NO_FAULT; /* it arrived where nothing is */
}

static void step_case(struct soft *s, struct conform_result *r)
{
    struct soft_pending fault;
    for (unsigned n = 0; n < STEPS_MAX; n++) {
        if (!soft_step(s->guest.cpu, &fault)) {
            s->guest.cpu->pending = fault;
            run_on(s, r);
            return;
        }
        if (arrived(s, s->guest.cpu->rip)) {
            r->ran = true;
            return;
        }
    }
}

static void run_all(struct soft *s, const struct conform_case *cases,
                    struct conform_result *results, unsigned n, bool by_steps)
{
    for (unsigned i = 0; i < n; i++) {
        struct conform_result *r = &results[i];
        r->ran = false;
        r->vector = CONFORM_NO_FAULT;
        load(s, &cases[i]);
        if (by_steps)
            step_case(s, r);
        else
            run_on(s, r);
        store(s, &cases[i], r);
    }
}

static void soft_run_steps(void *self, const struct conform_case *cases,
                           struct conform_result *results, unsigned n)
{
    run_all(self, cases, results, n, true);
}

static void soft_run_blocks(void *self, const struct conform_case *cases,
                            struct conform_result *results, unsigned n)
{
    run_all(self, cases, results, n, false);
}

static struct soft *the_one(void)
{
    static struct soft *made;
    if (made)
        return made;
    struct soft *s = calloc(1, sizeof(*s));
    if (!s || !conform_guest_create(&s->guest))
        return NULL;
    s->step = (struct conform_executor){"soft", soft_run_steps, s};
    s->run = (struct conform_executor){"soft blocks", soft_run_blocks, s};
    made = s;
    return s;
}

const struct conform_executor *conform_soft_step(void)
{
    struct soft *s = the_one();
    return s ? &s->step : NULL;
}

const struct conform_executor *conform_soft_run(void)
{
    struct soft *s = the_one();
    return s ? &s->run : NULL;
}

void conform_soft_set_cr4(uint64_t set, uint64_t clear)
{
    struct soft_cpu *cpu = the_one()->guest.cpu;
    cpu->cr4 = (cpu->cr4 | set) & ~clear;
}
