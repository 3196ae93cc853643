#include "dev/chipset/acpi_pm.h"

#include <string.h>

#include "base/util.h"
#include "bus/memory_map.h"

#define PM1_PWRBTN   0x0100 /* 4.8.3.1 */
#define PM1_STATUSES 0x8f31
#define PM1_ENABLES  0x4720
#define CNT_SCI_EN   0x0001 /* 4.8.3.2 */
#define CNT_SLP_TYP  0x1c00
#define CNT_SLP_EN   0x2000
#define TIMER_HZ     3579545 /* 4.8.3.3 */
#define TIMER_MAX_NS (UINT64_C(100) * 366 * 86400 * 1000000000)

static void update_sci(struct acpi_pm *pm)
{
    bool on = (pm->pm1_status & pm->pm1_enable) || (pm->gpe_status & pm->gpe_enable);
    bus_irq_set(pm->bus, MEMORY_MAP_IRQ_SCI, on);
}

/* The blocks are 16-bit registers that a guest may touch by byte: these two move what lies
 * between byte `offset` and `offset + size` of a little-endian register file. */
static uint64_t read_regs(const uint16_t *regs, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;
        value |= (uint64_t)((regs[at / 2] >> (8 * (at % 2))) & 0xff) << (8 * i);
    }
    return value;
}

/* The 16-bit value written to register `reg`, with `*mask` telling which of its bits were. */
static uint16_t written(unsigned reg, uint64_t offset, unsigned size, uint64_t value,
                        uint16_t *mask)
{
    uint16_t out = 0;
    *mask = 0;
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;
        if (at / 2 != reg)
            continue;
        out |= (uint16_t)(((value >> (8 * i)) & 0xff) << (8 * (at % 2)));
        *mask |= (uint16_t)(0xff << (8 * (at % 2)));
    }
    return out;
}

static uint64_t pm1_evt_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = opaque;
    const uint16_t regs[] = {pm->pm1_status, pm->pm1_enable};
    return read_regs(regs, offset, size);
}

/* An event block is a status register, cleared by writing ones, and an enable register. */
static void event_write(uint16_t *status, uint16_t *enable, uint16_t enables, uint64_t offset,
                        unsigned size, uint64_t value)
{
    uint16_t mask, v;
    v = written(0, offset, size, value, &mask);
    *status &= (uint16_t) ~(v & mask);
    v = written(1, offset, size, value, &mask);
    *enable = (uint16_t)((*enable & ~mask) | (v & mask & enables));
}

static void pm1_evt_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct acpi_pm *pm = opaque;
    event_write(&pm->pm1_status, &pm->pm1_enable, PM1_ENABLES, offset, size, value);
    update_sci(pm);
}

static uint64_t pm1_cnt_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = opaque;
    const uint16_t regs[] = {pm->pm1_control};
    return read_regs(regs, offset, size);
}

static void pm1_cnt_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct acpi_pm *pm = opaque;
    uint16_t mask, v = written(0, offset, size, value, &mask);
    uint16_t control = (uint16_t)((pm->pm1_control & ~mask) | v);
    /* SCI_EN is always on: there is no SMI command port, so ACPI mode is the only one. */
    pm->pm1_control = (uint16_t)((control & ~CNT_SLP_EN) | CNT_SCI_EN);
    if ((control & CNT_SLP_EN) && (control & CNT_SLP_TYP) >> 10 == MEMORY_MAP_S5_SLP_TYP)
        pm->power_off(pm->opaque);
}

static uint64_t timer_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = opaque;
    uint64_t ns = (uint64_t)(loop_now_ns(pm->loop) - pm->timer_base_ns);
    uint32_t ticks = (uint32_t)((unsigned __int128)ns * TIMER_HZ / 1000000000);
    return ticks >> (8 * offset);
}

static void timer_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    /* Read-only. */
}

static uint64_t gpe0_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *pm = opaque;
    const uint16_t regs[] = {pm->gpe_status, pm->gpe_enable};
    return read_regs(regs, offset, size);
}

static void gpe0_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct acpi_pm *pm = opaque;
    event_write(&pm->gpe_status, &pm->gpe_enable, 0xffff, offset, size, value);
    update_sci(pm);
}

static const struct bus_region_ops pm1_evt_ops = {.read = pm1_evt_read, .write = pm1_evt_write};
static const struct bus_region_ops pm1_cnt_ops = {.read = pm1_cnt_read, .write = pm1_cnt_write};
static const struct bus_region_ops timer_ops = {.read = timer_read, .write = timer_write};
static const struct bus_region_ops gpe0_ops = {.read = gpe0_read, .write = gpe0_write};

int acpi_pm_init(struct acpi_pm *pm, struct bus *bus, struct loop *loop,
                 void (*power_off)(void *opaque), void *opaque, struct err *err)
{
    memset(pm, 0, sizeof(*pm));
    pm->loop = loop;
    pm->power_off = power_off;
    pm->opaque = opaque;
    pm->pm1_control = CNT_SCI_EN;
    pm->timer_base_ns = loop_now_ns(loop);
    pm->pm1_evt = (struct bus_region){"acpi-pm1-evt", MEMORY_MAP_PM1A_EVT, 4, &pm1_evt_ops, pm, 0};
    pm->pm1_cnt = (struct bus_region){"acpi-pm1-cnt", MEMORY_MAP_PM1A_CNT, 2, &pm1_cnt_ops, pm, 0};
    pm->timer = (struct bus_region){"acpi-pm-timer", MEMORY_MAP_PM_TMR, 4, &timer_ops, pm, 0};
    pm->gpe0 = (struct bus_region){"acpi-gpe0", MEMORY_MAP_GPE0, 4, &gpe0_ops, pm, 0};
    pm->bus = bus;
    const struct bus_region *regions[] = {&pm->pm1_evt, &pm->pm1_cnt, &pm->timer, &pm->gpe0};
    for (unsigned i = 0; i < ARRAY_LEN(regions); i++) {
        int ret = bus_add(bus, BUS_PIO, regions[i], err);
        if (ret) {
            acpi_pm_fini(pm);
            return ret;
        }
    }
    return 0;
}

void acpi_pm_fini(struct acpi_pm *pm)
{
    if (!pm->bus)
        return;
    bus_remove(pm->bus, BUS_PIO, &pm->pm1_evt);
    bus_remove(pm->bus, BUS_PIO, &pm->pm1_cnt);
    bus_remove(pm->bus, BUS_PIO, &pm->timer);
    bus_remove(pm->bus, BUS_PIO, &pm->gpe0);
    pm->bus = NULL;
}

void acpi_pm_reset(struct acpi_pm *pm)
{
    pm->pm1_status = pm->pm1_enable = pm->gpe_status = pm->gpe_enable = 0;
    pm->pm1_control = CNT_SCI_EN;
    update_sci(pm);
}

bool acpi_pm_press_power_button(struct acpi_pm *pm)
{
    if (!(pm->pm1_enable & PM1_PWRBTN))
        return false;
    pm->pm1_status |= PM1_PWRBTN;
    update_sci(pm);
    return true;
}

void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned bit)
{
    pm->gpe_status |= (uint16_t)(1u << bit);
    update_sci(pm);
}

#define STATE_VERSION 1

void acpi_pm_save(const struct acpi_pm *pm, struct state_writer *w)
{
    state_begin(w, "acpi-pm", 0, STATE_VERSION);
    state_put_u16(w, pm->pm1_status);
    state_put_u16(w, pm->pm1_enable);
    state_put_u16(w, pm->pm1_control);
    state_put_u16(w, pm->gpe_status);
    state_put_u16(w, pm->gpe_enable);
    state_put_u64(w, (uint64_t)(loop_now_ns(pm->loop) - pm->timer_base_ns));
    state_end(w);
}

int acpi_pm_load(struct acpi_pm *pm, struct state_reader *r)
{
    if (state_open(r, "acpi-pm", 0, STATE_VERSION) < 0)
        return -r->err.code;
    pm->pm1_status = state_get_u16(r) & PM1_STATUSES;
    pm->pm1_enable = state_get_u16(r) & PM1_ENABLES;
    pm->pm1_control = (uint16_t)((state_get_u16(r) & ~CNT_SLP_EN) | CNT_SCI_EN);
    pm->gpe_status = state_get_u16(r);
    pm->gpe_enable = state_get_u16(r);
    /* A timer that ran for 100 years is nonsense, and would overflow later. */
    uint64_t ran_ns = state_get_u64(r);
    if (ran_ns > TIMER_MAX_NS)
        state_invalid(r, "the ACPI PM timer has run for %llu ns", (unsigned long long)ran_ns);
    else
        pm->timer_base_ns = loop_now_ns(pm->loop) - (int64_t)ran_ns;
    int ret = state_close(r);
    if (!ret)
        update_sci(pm);
    return ret;
}
