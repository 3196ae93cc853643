/* Local APICs in user space, for engines whose CPUs have none in the kernel: one struct lapic a
 * vCPU, one struct lapic_bus for all of a VM. A pure state machine: it reads no clock and starts no
 * thread.
 *
 * Who touches what. Interrupts come from any thread without a lock: posters OR bits into irr and
 * tmr, `events` and `esr_pending`, then call ops->wake. Everything else belongs to the vCPU's own
 * thread (or to whoever has it parked), and so do all functions but those marked "Threads: any".
 *
 * Time is the guest's TSC throughout: the timer's input clock of 1 GHz is computed from it with
 * tsc_khz, so that a run loop compares one TSC value with lapic_next_deadline().
 *
 * After a write of a register, of the priority or of the base the vCPU looks at
 * lapic_pending_vector() and lapic_next_deadline() again; wake() reminds it where that matters.
 *
 * Spec: Intel SDM volume 3, chapter "Advanced Programmable Interrupt Controller (APIC)"; sections
 * are cited as in the editions where that is chapter 11. What it leaves open is as in KVM. */
#ifndef APIC_LAPIC_H
#define APIC_LAPIC_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"

#define LAPIC_MAX 64

/* IA32_APIC_BASE */
#define LAPIC_BASE_BSP     (UINT64_C(1) << 8)
#define LAPIC_BASE_X2APIC  (UINT64_C(1) << 10)
#define LAPIC_BASE_ENABLE  (UINT64_C(1) << 11)
#define LAPIC_BASE_ADDRESS UINT64_C(0xfee00000)

struct lapic_ops {
    /* vCPU `index` has something to look at. Threads: any. */
    void (*wake)(void *opaque, unsigned index);
    /* The guest ended a level-triggered interrupt. In the vCPU's thread, without locks. */
    void (*eoi)(void *opaque, uint8_t vector);
};

enum lapic_event {
    LAPIC_EVENT_NMI = 1 << 0,
    LAPIC_EVENT_INIT = 1 << 1,
    LAPIC_EVENT_SIPI = 1 << 2, /* the vector is in bits 8..15 */
};

enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERF,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVTS
};

struct lapic_bus;

struct lapic {
    struct lapic_bus *bus;
    uint32_t index;
    /* Any thread. */
    _Atomic uint32_t irr[8], tmr[8];
    _Atomic uint32_t events;      /* enum lapic_event */
    _Atomic uint32_t esr_pending; /* errors since ESR was written last */
    /* Read by other threads when they deliver; written by the vCPU alone. */
    _Atomic uint64_t base;              /* IA32_APIC_BASE */
    _Atomic uint32_t id, ldr, dfr, svr; /* as the registers read */
    _Atomic uint32_t lvt[LAPIC_LVTS];
    /* The vCPU's thread. */
    uint32_t isr[8];
    uint32_t tpr, esr, icr_low, icr_high;
    uint32_t timer_initial, timer_divide;
    uint32_t tsc_khz;
    uint64_t timer_start;  /* TSC at which the count began; periodic: of this period */
    uint64_t deadline;     /* TSC at which the timer is due next, UINT64_MAX: not armed */
    uint64_t tsc_deadline; /* IA32_TSC_DEADLINE */
};

struct lapic_bus {
    unsigned n;
    const struct lapic_ops *ops;
    void *opaque;
    _Atomic unsigned turn; /* of lowest-priority delivery */
    struct lapic apics[LAPIC_MAX];
};

/* Puts n local APICs into their power-on state. APIC 0 is the boot processor's. */
void lapic_bus_init(struct lapic_bus *b, unsigned n, const struct lapic_ops *ops, void *opaque);
struct lapic *lapic_bus_apic(struct lapic_bus *b, unsigned index);
/* Delivers a message (address 0xfeexxxxx; bits 31..8 of a wide destination in address bits 63..40,
 * as KVM has them). SMI and ExtINT go nowhere. Returns 0, or -ESRCH if no APIC takes it: none is
 * addressed, or those that are have been disabled by software. Threads: any. */
int lapic_bus_msi(struct lapic_bus *b, const struct msi_message *msg);

/* The frequency of the guest's TSC. Before anything uses the timer. */
void lapic_set_tsc_khz(struct lapic *a, uint32_t tsc_khz);
/* INIT: all but the id and the mode. */
void lapic_reset(struct lapic *a, bool power_on);

/* Registers by offset in the page, 32 bits each at multiples of 16; what lies between reads as zero
 * and swallows writes. Narrower reads are the caller's to cut out, narrower writes to drop. */
bool lapic_mmio_enabled(const struct lapic *a);
uint32_t lapic_mmio_read(struct lapic *a, unsigned offset, uint64_t tsc);
void lapic_mmio_write(struct lapic *a, unsigned offset, uint32_t value, uint64_t tsc);
/* By x2APIC MSR 0x800..0x8ff. False: #GP. */
bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value, uint64_t tsc);
bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value, uint64_t tsc);
/* IA32_APIC_BASE as the guest writes it: only the mode may change, along the paths of figure 11-27.
 * False: #GP. */
bool lapic_set_base(struct lapic *a, uint64_t value);
/* IA32_TSC_DEADLINE: ignored in other timer modes, 0 disarms, the past fires at once. */
void lapic_set_tsc_deadline(struct lapic *a, uint64_t value, uint64_t tsc);
uint64_t lapic_tsc_deadline(const struct lapic *a);
/* CR8 is bits 7..4. */
static inline uint32_t lapic_tpr(const struct lapic *a)
{
    return a->tpr;
}
void lapic_set_tpr(struct lapic *a, uint32_t tpr);

/* The highest vector that may interrupt now, or -1. */
int lapic_pending_vector(const struct lapic *a);
/* The CPU takes the vector that lapic_pending_vector() returned: from IRR to ISR. */
void lapic_acknowledge(struct lapic *a, int vector);
/* Whether the 8259's interrupts reach this CPU. */
bool lapic_accepts_extint(const struct lapic *a);

/* A fixed interrupt and an NMI, to be taken whatever the mode. Threads: any. */
void lapic_post(struct lapic *a, uint8_t vector, bool level);
void lapic_post_nmi(struct lapic *a);
/* Taking what was posted. The caller resets its CPU and calls lapic_reset() on INIT; a SIPI is
 * taken after an INIT that came before it, forgotten if the INIT came later, and to be dropped by a
 * CPU that does not wait for one. */
bool lapic_take_nmi(struct lapic *a);
bool lapic_take_init(struct lapic *a);
bool lapic_take_sipi(struct lapic *a, uint8_t *vector);

/* When the timer is due next, in TSC, masked or not; UINT64_MAX: never. */
static inline uint64_t lapic_next_deadline(const struct lapic *a)
{
    return a->deadline;
}
/* Fires the timer if it is due. Periods that were missed make one interrupt. */
void lapic_timer_look(struct lapic *a, uint64_t tsc);
/* The guest's TSC jumps: counts, which run on a clock of their own, go on; a TSC deadline stays. */
void lapic_tsc_moved(struct lapic *a, uint64_t from, uint64_t to);

/* The register page as KVM lays it out, 32-bit ids (KVM_X2APIC_API_USE_32BIT_IDS). The base and the
 * TSC deadline travel apart: set them first and last. Events are not in it; loading forgets those
 * that wait. A count goes on from the value in the page;
 * bits that no register has are dropped. */
void lapic_get_state(struct lapic *a, struct kvm_lapic_state *state, uint64_t tsc);
void lapic_set_state(struct lapic *a, const struct kvm_lapic_state *state, uint64_t tsc);
/* IA32_APIC_BASE of a saved state: any mode may follow any. False: no APIC can have it. */
bool lapic_load_base(struct lapic *a, uint64_t value);

#endif
