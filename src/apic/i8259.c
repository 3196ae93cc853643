/* Two deliberate simplifications against the datasheet: an edge stays in IRR until it is
 * acknowledged even if the line falls before (a PC's sources pulse and would be lost), and the
 * 8080/8085 vector format does not exist. */
#include "apic/i8259.h"

#include <string.h>

#define ICW1_INIT  0x10
#define ICW1_LEVEL 0x08
#define ICW1_SNGL  0x02
#define ICW1_IC4   0x01
#define ICW4_SFNM  0x10
#define ICW4_AEOI  0x02
#define OCW3       0x08
#define OCW3_ESMM  0x40
#define OCW3_SMM   0x20
#define OCW3_POLL  0x04
#define OCW3_RR    0x02
#define OCW3_RIS   0x01
#define CASCADE    2
#define NONE       8
/* Inputs 0, 1, 2, 8 and 13 are edge-triggered on every PC. */
#define ELCR_MASTER 0xf8
#define ELCR_SLAVE  0xde
#define VERSION     1

enum { MASTER, SLAVE };

void i8259_init(struct i8259 *p, void (*intr)(void *opaque, bool level), void *opaque)
{
    memset(p, 0, sizeof(*p));
    p->intr = intr;
    p->opaque = opaque;
    for (int i = 0; i < 2; i++) {
        p->chips[i].lowest = 7;
        p->chips[i].imr = 0xff;
    }
}

static bool is_level(const struct i8259_chip *c, unsigned irq)
{
    return (c->icw1 & ICW1_LEVEL) || (c->level_mask & (1u << irq));
}

/* Rank of the highest-priority bit set in `mask`: 0 is the highest, NONE if there is none. */
static unsigned rank(const struct i8259_chip *c, uint8_t mask)
{
    for (unsigned i = 0; i < 8; i++)
        if (mask & (1u << ((c->lowest + 1 + i) & 7)))
            return i;
    return NONE;
}

/* The input that the chip would interrupt for, or -1. */
static int request(const struct i8259_chip *c, bool master)
{
    unsigned wanted = rank(c, c->irr & ~c->imr);
    /* In special mask mode what is masked does not block; in special fully nested mode a slave in
     * service may interrupt again. */
    uint8_t blocking = c->special_mask ? c->isr & ~c->imr : c->isr;
    if (master && (c->icw4 & ICW4_SFNM))
        blocking &= (uint8_t) ~(1u << CASCADE);
    if (wanted == NONE || wanted >= rank(c, blocking))
        return -1;
    return (int)((c->lowest + 1 + wanted) & 7);
}

/* Follows a change through the cascade to the INTR output. */
static void update(struct i8259 *p)
{
    struct i8259_chip *m = &p->chips[MASTER];
    if (request(&p->chips[SLAVE], false) >= 0)
        m->irr |= 1u << CASCADE;
    else
        m->irr &= (uint8_t) ~(1u << CASCADE);
    bool output = request(m, true) >= 0;
    if (output != p->output) {
        p->output = output;
        if (p->intr)
            p->intr(p->opaque, output);
    }
}

static void set_input(struct i8259_chip *c, unsigned irq, bool level)
{
    uint8_t bit = (uint8_t)(1u << irq);
    if (level && (is_level(c, irq) || !(c->lines & bit)))
        c->irr |= bit;
    else if (!level && is_level(c, irq))
        c->irr &= (uint8_t)~bit;
    if (level)
        c->lines |= bit;
    else
        c->lines &= (uint8_t)~bit;
}

void i8259_set_irq(struct i8259 *p, unsigned irq, bool level)
{
    if (irq > 15 || irq == CASCADE)
        return;
    set_input(&p->chips[irq / 8], irq & 7, level);
    update(p);
}

bool i8259_pending(const struct i8259 *p)
{
    return p->output;
}

/* Puts input `irq` in service. */
static void acknowledge(struct i8259_chip *c, unsigned irq)
{
    uint8_t bit = (uint8_t)(1u << irq);
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_on_auto_eoi)
        c->lowest = (uint8_t)irq;
    if (!is_level(c, irq))
        c->irr &= (uint8_t)~bit;
}

int i8259_acknowledge(struct i8259 *p)
{
    struct i8259_chip *m = &p->chips[MASTER], *s = &p->chips[SLAVE];
    int irq = request(m, true);
    if (irq < 0)
        return -1;
    int vector = m->vector_base + irq;
    if (irq == CASCADE) {
        int slave_irq = request(s, false);
        if (slave_irq >= 0)
            acknowledge(s, (unsigned)slave_irq);
        vector = s->vector_base + (slave_irq >= 0 ? slave_irq : 7);
    }
    acknowledge(m, (unsigned)irq);
    update(p);
    return vector;
}

/* ---- registers ---- */

static void write_icw1(struct i8259_chip *c, uint8_t value)
{
    c->icw1 = value;
    c->irr = 0;
    c->isr = 0;
    c->imr = 0;
    c->lowest = 7;
    c->special_mask = false;
    c->read_isr = false;
    c->poll = false;
    c->icw3 = 0;
    if (!(value & ICW1_IC4)) {
        c->icw4 = 0;
        c->rotate_on_auto_eoi = false;
    }
    c->init_step = 2;
    for (unsigned i = 0; i < 8; i++) /* level inputs that are still asserted ask again */
        if ((c->lines & (1u << i)) && is_level(c, i))
            c->irr |= (uint8_t)(1u << i);
}

/* ICW2 to ICW4, or OCW1 when no initialisation is under way. */
static void write_data(struct i8259_chip *c, uint8_t value)
{
    switch (c->init_step) {
    case 2:
        c->vector_base = value & 0xf8;
        c->init_step = !(c->icw1 & ICW1_SNGL) ? 3 : (c->icw1 & ICW1_IC4) ? 4 : 0;
        break;
    case 3:
        c->icw3 = value;
        c->init_step = (c->icw1 & ICW1_IC4) ? 4 : 0;
        break;
    case 4:
        c->icw4 = value;
        c->init_step = 0;
        break;
    default:
        c->imr = value;
        break;
    }
}

/* OCW2: bits 7..5 are R, SL and EOI, bits 2..0 the input that the specific forms mean. */
static void write_ocw2(struct i8259_chip *c, uint8_t value)
{
    unsigned irq = value & 7;
    uint8_t in_service = c->special_mask ? c->isr & ~c->imr : c->isr;
    unsigned highest = rank(c, in_service);
    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode: off, on */
    case 4:
        c->rotate_on_auto_eoi = value >> 5;
        break;
    case 1: /* non-specific EOI, without and with rotation */
    case 5:
        if (highest == NONE)
            break;
        irq = (c->lowest + 1 + highest) & 7;
        c->isr &= (uint8_t) ~(1u << irq);
        if (value >> 5 == 5)
            c->lowest = (uint8_t)irq;
        break;
    case 3: /* specific EOI, without and with rotation */
    case 7:
        c->isr &= (uint8_t) ~(1u << irq);
        if (value >> 5 == 7)
            c->lowest = (uint8_t)irq;
        break;
    case 6: /* set priority */
        c->lowest = (uint8_t)irq;
        break;
    default: /* 2: no operation */
        break;
    }
}

static void write_ocw3(struct i8259_chip *c, uint8_t value)
{
    if (value & OCW3_POLL)
        c->poll = true;
    if (value & OCW3_RR)
        c->read_isr = value & OCW3_RIS;
    if (value & OCW3_ESMM)
        c->special_mask = value & OCW3_SMM;
}

void i8259_write(struct i8259 *p, uint16_t port, uint8_t value)
{
    struct i8259_chip *c = &p->chips[port >= 0x4d0 ? port & 1 : port >= 0xa0];
    if (port >= 0x4d0)
        c->level_mask = value & (port & 1 ? ELCR_SLAVE : ELCR_MASTER);
    else if (port & 1)
        write_data(c, value);
    else if (value & ICW1_INIT)
        write_icw1(c, value);
    else if (value & OCW3)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
    update(p);
}

/* The poll command makes the next read an acknowledge cycle (datasheet, "Poll command"). */
static uint8_t read_poll(struct i8259 *p, struct i8259_chip *c)
{
    c->poll = false;
    int irq = request(c, c == &p->chips[MASTER]);
    if (irq < 0)
        return 0;
    acknowledge(c, (unsigned)irq);
    update(p);
    return (uint8_t)(0x80 | irq);
}

uint8_t i8259_read(struct i8259 *p, uint16_t port)
{
    struct i8259_chip *c = &p->chips[port >= 0x4d0 ? port & 1 : port >= 0xa0];
    if (port >= 0x4d0)
        return c->level_mask;
    if (c->poll)
        return read_poll(p, c);
    if (port & 1)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

/* ---- state ---- */

void i8259_save(const struct i8259 *p, struct state_writer *w)
{
    state_begin(w, "i8259", 0, VERSION);
    for (int i = 0; i < 2; i++) {
        const struct i8259_chip *c = &p->chips[i];
        const uint8_t bytes[] = {
            c->irr,         c->isr,          c->imr,      c->lines, c->level_mask,
            c->vector_base, c->lowest,       c->icw1,     c->icw3,  c->icw4,
            c->init_step,   c->special_mask, c->read_isr, c->poll,  c->rotate_on_auto_eoi,
        };
        state_put_bytes(w, bytes, sizeof(bytes));
    }
    state_end(w);
}

int i8259_load(struct i8259 *p, struct state_reader *r)
{
    int version = state_open(r, "i8259", 0, VERSION);
    if (version < 0)
        return version;
    struct i8259_chip chips[2];
    for (int i = 0; i < 2; i++) {
        uint8_t b[15];
        state_get_bytes(r, b, sizeof(b));
        chips[i] = (struct i8259_chip){
            .irr = b[0],
            .isr = b[1],
            .imr = b[2],
            .lines = b[3],
            .level_mask = b[4],
            .vector_base = b[5] & 0xf8,
            .lowest = b[6] & 7,
            .icw1 = b[7],
            .icw3 = b[8],
            .icw4 = b[9],
            .init_step = b[10],
            .special_mask = b[11],
            .read_isr = b[12],
            .poll = b[13],
            .rotate_on_auto_eoi = b[14],
        };
        if (b[10] > 4 || b[10] == 1)
            return state_invalid(r, "i8259: initialisation step %u", b[10]);
    }
    int ret = state_close(r);
    if (ret)
        return ret;
    memcpy(p->chips, chips, sizeof(chips));
    update(p);
    return 0;
}
