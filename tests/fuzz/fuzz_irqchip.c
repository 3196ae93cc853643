/* The 8259A pair, the IOAPIC and the 8254 fed with register accesses, line changes, EOIs, time and
 * state streams. Each step of the input is an opcode byte and its operands. */
#include <stdlib.h>
#include <string.h>

#include "apic/irqchip.h"
#include "engine/null/null_engine.h"

struct input {
    const uint8_t *p, *end;
};

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes && in->p < in->end; i++)
        v |= (uint64_t)*in->p++ << (8 * i);
    return v;
}

static void set_ioapic(void *opaque, const struct bus_ioapic_pin *pins)
{
    engine_vm_set_ioapic(*(struct engine_vm **)opaque, pins);
}

static void extint(void *opaque)
{
    engine_vm_extint(*(struct engine_vm **)opaque);
}

static const struct irqchip_ops chip_ops = {set_ioapic, extint};

/* What is saved must load, and then be the same. */
static void round_trip(struct irqchip *chip)
{
    struct state_writer a, b;
    struct state_reader r;
    state_writer_init(&a);
    state_writer_init(&b);
    irqchip_save(chip, &a);
    state_reader_init(&r, a.data, a.len_bytes);
    if (irqchip_load(chip, &r))
        abort();
    irqchip_save(chip, &b);
    if (a.len_bytes != b.len_bytes || memcmp(a.data, b.data, a.len_bytes) != 0)
        abort();
    state_writer_fini(&a);
    state_writer_fini(&b);
}

static void step(struct engine_vm *vm, struct irqchip *chip, struct loop *loop, struct bus *bus,
                 struct input *in)
{
    static const uint16_t ports[] = {0x20, 0x21, 0xa0,  0xa1,  0x40, 0x41,
                                     0x42, 0x43, 0x4d0, 0x4d1, 0x61, 0x3f};
    uint8_t op = (uint8_t)take(in, 1);
    unsigned size = 1u << (op >> 6 & 3);
    uint16_t port = ports[take(in, 1) % (sizeof(ports) / sizeof(ports[0]))];
    struct state_reader r;
    switch (op & 7) {
    case 0:
        null_engine_in(vm, port, size > 4 ? 4 : size);
        break;
    case 1:
        null_engine_out(vm, port, size > 4 ? 4 : size, (uint32_t)take(in, size));
        break;
    case 2:
        null_engine_read(vm, MEMORY_MAP_IOAPIC_BASE + take(in, 1), size);
        break;
    case 3: {
        uint64_t at = MEMORY_MAP_IOAPIC_BASE + take(in, 1) % 0x48;
        null_engine_write(vm, at, size, take(in, size));
        break;
    }
    case 4:
        bus_irq_set(bus, (unsigned)take(in, 1) & 31, op & 8);
        break;
    case 5:
        if (irqchip_extint_pending(chip))
            irqchip_extint_acknowledge(chip);
        null_engine_eoi(vm, (uint8_t)take(in, 1));
        break;
    case 6:
        loop_advance_ns(loop, (int64_t)take(in, 3));
        break;
    default:
        round_trip(chip);
        state_reader_init(&r, in->p, (size_t)(in->end - in->p));
        irqchip_load(chip, &r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    struct irqchip chip;
    const struct engine_irqchip_ops engine_ops = {irqchip_eoi, irqchip_extint_pending,
                                                  irqchip_extint_acknowledge};
    const struct engine_probe_input none = {.kvm_fd = -1};
    const struct engine_vm_config config = {
        .n_vcpus = 1, .mem = &mem, .bus = &bus, .irqchip = &engine_ops, .irqchip_opaque = &chip};
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    bus_init(&bus);
    if (!loop || guest_mem_init(&mem, 4096, 0, NULL) ||
        engine_vm_create(&null_engine, &none, &config, &vm, NULL))
        abort();
    bus_set_engine(&bus, engine_vm_bus_ops(vm), vm);
    if (irqchip_init(&chip, &bus, loop, &chip_ops, &vm, NULL))
        abort();
    struct input in = {data, data + size};
    for (unsigned steps = 0; in.p < in.end && steps < 2000; steps++)
        step(vm, &chip, loop, &bus, &in);
    irqchip_fini(&chip);
    engine_vm_destroy(vm);
    bus_fini(&bus);
    guest_mem_fini(&mem);
    loop_destroy(loop);
    return 0;
}
