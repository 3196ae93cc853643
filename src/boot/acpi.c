#include "boot/acpi.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/acpi_internal.h"
#include "boot/acpi_wire.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"

#define OEM_ID       "VIRGA "
#define OEM_TABLE_ID "VIRGAVMM"
#define CREATOR_ID   "VRGA"

#define LAPIC_ENABLED   1
#define ALL_PROCESSORS  0xff
#define IRQ_LEVEL_HIGH  0x000d /* MPS INTI flags: level-triggered, active high */
#define IOAPIC_ID       0
#define TIMER_GSI       2
#define CMOS_CENTURY    0x32
#define LATENCY_NO_C2   0x0fff /* above 100 us: there is no C2 */
#define LATENCY_NO_C3   0x0fff
#define RSDP_SUM_BYTES  20 /* those that ACPI 1.0 knows */
#define FADT_REVISION   6
#define FADT_MINOR      4
#define FACS_VERSION    2
#define DSDT_REVISION   2
#define PROFILE_UNKNOWN 0

/* The tables grow in `data`, which then goes to guest RAM at BOOT_LAYOUT_ACPI as a whole. */
struct tables {
    uint8_t *data;
    uint64_t len;
    uint64_t xsdt[4];
    unsigned n_xsdt;
    bool failed;
};

static uint8_t checksum(const void *p, size_t len)
{
    const uint8_t *b = p;
    uint8_t sum = 0;
    while (len--)
        sum = (uint8_t)(sum + *b++);
    return (uint8_t)-sum;
}

/* Room for `len` zeroed bytes on a boundary of `align`, or NULL. */
static void *take(struct tables *t, uint64_t len, uint64_t align)
{
    uint64_t at = align_up(t->len, align);
    if (!range_within(at, len, BOOT_LAYOUT_ACPI_BYTES)) {
        t->failed = true;
        return NULL;
    }
    t->len = at + len;
    return t->data + at;
}

static uint64_t gpa_of(const struct tables *t, const void *p)
{
    return BOOT_LAYOUT_ACPI + (uint64_t)((const uint8_t *)p - t->data);
}

/* Completes a table that has `len` bytes, header included, and returns its address. */
static uint64_t finish(struct tables *t, void *table, const char *signature, uint8_t revision,
                       size_t len)
{
    struct acpi_wire_header *h = table;
    memcpy(h->signature, signature, sizeof(h->signature));
    h->length = htole32((uint32_t)len);
    h->revision = revision;
    h->checksum = 0;
    memcpy(h->oem_id, OEM_ID, sizeof(h->oem_id));
    memcpy(h->oem_table_id, OEM_TABLE_ID, sizeof(h->oem_table_id));
    h->oem_revision = htole32(1);
    memcpy(h->creator_id, CREATOR_ID, sizeof(h->creator_id));
    h->creator_revision = htole32(1);
    h->checksum = checksum(table, len);
    return gpa_of(t, table);
}

static void list(struct tables *t, uint64_t gpa)
{
    if (t->n_xsdt < ARRAY_LEN(t->xsdt))
        t->xsdt[t->n_xsdt++] = gpa;
}

static uint64_t put_facs(struct tables *t)
{
    struct acpi_wire_facs *f = take(t, sizeof(*f), 64);
    if (!f)
        return 0;
    memcpy(f->signature, "FACS", sizeof(f->signature));
    f->length = htole32(sizeof(*f));
    f->version = FACS_VERSION;
    return gpa_of(t, f);
}

static uint64_t put_dsdt(struct tables *t, const struct acpi_config *c)
{
    struct acpi_wire_header *h = take(t, sizeof(*h), 16);
    struct aml a;
    if (!h)
        return 0;
    aml_init(&a, t->data + t->len, BOOT_LAYOUT_ACPI_BYTES - t->len);
    acpi_dsdt(&a, c);
    t->failed |= !aml_ok(&a);
    t->len += a.len_bytes;
    return finish(t, h, "DSDT", DSDT_REVISION, sizeof(*h) + a.len_bytes);
}

static struct acpi_wire_gas io_register(uint16_t port, uint8_t bytes, uint8_t access_size)
{
    return (struct acpi_wire_gas){.space = ACPI_WIRE_SPACE_IO,
                                  .bit_width = (uint8_t)(8 * bytes),
                                  .access_size = access_size,
                                  .address = htole64(port)};
}

static void put_fadt(struct tables *t, uint64_t facs, uint64_t dsdt)
{
    struct acpi_wire_fadt *f = take(t, sizeof(*f), 16);
    if (!f)
        return;
    f->firmware_ctrl = htole32((uint32_t)facs);
    f->dsdt = htole32((uint32_t)dsdt);
    f->x_dsdt = htole64(dsdt);
    f->preferred_pm_profile = PROFILE_UNKNOWN;
    f->sci_int = htole16(MEMORY_MAP_IRQ_SCI);
    f->pm1a_evt_blk = htole32(MEMORY_MAP_PM1A_EVT);
    f->pm1a_cnt_blk = htole32(MEMORY_MAP_PM1A_CNT);
    f->pm_tmr_blk = htole32(MEMORY_MAP_PM_TMR);
    f->gpe0_blk = htole32(MEMORY_MAP_GPE0);
    f->pm1_evt_len = 4;
    f->pm1_cnt_len = 2;
    f->pm_tmr_len = 4;
    f->gpe0_blk_len = 4;
    f->p_lvl2_lat = htole16(LATENCY_NO_C2);
    f->p_lvl3_lat = htole16(LATENCY_NO_C3);
    f->century = CMOS_CENTURY;
    f->iapc_boot_arch = htole16(ACPI_WIRE_BOOT_NO_VGA | ACPI_WIRE_BOOT_NO_ASPM);
    f->flags =
        htole32(ACPI_WIRE_FADT_WBINVD | ACPI_WIRE_FADT_PROC_C1 | ACPI_WIRE_FADT_SLP_BUTTON |
                ACPI_WIRE_FADT_FIX_RTC | ACPI_WIRE_FADT_TMR_VAL_EXT | ACPI_WIRE_FADT_RESET_REG);
    f->reset_reg = io_register(MEMORY_MAP_RESET_PORT, 1, 1);
    f->reset_value = MEMORY_MAP_RESET_VALUE;
    f->minor_version = FADT_MINOR;
    f->x_pm1a_evt_blk = io_register(MEMORY_MAP_PM1A_EVT, 4, 2);
    f->x_pm1a_cnt_blk = io_register(MEMORY_MAP_PM1A_CNT, 2, 2);
    f->x_pm_tmr_blk = io_register(MEMORY_MAP_PM_TMR, 4, 3);
    f->x_gpe0_blk = io_register(MEMORY_MAP_GPE0, 4, 1);
    memcpy(f->hypervisor_id, OEM_TABLE_ID, sizeof(f->hypervisor_id));
    list(t, finish(t, f, "FACP", FADT_REVISION, sizeof(*f)));
}

static void put_madt(struct tables *t, const struct acpi_config *c)
{
    struct acpi_wire_madt *m = take(t, sizeof(*m), 16);
    uint64_t begin = t->len - sizeof(*m);
    for (unsigned i = 0; i < c->n_vcpus; i++) {
        struct acpi_wire_madt_lapic *l = take(t, sizeof(*l), 1);
        if (l)
            *l = (struct acpi_wire_madt_lapic){0, sizeof(*l), (uint8_t)i, (uint8_t)i,
                                               htole32(LAPIC_ENABLED)};
    }
    struct acpi_wire_madt_ioapic *io = take(t, sizeof(*io), 1);
    struct acpi_wire_madt_override *timer = take(t, sizeof(*timer), 1);
    struct acpi_wire_madt_override *sci = take(t, sizeof(*sci), 1);
    struct acpi_wire_madt_nmi *nmi = take(t, sizeof(*nmi), 1);
    if (t->failed)
        return;
    m->lapic_address = htole32((uint32_t)MEMORY_MAP_LAPIC_BASE);
    m->flags = htole32(ACPI_WIRE_MADT_PCAT);
    *io = (struct acpi_wire_madt_ioapic){
        1, sizeof(*io), IOAPIC_ID, 0, htole32((uint32_t)MEMORY_MAP_IOAPIC_BASE), 0};
    *timer = (struct acpi_wire_madt_override){
        2, sizeof(*timer), 0, MEMORY_MAP_IRQ_TIMER, htole32(TIMER_GSI), 0};
    *sci = (struct acpi_wire_madt_override){2,
                                            sizeof(*sci),
                                            0,
                                            MEMORY_MAP_IRQ_SCI,
                                            htole32(MEMORY_MAP_IRQ_SCI),
                                            htole16(IRQ_LEVEL_HIGH)};
    *nmi = (struct acpi_wire_madt_nmi){4, sizeof(*nmi), ALL_PROCESSORS, 0, 1};
    list(t, finish(t, m, "APIC", 5, t->len - begin));
}

static void put_mcfg(struct tables *t)
{
    struct acpi_wire_mcfg *m = take(t, sizeof(*m), 16);
    if (!m)
        return;
    m->base = htole64(MEMORY_MAP_ECAM_BASE);
    m->bus_last = (uint8_t)(MEMORY_MAP_ECAM_SIZE / MIB - 1); /* a bus takes 1 MiB */
    list(t, finish(t, m, "MCFG", 1, sizeof(*m)));
}

static void put_root(struct tables *t, struct acpi_wire_rsdp *rsdp)
{
    size_t len = sizeof(struct acpi_wire_header) + t->n_xsdt * sizeof(uint64_t);
    uint8_t *xsdt = take(t, len, 16);
    if (!xsdt)
        return;
    for (unsigned i = 0; i < t->n_xsdt; i++)
        le64_write(xsdt + sizeof(struct acpi_wire_header) + i * sizeof(uint64_t), t->xsdt[i]);
    memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
    memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
    rsdp->revision = 2;
    rsdp->length = htole32(sizeof(*rsdp));
    rsdp->xsdt = htole64(finish(t, xsdt, "XSDT", 1, len));
    rsdp->checksum = checksum(rsdp, RSDP_SUM_BYTES);
    rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int acpi_install(struct guest_mem *mem, const struct acpi_config *config, uint64_t *rsdp_gpa,
                 struct err *err)
{
    if (!config->n_vcpus || config->n_vcpus > ACPI_VCPUS_MAX)
        return err_set(err, EINVAL, "ACPI tables cannot name %u vCPUs, only 1 to %d",
                       config->n_vcpus, ACPI_VCPUS_MAX);
    CLEANUP_FREE uint8_t *data = calloc(1, BOOT_LAYOUT_ACPI_BYTES);
    if (!data)
        return err_set(err, ENOMEM, "could not allocate %d bytes for ACPI tables",
                       BOOT_LAYOUT_ACPI_BYTES);
    struct tables t = {.data = data};
    struct acpi_wire_rsdp *rsdp = take(&t, sizeof(*rsdp), 16);
    uint64_t facs = put_facs(&t);
    put_fadt(&t, facs, put_dsdt(&t, config));
    put_madt(&t, config);
    put_mcfg(&t);
    put_root(&t, rsdp);
    if (t.failed)
        return err_set(err, ENOMEM, "the ACPI tables do not fit into %d bytes",
                       BOOT_LAYOUT_ACPI_BYTES);
    if (guest_mem_write(mem, BOOT_LAYOUT_ACPI, data, t.len))
        return err_set(err, EFAULT, "no guest RAM for ACPI tables at 0x%x", BOOT_LAYOUT_ACPI);
    *rsdp_gpa = gpa_of(&t, rsdp);
    return 0;
}
