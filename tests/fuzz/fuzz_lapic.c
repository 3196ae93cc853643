/* Local APICs fed with register and MSR accesses, messages, CPUs that take what is pending, time
 * and pages of saved state. Each step of the input is an opcode byte, the APIC's number and
 * operands. After each step what must hold of an APIC is checked. */
#include <stdlib.h>
#include <string.h>

#include "apic/lapic.h"

#define APICS 20 /* two clusters of x2APIC ids */

struct input {
    const uint8_t *p, *end;
};

static struct lapic_bus bus;
static uint64_t tscs[APICS];
static unsigned eois_owed; /* by the step that is under way */

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && in->p < in->end; i++)
        v |= (uint64_t)*in->p++ << (8 * i);
    return v;
}

static void wake(void *opaque, unsigned index)
{
    if (opaque != &bus || index >= APICS)
        abort();
}

static void eoi(void *opaque, uint8_t vector)
{
    if (vector < 16 || !eois_owed--)
        abort(); /* only the vCPU that writes EOI reports one */
}

static void must(bool truth)
{
    if (!truth)
        abort();
}

static int top(const uint32_t *words)
{
    for (int v = 255; v >= 0; v--)
        if (words[v / 32] >> (v % 32) & 1)
            return v;
    return -1;
}

/* PPR as the manual defines it, from the registers alone. */
static void check(struct lapic *a)
{
    struct kvm_lapic_state s;
    uint32_t irr[8], isr[8], tpr, ppr;
    const uint64_t both = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;
    for (unsigned i = 0; i < 8; i++)
        irr[i] = a->irr[i];
    lapic_get_state(a, &s, 0); /* nothing is due at zero unless it was armed for it */
    for (unsigned i = 0; i < 8; i++)
        memcpy(&isr[i], s.regs + 0x100 + 16 * i, 4);
    memcpy(&tpr, s.regs + 0x80, 4);
    memcpy(&ppr, s.regs + 0xa0, 4);
    must(!(irr[0] & 0xffff) && !(isr[0] & 0xffff) && tpr <= 0xff);
    uint32_t service = top(isr) < 0 ? 0 : (uint32_t)top(isr) & 0xf0;
    must(ppr == ((tpr & 0xf0) >= service ? tpr : service));
    must((a->base & both) != LAPIC_BASE_X2APIC);
    int pending = lapic_pending_vector(a);
    must(pending < 0 || ((uint32_t)pending & 0xf0) > (ppr & 0xf0));
    if ((a->base & both) == both)
        must(a->id == a->index && a->ldr == ((a->index >> 4) << 16 | 1u << (a->index & 15)));
}

/* What is saved must load, and then be the same. */
static void round_trip(struct lapic *a)
{
    struct kvm_lapic_state before, after;
    uint64_t base = a->base, tsc = tscs[a->index];
    lapic_get_state(a, &before, tsc);
    uint64_t deadline = lapic_tsc_deadline(a), next = lapic_next_deadline(a);
    /* A one-shot that was over when it was made periodic looks in the page like a period that is
     * due, and comes back as one. */
    if ((before.regs[0x322] >> 1 & 3) == 1 && a->timer_initial && next == UINT64_MAX)
        return;
    lapic_reset(a, true);
    must(lapic_load_base(a, base));
    lapic_set_state(a, &before, tsc);
    lapic_set_tsc_deadline(a, deadline, tsc);
    lapic_get_state(a, &after, tsc);
    must(memcmp(&before, &after, sizeof(before)) == 0);
    must((next == UINT64_MAX) == (lapic_next_deadline(a) == UINT64_MAX));
}

static void load(struct lapic *a, struct input *in)
{
    struct kvm_lapic_state s = {0};
    uint64_t tsc = tscs[a->index];
    size_t left = (size_t)(in->end - in->p);
    lapic_load_base(a, LAPIC_BASE_ADDRESS | take(in, 2));
    for (unsigned reg = 0; reg < 64 && left; reg++) {
        uint32_t value = (uint32_t)take(in, 4);
        memcpy(s.regs + 16 * reg, &value, 4);
    }
    lapic_set_state(a, &s, tsc);
    lapic_set_tsc_deadline(a, take(in, 8), tsc);
}

static void acknowledge(struct lapic *a)
{
    int vector = lapic_pending_vector(a);
    uint8_t start;
    lapic_accepts_extint(a);
    lapic_take_nmi(a);
    if (lapic_take_init(a))
        lapic_reset(a, false);
    else if (vector >= 0) {
        lapic_acknowledge(a, vector);
        must(lapic_pending_vector(a) < 0 || lapic_pending_vector(a) >> 4 > vector >> 4);
    }
    lapic_take_sipi(a, &start);
}

/* Time passes for all, after one of the TSCs was set; none ever comes to the end of its range. */
static void pass_time(struct lapic *a, struct input *in, uint8_t op)
{
    uint64_t by = take(in, op & 8 ? 6 : 3);
    if (op & 16) {
        uint64_t to = take(in, op & 32 ? 7 : 3);
        lapic_tsc_moved(a, tscs[a->index], to);
        tscs[a->index] = to;
    }
    for (unsigned i = 0; i < APICS; i++)
        tscs[i] += by;
    lapic_timer_look(a, tscs[a->index]);
}

/* Returns the APIC that the step was about. */
static struct lapic *step(struct input *in)
{
    uint8_t op = (uint8_t)take(in, 1);
    struct lapic *a = lapic_bus_apic(&bus, (unsigned)take(in, 1) % APICS);
    uint64_t value, tsc = tscs[a->index];
    struct msi_message msg;
    unsigned reg;
    eois_owed = 0;
    switch (op & 7) {
    case 0:
        reg = (unsigned)take(in, 2) & 4095;
        must(op & 8 || lapic_mmio_read(a, reg | 4, tsc) == 0);
        lapic_mmio_read(a, reg & ~15u, tsc);
        break;
    case 1:
        reg = (unsigned)take(in, 1) * (op & 8 ? 16 : 4);
        eois_owed = lapic_mmio_enabled(a) && reg == 0xb0;
        if (lapic_mmio_enabled(a))
            lapic_mmio_write(a, reg, (uint32_t)take(in, 4), tsc);
        break;
    case 2:
        value = UINT64_C(0x5a5a5a5a5a5a5a5a);
        must(lapic_msr_read(a, 0x800 + (uint32_t)take(in, 1), &value, tsc) ||
             value == UINT64_C(0x5a5a5a5a5a5a5a5a));
        break;
    case 3:
        reg = 0x800 + (unsigned)take(in, 1);
        value = take(in, op & 8 ? 8 : 4);
        eois_owed = reg == 0x80b;
        must(!lapic_msr_write(a, reg, value, tsc) || !lapic_mmio_enabled(a));
        break;
    case 4:
        msg.address = UINT64_C(0xfee00000) | take(in, op & 8 ? 8 : 3);
        msg.data = (uint32_t)take(in, 2);
        lapic_bus_msi(&bus, &msg);
        break;
    case 5:
        acknowledge(a);
        break;
    case 6:
        pass_time(a, in, op);
        break;
    default:
        if (op & 8)
            lapic_set_base(a, LAPIC_BASE_ADDRESS ^ take(in, op & 16 ? 8 : 2));
        else if (op & 16)
            lapic_set_tsc_deadline(a, take(in, op & 32 ? 8 : 4), tsc);
        else if (op & 32)
            load(a, in);
        else
            round_trip(a);
        break;
    }
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct lapic_ops ops = {wake, eoi};
    struct input in = {data, data + size};
    const uint64_t tsc = take(&in, 4);
    lapic_bus_init(&bus, APICS, &ops, &bus);
    for (unsigned i = 0; i < APICS; i++) {
        tscs[i] = tsc;
        lapic_set_tsc_khz(lapic_bus_apic(&bus, i), 2445404);
    }
    for (unsigned steps = 0; in.p < in.end && steps < 2000; steps++)
        check(step(&in));
    for (unsigned i = 0; i < APICS; i++)
        check(lapic_bus_apic(&bus, i));
    return 0;
}
