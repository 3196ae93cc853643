/* The interrupt controllers and the timer of a PC, wired: wired lines go to the 8259A pair and to
 * the IOAPIC, IOAPIC pins become MSIs of the bus, the 8259's INTR becomes ExtINT of the engine.
 * One implementation for every engine; local APICs are the engine's.
 *
 *   GSI 0 (8254)   8259 IR0, IOAPIC pin 2      GSI 2          nothing (the cascade)
 *   GSI 1..15      8259 IR n, IOAPIC pin n     GSI 16..23     IOAPIC pin n
 *
 * Locks: 8259 and IOAPIC have a leaf lock of their own, taken under the device lock or alone; the
 * callbacks below run with it held. The 8254 lives under the device lock. */
#ifndef APIC_IRQCHIP_H
#define APIC_IRQCHIP_H

#include <pthread.h>
#include <stdatomic.h>

#include "apic/i8254.h"
#include "apic/i8259.h"
#include "apic/ioapic.h"

/* What the machine connects to its engine: engine_vm_set_ioapic() and engine_vm_extint(). */
struct irqchip_ops {
    void (*set_ioapic)(void *opaque, const struct bus_ioapic_pin *pins);
    void (*extint)(void *opaque);
};

struct irqchip {
    struct bus *bus;
    pthread_mutex_t lock;
    struct i8259 pic;
    struct ioapic ioapic;
    struct i8254 pit;
    _Atomic bool intr; /* the 8259's INTR, readable without the lock */
    const struct irqchip_ops *ops;
    void *opaque;
    struct bus_region master, slave, elcr, ioapic_page;
};

/* Puts all chips on the bus and becomes its bus_irq_ops; the bus has its engine already. `ops` is
 * called only once guest code or a load touches the chips. Errors: those of bus_add(). */
int irqchip_init(struct irqchip *c, struct bus *bus, struct loop *loop,
                 const struct irqchip_ops *ops, void *opaque, struct err *err);
/* Call without the device lock. Safe on a zeroed object. */
void irqchip_fini(struct irqchip *c);

/* For struct engine_irqchip_ops; `irqchip` is the struct irqchip. Threads: any, without locks. */
void irqchip_eoi(void *irqchip, uint8_t vector);
bool irqchip_extint_pending(void *irqchip);
int irqchip_extint_acknowledge(void *irqchip);

/* With the device lock held, or before vCPUs run. Sections "i8259", "ioapic", "i8254". A reset
 * keeps the levels of the lines: they are the devices'. */
void irqchip_reset(struct irqchip *c);
void irqchip_save(struct irqchip *c, struct state_writer *w);
int irqchip_load(struct irqchip *c, struct state_reader *r);

#endif
