#include "dev/chipset/reset_ports.h"

#include "chipset_fixture.h"
#include "dev/chipset/debug_exit.h"
#include "dev/pci/pci.h"
#include "tap.h"

struct reset_test {
    struct fixture f;
    struct reset_ports p;
    struct debug_exit d;
    struct pci_root *pci;
    unsigned resets;
    int exit_code;
};

static void reset(void *opaque)
{
    struct reset_test *t = opaque;
    t->resets++;
}

static void exited(void *opaque, int code)
{
    struct reset_test *t = opaque;
    t->exit_code = code;
}

static void begin(struct reset_test *t)
{
    memset(t, 0, sizeof(*t));
    fixture_init(&t->f);
    CHECK_EQ(reset_ports_init(&t->p, &t->f.bus, reset, t, NULL), 0);
    CHECK_EQ(debug_exit_init(&t->d, &t->f.bus, exited, t, NULL), 0);
    t->pci = pci_root_create(&t->f.bus, 4 * MIB, NULL);
    pci_root_set_reset_control(t->pci, &t->p.control);
}

static void end(struct reset_test *t)
{
    pci_root_destroy(t->pci);
    debug_exit_fini(&t->d);
    reset_ports_fini(&t->p);
    fixture_fini(&t->f);
}

static void resets_by_the_fadts_register(void)
{
    struct reset_test t;
    begin(&t);
    out(&t.f, MEMORY_MAP_RESET_PORT, 1, MEMORY_MAP_RESET_VALUE);
    CHECK_EQ(t.resets, 1);
    end(&t);
}

static void resets_by_the_keyboard_controller(void)
{
    struct reset_test t;
    begin(&t);
    CHECK_EQ(in(&t.f, 0x64, 1) & 2, 0); /* input buffer empty: no waiting */
    out(&t.f, 0x64, 1, 0xf0);
    CHECK_EQ(t.resets, 1);
    out(&t.f, 0x64, 1, 0xff); /* pulses nothing */
    CHECK_EQ(t.resets, 1);
    out(&t.f, 0x64, 1, 0xd1);
    out(&t.f, 0x60, 1, 0xdf); /* output port: reset line stays high */
    CHECK_EQ(t.resets, 1);
    out(&t.f, 0x60, 1, 0x00); /* not a parameter any more */
    CHECK_EQ(t.resets, 1);
    out(&t.f, 0x64, 1, 0xd1);
    out(&t.f, 0x60, 1, 0xfe);
    CHECK_EQ(t.resets, 2);
    end(&t);
}

static void answers_the_controllers_self_test_and_has_no_keyboard(void)
{
    struct reset_test t;
    begin(&t);
    CHECK_EQ(in(&t.f, 0x64, 1) & 1, 0);
    out(&t.f, 0x64, 1, 0xaa);
    CHECK_EQ(in(&t.f, 0x64, 1) & 1, 1);
    CHECK_EQ(in(&t.f, 0x60, 1), 0x55);
    CHECK_EQ(in(&t.f, 0x64, 1) & 1, 0);
    out(&t.f, 0x64, 1, 0xab);
    CHECK(in(&t.f, 0x60, 1) != 0);
    out(&t.f, 0x64, 1, 0x20);
    CHECK_EQ(in(&t.f, 0x60, 1) & 0x30, 0x30);
    end(&t);
}

static void resets_by_port_92_and_keeps_its_a20_bit(void)
{
    struct reset_test t;
    begin(&t);
    CHECK_EQ(in(&t.f, 0x92, 1), 2);
    out(&t.f, 0x92, 1, 0);
    CHECK_EQ(in(&t.f, 0x92, 1), 0);
    CHECK_EQ(t.resets, 0);
    out(&t.f, 0x92, 1, 3);
    CHECK_EQ(t.resets, 1);
    CHECK_EQ(in(&t.f, 0x92, 1), 2);
    end(&t);
}

static void resets_by_port_cf9_inside_the_pci_address_register(void)
{
    struct reset_test t;
    begin(&t);
    out(&t.f, 0xcf8, 4, 0x80000000);
    out(&t.f, 0xcf9, 1, 0x02);
    CHECK_EQ(t.resets, 0);
    CHECK_EQ(in(&t.f, 0xcf9, 1), 0x02);
    out(&t.f, 0xcf9, 1, 0x06);
    CHECK_EQ(t.resets, 1);
    CHECK_EQ(in(&t.f, 0xcf8, 4), 0x80000000); /* the address register is another one */
    CHECK_EQ(in(&t.f, 0xcfc, 2), 0x1b36);
    out(&t.f, 0xcf8, 4, 0x80000600); /* and a dword there is no reset */
    out(&t.f, 0xcf9, 2, 0xffff);
    CHECK_EQ(t.resets, 1);
    out(&t.f, 0xcf9, 1, 0x0e); /* still set: no edge */
    CHECK_EQ(t.resets, 1);
    reset_ports_reset(&t.p);
    out(&t.f, 0xcf9, 1, 0x0e);
    CHECK_EQ(t.resets, 2);
    end(&t);
}

static void takes_any_width_at_any_offset(void)
{
    struct reset_test t;
    begin(&t);
    fixture_touch_all(&t.f, 0x60, 1);
    fixture_touch_all(&t.f, 0x64, 1);
    fixture_touch_all(&t.f, 0x92, 1);
    fixture_touch_all(&t.f, 0xcf8, 8);
    fixture_touch_all(&t.f, MEMORY_MAP_DEBUG_EXIT, 4);
    end(&t);
}

static void saves_and_loads(void)
{
    struct reset_test a, b;
    struct state_writer w;
    struct state_reader r;
    begin(&a);
    begin(&b);
    out(&a.f, 0x64, 1, 0xaa);
    out(&a.f, 0x64, 1, 0xd1);
    out(&a.f, 0x92, 1, 0);
    state_writer_init(&w);
    reset_ports_save(&a.p, &w);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(reset_ports_load(&b.p, &r), 0);
    CHECK_EQ(in(&b.f, 0x92, 1), 0);
    CHECK_EQ(in(&b.f, 0x60, 1), 0x55);
    out(&b.f, 0x60, 1, 0xfe);
    CHECK_EQ(b.resets, 1);
    state_writer_fini(&w);
    end(&a);
    end(&b);
}

static void reports_a_test_guests_result(void)
{
    struct reset_test t;
    begin(&t);
    out(&t.f, MEMORY_MAP_DEBUG_EXIT, 4, 0x10);
    CHECK_EQ(t.exit_code, 33);
    out(&t.f, MEMORY_MAP_DEBUG_EXIT, 1, 0);
    CHECK_EQ(t.exit_code, 1);
    out(&t.f, MEMORY_MAP_DEBUG_EXIT, 1, 0xff);
    CHECK_EQ(t.exit_code, 255);
    end(&t);
}

int main(void)
{
    TAP_RUN(resets_by_the_fadts_register);
    TAP_RUN(resets_by_the_keyboard_controller);
    TAP_RUN(answers_the_controllers_self_test_and_has_no_keyboard);
    TAP_RUN(resets_by_port_92_and_keeps_its_a20_bit);
    TAP_RUN(resets_by_port_cf9_inside_the_pci_address_register);
    TAP_RUN(takes_any_width_at_any_offset);
    TAP_RUN(saves_and_loads);
    TAP_RUN(reports_a_test_guests_result);
    return tap_done();
}
