#include "apic/irqchip.h"

#include <string.h>

#include "base/util.h"

#define TIMER_PIN 2 /* where the 8254's IRQ 0 arrives (the MADT's override says so) */

/* ---- outputs of the chips; lock held ---- */

static void on_intr(void *opaque, bool level)
{
    struct irqchip *c = opaque;
    atomic_store(&c->intr, level);
    if (level)
        c->ops->extint(c->opaque);
}

static int deliver(void *opaque, const struct msi_message *msg)
{
    struct irqchip *c = opaque;
    return bus_msi_signal(c->bus, msg);
}

static void pins_changed(void *opaque, const struct bus_ioapic_pin *pins)
{
    struct irqchip *c = opaque;
    c->ops->set_ioapic(c->opaque, pins);
}

static const struct ioapic_ops ioapic_ops = {.deliver = deliver, .pins_changed = pins_changed};

/* ---- lines ---- */

static void set_line(void *opaque, unsigned gsi, bool level)
{
    struct irqchip *c = opaque;
    if (gsi >= IOAPIC_PINS || gsi == TIMER_PIN)
        return;
    pthread_mutex_lock(&c->lock);
    if (gsi < 16)
        i8259_set_irq(&c->pic, gsi, level);
    ioapic_set_pin(&c->ioapic, gsi == MEMORY_MAP_IRQ_TIMER ? TIMER_PIN : gsi, level);
    pthread_mutex_unlock(&c->lock);
}

static const struct bus_irq_ops irq_ops = {.set = set_line};

static void set_timer_line(void *opaque, bool level)
{
    set_line(opaque, MEMORY_MAP_IRQ_TIMER, level);
}

void irqchip_eoi(void *irqchip, uint8_t vector)
{
    struct irqchip *c = irqchip;
    pthread_mutex_lock(&c->lock);
    ioapic_eoi(&c->ioapic, vector);
    pthread_mutex_unlock(&c->lock);
}

bool irqchip_extint_pending(void *irqchip)
{
    struct irqchip *c = irqchip;
    return atomic_load(&c->intr);
}

int irqchip_extint_acknowledge(void *irqchip)
{
    struct irqchip *c = irqchip;
    pthread_mutex_lock(&c->lock);
    int vector = i8259_acknowledge(&c->pic);
    pthread_mutex_unlock(&c->lock);
    return vector;
}

/* ---- registers ---- */

static uint64_t pic_read(struct irqchip *c, uint16_t port)
{
    pthread_mutex_lock(&c->lock);
    uint8_t value = i8259_read(&c->pic, port);
    pthread_mutex_unlock(&c->lock);
    return value;
}

static void pic_write(struct irqchip *c, uint16_t port, uint64_t value)
{
    pthread_mutex_lock(&c->lock);
    i8259_write(&c->pic, port, (uint8_t)value);
    pthread_mutex_unlock(&c->lock);
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    return pic_read(opaque, (uint16_t)(0x20 + offset));
}
static void master_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    pic_write(opaque, (uint16_t)(0x20 + offset), value);
}
static uint64_t slave_read(void *opaque, uint64_t offset, unsigned size)
{
    return pic_read(opaque, (uint16_t)(0xa0 + offset));
}
static void slave_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    pic_write(opaque, (uint16_t)(0xa0 + offset), value);
}
static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    return pic_read(opaque, (uint16_t)(0x4d0 + offset));
}
static void elcr_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    pic_write(opaque, (uint16_t)(0x4d0 + offset), value);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    struct irqchip *c = opaque;
    pthread_mutex_lock(&c->lock);
    uint64_t value = ioapic_read(&c->ioapic, offset, size);
    pthread_mutex_unlock(&c->lock);
    return value;
}

static void page_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct irqchip *c = opaque;
    pthread_mutex_lock(&c->lock);
    ioapic_write(&c->ioapic, offset, size, value);
    pthread_mutex_unlock(&c->lock);
}

static const struct bus_region_ops master_ops = {.read = master_read, .write = master_write};
static const struct bus_region_ops slave_ops = {.read = slave_read, .write = slave_write};
static const struct bus_region_ops elcr_ops = {.read = elcr_read, .write = elcr_write};
static const struct bus_region_ops page_ops = {.read = page_read, .write = page_write};

/* ---- life ---- */

static void remove_regions(struct irqchip *c)
{
    bus_remove(c->bus, BUS_PIO, &c->master);
    bus_remove(c->bus, BUS_PIO, &c->slave);
    bus_remove(c->bus, BUS_PIO, &c->elcr);
    bus_remove(c->bus, BUS_MMIO, &c->ioapic_page);
}

int irqchip_init(struct irqchip *c, struct bus *bus, struct loop *loop,
                 const struct irqchip_ops *ops, void *opaque, struct err *err)
{
    memset(c, 0, sizeof(*c));
    c->bus = bus;
    c->ops = ops;
    c->opaque = opaque;
    pthread_mutex_init(&c->lock, NULL);
    i8259_init(&c->pic, on_intr, c);
    ioapic_init(&c->ioapic, &ioapic_ops, c);
    c->master = (struct bus_region){"i8259 master", 0x20, 2, &master_ops, c, true};
    c->slave = (struct bus_region){"i8259 slave", 0xa0, 2, &slave_ops, c, true};
    c->elcr = (struct bus_region){"elcr", 0x4d0, 2, &elcr_ops, c, true};
    c->ioapic_page =
        (struct bus_region){"ioapic", MEMORY_MAP_IOAPIC_BASE, 0x1000, &page_ops, c, false};
    int ret = bus_add(bus, BUS_PIO, &c->master, err);
    if (!ret)
        ret = bus_add(bus, BUS_PIO, &c->slave, err);
    if (!ret)
        ret = bus_add(bus, BUS_PIO, &c->elcr, err);
    if (!ret)
        ret = bus_add(bus, BUS_MMIO, &c->ioapic_page, err);
    if (!ret)
        ret = i8254_init(&c->pit, bus, loop, set_timer_line, c, err);
    if (ret) {
        irqchip_fini(c);
        return ret;
    }
    bus_set_irq(bus, &irq_ops, c);
    return 0;
}

void irqchip_fini(struct irqchip *c)
{
    if (!c->bus)
        return;
    i8254_fini(&c->pit);
    remove_regions(c);
    bus_set_irq(c->bus, NULL, NULL);
    pthread_mutex_destroy(&c->lock);
    c->bus = NULL;
}

void irqchip_reset(struct irqchip *c)
{
    i8254_reset(&c->pit);
    pthread_mutex_lock(&c->lock);
    const uint8_t lines[2] = {c->pic.chips[0].lines, c->pic.chips[1].lines};
    uint32_t pins = c->ioapic.lines;
    i8259_init(&c->pic, on_intr, c);
    ioapic_init(&c->ioapic, &ioapic_ops, c);
    c->pic.chips[0].lines = lines[0];
    c->pic.chips[1].lines = lines[1];
    c->ioapic.lines = pins;
    atomic_store(&c->intr, false);
    const struct bus_ioapic_pin none[IOAPIC_PINS] = {0};
    c->ops->set_ioapic(c->opaque, none);
    pthread_mutex_unlock(&c->lock);
}

void irqchip_save(struct irqchip *c, struct state_writer *w)
{
    pthread_mutex_lock(&c->lock);
    i8259_save(&c->pic, w);
    ioapic_save(&c->ioapic, w);
    pthread_mutex_unlock(&c->lock);
    i8254_save(&c->pit, w);
}

int irqchip_load(struct irqchip *c, struct state_reader *r)
{
    pthread_mutex_lock(&c->lock);
    int ret = i8259_load(&c->pic, r);
    if (!ret)
        ret = ioapic_load(&c->ioapic, r);
    pthread_mutex_unlock(&c->lock);
    return ret ? ret : i8254_load(&c->pit, r);
}
