#include "apic/ioapic.h"

#include <errno.h>

#include "tap.h"

static struct {
    unsigned n, n_pins;
    struct msi_message last;
    struct bus_ioapic_pin pins[IOAPIC_PINS];
    int answer;
} seen;

static int deliver(void *opaque, const struct msi_message *msg)
{
    seen.n++;
    seen.last = *msg;
    return seen.answer;
}

static void pins_changed(void *opaque, const struct bus_ioapic_pin *pins)
{
    seen.n_pins++;
    memcpy(seen.pins, pins, sizeof(seen.pins));
}

static const struct ioapic_ops ops = {deliver, pins_changed};

static void start(struct ioapic *a)
{
    memset(&seen, 0, sizeof(seen));
    ioapic_init(a, &ops, NULL);
}

static void write_reg(struct ioapic *a, uint8_t index, uint32_t value)
{
    ioapic_write(a, 0, 4, index);
    ioapic_write(a, 0x10, 4, value);
}

static uint32_t read_reg(struct ioapic *a, uint8_t index)
{
    ioapic_write(a, 0, 1, index);
    return (uint32_t)ioapic_read(a, 0x10, 4);
}

static void says_what_it_is(void)
{
    struct ioapic a;
    start(&a);
    CHECK_EQ(read_reg(&a, 1), 0x00170020);
    write_reg(&a, 0, 0xff000000);
    CHECK_EQ(read_reg(&a, 0), 0x0f000000);
    CHECK_EQ(read_reg(&a, 0x10), 0x00010000);
    CHECK_EQ(read_reg(&a, 0x40), 0);
    CHECK_EQ(read_reg(&a, 0xff), 0);
    ioapic_write(&a, 0, 4, 1);
    CHECK_EQ(ioapic_read(&a, 0x12, 2), 0x0017);
    CHECK_EQ(ioapic_read(&a, 0x10, 8), 0x00170020);
    CHECK_EQ(ioapic_read(&a, 0xffc, 4), 0);
}

static void an_edge_becomes_one_message(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10 + 2 * 4 + 1, 0x03000000);
    write_reg(&a, 0x10 + 2 * 4, 0x00000841); /* logical, vector 0x41 */
    ioapic_set_pin(&a, 4, true);
    ioapic_set_pin(&a, 4, true);
    CHECK_EQ(seen.n, 1);
    CHECK_EQ(seen.last.address, 0xfee03004);
    CHECK_EQ(seen.last.data, 0x41);
    ioapic_set_pin(&a, 4, false);
    ioapic_set_pin(&a, 4, true);
    CHECK_EQ(seen.n, 2);
}

static void an_edge_on_a_masked_pin_is_lost(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10, 0x00010041);
    ioapic_set_pin(&a, 0, true);
    write_reg(&a, 0x10, 0x00000041);
    CHECK_EQ(seen.n, 0);
}

static void a_level_is_sent_again_after_its_eoi_while_it_is_asserted(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10 + 2 * 16, 0x0000a051); /* level, active low, vector 0x51 */
    CHECK(seen.pins[16].level && seen.pins[16].msg.data == 0xc051);
    ioapic_set_pin(&a, 16, true);
    CHECK_EQ(seen.n, 1);
    CHECK_EQ(seen.last.data, 0xc051);
    CHECK_EQ(read_reg(&a, 0x10 + 2 * 16), 0x0000e051); /* remote IRR */
    ioapic_set_pin(&a, 16, false);
    ioapic_set_pin(&a, 16, true);
    CHECK_EQ(seen.n, 1);
    ioapic_eoi(&a, 0x52);
    CHECK_EQ(seen.n, 1);
    ioapic_eoi(&a, 0x51);
    CHECK_EQ(seen.n, 2);
    ioapic_set_pin(&a, 16, false);
    ioapic_write(&a, 0x40, 4, 0x51); /* the EOI register */
    CHECK_EQ(seen.n, 2);
    CHECK_EQ(read_reg(&a, 0x10 + 2 * 16), 0x0000a051);
}

static void a_level_that_waits_is_sent_when_it_is_unmasked(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10 + 2 * 9, 0x00018060);
    ioapic_set_pin(&a, 9, true);
    CHECK_EQ(seen.n, 0);
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    CHECK_EQ(seen.n, 1);
    write_reg(&a, 0x10 + 2 * 9, 0x00018060); /* masked while in service */
    ioapic_eoi(&a, 0x60);
    CHECK_EQ(seen.n, 1);
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    CHECK_EQ(seen.n, 2);
}

static void switching_to_edge_clears_a_stuck_remote_irr(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    ioapic_set_pin(&a, 9, true);
    ioapic_set_pin(&a, 9, false);
    CHECK_EQ(read_reg(&a, 0x10 + 2 * 9), 0x0000c060);
    write_reg(&a, 0x10 + 2 * 9, 0x00010060);
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    CHECK_EQ(read_reg(&a, 0x10 + 2 * 9), 0x00008060);
}

static void the_pins_are_reported_only_when_what_they_send_changes(void)
{
    struct ioapic a;
    start(&a);
    write_reg(&a, 0x10 + 2 * 9, 0x00018060);
    unsigned n = seen.n_pins;
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    write_reg(&a, 0x10 + 2 * 9, 0x00018060);
    CHECK_EQ(seen.n_pins, n);
    write_reg(&a, 0x10 + 2 * 9, 0x00018061);
    CHECK_EQ(seen.n_pins, n + 1);
}

static void what_no_local_apic_takes_is_not_left_waiting_for_an_eoi(void)
{
    struct ioapic a;
    start(&a);
    seen.answer = -ENOENT;
    write_reg(&a, 0x10 + 2 * 9, 0x00008060);
    ioapic_set_pin(&a, 9, true);
    CHECK_EQ(read_reg(&a, 0x10 + 2 * 9), 0x00008060);
    write_reg(&a, 0x10 + 2 * 9, 0x00008003); /* an illegal vector */
    CHECK_EQ(seen.n, 1);
    CHECK_EQ(seen.pins[9].msg.address, 0);
}

static void small_and_crooked_writes_change_nothing(void)
{
    struct ioapic a;
    start(&a);
    ioapic_write(&a, 0, 4, 0x10);
    ioapic_write(&a, 0x10, 1, 0x41);
    ioapic_write(&a, 0x12, 2, 0x41);
    ioapic_write(&a, 0x11, 4, 0x41);
    CHECK_EQ(read_reg(&a, 0x10), 0x00010000);
}

static void a_saved_ioapic_reports_its_pins_when_loaded(void)
{
    struct ioapic a, b;
    struct state_writer w;
    struct state_reader r;
    start(&a);
    write_reg(&a, 0x10 + 2 * 16, 0x00008051);
    ioapic_set_pin(&a, 16, true);
    state_writer_init(&w);
    ioapic_save(&a, &w);
    start(&b);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(ioapic_load(&b, &r), 0);
    CHECK_EQ(seen.pins[16].msg.data, 0xc051);
    CHECK_EQ(seen.n, 0);
    ioapic_eoi(&b, 0x51);
    CHECK_EQ(seen.n, 1);
    state_writer_fini(&w);
}

int main(void)
{
    TAP_RUN(says_what_it_is);
    TAP_RUN(an_edge_becomes_one_message);
    TAP_RUN(an_edge_on_a_masked_pin_is_lost);
    TAP_RUN(a_level_is_sent_again_after_its_eoi_while_it_is_asserted);
    TAP_RUN(a_level_that_waits_is_sent_when_it_is_unmasked);
    TAP_RUN(switching_to_edge_clears_a_stuck_remote_irr);
    TAP_RUN(the_pins_are_reported_only_when_what_they_send_changes);
    TAP_RUN(what_no_local_apic_takes_is_not_left_waiting_for_an_eoi);
    TAP_RUN(small_and_crooked_writes_change_nothing);
    TAP_RUN(a_saved_ioapic_reports_its_pins_when_loaded);
    return tap_done();
}
