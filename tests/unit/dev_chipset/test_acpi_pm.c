#include "dev/chipset/acpi_pm.h"

#include "chipset_fixture.h"
#include "dev/chipset/pci_hotplug.h"
#include "dev/chipset/vmgenid.h"
#include "tap.h"

#define SCI    MEMORY_MAP_IRQ_SCI
#define PM1    MEMORY_MAP_PM1A_EVT
#define CNT    MEMORY_MAP_PM1A_CNT
#define TMR    MEMORY_MAP_PM_TMR
#define GPE    MEMORY_MAP_GPE0
#define HP     MEMORY_MAP_PCI_HOTPLUG
#define PWRBTN 0x100

struct pm_test {
    struct fixture f;
    struct acpi_pm pm;
    struct pci_hotplug hp;
    unsigned power_offs;
    uint32_t ejected;
};

static void off(void *opaque)
{
    struct pm_test *t = opaque;
    t->power_offs++;
}

static void eject(void *opaque, unsigned slot)
{
    struct pm_test *t = opaque;
    t->ejected |= 1u << slot;
    pci_hotplug_unplugged(&t->hp, slot);
}

static void begin(struct pm_test *t)
{
    memset(t, 0, sizeof(*t));
    fixture_init(&t->f);
    CHECK_EQ(acpi_pm_init(&t->pm, &t->f.bus, t->f.loop, off, t, NULL), 0);
    CHECK_EQ(pci_hotplug_init(&t->hp, &t->f.bus, &t->pm, eject, t, NULL), 0);
}

static void end(struct pm_test *t)
{
    pci_hotplug_fini(&t->hp);
    acpi_pm_fini(&t->pm);
    fixture_fini(&t->f);
}

static void raises_the_sci_while_an_enabled_event_is_pending(void)
{
    struct pm_test t;
    begin(&t);
    CHECK(!acpi_pm_press_power_button(&t.pm)); /* the guest does not listen yet */
    out(&t.f, PM1 + 2, 2, PWRBTN);
    CHECK_EQ(in(&t.f, PM1, 2), 0); /* a press that was refused does not come later */
    CHECK(!t.f.level[SCI]);
    CHECK(acpi_pm_press_power_button(&t.pm));
    CHECK(t.f.level[SCI]);
    CHECK_EQ(in(&t.f, PM1, 2), PWRBTN);
    out(&t.f, PM1 + 2, 2, 0);
    CHECK(!t.f.level[SCI]);
    out(&t.f, PM1 + 2, 2, PWRBTN);
    CHECK(t.f.level[SCI]);
    out(&t.f, PM1, 2, PWRBTN);
    CHECK(!t.f.level[SCI]);
    CHECK_EQ(in(&t.f, PM1, 2), 0);
    CHECK(acpi_pm_press_power_button(&t.pm));
    CHECK(t.f.level[SCI]);
    out(&t.f, PM1 + 1, 1, 1); /* by byte, as some kernels do */
    CHECK(!t.f.level[SCI]);
    end(&t);
}

static void counts_at_3_579545_mhz_in_32_bits(void)
{
    struct pm_test t;
    begin(&t);
    uint32_t first = in(&t.f, TMR, 4);
    loop_advance_ns(t.f.loop, S);
    CHECK_EQ(in(&t.f, TMR, 4) - first, 3579545);
    loop_advance_ns(t.f.loop, 2400 * S);
    CHECK_EQ(in(&t.f, TMR, 4) - first, (uint32_t)(UINT64_C(2401) * 3579545));
    CHECK_EQ(in(&t.f, TMR + 2, 2), in(&t.f, TMR, 4) >> 16);
    out(&t.f, TMR, 4, 0);
    CHECK_EQ(in(&t.f, TMR, 4) - first, (uint32_t)(UINT64_C(2401) * 3579545));
    end(&t);
}

static void powers_off_on_s5_only(void)
{
    struct pm_test t;
    begin(&t);
    CHECK_EQ(in(&t.f, CNT, 2), 1); /* SCI_EN: ACPI mode from the start */
    out(&t.f, CNT, 2, 1 | MEMORY_MAP_S5_SLP_TYP << 10);
    CHECK_EQ(t.power_offs, 0);
    out(&t.f, CNT, 2, 1 | 1 << 10 | 1 << 13);
    CHECK_EQ(t.power_offs, 0);
    out(&t.f, CNT, 2, 1 | MEMORY_MAP_S5_SLP_TYP << 10 | 1 << 13);
    CHECK_EQ(t.power_offs, 1);
    CHECK_EQ(in(&t.f, CNT, 2) & 1 << 13, 0); /* SLP_EN reads 0 */
    end(&t);
}

static void tells_of_slots_that_come_and_go(void)
{
    struct pm_test t;
    begin(&t);
    out(&t.f, GPE + 2, 1, 1 << MEMORY_MAP_GPE_PCI_HOTPLUG);
    pci_hotplug_plugged(&t.hp, 2, false); /* there from the start */
    CHECK(!t.f.level[SCI]);
    pci_hotplug_plugged(&t.hp, 5, true);
    CHECK(t.f.level[SCI]);
    CHECK_EQ(in(&t.f, GPE, 1), 1 << MEMORY_MAP_GPE_PCI_HOTPLUG);
    out(&t.f, GPE, 1, 0xff);
    CHECK(!t.f.level[SCI]);
    CHECK_EQ(in(&t.f, HP, 4), 1u << 5);
    CHECK_EQ(in(&t.f, HP, 4), 0); /* told once */
    CHECK_EQ(in(&t.f, HP + 12, 4), 1u << 5 | 1u << 2);
    pci_hotplug_request_eject(&t.hp, 2);
    CHECK(t.f.level[SCI]);
    CHECK_EQ(in(&t.f, HP + 4, 4), 1u << 2);
    out(&t.f, HP + 8, 4, 1u << 2 | 1u << 9); /* slot 9 is empty: nothing to eject */
    CHECK_EQ(t.ejected, 1u << 2);
    CHECK_EQ(in(&t.f, HP + 12, 4), 1u << 5);
    end(&t);
}

static void ignores_hot_plug_accesses_of_other_widths(void)
{
    struct pm_test t;
    begin(&t);
    pci_hotplug_plugged(&t.hp, 1, true);
    fixture_touch_all(&t.f, HP + 9, 7);
    CHECK_EQ(in(&t.f, HP, 1), 0xff);
    CHECK_EQ(in(&t.f, HP, 2), 0xffff);
    CHECK_EQ(in(&t.f, HP + 2, 4), 0xffffffff);
    CHECK_EQ(t.ejected, 0);
    CHECK_EQ(in(&t.f, HP, 4), 2); /* still there */
    end(&t);
}

static void takes_any_width_at_any_offset(void)
{
    struct pm_test t;
    begin(&t);
    fixture_touch_all(&t.f, PM1, 0x60);
    CHECK_EQ(in(&t.f, PM1 + 3, 2), 0xffff); /* across two blocks: nobody's */
    end(&t);
}

static void forgets_events_at_a_reset(void)
{
    struct pm_test t;
    begin(&t);
    out(&t.f, PM1 + 2, 2, PWRBTN);
    acpi_pm_press_power_button(&t.pm);
    pci_hotplug_plugged(&t.hp, 3, true);
    CHECK(t.f.level[SCI]);
    acpi_pm_reset(&t.pm);
    pci_hotplug_reset(&t.hp);
    CHECK(!t.f.level[SCI]);
    CHECK_EQ(in(&t.f, PM1, 4), 0);
    CHECK_EQ(in(&t.f, GPE, 4), 0);
    CHECK_EQ(in(&t.f, HP, 4), 0);
    CHECK_EQ(in(&t.f, HP + 12, 4), 1u << 3);
    end(&t);
}

static void saves_and_loads_events_and_timer(void)
{
    struct pm_test a, b;
    struct state_writer w;
    struct state_reader r;
    begin(&a);
    begin(&b);
    loop_advance_ns(a.f.loop, 1234567890);
    out(&a.f, PM1 + 2, 2, PWRBTN);
    acpi_pm_press_power_button(&a.pm);
    pci_hotplug_plugged(&a.hp, 3, true);
    pci_hotplug_plugged(&b.hp, 3, false);
    state_writer_init(&w);
    acpi_pm_save(&a.pm, &w);
    pci_hotplug_save(&a.hp, &w);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(acpi_pm_load(&b.pm, &r), 0);
    CHECK_EQ(pci_hotplug_load(&b.hp, &r), 0);
    CHECK(b.f.level[SCI]);
    CHECK_EQ(in(&b.f, TMR, 4), in(&a.f, TMR, 4));
    CHECK_EQ(in(&b.f, PM1, 4), in(&a.f, PM1, 4));
    CHECK_EQ(in(&b.f, GPE, 4), in(&a.f, GPE, 4));
    CHECK_EQ(in(&b.f, HP, 4), 1u << 3);
    /* A timer that ran for longer than machines do is refused, not overflowed. */
    memset(w.data + 32 + 10, 0x7f, 8);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(acpi_pm_load(&b.pm, &r) < 0);
    CHECK_EQ(in(&b.f, TMR, 4), in(&a.f, TMR, 4));
    state_writer_fini(&w);
    /* A machine with other slots in use is not the one that was saved. */
    state_writer_init(&w);
    pci_hotplug_save(&a.hp, &w);
    pci_hotplug_unplugged(&b.hp, 3);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK(pci_hotplug_load(&b.hp, &r) < 0);
    state_writer_fini(&w);
    end(&a);
    end(&b);
}

static void changes_the_generation_id_in_guest_memory_and_says_so(void)
{
    struct pm_test t;
    struct guest_mem mem;
    struct vmgenid v, w;
    struct state_writer sw;
    struct state_reader sr;
    uint8_t first[16], second[16];
    begin(&t);
    REQUIRE(guest_mem_init(&mem, 2 * MIB, 0, NULL) == 0);
    out(&t.f, GPE + 2, 1, 1 << MEMORY_MAP_GPE_VMGENID);
    vmgenid_init(&v, &mem, &t.pm, 0xef000);
    CHECK_EQ(vmgenid_renew(&v, false, NULL), 0);
    guest_mem_read(&mem, 0xef000, first, 16);
    CHECK(!t.f.level[SCI]);
    CHECK_EQ(vmgenid_renew(&v, true, NULL), 0);
    guest_mem_read(&mem, 0xef000, second, 16);
    CHECK(t.f.level[SCI]);
    CHECK(memcmp(first, second, 16) != 0);
    memset(guest_mem_ptr(&mem, 0xef000, 16), 0, 16);
    CHECK_EQ(vmgenid_publish(&v, NULL), 0);
    CHECK(!memcmp(guest_mem_ptr(&mem, 0xef000, 16), second, 16));
    state_writer_init(&sw);
    vmgenid_save(&v, &sw);
    vmgenid_init(&w, &mem, &t.pm, 4 * MIB);
    state_reader_init(&sr, sw.data, sw.len_bytes);
    CHECK_EQ(vmgenid_load(&w, &sr), 0);
    CHECK(!memcmp(w.id, second, 16));
    CHECK(vmgenid_publish(&w, NULL) < 0); /* not RAM there */
    state_writer_fini(&sw);
    guest_mem_fini(&mem);
    end(&t);
}

int main(void)
{
    TAP_RUN(raises_the_sci_while_an_enabled_event_is_pending);
    TAP_RUN(counts_at_3_579545_mhz_in_32_bits);
    TAP_RUN(powers_off_on_s5_only);
    TAP_RUN(tells_of_slots_that_come_and_go);
    TAP_RUN(ignores_hot_plug_accesses_of_other_widths);
    TAP_RUN(takes_any_width_at_any_offset);
    TAP_RUN(forgets_events_at_a_reset);
    TAP_RUN(saves_and_loads_events_and_timer);
    TAP_RUN(changes_the_generation_id_in_guest_memory_and_says_so);
    return tap_done();
}
