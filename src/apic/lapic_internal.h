/* What the parts of the local APIC share:
 *   lapic.c        life, modes, priorities, events
 *   lapic_bus.c    destinations and delivery: MSIs, the ICR
 *   lapic_timer.c  the timer
 *   lapic_regs.c   registers in memory and as MSRs, the page that KVM saves
 * Spec sections as in lapic.h. */
#ifndef APIC_LAPIC_INTERNAL_H
#define APIC_LAPIC_INTERNAL_H

#include "apic/lapic.h"

/* Delivery modes of LVT entries, the ICR and messages. */
enum lapic_delivery {
    LAPIC_DELIVERY_FIXED,
    LAPIC_DELIVERY_LOWEST,
    LAPIC_DELIVERY_SMI,
    LAPIC_DELIVERY_NMI = 4,
    LAPIC_DELIVERY_INIT,
    LAPIC_DELIVERY_SIPI,
    LAPIC_DELIVERY_EXTINT
};

enum lapic_timer_mode {
    LAPIC_TIMER_ONE_SHOT,
    LAPIC_TIMER_PERIODIC,
    LAPIC_TIMER_DEADLINE,
    LAPIC_TIMER_RESERVED
};

#define LAPIC_LVT_MASKED   (UINT32_C(1) << 16)
#define LAPIC_SVR_ENABLE   (UINT32_C(1) << 8)
#define LAPIC_SELF         1 /* the ICR's shorthands */
#define LAPIC_ALL          2
#define LAPIC_FIRST_VECTOR 16 /* those below are reserved (11.5.2) */
#define LAPIC_NEVER        UINT64_MAX
#define LAPIC_DIVIDE_BITS  0xbu

#define LAPIC_ESR_SEND_ILLEGAL    (UINT32_C(1) << 5)
#define LAPIC_ESR_RECEIVE_ILLEGAL (UINT32_C(1) << 6)
#define LAPIC_ESR_BITS            0xefu

/* Globally enabled: the APIC exists. Threads: any, as for the next two. */
static inline bool lapic_enabled(const struct lapic *a)
{
    return atomic_load_explicit(&a->base, memory_order_relaxed) & LAPIC_BASE_ENABLE;
}

static inline bool lapic_in_x2apic(const struct lapic *a)
{
    uint64_t both = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
    return (atomic_load_explicit(&a->base, memory_order_relaxed) & both) == both;
}

static inline bool lapic_software_enabled(const struct lapic *a)
{
    return atomic_load_explicit(&a->svr, memory_order_relaxed) & LAPIC_SVR_ENABLE;
}

/* PPR (11.8.3.1). */
uint32_t lapic_priority(const struct lapic *a);
/* An x2APIC's logical id follows from its id (11.12.10.2). */
uint32_t lapic_x2apic_ldr(const struct lapic *a);
void lapic_wake(struct lapic *a);
/* The vCPU has ended the interrupt with the highest priority (11.8.5). */
void lapic_end_of_interrupt(struct lapic *a);

/* Posting. Threads: any. */
void lapic_post_init(struct lapic *a);
void lapic_post_sipi(struct lapic *a, uint8_t vector);
/* A fixed interrupt as the APIC accepts it. False: dropped, its vector is reserved or the APIC
 * disabled by software. */
bool lapic_accept(struct lapic *a, uint8_t vector, bool level);

/* Sends what is in the ICR (11.6.1). */
void lapic_send(struct lapic *a);
void lapic_send_self(struct lapic *a, uint8_t vector);

/* The timer's registers, at guest TSC `tsc`. Call lapic_timer_look() before. */
enum lapic_timer_mode lapic_timer_mode(const struct lapic *a);
uint32_t lapic_timer_current(const struct lapic *a, uint64_t tsc);
void lapic_timer_set_initial(struct lapic *a, uint32_t value, uint64_t tsc);
void lapic_timer_set_divide(struct lapic *a, uint32_t value, uint64_t tsc);
/* The LVT entry has changed. */
void lapic_timer_mode_changed(struct lapic *a, enum lapic_timer_mode before);
/* Starts a count of timer_initial that has `left` to go. */
void lapic_timer_resume(struct lapic *a, uint32_t left, uint64_t tsc);

#endif
