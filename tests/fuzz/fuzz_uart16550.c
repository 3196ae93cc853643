/* The UART: any sequence of register accesses, typed input, time and reloads. Checks that every
 * byte that the back end got was one the guest sent, that input is never lost without the guest's
 * doing, and that the line agrees with the identification register.
 *   OFFSET  SIZE  MEANING, repeated
 *   0       1     what: see the switch below
 *   1       1     a value */
#include <stdlib.h>

#include "base/util.h"
#include "bus/bus.h"
#include "dev/chipset/uart16550.h"

#define PORT    0x3f8
#define REG_IIR 2
#define STEPS   4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct bus bus;
    struct uart16550 uart;
    size_t sent, received;
    bool level;
};

static void output(void *opaque, const uint8_t *data, size_t len)
{
    struct target *t = opaque;
    if (!len || !data)
        abort();
    t->received += len;
}

static void input_ready(void *opaque)
{
}

static void set_irq(void *opaque, unsigned gsi, bool level)
{
    ((struct target *)opaque)->level = level;
}

static uint8_t reg(struct target *t, unsigned at)
{
    uint8_t v;
    bus_access_read(&t->bus, BUS_PIO, PORT + at, &v, 1);
    return v;
}

static void reload(struct target *t, const uint8_t *damage, size_t len)
{
    struct state_writer w;
    struct state_reader r;
    state_writer_init(&w);
    uart16550_save(&t->uart, &w, 0);
    if (w.error)
        abort();
    for (size_t i = 0; i + 1 < len && i < 16; i += 2)
        w.data[damage[i] % w.len_bytes] ^= damage[i + 1];
    state_reader_init(&r, w.data, w.len_bytes);
    if (uart16550_load(&t->uart, &r, 0)) /* a refused load leaves a device to be reset */
        uart16550_reset(&t->uart);
    state_writer_fini(&w);
}

static void step(struct target *t, uint8_t what, uint8_t value, const uint8_t *rest, size_t len)
{
    uint8_t wide[4] = {value, (uint8_t)(value >> 1), (uint8_t)~value, value};
    unsigned at = what & 7, width = 1u << (what >> 3 & 3) % 3;
    switch (what >> 5) {
    case 0:
    case 1:
    case 2:
        /* A wide write may send more than one byte, or change what the next byte means. */
        bus_access_write(&t->bus, BUS_PIO, PORT + at, wide, width);
        t->sent += width;
        break;
    case 3:
    case 4:
        bus_access_read(&t->bus, BUS_PIO, PORT + at, wide, width);
        break;
    case 5:
        bus_lock(&t->bus);
        uart16550_input(&t->uart, rest, MIN(value, len));
        bus_unlock(&t->bus);
        break;
    case 6:
        loop_run_once(t->uart.loop, 0);
        break;
    case 7:
        if (value & 1)
            reload(t, rest, value & 2 ? len : 0);
        else
            uart16550_reset(&t->uart);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct bus_irq_ops irq_ops = {.set = set_irq};
    struct target t = {0};
    const struct uart16550_backend backend = {output, input_ready, &t};
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    bus_init(&t.bus);
    bus_set_irq(&t.bus, &irq_ops, &t);
    if (!loop || uart16550_init(&t.uart, &t.bus, loop, PORT, 4, &backend, NULL))
        abort();
    for (unsigned i = 0; i < STEPS && size >= 2; i++, data += 2, size -= 2) {
        step(&t, data[0], data[1], data + 2, size - 2);
        if (t.level && (reg(&t, REG_IIR) & 1))
            abort(); /* an interrupt that nothing explains */
    }
    uart16550_fini(&t.uart);
    if (t.received > t.sent)
        abort();
    bus_fini(&t.bus);
    loop_destroy(loop);
    return 0;
}
