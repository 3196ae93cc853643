#include "apic/irqchip.h"

#include "engine/null/null_engine.h"
#include "tap.h"

struct pc {
    struct guest_mem mem;
    struct bus bus;
    struct loop *loop;
    struct engine_vm *vm;
    struct irqchip chip;
};

static void set_ioapic(void *opaque, const struct bus_ioapic_pin *pins)
{
    struct pc *pc = opaque;
    engine_vm_set_ioapic(pc->vm, pins);
}

static void extint(void *opaque)
{
    struct pc *pc = opaque;
    engine_vm_extint(pc->vm);
}

static const struct irqchip_ops chip_ops = {set_ioapic, extint};
static const struct engine_irqchip_ops engine_ops = {
    irqchip_eoi,
    irqchip_extint_pending,
    irqchip_extint_acknowledge,
};

static void pc_open(struct pc *pc)
{
    const struct engine_probe_input in = {.kvm_fd = -1};
    const struct engine_vm_config config = {
        .n_vcpus = 1,
        .mem = &pc->mem,
        .bus = &pc->bus,
        .irqchip = &engine_ops,
        .irqchip_opaque = &pc->chip,
    };
    bus_init(&pc->bus);
    pc->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    if (guest_mem_init(&pc->mem, 1 << 20, 0, NULL) ||
        engine_vm_create(&null_engine, &in, &config, &pc->vm, NULL))
        abort();
    bus_set_engine(&pc->bus, engine_vm_bus_ops(pc->vm), pc->vm);
    if (irqchip_init(&pc->chip, &pc->bus, pc->loop, &chip_ops, pc, NULL))
        abort();
}

static void pc_close(struct pc *pc)
{
    irqchip_fini(&pc->chip);
    engine_vm_destroy(pc->vm);
    loop_destroy(pc->loop);
    bus_fini(&pc->bus);
    guest_mem_fini(&pc->mem);
}

static void out(struct pc *pc, uint16_t port, uint8_t value)
{
    null_engine_out(pc->vm, port, 1, value);
}

static uint8_t in(struct pc *pc, uint16_t port)
{
    return (uint8_t)null_engine_in(pc->vm, port, 1);
}

static void write_ioapic(struct pc *pc, uint8_t index, uint32_t value)
{
    null_engine_write(pc->vm, MEMORY_MAP_IOAPIC_BASE, 4, index);
    null_engine_write(pc->vm, MEMORY_MAP_IOAPIC_BASE + 0x10, 4, value);
}

static void start_pics(struct pc *pc)
{
    static const uint8_t words[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 4}, {0x21, 1},
                                       {0xa0, 0x11}, {0xa1, 0x38}, {0xa1, 2}, {0xa1, 1},
                                       {0x21, 0},    {0xa1, 0}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        out(pc, words[i][0], words[i][1]);
}

#define MS INT64_C(1000000)

static void the_timer_arrives_on_ioapic_pin_2_at_its_rate(void)
{
    struct pc pc;
    pc_open(&pc);
    write_ioapic(&pc, 0x10 + 2 * 2, 0x30);
    out(&pc, 0x43, 0x34); /* 4 ms */
    out(&pc, 0x40, 4773 & 0xff);
    out(&pc, 0x40, 4773 >> 8);
    null_engine_msi_clear(pc.vm);
    loop_advance_ns(pc.loop, 1000 * MS);
    unsigned n = null_engine_msi_count_data(pc.vm, 0x30);
    CHECK_EQ(n, NULL_ENGINE_MSIS_KEPT);
    CHECK_EQ(null_engine_msi_count(pc.vm), 249); /* 1193182 / 4773 */
    out(&pc, 0x43, 0x30);                        /* one shot, no count: silence */
    null_engine_msi_clear(pc.vm);
    loop_advance_ns(pc.loop, 1000 * MS);
    CHECK_EQ(null_engine_msi_count(pc.vm), 0);
    pc_close(&pc);
}

static void the_timer_arrives_as_extint_through_the_8259(void)
{
    struct pc pc;
    pc_open(&pc);
    start_pics(&pc);
    out(&pc, 0x43, 0x30); /* mode 0: 1 ms */
    out(&pc, 0x40, 1193 & 0xff);
    out(&pc, 0x40, 1193 >> 8);
    CHECK(!irqchip_extint_pending(&pc.chip));
    loop_advance_ns(pc.loop, MS);
    CHECK(irqchip_extint_pending(&pc.chip));
    CHECK_EQ(null_engine_extints(pc.vm), 1);
    CHECK_EQ(irqchip_extint_acknowledge(&pc.chip), 0x30);
    CHECK(!irqchip_extint_pending(&pc.chip));
    loop_advance_ns(pc.loop, 1000 * MS);
    CHECK_EQ(null_engine_extints(pc.vm), 1);
    pc_close(&pc);
}

/* What Linux does to measure the TSC (arch/x86/kernel/tsc.c): counter 2 in mode 0, its gate and
 * output at port 0x61. */
static void counter_2_measures_10_ms_through_port_61(void)
{
    struct pc pc;
    pc_open(&pc);
    out(&pc, 0x61, (in(&pc, 0x61) & ~2) | 1);
    out(&pc, 0x43, 0xb0);
    unsigned count = 1193182 / 100;
    out(&pc, 0x42, count & 0xff);
    out(&pc, 0x42, (uint8_t)(count >> 8));
    int us = 0;
    while (!(in(&pc, 0x61) & 0x20) && us < 20000) {
        loop_advance_ns(pc.loop, 1000);
        us++;
    }
    CHECK(us >= 9999 && us <= 10001);
    CHECK_EQ(in(&pc, 0x61) & 0x0f, 1);
    pc_close(&pc);
}

static void the_refresh_bit_toggles(void)
{
    struct pc pc;
    unsigned toggles = 0;
    pc_open(&pc);
    for (int last = in(&pc, 0x61) & 0x10, i = 0; i < 1000; i++) {
        loop_advance_ns(pc.loop, 1000);
        int now = in(&pc, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    CHECK(toggles >= 65 && toggles <= 67);
    pc_close(&pc);
}

static void a_very_short_period_cannot_flood_the_loop(void)
{
    struct pc pc;
    pc_open(&pc);
    write_ioapic(&pc, 0x10 + 2 * 2, 0x30);
    out(&pc, 0x43, 0x14);
    out(&pc, 0x40, 1);
    null_engine_msi_clear(pc.vm);
    loop_advance_ns(pc.loop, 10 * MS);
    unsigned n = null_engine_msi_count(pc.vm);
    CHECK(n >= 90 && n <= 100);
    pc_close(&pc);
}

static void wired_lines_reach_both_controllers(void)
{
    struct pc pc;
    struct msi_message msg;
    pc_open(&pc);
    start_pics(&pc);
    write_ioapic(&pc, 0x10 + 2 * 4, 0x44);
    write_ioapic(&pc, 0x10 + 2 * 17, 0x8055);
    bus_irq_set(&pc.bus, 4, true);
    CHECK_EQ(irqchip_extint_acknowledge(&pc.chip), 0x34);
    REQUIRE(null_engine_msi_at(pc.vm, 0, &msg));
    CHECK_EQ(msg.data, 0x44);
    bus_irq_set(&pc.bus, 17, true);
    REQUIRE(null_engine_msi_at(pc.vm, 1, &msg));
    CHECK_EQ(msg.data, 0xc055);
    null_engine_eoi(pc.vm, 0x55);
    CHECK_EQ(null_engine_msi_count(pc.vm), 3);
    struct bus_ioapic_pin pins[MEMORY_MAP_IOAPIC_PINS];
    null_engine_ioapic(pc.vm, pins);
    CHECK(pins[17].level && pins[17].msg.data == 0xc055);
    bus_irq_set(&pc.bus, 99, true);
    bus_irq_set(&pc.bus, 2, true);
    CHECK_EQ(null_engine_msi_count(pc.vm), 3);
    pc_close(&pc);
}

static void a_saved_chipset_goes_on_in_a_new_vm(void)
{
    struct pc a, b;
    struct state_writer w;
    struct state_reader r;
    pc_open(&a);
    start_pics(&a);
    write_ioapic(&a, 0x10 + 2 * 2, 0x30);
    out(&a, 0x43, 0x34);
    out(&a, 0x40, 4773 & 0xff);
    out(&a, 0x40, 4773 >> 8);
    loop_advance_ns(a.loop, 3 * MS);
    state_writer_init(&w);
    irqchip_save(&a.chip, &w);
    CHECK_EQ(w.error, 0);
    pc_close(&a);

    pc_open(&b);
    loop_advance_ns(b.loop, 77777 * MS);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(irqchip_load(&b.chip, &r), 0);
    null_engine_msi_clear(b.vm);
    loop_advance_ns(b.loop, MS - MS / 100);
    CHECK_EQ(null_engine_msi_count(b.vm), 0);
    loop_advance_ns(b.loop, MS / 50);
    CHECK_EQ(null_engine_msi_count(b.vm), 1);
    irqchip_reset(&b.chip);
    loop_advance_ns(b.loop, 100 * MS);
    CHECK_EQ(null_engine_msi_count(b.vm), 1);
    state_writer_fini(&w);
    pc_close(&b);
}

int main(void)
{
    TAP_RUN(the_timer_arrives_on_ioapic_pin_2_at_its_rate);
    TAP_RUN(the_timer_arrives_as_extint_through_the_8259);
    TAP_RUN(counter_2_measures_10_ms_through_port_61);
    TAP_RUN(the_refresh_bit_toggles);
    TAP_RUN(a_very_short_period_cannot_flood_the_loop);
    TAP_RUN(wired_lines_reach_both_controllers);
    TAP_RUN(a_saved_chipset_goes_on_in_a_new_vm);
    return tap_done();
}
