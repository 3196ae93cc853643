/* Whether this host's KVM runs what a 64-bit kernel executes. A /dev/kvm that opens and answers all
 * questions well is not enough: a paravirtual one without VT-x or AMD-V emulates ring-0 code and
 * stops at instructions that every kernel uses. So a tiny guest (probe_guest.S) executes them.
 *
 * A periodic timer signal bounds the time: KVM_RUN returns with EINTR each time, and one that comes
 * between two calls is followed by another. No thread is made. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/util.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/kvm/kvm_internal.h"
#include "engine/kvm/probe_guest.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define LIMIT_MS 1000
#define TICK_NS  (20 * 1000 * 1000)

/* The guest's 64 KiB. */
enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    GDT = 0x4000,
    IDT = 0x5000,
    CODE = 0x6000,
    STACK_TOP = 0x8000,
    OPERAND = 0x9000,
    XSAVE_AREA = 0xa000,
    GUEST_BYTES = 0x10000,
};

extern const uint8_t kvm_probe_guest_start[], kvm_probe_guest_int3[], kvm_probe_guest_end[];

struct probe {
    int kvm_fd, vm_fd, vcpu_fd;
    struct kvm_run *run;
    size_t run_bytes;
    uint8_t *mem;
    struct kvm_cpuid2 *cpuid;
    bool has_xsave;
    unsigned stage;
};

static const char *stage_name(unsigned stage)
{
    switch (stage) {
    case PROBE_STAGE_CMPXCHG16B:
        return "cmpxchg16b";
    case PROBE_STAGE_INT3:
        return "int3";
    case PROBE_STAGE_XRSTOR:
        return "xrstor";
    default:
        return "its first instruction";
    }
}

static void build_memory(uint8_t *mem)
{
    const uint64_t present_writable = 3, page_2m = 0x80;
    le64_write(mem + PML4, PDPT | present_writable);
    le64_write(mem + PDPT, PD | present_writable);
    le64_write(mem + PD, 0 | present_writable | page_2m);
    le64_write(mem + GDT + 8, UINT64_C(0x00af9b000000ffff));  /* code, 64 bit */
    le64_write(mem + GDT + 16, UINT64_C(0x00cf93000000ffff)); /* data */
    uint64_t handler = CODE + (uint64_t)(kvm_probe_guest_int3 - kvm_probe_guest_start);
    /* Interrupt gate, present, selector 8 (SDM volume 3, 6.14.1). */
    le64_write(mem + IDT + 3 * 16, (handler & 0xffff) | (8u << 16) | (UINT64_C(0x8e00) << 32) |
                                       ((handler & 0xffff0000) << 32));
    memcpy(mem + CODE, kvm_probe_guest_start,
           (size_t)(kvm_probe_guest_end - kvm_probe_guest_start));
}

static bool offers_xsave(const struct kvm_cpuid2 *c)
{
    for (uint32_t i = 0; i < c->nent; i++)
        if (c->entries[i].function == 1)
            return c->entries[i].ecx & (1u << 26);
    return false;
}

static int create(struct probe *p, struct err *err)
{
    p->cpuid = calloc(1, sizeof(*p->cpuid) + ENGINE_CPUID_MAX * sizeof(p->cpuid->entries[0]));
    p->mem = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!p->cpuid || p->mem == MAP_FAILED)
        return err_set(err, ENOMEM, "could not allocate the probe's guest");
    build_memory(p->mem);
    int ret = kvm_read_cpuid(p->kvm_fd, p->cpuid, err);
    if (ret)
        return ret;
    p->has_xsave = offers_xsave(p->cpuid);
    p->vm_fd = kvm_ioctl(p->kvm_fd, KVM_CREATE_VM, NULL);
    if (p->vm_fd < 0)
        return err_sys(err, -p->vm_fd, "it cannot create a VM");
    kvm_ioctl(p->vm_fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)MEMORY_MAP_KVM_TSS_BASE);
    /* A local APIC, though this guest needs none: the host's first vCPU without one, and its last,
     * make Linux patch every place in KVM that asks for one, while other VMs run there. */
    const struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {KVM_PINS}};
    kvm_ioctl(p->vm_fd, KVM_ENABLE_CAP, &split);
    const struct kvm_userspace_memory_region slot = {.memory_size = GUEST_BYTES,
                                                     .userspace_addr = (uintptr_t)p->mem};
    ret = kvm_ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
    if (ret < 0)
        return err_sys(err, -ret, "it does not take guest memory");
    p->vcpu_fd = kvm_ioctl(p->vm_fd, KVM_CREATE_VCPU, NULL);
    if (p->vcpu_fd < 0)
        return err_sys(err, -p->vcpu_fd, "it cannot create a vCPU");
    p->run_bytes = (size_t)kvm_ioctl(p->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
    p->run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
    if (p->run == MAP_FAILED)
        return err_sys(err, errno, "its vCPU page cannot be mapped");
    return 0;
}

static void destroy(struct probe *p)
{
    if (p->run != MAP_FAILED)
        munmap(p->run, p->run_bytes);
    if (p->vcpu_fd >= 0)
        close(p->vcpu_fd);
    if (p->vm_fd >= 0)
        close(p->vm_fd);
    if (p->mem != MAP_FAILED)
        munmap(p->mem, GUEST_BYTES);
    if (p->kvm_fd >= 0)
        close(p->kvm_fd);
    free(p->cpuid);
}

/* Long mode, ring 0, interrupts off. */
static int set_registers(struct probe *p, struct err *err)
{
    struct kvm_sregs s;
    int ret = kvm_ioctl(p->vcpu_fd, KVM_SET_CPUID2, p->cpuid);
    if (ret < 0)
        return err_sys(err, -ret, "it refuses the CPUID it says it supports");
    ret = kvm_ioctl(p->vcpu_fd, KVM_GET_SREGS, &s);
    if (ret < 0)
        return err_sys(err, -ret, "its registers cannot be read");
    s.cs = (struct kvm_segment){
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    s.ss = (struct kvm_segment){
        .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    s.ds = s.es = s.fs = s.gs = s.ss;
    s.gdt = (struct kvm_dtable){.base = GDT, .limit = 23};
    s.idt = (struct kvm_dtable){.base = IDT, .limit = 4 * 16 - 1};
    s.cr3 = PML4;
    s.cr4 = (1u << 5) | (1u << 9) | (p->has_xsave ? 1u << 18 : 0); /* PAE, OSFXSR, OSXSAVE */
    s.cr0 = (1u << 31) | (1u << 5) | (1u << 4) | (1u << 1) | 1;    /* PG, NE, ET, MP, PE */
    s.efer = (1u << 10) | (1u << 8);                               /* LMA, LME */
    const struct kvm_regs r = {.rip = CODE,
                               .rsp = STACK_TOP,
                               .rflags = 2,
                               .rdi = OPERAND,
                               .rsi = XSAVE_AREA,
                               .r13 = p->has_xsave};
    if ((ret = kvm_ioctl(p->vcpu_fd, KVM_SET_SREGS, &s)) < 0 ||
        (ret = kvm_ioctl(p->vcpu_fd, KVM_SET_REGS, &r)) < 0)
        return err_sys(err, -ret, "it refuses the registers of a 64-bit guest");
    return 0;
}

/* One exit. Returns 1 to go on, 0 when the guest is done, -errno with the reason. */
static int handle_exit(struct probe *p, struct err *err)
{
    const struct kvm_run *run = p->run;
    if (run->exit_reason == KVM_EXIT_IO && run->io.port == PROBE_PORT) {
        p->stage = *((const uint8_t *)run + run->io.data_offset);
        if (p->stage == PROBE_STAGE_WRONG)
            return err_set(err, ENODEV, "a tiny 64-bit guest computed something wrong");
        return p->stage != PROBE_STAGE_DONE;
    }
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
        return err_set(err, ENODEV,
                       "it stops with an internal error at %s in a 64-bit guest's kernel mode, as "
                       "KVMs without VT-x or AMD-V do",
                       stage_name(p->stage));
    return err_set(err, ENODEV, "a tiny 64-bit guest stopped at %s (KVM exit %u)",
                   stage_name(p->stage), run->exit_reason);
}

static int run_guest(struct probe *p, struct err *err)
{
    int64_t deadline_ns = clock_now_ns() + LIMIT_MS * INT64_C(1000000);
    int ret = 1;
    while (ret > 0) {
        if (clock_now_ns() > deadline_ns)
            return err_set(err, ENODEV, "a tiny 64-bit guest did not get past %s within %d ms",
                           stage_name(p->stage), LIMIT_MS);
        if (ioctl(p->vcpu_fd, KVM_RUN, NULL) >= 0)
            ret = handle_exit(p, err);
        else if (errno != EINTR && errno != EAGAIN)
            return err_sys(err, errno, "a tiny 64-bit guest cannot be run");
    }
    return ret;
}

/* run_guest() with a signal to this thread every TICK_NS. */
static int run_guest_bounded(struct probe *p, struct err *err)
{
    sigset_t kick, old;
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KVM_ENGINE_KICK_SIGNAL};
    const struct itimerspec tick = {.it_value.tv_nsec = TICK_NS, .it_interval.tv_nsec = TICK_NS};
    int ret = kvm_vcpu_prepare_signal(err);
    if (ret)
        return ret;
    ev.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &ev, &timer) < 0)
        return err_sys(err, errno, "could not make a timer to bound the probe");
    sigemptyset(&kick);
    sigaddset(&kick, KVM_ENGINE_KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, &old);
    timer_settime(timer, 0, &tick, NULL);
    ret = run_guest(p, err);
    timer_delete(timer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret;
}

int kvm_probe(const struct engine_probe_input *in, struct err *err)
{
    struct probe p = {.vm_fd = -1, .vcpu_fd = -1, .run = MAP_FAILED, .mem = MAP_FAILED};
    int ret = p.kvm_fd = kvm_open(in, err);
    if (ret >= 0)
        ret = create(&p, err);
    if (ret >= 0)
        ret = set_registers(&p, err);
    if (ret >= 0)
        ret = run_guest_bounded(&p, err);
    destroy(&p);
    return ret < 0 ? err_wrap(err, "kvm is refused") : 0;
}
