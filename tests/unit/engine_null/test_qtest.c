#include "engine/null/qtest.h"

#include <sys/socket.h>
#include <unistd.h>

#include "apic/irqchip.h"
#include "engine/null/null_engine.h"
#include "tap.h"

struct rig {
    struct guest_mem mem;
    struct bus bus;
    struct loop *loop;
    struct engine_vm *vm;
    struct irqchip chip;
    struct qtest *q;
    int fd;
    bool closed;
    char answer[4096];
};

static void no_pins(void *opaque, const struct bus_ioapic_pin *pins)
{
}

static void no_extint(void *opaque)
{
}

static const struct irqchip_ops chip_ops = {no_pins, no_extint};

static void on_closed(void *opaque)
{
    struct rig *rig = opaque;
    rig->closed = true;
}

static void rig_open(struct rig *rig)
{
    int pair[2];
    const struct engine_probe_input in = {.kvm_fd = -1};
    const struct engine_vm_config config = {.n_vcpus = 1, .mem = &rig->mem, .bus = &rig->bus};
    memset(rig, 0, sizeof(*rig));
    bus_init(&rig->bus);
    rig->loop = loop_create(LOOP_FAKE_CLOCK, NULL);
    if (guest_mem_init(&rig->mem, 1 << 20, 0, NULL) ||
        engine_vm_create(&null_engine, &in, &config, &rig->vm, NULL) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    bus_set_engine(&rig->bus, engine_vm_bus_ops(rig->vm), rig->vm);
    if (irqchip_init(&rig->chip, &rig->bus, rig->loop, &chip_ops, rig, NULL))
        abort();
    rig->fd = pair[0];
    rig->q = qtest_create(rig->vm, rig->loop, pair[1], on_closed, rig, NULL);
}

static void rig_close(struct rig *rig)
{
    qtest_destroy(rig->q);
    irqchip_fini(&rig->chip);
    engine_vm_destroy(rig->vm);
    loop_destroy(rig->loop);
    bus_fini(&rig->bus);
    guest_mem_fini(&rig->mem);
    if (rig->fd >= 0)
        close(rig->fd);
}

/* Sends text and returns all that comes back. */
static const char *say(struct rig *rig, const char *text)
{
    rig->answer[0] = '\0';
    if (send(rig->fd, text, strlen(text), 0) < 0)
        return "";
    loop_run_once(rig->loop, 0);
    ssize_t n = recv(rig->fd, rig->answer, sizeof(rig->answer) - 1, MSG_DONTWAIT);
    rig->answer[n < 0 ? 0 : n] = '\0';
    return rig->answer;
}

static void memory_and_ports_are_read_and_written(void)
{
    struct rig rig;
    rig_open(&rig);
    CHECK_STR(say(&rig, "writeq 0x1000 0x1122334455667788\n"), "OK\n");
    CHECK_STR(say(&rig, "readl 0x1004\n"), "OK 0x0000000011223344\n");
    CHECK_STR(say(&rig, "readw 0x1000\nreadb 0x1001\n"),
              "OK 0x0000000000007788\nOK 0x0000000000000077\n");
    CHECK_STR(say(&rig, "read 0x1000 4\n"), "OK 0x88776655\n");
    CHECK_STR(say(&rig, "write 0x2000 3 0xabCD0f\n"), "OK\n");
    CHECK_STR(say(&rig, "b64read 0x2000 3\n"), "OK q80P\n");
    CHECK_STR(say(&rig, "b64write 0x2010 4 AQIDBA==\n"), "OK\n");
    CHECK_STR(say(&rig, "b64read 0x2010 4\n"), "OK AQIDBA==\n");
    CHECK_STR(say(&rig, "memset 0x2010 2 0xee\n"), "OK\n");
    CHECK_STR(say(&rig, "read 0x2010 4\n"), "OK 0xeeee0304\n");
    CHECK_STR(say(&rig, "outb 0x21 0x5a\n"), "OK\n");
    CHECK_STR(say(&rig, "inb 0x21\n"), "OK 0x005a\n");
    CHECK_STR(say(&rig, "inl 0x9000\n"), "OK 0xffffffff\n");
    CHECK_STR(say(&rig, "writel 0xfec00000 1\nreadl 0xfec00010\n"), "OK\nOK 0x0000000000170020\n");
    CHECK_STR(say(&rig, "endianness\n"), "OK little\n");
    rig_close(&rig);
}

static void the_clock_is_stepped_and_set(void)
{
    struct rig rig;
    rig_open(&rig);
    CHECK_STR(say(&rig, "clock_step\n"), "OK 0\n");
    CHECK_STR(say(&rig, "clock_step 1000\n"), "OK 1000\n");
    CHECK_STR(say(&rig, "clock_set 500\n"), "OK 1000\n");
    CHECK_STR(say(&rig, "clock_set 1000000000\n"), "OK 1000000000\n");
    CHECK_STR(say(&rig, "outb 0x43 0x30\noutb 0x40 0xa9\noutb 0x40 0x04\n"), "OK\nOK\nOK\n");
    CHECK_STR(say(&rig, "clock_step\n"), "OK 1000999848\n"); /* 1193 ticks: 0.99985 ms */
    rig_close(&rig);
}

static void intercepted_lines_and_messages_are_reported(void)
{
    struct rig rig;
    rig_open(&rig);
    CHECK_STR(say(&rig, "irq_intercept_out ioapic\n"), "OK\n");
    CHECK_STR(say(&rig, "writel 0xfec00000 0x18\nwritel 0xfec00010 0x44\n"), "OK\nOK\n");
    bus_irq_set(&rig.bus, 4, true);
    CHECK_STR(say(&rig, "endianness\n"), "IRQ raise 68\nIRQ lower 68\nOK little\n");
    CHECK_STR(say(&rig, "irq_intercept_in ioapic\n"), "OK\n");
    bus_irq_set(&rig.bus, 0, true);
    bus_irq_set(&rig.bus, 0, true);
    bus_irq_set(&rig.bus, 0, false);
    CHECK_STR(say(&rig, "endianness\n"), "IRQ raise 2\nIRQ lower 2\nOK little\n");
    rig_close(&rig);
}

static void nonsense_is_refused_line_by_line(void)
{
    static const char *const lines[] = {
        "frob\n",
        "inb\n",
        "inq 0x20\n",
        "inb 0x12345\n",
        "outb 0x20\n",
        "readx 0\n",
        "read 0\n",
        "read 0 0xffffffff\n",
        "write 0 4 0xzz\n",
        "write 0 4\n",
        "b64write 0 4 !!!\n",
        "clock_step -1\n",
        "clock_step x\n",
        "clock_set\n",
        "memset 0 4\n",
        "irq_intercept_in pci\n",
        "readb 0x1g\n",
        "read 0xfffffffffffffff0 0x20\n",
        "b64memset 0 1 1\n",
    };
    struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        CHECK(strncmp(say(&rig, lines[i]), "FAIL ", 5) == 0);
    CHECK_STR(say(&rig, "\n  \n"), "");
    CHECK_STR(say(&rig, "inb 0x2"), ""); /* half a line */
    CHECK_STR(say(&rig, "1\n"), "OK 0x00ff\n");
    rig_close(&rig);
}

static void a_line_without_an_end_and_a_peer_that_goes_end_it(void)
{
    struct rig rig;
    static char endless[200000];
    rig_open(&rig);
    memset(endless, 'a', sizeof(endless));
    size_t sent = 0;
    while (!rig.closed && sent < sizeof(endless)) {
        ssize_t n = send(rig.fd, endless + sent, sizeof(endless) - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        loop_run_once(rig.loop, 0);
    }
    CHECK(rig.closed);
    rig_close(&rig);

    rig_open(&rig);
    close(rig.fd);
    rig.fd = -1;
    loop_run_once(rig.loop, 0);
    CHECK(rig.closed);
    rig_close(&rig);
}

int main(void)
{
    TAP_RUN(memory_and_ports_are_read_and_written);
    TAP_RUN(the_clock_is_stepped_and_set);
    TAP_RUN(intercepted_lines_and_messages_are_reported);
    TAP_RUN(nonsense_is_refused_line_by_line);
    TAP_RUN(a_line_without_an_end_and_a_peer_that_goes_end_it);
    return tap_done();
}
