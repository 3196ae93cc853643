/* A vCPU's architectural state, in and out, in the order that KVM's own dependencies dictate. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/kvm/kvm_internal.h"
#include "x86/msr.h"

static struct kvm_vcpu *to_kvm(struct engine_vcpu *vcpu)
{
    return container_of(vcpu, struct kvm_vcpu, base);
}

/* ---- which MSRs ---- */

/* KVM lists the MTRRs' registers not at all in some versions, but takes them all. */
static bool always_there(uint32_t msr)
{
    return (msr >= X86_MSR_MTRR_PHYS(0) && msr <= X86_MSR_MTRR_DEF_TYPE) || msr == X86_MSR_PAT;
}

static bool listed(const struct kvm_msr_list *list, uint32_t msr)
{
    for (uint32_t i = 0; i < list->nmsrs; i++)
        if (list->indices[i] == msr)
            return true;
    return false;
}

int kvm_state_list_msrs(struct kvm_vm *vm, int kvm_fd, struct err *err)
{
    enum { LIST_MAX = 4096 };
    CLEANUP_FREE struct kvm_msr_list *list =
        calloc(1, sizeof(*list) + LIST_MAX * sizeof(list->indices[0]));
    if (!list)
        return err_set(err, ENOMEM, "could not allocate a list of MSRs");
    list->nmsrs = LIST_MAX;
    int ret = kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
    if (ret < 0)
        return err_sys(err, -ret, "could not list the MSRs that KVM saves");
    for (unsigned i = 0; i < msr_n_saved; i++)
        if (listed(list, msr_saved[i]) || always_there(msr_saved[i]))
            vm->msrs[vm->n_msrs++] = msr_saved[i];
    return 0;
}

struct msr_buffer {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[ENGINE_MSRS_MAX];
};

/* Reads as many MSRs as there are; those the vCPU lacks (its CPUID decides) are left out. */
static int get_msrs(struct kvm_vcpu *v, struct engine_vcpu_state *s, struct err *err)
{
    const struct kvm_vm *vm = v->vm;
    for (unsigned at = 0; at < vm->n_msrs;) {
        struct msr_buffer buf = {.head.nmsrs = vm->n_msrs - at};
        for (unsigned i = at; i < vm->n_msrs; i++)
            buf.entries[i - at].index = vm->msrs[i];
        int got = kvm_ioctl(v->fd, KVM_GET_MSRS, &buf);
        if (got < 0)
            return err_sys(err, -got, "could not read the MSRs of vCPU %u", v->index);
        memcpy(&s->msrs[s->n_msrs], buf.entries, (unsigned)got * sizeof(buf.entries[0]));
        s->n_msrs += (unsigned)got;
        at += (unsigned)got + 1; /* the first that failed is skipped */
    }
    return 0;
}

/* Writes MSRs; one that this vCPU lacks may be left out if it is zero. `deadline`: only the TSC
 * deadline, or all but that. */
static int set_msrs(struct kvm_vcpu *v, const struct engine_vcpu_state *s, bool deadline,
                    struct err *err)
{
    struct kvm_msr_entry todo[ENGINE_MSRS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < s->n_msrs; i++)
        if ((s->msrs[i].index == X86_MSR_TSC_DEADLINE) == deadline)
            todo[n++] = s->msrs[i];
    for (unsigned at = 0; at < n;) {
        struct msr_buffer buf = {.head.nmsrs = n - at};
        memcpy(buf.entries, &todo[at], (n - at) * sizeof(todo[0]));
        int done = kvm_ioctl(v->fd, KVM_SET_MSRS, &buf);
        if (done < 0)
            return err_sys(err, -done, "could not write the MSRs of vCPU %u", v->index);
        at += (unsigned)done;
        if (at < n && todo[at].data)
            return err_set(err, ENOTSUP,
                           "this host's KVM refuses MSR 0x%x = 0x%llx of vCPU %u: the state comes "
                           "from an unlike host or CPUID",
                           todo[at].index, (unsigned long long)todo[at].data, v->index);
        at++;
    }
    return 0;
}

/* ---- all of it ---- */

static int get(struct kvm_vcpu *v, unsigned long request, void *arg, const char *name,
               struct err *err)
{
    int ret = kvm_ioctl(v->fd, request, arg);
    return ret < 0 ? err_sys(err, -ret, "could not read %s of vCPU %u", name, v->index) : 0;
}

static int set(struct kvm_vcpu *v, unsigned long request, const void *arg, const char *name,
               struct err *err)
{
    int ret = kvm_ioctl(v->fd, request, arg);
    return ret < 0 ? err_sys(err, -ret, "KVM refuses %s of vCPU %u", name, v->index) : 0;
}

int kvm_state_get(struct engine_vcpu *vcpu, struct engine_vcpu_state *s, struct err *err)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    int ret;
    /* mp_state first: reading it makes KVM act on an INIT or SIPI that has arrived, which changes
     * the rest. */
    if ((ret = get(v, KVM_GET_MP_STATE, &s->mp_state, "the run state", err)) ||
        (ret = get(v, KVM_GET_VCPU_EVENTS, &s->events, "the pending events", err)) ||
        (ret = get(v, KVM_GET_REGS, &s->regs, "the registers", err)) ||
        (ret = get(v, KVM_GET_SREGS, &s->sregs, "the system registers", err)) ||
        (ret = get(v, KVM_GET_XSAVE, &s->xsave, "the FPU", err)) ||
        (ret = v->vm->has_xcrs ? get(v, KVM_GET_XCRS, &s->xcrs, "xcr0", err) : 0) ||
        (ret = get(v, KVM_GET_DEBUGREGS, &s->debugregs, "the debug registers", err)) ||
        (ret = get(v, KVM_GET_LAPIC, &s->lapic, "the local APIC", err)) ||
        (ret = get_msrs(v, s, err)))
        return ret;
    /* A vector that the 8259 has given up and KVM has not yet taken goes where KVM keeps one that
     * it has. */
    if (v->extint_vector >= 0 && !s->events.interrupt.injected) {
        s->events.interrupt.injected = 1;
        s->events.interrupt.nr = (uint8_t)v->extint_vector;
        s->events.interrupt.soft = 0;
    }
    int khz = kvm_ioctl(v->fd, KVM_GET_TSC_KHZ, NULL);
    s->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
    return 0;
}

/* A TSC of another frequency needs hardware that scales it; KVM calls 250 ppm equal. */
static int set_tsc_khz(struct kvm_vcpu *v, uint32_t khz, struct err *err)
{
    int now = kvm_ioctl(v->fd, KVM_GET_TSC_KHZ, NULL);
    if (!khz || now == (int)khz)
        return 0;
    int64_t off = (int64_t)now - khz;
    bool close_enough = now > 0 && (off < 0 ? -off : off) * 4000 <= (int64_t)khz;
    if (!v->vm->has_tsc_control && !close_enough)
        return err_set(err, ENOTSUP,
                       "vCPU %u ran with a TSC of %u kHz, this host's has %d kHz and cannot scale",
                       v->index, khz, now);
    int ret = kvm_ioctl(v->fd, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz);
    if (ret < 0 && !close_enough)
        return err_sys(err, -ret, "could not set the TSC of vCPU %u to %u kHz", v->index, khz);
    return 0;
}

int kvm_state_set(struct engine_vcpu *vcpu, const struct engine_vcpu_state *s, struct err *err)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    int ret;
    v->extint_vector = -1;
    /* The frequency before the TSC; sregs first of the rest, they say which mode everything else
     * is for and whether there is an x2APIC; MSRs after the local APIC, and its deadline timer
     * after its mode and the TSC; events late, because setting registers drops pending exceptions;
     * mp_state after them, since they may hold a SIPI. */
    if ((ret = set_tsc_khz(v, s->tsc_khz, err)) ||
        (ret = set(v, KVM_SET_SREGS, &s->sregs, "the system registers", err)) ||
        (ret = set(v, KVM_SET_REGS, &s->regs, "the registers", err)) ||
        (ret = set(v, KVM_SET_XSAVE, &s->xsave, "the FPU", err)) ||
        (ret = v->vm->has_xcrs && s->xcrs.nr_xcrs ? set(v, KVM_SET_XCRS, &s->xcrs, "xcr0", err)
                                                  : 0) ||
        (ret = set(v, KVM_SET_DEBUGREGS, &s->debugregs, "the debug registers", err)) ||
        (ret = set(v, KVM_SET_LAPIC, &s->lapic, "the local APIC", err)) ||
        (ret = set_msrs(v, s, false, err)) ||
        (ret = set(v, KVM_SET_VCPU_EVENTS, &s->events, "the pending events", err)) ||
        (ret = set(v, KVM_SET_MP_STATE, &s->mp_state, "the run state", err)))
        return ret;
    return set_msrs(v, s, true, err);
}

int kvm_state_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                       struct err *err)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    int ret = get(v, KVM_GET_REGS, regs, "the registers", err);
    return ret ? ret : get(v, KVM_GET_SREGS, sregs, "the system registers", err);
}

int kvm_state_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                       const struct kvm_sregs *sregs, struct err *err)
{
    struct kvm_vcpu *v = to_kvm(vcpu);
    int ret = set(v, KVM_SET_SREGS, sregs, "the system registers", err);
    return ret ? ret : set(v, KVM_SET_REGS, regs, "the registers", err);
}
