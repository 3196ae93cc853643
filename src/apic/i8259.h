/* The 8259A interrupt controller pair of a PC: master at 0x20, slave at 0xa0 on its IR2, and the
 * edge/level registers (ELCR) at 0x4d0. A pure state machine: the caller holds its lock
 * (apic/irqchip.h). Spec: Intel 8259A datasheet (231468), Intel 82371 (ELCR). */
#ifndef APIC_I8259_H
#define APIC_I8259_H

#include <stdbool.h>
#include <stdint.h>

#include "state/state.h"

struct i8259_chip {
    uint8_t irr, isr, imr;
    uint8_t lines;      /* levels of the inputs */
    uint8_t level_mask; /* ELCR: inputs that are level-triggered */
    uint8_t vector_base;
    uint8_t lowest; /* the input with the lowest priority */
    uint8_t icw1, icw3, icw4;
    uint8_t init_step; /* 0: none; else the number of the ICW that comes next */
    bool special_mask, read_isr, poll, rotate_on_auto_eoi;
};

struct i8259 {
    struct i8259_chip chips[2];
    /* The INTR output rose or fell. */
    void (*intr)(void *opaque, bool level);
    void *opaque;
    bool output;
};

/* Power-on state: everything masked by not being initialised. `intr` may be NULL. */
void i8259_init(struct i8259 *p, void (*intr)(void *opaque, bool level), void *opaque);
/* Sets input `irq` (0 to 15, not 2). */
void i8259_set_irq(struct i8259 *p, unsigned irq, bool level);
bool i8259_pending(const struct i8259 *p);
/* The acknowledge cycle: returns the vector, or -1 if the request has gone. */
int i8259_acknowledge(struct i8259 *p);

/* `port` is one of 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1. */
uint8_t i8259_read(struct i8259 *p, uint16_t port);
void i8259_write(struct i8259 *p, uint16_t port, uint8_t value);

/* Section "i8259". */
void i8259_save(const struct i8259 *p, struct state_writer *w);
int i8259_load(struct i8259 *p, struct state_reader *r);

#endif
