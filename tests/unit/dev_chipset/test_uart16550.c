#include "dev/chipset/uart16550.h"

#include "chipset_fixture.h"
#include "tap.h"

#define PORT 0x3f8
#define IRQ  4

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct uart_test {
    struct fixture f;
    struct uart16550 u;
    char sent[4096];
    size_t n_sent;
    unsigned writes, offers;
};

static void sent(void *opaque, const uint8_t *data, size_t len)
{
    struct uart_test *t = opaque;
    memcpy(t->sent + t->n_sent, data, MIN(len, sizeof(t->sent) - t->n_sent));
    t->n_sent += MIN(len, sizeof(t->sent) - t->n_sent);
    t->writes++;
}

static void offered(void *opaque)
{
    struct uart_test *t = opaque;
    t->offers++;
}

static void begin(struct uart_test *t)
{
    memset(t, 0, sizeof(*t));
    fixture_init(&t->f);
    const struct uart16550_backend backend = {sent, offered, t};
    CHECK_EQ(uart16550_init(&t->u, &t->f.bus, t->f.loop, PORT, IRQ, &backend, NULL), 0);
}

static void end(struct uart_test *t)
{
    uart16550_fini(&t->u);
    fixture_fini(&t->f);
}

static uint8_t rd(struct uart_test *t, unsigned reg)
{
    return (uint8_t)in(&t->f, (uint16_t)(PORT + reg), 1);
}

static void wr(struct uart_test *t, unsigned reg, uint8_t v)
{
    out(&t->f, (uint16_t)(PORT + reg), 1, v);
}

static size_t type(struct uart_test *t, const char *s)
{
    bus_lock(&t->f.bus);
    size_t n = uart16550_input(&t->u, (const uint8_t *)s, strlen(s));
    bus_unlock(&t->f.bus);
    return n;
}

/* What Linux's 8250 driver does to tell a 16550A (autoconfig() and its size test). */
static void is_told_to_be_a_16550a(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, IER, 0);
    CHECK_EQ(rd(&t, IER) & 0x0f, 0);
    wr(&t, IER, 0x0f);
    CHECK_EQ(rd(&t, IER), 0x0f);
    wr(&t, IER, 0);
    wr(&t, MCR, 0x10 | 0x0a); /* loopback, RTS, OUT2 */
    CHECK_EQ(rd(&t, MSR) & 0xf0, 0x90);
    wr(&t, MCR, 0);
    wr(&t, SCR, 0xa5);
    CHECK_EQ(rd(&t, SCR), 0xa5);
    wr(&t, IIR, 1);
    CHECK_EQ(rd(&t, IIR) >> 6, 3);
    wr(&t, IIR, 0);
    CHECK_EQ(rd(&t, IIR) >> 6, 0);
    end(&t);
}

static void keeps_the_divisor_apart_from_the_data(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, LCR, 0x83);
    wr(&t, DATA, 0x0c);
    wr(&t, IER, 0x01);
    CHECK_EQ(rd(&t, DATA), 0x0c);
    CHECK_EQ(rd(&t, IER), 0x01);
    wr(&t, LCR, 0x03);
    CHECK_EQ(rd(&t, IER), 0);
    loop_run_once(t.f.loop, 0);
    CHECK_EQ(t.n_sent, 0);
    end(&t);
}

static void sends_a_line_in_one_write_without_losing_a_byte(void)
{
    struct uart_test t;
    begin(&t);
    for (const char *s = "hello, world\n"; *s; s++)
        wr(&t, DATA, (uint8_t)*s);
    CHECK_EQ(t.writes, 0);
    loop_run_once(t.f.loop, 0);
    CHECK_EQ(t.writes, 1);
    t.sent[t.n_sent] = 0;
    CHECK_STR(t.sent, "hello, world\n");
    for (unsigned i = 0; i < 1000; i++)
        wr(&t, DATA, (uint8_t)i);
    end(&t); /* delivers what was left */
    CHECK_EQ(t.n_sent, 13 + 1000);
    for (unsigned i = 0; i < 1000; i++)
        REQUIRE((uint8_t)t.sent[13 + i] == (uint8_t)i);
}

static void interrupts_when_the_transmitter_is_empty(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, IER, 2);
    CHECK(!t.f.level[IRQ]); /* OUT2 gates the line */
    wr(&t, MCR, 8);
    CHECK(t.f.level[IRQ]);
    CHECK_EQ(rd(&t, IIR) & 0x0f, 2);
    CHECK(!t.f.level[IRQ]); /* reading IIR acknowledges it */
    CHECK_EQ(rd(&t, IIR) & 0x0f, 1);
    wr(&t, DATA, 'x');
    CHECK(t.f.level[IRQ]); /* the byte has left: empty again */
    wr(&t, IER, 0);
    CHECK(!t.f.level[IRQ]);
    wr(&t, IER, 2);
    CHECK(t.f.level[IRQ]); /* enabling it while empty raises it */
    CHECK_EQ(rd(&t, LSR) & 0x60, 0x60);
    end(&t);
}

static void interrupts_for_received_bytes_until_they_are_read(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, IIR, 0xc1); /* FIFO, trigger at 14 */
    wr(&t, MCR, 8);
    wr(&t, IER, 1);
    CHECK_EQ(type(&t, "ab"), 2);
    CHECK(t.f.level[IRQ]);
    CHECK_EQ(rd(&t, IIR) & 0x0f, 0x0c); /* below the trigger: character time-out */
    CHECK_EQ(type(&t, "cdefghijklmn"), 12);
    CHECK_EQ(rd(&t, IIR) & 0x0f, 0x04);
    for (const char *s = "abcdefghijklmn"; *s; s++) {
        CHECK_EQ(rd(&t, LSR) & 1, 1);
        CHECK_EQ(rd(&t, DATA), *s);
    }
    CHECK_EQ(rd(&t, LSR) & 1, 0);
    CHECK(!t.f.level[IRQ]);
    CHECK_EQ(rd(&t, DATA), 0);
    end(&t);
}

static void holds_input_back_until_there_is_room(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, IIR, 1);
    CHECK_EQ(type(&t, "0123456789abcdefXYZ"), 16);
    CHECK_EQ(type(&t, "XYZ"), 0);
    CHECK_EQ(t.offers, 0);
    for (unsigned i = 0; i < 16; i++)
        rd(&t, DATA);
    CHECK_EQ(t.offers, 1);
    CHECK_EQ(type(&t, "XYZ"), 3);
    CHECK_EQ(rd(&t, LSR) & 2, 0); /* never an overrun */
    end(&t);
}

/* A guest's driver clears the FIFOs when it starts: what was typed before waits outside. */
static void offers_input_again_when_the_fifo_is_cleared(void)
{
    struct uart_test t;
    begin(&t);
    CHECK_EQ(type(&t, "ab"), 1); /* no FIFO yet */
    wr(&t, IIR, 7);
    CHECK_EQ(t.offers, 1);
    CHECK_EQ(rd(&t, LSR) & 1, 0);
    CHECK_EQ(type(&t, "b"), 1);
    CHECK_EQ(rd(&t, DATA), 'b');
    end(&t);
}

static void loops_back_inside_and_lets_nothing_out(void)
{
    struct uart_test t;
    begin(&t);
    wr(&t, IIR, 1);
    wr(&t, MCR, 0x10 | 0x08);
    wr(&t, IER, 1);
    wr(&t, DATA, 'q');
    CHECK(!t.f.level[IRQ]); /* OUT2 is not connected to the line in loopback */
    CHECK_EQ(type(&t, "z"), 0);
    CHECK_EQ(rd(&t, DATA), 'q');
    for (unsigned i = 0; i < 17; i++)
        wr(&t, DATA, 'r');
    CHECK_EQ(rd(&t, LSR) & 2, 2); /* overrun, cleared by reading */
    CHECK_EQ(rd(&t, LSR) & 2, 0);
    wr(&t, IIR, 7); /* clears the FIFO, but nothing comes in yet */
    wr(&t, MCR, 8);
    CHECK(t.offers >= 1);
    CHECK_EQ(type(&t, "z"), 1);
    loop_run_once(t.f.loop, 0);
    CHECK_EQ(t.n_sent, 0);
    end(&t);
}

static void reports_changes_of_modem_lines_once(void)
{
    struct uart_test t;
    begin(&t);
    CHECK_EQ(rd(&t, MSR), 0xb0); /* connected, no deltas */
    wr(&t, IER, 8);
    wr(&t, MCR, 0x10); /* loopback drops all */
    CHECK_EQ(rd(&t, MSR), 0x0b);
    CHECK_EQ(rd(&t, MSR), 0);
    wr(&t, MCR, 0x14); /* OUT1 drives RI: only its end counts */
    CHECK_EQ(rd(&t, MSR), 0x40);
    wr(&t, MCR, 0x10);
    CHECK_EQ(rd(&t, MSR), 0x04);
    wr(&t, MCR, 8);
    CHECK(t.f.level[IRQ]);
    CHECK_EQ(rd(&t, IIR) & 0x0f, 0);
    rd(&t, MSR);
    CHECK(!t.f.level[IRQ]);
    end(&t);
}

static void takes_any_width_at_any_offset(void)
{
    struct uart_test t;
    begin(&t);
    fixture_touch_all(&t.f, PORT, 8);
    CHECK_EQ(in(&t.f, PORT + 7, 2), 0xffff); /* reaches over the end: nobody's */
    wr(&t, LCR, 3);
    out(&t.f, PORT + SCR - 3, 4, 0x5a000000); /* a wide write is four narrow ones */
    CHECK_EQ(rd(&t, SCR), 0x5a);
    end(&t);
}

static void saves_and_loads_what_a_driver_can_see(void)
{
    struct uart_test a, b;
    struct state_writer w;
    struct state_reader r;
    begin(&a);
    begin(&b);
    wr(&a, IIR, 0x81);
    wr(&a, MCR, 8);
    wr(&a, IER, 3);
    wr(&a, SCR, 0x77);
    type(&a, "hello");
    rd(&a, DATA);
    state_writer_init(&w);
    uart16550_save(&a.u, &w, 0);
    CHECK_EQ(w.error, 0);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(uart16550_load(&b.u, &r, 0), 0);
    CHECK_EQ(b.f.level[IRQ], a.f.level[IRQ]);
    for (unsigned reg = IIR; reg <= SCR; reg++)
        CHECK_EQ(rd(&b, reg), rd(&a, reg));
    for (const char *s = "ello"; *s; s++)
        CHECK_EQ(rd(&b, DATA), *s);
    /* A FIFO that is longer than it can be is refused. */
    w.data[32 + 12] = 17;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(uart16550_load(&b.u, &r, 0) < 0);
    state_writer_fini(&w);
    end(&a);
    end(&b);
}

static void is_as_new_after_a_reset(void)
{
    struct uart_test t;
    begin(&t);
    fixture_touch_all(&t.f, PORT, 8);
    type(&t, "x");
    uart16550_reset(&t.u);
    CHECK_EQ(rd(&t, IER), 0);
    CHECK_EQ(rd(&t, IIR), 1);
    CHECK_EQ(rd(&t, LCR), 0);
    CHECK_EQ(rd(&t, MCR), 0);
    CHECK_EQ(rd(&t, LSR), 0x60);
    CHECK_EQ(rd(&t, MSR), 0xb0);
    CHECK(!t.f.level[IRQ]);
    end(&t);
}

int main(void)
{
    TAP_RUN(is_told_to_be_a_16550a);
    TAP_RUN(keeps_the_divisor_apart_from_the_data);
    TAP_RUN(sends_a_line_in_one_write_without_losing_a_byte);
    TAP_RUN(interrupts_when_the_transmitter_is_empty);
    TAP_RUN(interrupts_for_received_bytes_until_they_are_read);
    TAP_RUN(holds_input_back_until_there_is_room);
    TAP_RUN(offers_input_again_when_the_fifo_is_cleared);
    TAP_RUN(loops_back_inside_and_lets_nothing_out);
    TAP_RUN(reports_changes_of_modem_lines_once);
    TAP_RUN(takes_any_width_at_any_offset);
    TAP_RUN(saves_and_loads_what_a_driver_can_see);
    TAP_RUN(is_as_new_after_a_reset);
    return tap_done();
}
