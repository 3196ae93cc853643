#include "boot/acpi.h"

#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/acpi_wire.h"
#include "boot/aml.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"
#include "tap.h"

static struct guest_mem mem;
static struct err err;

static const struct acpi_config full = {.n_vcpus = 4,
                                        .pci64_base = UINT64_C(0x100000000),
                                        .pci64_size_bytes = MEMORY_MAP_PCI64_SIZE,
                                        .hotplug_slots = 0xfffffffe,
                                        .com1 = true,
                                        .com2 = true,
                                        .vmgenid = true,
                                        .fw_cfg = true};

static const void *at(uint64_t gpa)
{
    return guest_mem_ptr(&mem, gpa, 1);
}

static unsigned sum(const void *p, size_t len)
{
    const uint8_t *b = p;
    unsigned s = 0;
    while (len--)
        s += *b++;
    return s & 0xff;
}

/* Follows the XSDT to a table, checking all sums on the way; NULL if there is none. */
static const struct acpi_wire_header *table(uint64_t rsdp_gpa, const char *signature)
{
    const struct acpi_wire_rsdp *rsdp = at(rsdp_gpa);
    const struct acpi_wire_header *xsdt = at(rsdp->xsdt);
    CHECK(!memcmp(rsdp->signature, "RSD PTR ", 8));
    CHECK_EQ(sum(rsdp, 20), 0);
    CHECK_EQ(sum(rsdp, 36), 0);
    CHECK_EQ(sum(xsdt, xsdt->length), 0);
    for (size_t i = 0; i < (xsdt->length - sizeof(*xsdt)) / 8; i++) {
        uint64_t gpa = le64_read((const uint8_t *)(xsdt + 1) + 8 * i);
        const struct acpi_wire_header *t = at(gpa);
        CHECK_EQ(sum(t, t->length), 0);
        CHECK(gpa + t->length <= BOOT_LAYOUT_ACPI + BOOT_LAYOUT_ACPI_BYTES);
        if (!memcmp(t->signature, signature, 4))
            return t;
    }
    return NULL;
}

static void builds_tables_whose_sums_and_addresses_are_right(void)
{
    uint64_t rsdp = 0;
    REQUIRE(acpi_install(&mem, &full, &rsdp, &err) == 0);
    CHECK_EQ(rsdp % 16, 0);
    CHECK(rsdp >= 0xe0000 && rsdp < 0x100000);
    const struct acpi_wire_fadt *f = (const void *)table(rsdp, "FACP");
    REQUIRE(f);
    CHECK_EQ(f->x_dsdt, f->dsdt);
    CHECK_EQ(f->pm_tmr_blk, MEMORY_MAP_PM_TMR);
    CHECK_EQ(f->x_pm1a_evt_blk.address, MEMORY_MAP_PM1A_EVT);
    CHECK_EQ(f->smi_cmd, 0);
    const struct acpi_wire_header *dsdt = at(f->dsdt);
    CHECK(!memcmp(dsdt->signature, "DSDT", 4));
    CHECK_EQ(sum(dsdt, dsdt->length), 0);
    CHECK_EQ(f->firmware_ctrl % 64, 0);
    CHECK(!memcmp(at(f->firmware_ctrl), "FACS", 4));
    const struct acpi_wire_mcfg *m = (const void *)table(rsdp, "MCFG");
    REQUIRE(m);
    CHECK_EQ(m->base, MEMORY_MAP_ECAM_BASE);
    CHECK_EQ(m->bus_last, 0);
}

static void lists_every_vcpu_and_the_lines_that_are_not_isa_like(void)
{
    uint64_t rsdp = 0;
    unsigned cpus = 0, overrides = 0;
    REQUIRE(acpi_install(&mem, &full, &rsdp, &err) == 0);
    const struct acpi_wire_header *m = table(rsdp, "APIC");
    REQUIRE(m);
    const uint8_t *p = (const uint8_t *)m + sizeof(struct acpi_wire_madt);
    while (p < (const uint8_t *)m + m->length) {
        REQUIRE(p[1] >= 6);
        if (p[0] == 0)
            CHECK_EQ(p[3], cpus++);
        if (p[0] == 2) {
            const struct acpi_wire_madt_override *o = (const void *)p;
            CHECK_EQ(o->gsi, o->source ? MEMORY_MAP_IRQ_SCI : 2);
            CHECK_EQ(o->flags, o->source ? 0xd : 0);
            overrides++;
        }
        p += p[1];
    }
    CHECK_EQ(cpus, 4);
    CHECK_EQ(overrides, 2);
}

static void fits_with_as_many_vcpus_as_it_can_name(void)
{
    struct acpi_config c = full;
    uint64_t rsdp;
    c.n_vcpus = ACPI_VCPUS_MAX;
    CHECK_EQ(acpi_install(&mem, &c, &rsdp, &err), 0);
    c.n_vcpus++;
    CHECK_EQ(acpi_install(&mem, &c, &rsdp, &err), -EINVAL);
    c.n_vcpus = 0;
    CHECK_EQ(acpi_install(&mem, &c, &rsdp, &err), -EINVAL);
}

static void encodes_package_lengths_of_one_two_and_three_bytes(void)
{
    static const struct {
        unsigned body;
        uint8_t bytes[3];
        unsigned n;
    } cases[] = {
        {62, {0x3f}, 1},
        {63, {0x41, 0x04}, 2},
        {4093, {0x4f, 0xff}, 2},
        {4094, {0x81, 0x00, 0x01}, 3},
    };
    static uint8_t buf[8192];
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct aml a;
        aml_init(&a, buf, sizeof(buf));
        aml_package(&a, 0); /* one byte of the body */
        for (unsigned j = 1; j < cases[i].body; j++)
            aml_int(&a, 0);
        aml_end(&a);
        REQUIRE(aml_ok(&a));
        CHECK_EQ(a.len_bytes, 1 + cases[i].n + cases[i].body);
        CHECK(!memcmp(buf + 1, cases[i].bytes, cases[i].n));
    }
}

static void encodes_names_and_ids_as_the_specification_shows(void)
{
    uint8_t buf[64];
    struct aml a;
    aml_init(&a, buf, sizeof(buf));
    aml_path(&a, "\\_SB.PCI0.S1");
    CHECK_EQ(a.len_bytes, 15);
    CHECK(!memcmp(buf, "\\\x2f\x03_SB_PCI0S1__", 15));
    aml_init(&a, buf, sizeof(buf));
    aml_eisa_id(&a, "PNP0A08");
    CHECK(!memcmp(buf, "\x0c\x41\xd0\x0a\x08", 5));
}

static void remembers_that_a_buffer_was_too_small(void)
{
    uint8_t buf[40];
    for (size_t cap = 0; cap < sizeof(buf); cap++) {
        struct aml a;
        aml_init(&a, buf, cap);
        aml_device(&a, "DEV0");
        aml_declare(&a, "_HID");
        aml_string(&a, "ACPI0007");
        aml_end(&a);
        CHECK_EQ(aml_ok(&a), cap >= 22);
        CHECK(a.len_bytes <= cap);
    }
    struct aml a;
    aml_init(&a, buf, sizeof(buf));
    aml_scope(&a, "X");
    CHECK(!aml_ok(&a)); /* still open */
}

static bool has_iasl(void)
{
    return system("command -v iasl >/dev/null 2>&1") == 0;
}

/* Disassembles the DSDT of `c` in a directory of its own, compiles the result again, and greps for
 * each of `words`. */
static void disassemble(const struct acpi_config *c, const char *const *words, unsigned n_words)
{
    char dir[] = "/tmp/virga-acpi-XXXXXX", command[512];
    uint64_t rsdp = 0;
    REQUIRE(acpi_install(&mem, c, &rsdp, &err) == 0);
    const struct acpi_wire_fadt *f = (const void *)table(rsdp, "FACP");
    const struct acpi_wire_header *dsdt = at(f->dsdt);
    REQUIRE(mkdtemp(dir));
    snprintf(command, sizeof(command), "%s/dsdt.aml", dir);
    FILE *file = fopen(command, "wb");
    REQUIRE(file);
    fwrite(dsdt, 1, dsdt->length, file);
    fclose(file);
    snprintf(command, sizeof(command),
             "cd %s && iasl -d dsdt.aml >d.log 2>&1 && ! grep -qiE 'error|warning|invalid' d.log "
             "&& iasl -p again dsdt.dsl >c.log 2>&1 && grep -q ' 0 Errors, 0 Warnings' c.log",
             dir);
    CHECK_EQ(system(command), 0);
    for (unsigned i = 0; i < n_words; i++) {
        snprintf(command, sizeof(command), "grep -qF '%s' %s/dsdt.dsl", words[i], dir);
        if (system(command)) {
            printf("# not in the DSDT: %s\n", words[i]);
            CHECK(!"the DSDT has it");
        }
    }
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    CHECK_EQ(system(command), 0);
}

static void writes_a_dsdt_that_iasl_takes_apart_and_puts_together(void)
{
    static const char *const words[] = {
        "Device (PCI0)",
        "Device (S01)",
        "Device (S1F)",
        "Device (COM1)",
        "Device (COM2)",
        "Device (RTC0)",
        "Device (VGEN)",
        "Device (FWCF)",
        "Device (C003)",
        "Method (_E01,",
        "Method (_E02,",
        "Name (_S5",
        "Name (_PRT",
        "0x00000010FFFFFFFF",
        "Notify (\\_SB.VGEN, 0x80)",
        "\\_SB.PCI0.NTFY (\\_SB.PCI0.PCIU, One)",
        "PCEJ = 0x80000000",
    };
    if (!has_iasl())
        SKIP("iasl is not installed (package acpica-tools)");
    disassemble(&full, words, ARRAY_LEN(words));
}

static void writes_a_small_dsdt_for_a_small_machine(void)
{
    static const char *const words[] = {"Device (PCI0)", "Device (C000)"};
    const struct acpi_config small = {.n_vcpus = 1};
    if (!has_iasl())
        SKIP("iasl is not installed (package acpica-tools)");
    disassemble(&small, words, ARRAY_LEN(words));
}

int main(void)
{
    if (guest_mem_init(&mem, 4 * MIB, 0, &err)) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    TAP_RUN(builds_tables_whose_sums_and_addresses_are_right);
    TAP_RUN(lists_every_vcpu_and_the_lines_that_are_not_isa_like);
    TAP_RUN(fits_with_as_many_vcpus_as_it_can_name);
    TAP_RUN(encodes_package_lengths_of_one_two_and_three_bytes);
    TAP_RUN(encodes_names_and_ids_as_the_specification_shows);
    TAP_RUN(remembers_that_a_buffer_was_too_small);
    TAP_RUN(writes_a_dsdt_that_iasl_takes_apart_and_puts_together);
    TAP_RUN(writes_a_small_dsdt_for_a_small_machine);
    guest_mem_fini(&mem);
    return tap_done();
}
