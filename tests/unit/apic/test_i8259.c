#include "apic/i8259.h"

#include "tap.h"

static unsigned edges;

static void on_intr(void *opaque, bool level)
{
    edges += level;
}

/* As every PC firmware and kernel does it: vectors 0x20 and 0x28, all unmasked. */
static void initialise(struct i8259 *p, uint8_t icw4)
{
    i8259_init(p, on_intr, NULL);
    edges = 0;
    i8259_write(p, 0x20, 0x11);
    i8259_write(p, 0x21, 0x20);
    i8259_write(p, 0x21, 0x04);
    i8259_write(p, 0x21, icw4);
    i8259_write(p, 0xa0, 0x11);
    i8259_write(p, 0xa1, 0x28);
    i8259_write(p, 0xa1, 0x02);
    i8259_write(p, 0xa1, icw4);
    i8259_write(p, 0x21, 0x00);
    i8259_write(p, 0xa1, 0x00);
}

static void an_edge_is_latched_until_it_is_acknowledged(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_set_irq(&p, 4, true);
    i8259_set_irq(&p, 4, false);
    CHECK(i8259_pending(&p));
    CHECK_EQ(i8259_acknowledge(&p), 0x24);
    CHECK(!i8259_pending(&p));
    CHECK_EQ(i8259_acknowledge(&p), -1);
    i8259_set_irq(&p, 4, true);
    CHECK(!i8259_pending(&p)); /* in service until its EOI */
    i8259_write(&p, 0x20, 0x20);
    CHECK(i8259_pending(&p));
    CHECK_EQ(edges, 2);
}

static void a_higher_priority_input_interrupts_a_lower_one_and_not_the_other_way(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_set_irq(&p, 3, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x23);
    i8259_set_irq(&p, 5, true);
    CHECK(!i8259_pending(&p));
    i8259_set_irq(&p, 1, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x21);
    i8259_write(&p, 0x20, 0x0b); /* read ISR */
    CHECK_EQ(i8259_read(&p, 0x20), 0x0a);
    i8259_write(&p, 0x20, 0x20);
    CHECK_EQ(i8259_read(&p, 0x20), 0x08);
    i8259_write(&p, 0x20, 0x63); /* specific EOI of 3 */
    CHECK_EQ(i8259_acknowledge(&p), 0x25);
}

static void the_slave_interrupts_through_the_master(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_set_irq(&p, 12, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x2c);
    i8259_set_irq(&p, 9, true); /* higher, but the master's IR2 is in service */
    CHECK(!i8259_pending(&p));
    i8259_write(&p, 0x20, 0x20);
    CHECK_EQ(i8259_acknowledge(&p), 0x29);
    i8259_write(&p, 0xa0, 0x20);
    i8259_write(&p, 0x20, 0x20);
    CHECK(!i8259_pending(&p));
}

static void special_fully_nested_mode_lets_the_slave_nest(void)
{
    struct i8259 p;
    initialise(&p, 0x11);
    i8259_set_irq(&p, 12, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x2c);
    i8259_set_irq(&p, 9, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x29);
}

static void automatic_eoi_leaves_nothing_in_service_and_may_rotate(void)
{
    struct i8259 p;
    initialise(&p, 3);
    i8259_write(&p, 0x20, 0x80); /* rotate in automatic EOI mode */
    i8259_set_irq(&p, 0, true);
    i8259_set_irq(&p, 1, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x20);
    i8259_set_irq(&p, 0, false);
    i8259_set_irq(&p, 0, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x21); /* 0 is now the lowest */
    CHECK_EQ(i8259_acknowledge(&p), 0x20);
}

static void masked_inputs_wait_and_special_mask_mode_unblocks(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_write(&p, 0x21, 0x02);
    i8259_set_irq(&p, 1, true);
    CHECK(!i8259_pending(&p));
    i8259_write(&p, 0x21, 0x00);
    CHECK_EQ(i8259_acknowledge(&p), 0x21);
    i8259_set_irq(&p, 6, true);
    CHECK(!i8259_pending(&p));
    i8259_write(&p, 0x21, 0x02);
    i8259_write(&p, 0x20, 0x68); /* set special mask */
    CHECK_EQ(i8259_acknowledge(&p), 0x26);
    i8259_write(&p, 0x20, 0x20); /* does not touch the masked input 1 */
    i8259_write(&p, 0x20, 0x0b);
    CHECK_EQ(i8259_read(&p, 0x20), 0x02);
}

static void polling_acknowledges_without_an_interrupt_cycle(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_write(&p, 0x20, 0x0c);
    CHECK_EQ(i8259_read(&p, 0x20), 0);
    i8259_set_irq(&p, 7, true);
    i8259_write(&p, 0x20, 0x0c);
    CHECK_EQ(i8259_read(&p, 0x20), 0x87);
    CHECK(!i8259_pending(&p));
    CHECK_EQ(i8259_read(&p, 0x20), 0);
}

static void level_inputs_follow_their_line_and_elcr_keeps_the_fixed_bits(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_write(&p, 0x4d0, 0xff);
    i8259_write(&p, 0x4d1, 0xff);
    CHECK_EQ(i8259_read(&p, 0x4d0), 0xf8);
    CHECK_EQ(i8259_read(&p, 0x4d1), 0xde);
    i8259_set_irq(&p, 10, true);
    i8259_set_irq(&p, 10, false);
    CHECK(!i8259_pending(&p));
    i8259_set_irq(&p, 10, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x2a);
    i8259_write(&p, 0xa0, 0x20);
    i8259_write(&p, 0x20, 0x20);
    CHECK(i8259_pending(&p)); /* still asserted */
    i8259_set_irq(&p, 10, false);
    CHECK(!i8259_pending(&p));
}

static void a_rotation_moves_the_priorities(void)
{
    struct i8259 p;
    initialise(&p, 1);
    i8259_write(&p, 0x20, 0xc3); /* set priority: 3 is the lowest, 4 the highest */
    i8259_set_irq(&p, 3, true);
    i8259_set_irq(&p, 7, true);
    i8259_set_irq(&p, 4, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x24);
    i8259_write(&p, 0x20, 0xa0); /* rotate on non-specific EOI: 4 is the lowest */
    CHECK_EQ(i8259_acknowledge(&p), 0x27);
    i8259_write(&p, 0x20, 0x20);
    CHECK_EQ(i8259_acknowledge(&p), 0x23);
}

static void a_saved_pair_goes_on_where_it_was(void)
{
    struct i8259 p, q;
    struct state_writer w;
    struct state_reader r;
    initialise(&p, 1);
    i8259_set_irq(&p, 3, true);
    i8259_set_irq(&p, 12, true);
    CHECK_EQ(i8259_acknowledge(&p), 0x2c);
    state_writer_init(&w);
    i8259_save(&p, &w);
    state_reader_init(&r, w.data, w.len_bytes);
    i8259_init(&q, on_intr, NULL);
    edges = 0;
    CHECK_EQ(i8259_load(&q, &r), 0);
    CHECK_EQ(edges, 0);
    i8259_write(&q, 0xa0, 0x20);
    i8259_write(&q, 0x20, 0x20);
    CHECK_EQ(edges, 1);
    CHECK_EQ(i8259_acknowledge(&q), 0x23);
    w.data[32 + 10] = 9; /* the initialisation step */
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(i8259_load(&q, &r) < 0);
    state_writer_fini(&w);
}

int main(void)
{
    TAP_RUN(an_edge_is_latched_until_it_is_acknowledged);
    TAP_RUN(a_higher_priority_input_interrupts_a_lower_one_and_not_the_other_way);
    TAP_RUN(the_slave_interrupts_through_the_master);
    TAP_RUN(special_fully_nested_mode_lets_the_slave_nest);
    TAP_RUN(automatic_eoi_leaves_nothing_in_service_and_may_rotate);
    TAP_RUN(masked_inputs_wait_and_special_mask_mode_unblocks);
    TAP_RUN(polling_acknowledges_without_an_interrupt_cycle);
    TAP_RUN(level_inputs_follow_their_line_and_elcr_keeps_the_fixed_bits);
    TAP_RUN(a_rotation_moves_the_priorities);
    TAP_RUN(a_saved_pair_goes_on_where_it_was);
    return tap_done();
}
