/* The parser of the qtest protocol, line by line, over a VM with nothing but interrupt controllers
 * and RAM. */
#include "engine/null/qtest.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apic/irqchip.h"
#include "engine/null/null_engine.h"

#define LINE_BYTES 512

static void set_ioapic(void *opaque, const struct bus_ioapic_pin *pins)
{
}

static void extint(void *opaque)
{
}

static const struct irqchip_ops chip_ops = {set_ioapic, extint};

/* Answers must not fill the socket. */
static void drain(int fd)
{
    char buf[4096];
    while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
        ;
}

static void feed(struct qtest *q, int fd, const uint8_t *data, size_t size)
{
    char line[LINE_BYTES];
    size_t len = 0;
    unsigned lines = 0;
    for (size_t i = 0; i < size && lines < 200; i++) {
        if (data[i] != '\n' && len < sizeof(line) - 1) {
            line[len++] = (char)data[i];
            continue;
        }
        line[len] = '\0';
        qtest_line(q, line);
        drain(fd);
        len = 0;
        lines++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_mem mem;
    struct bus bus;
    struct engine_vm *vm;
    struct irqchip chip;
    int pair[2];
    const struct engine_probe_input none = {.kvm_fd = -1};
    const struct engine_vm_config config = {.n_vcpus = 1, .mem = &mem, .bus = &bus};
    struct loop *loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    bus_init(&bus);
    if (!loop || guest_mem_init(&mem, 1 << 16, 0, NULL) ||
        engine_vm_create(&null_engine, &none, &config, &vm, NULL) ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        abort();
    bus_set_engine(&bus, engine_vm_bus_ops(vm), vm);
    if (irqchip_init(&chip, &bus, loop, &chip_ops, NULL, NULL))
        abort();
    int size_bytes = 1 << 20;
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size_bytes, sizeof(size_bytes));
    struct qtest *q = qtest_create(vm, loop, pair[1], NULL, NULL, NULL);
    feed(q, pair[0], data, size);
    qtest_destroy(q);
    irqchip_fini(&chip);
    engine_vm_destroy(vm);
    bus_fini(&bus);
    guest_mem_fini(&mem);
    loop_destroy(loop);
    close(pair[0]);
    return 0;
}
