#include "boot/smbios.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "boot/boot_layout.h"
#include "boot/smbios_wire.h"

#define MANUFACTURER "Virga"
#define PRODUCT      "Virga VM"
#define BIOS_DATE    "01/01/2026"

#define TABLES_MAX_BYTES  4096
#define TABLES_OFFSET     32 /* behind the entry point, aligned */
#define OTHER             1
#define UNKNOWN           2
#define NO_CHARACTERISTIC 0x08 /* type 0: "BIOS characteristics not supported" */
#define EXTENSION_VM      0x10 /* type 0: "describes a virtual machine" */
#define NO_ERROR_HANDLE   0xfffe
#define NO_CACHE_HANDLE   0xffff
#define SIZE_IN_EXTENDED  0x7fff
#define CAPACITY_EXTENDED 0x80000000u

enum {
    TYPE_BIOS = 0,
    TYPE_SYSTEM = 1,
    TYPE_CHASSIS = 3,
    TYPE_PROCESSOR = 4,
    TYPE_MEMORY_ARRAY = 16,
    TYPE_MEMORY_DEVICE = 17,
    TYPE_MEMORY_MAP = 19,
    TYPE_BOOT = 32,
    TYPE_END = 127,
};

struct tables {
    uint8_t data[TABLES_MAX_BYTES];
    size_t len;
    uint16_t next_handle;
    uint8_t n_strings; /* of the structure that is open */
    bool failed;
};

static void put(struct tables *t, const void *p, size_t len)
{
    if (len > sizeof(t->data) - t->len) {
        t->failed = true;
        return;
    }
    memcpy(t->data + t->len, p, len);
    t->len += len;
}

/* Appends a structure's formatted part; its strings follow, in the order of their numbers. Returns
 * its handle. */
static uint16_t begin(struct tables *t, void *structure, uint8_t type, size_t len)
{
    struct smbios_wire_header *h = structure;
    uint16_t handle = t->next_handle++;
    h->type = type;
    h->length = (uint8_t)len;
    h->handle = htole16(handle);
    t->n_strings = 0;
    put(t, structure, len);
    return handle;
}

static void string(struct tables *t, const char *s)
{
    char clean[SMBIOS_STRING_MAX + 1] = {0};
    for (size_t i = 0; i < SMBIOS_STRING_MAX && s[i]; i++)
        clean[i] = (unsigned char)s[i] < ' ' || s[i] == 0x7f ? '?' : s[i];
    /* An empty string would end the list. */
    put(t, *clean ? clean : " ", *clean ? strlen(clean) + 1 : 2);
    t->n_strings++;
}

/* The list of strings ends with an empty one; having none takes two NULs (6.1.3). */
static void end(struct tables *t)
{
    static const uint8_t nuls[2];
    put(t, nuls, t->n_strings ? 1 : 2);
}

static void put_bios(struct tables *t)
{
    struct smbios_wire_bios b = {.vendor = 1,
                                 .version = 2,
                                 .segment = htole16(0xe000),
                                 .date = 3,
                                 .characteristics = htole64(NO_CHARACTERISTIC),
                                 .extension = {0, EXTENSION_VM},
                                 .release = {0xff, 0xff},
                                 .ec_release = {0xff, 0xff}};
    begin(t, &b, TYPE_BIOS, sizeof(b));
    string(t, MANUFACTURER);
    string(t, VIRGA_VERSION);
    string(t, BIOS_DATE);
    end(t);
}

static void put_system(struct tables *t, const struct smbios_config *c)
{
    /* 7.2.1: the first three fields of the UUID are stored little-endian. */
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    struct smbios_wire_system s = {.manufacturer = 1,
                                   .product = 2,
                                   .version = 3,
                                   .serial = c->serial ? 4 : 0,
                                   .wakeup = 6 /* power switch */};
    for (unsigned i = 0; i < sizeof(s.uuid); i++)
        s.uuid[i] = c->uuid[order[i]];
    begin(t, &s, TYPE_SYSTEM, sizeof(s));
    string(t, MANUFACTURER);
    string(t, PRODUCT);
    string(t, VIRGA_VERSION);
    if (c->serial)
        string(t, c->serial);
    end(t);
}

static void put_chassis(struct tables *t, const struct smbios_config *c)
{
    struct smbios_wire_chassis s = {.manufacturer = 1,
                                    .type = OTHER,
                                    .asset_tag = c->name ? 2 : 0,
                                    .bootup_state = 3 /* safe */,
                                    .power_state = 3,
                                    .thermal_state = 3,
                                    .security = UNKNOWN};
    begin(t, &s, TYPE_CHASSIS, sizeof(s));
    string(t, MANUFACTURER);
    if (c->name)
        string(t, c->name);
    end(t);
}

static void put_processor(struct tables *t, const struct smbios_config *c)
{
    uint8_t cores = (uint8_t)MIN(c->n_vcpus, 0xffu);
    struct smbios_wire_processor p = {.socket = 1,
                                      .type = 3 /* central processor */,
                                      .family = OTHER,
                                      .manufacturer = 2,
                                      .status = 0x41 /* populated, enabled */,
                                      .upgrade = OTHER,
                                      .l1_handle = htole16(NO_CACHE_HANDLE),
                                      .l2_handle = htole16(NO_CACHE_HANDLE),
                                      .l3_handle = htole16(NO_CACHE_HANDLE),
                                      .cores = cores,
                                      .enabled_cores = cores,
                                      .threads = cores,
                                      .characteristics = htole16(0x04 /* 64-bit */),
                                      .family2 = htole16(OTHER),
                                      .cores2 = htole16((uint16_t)c->n_vcpus),
                                      .enabled_cores2 = htole16((uint16_t)c->n_vcpus),
                                      .threads2 = htole16((uint16_t)c->n_vcpus)};
    begin(t, &p, TYPE_PROCESSOR, sizeof(p));
    string(t, "CPU 0");
    string(t, MANUFACTURER);
    end(t);
}

static void put_memory(struct tables *t, const struct guest_mem *mem)
{
    uint64_t mib = mem->total_bytes / MIB, kib = mem->total_bytes / KIB;
    bool large = kib >= CAPACITY_EXTENDED;
    struct smbios_wire_memory_array a = {
        .location = OTHER,
        .use = 3 /* system memory */,
        .error_correction = 6 /* multi-bit */,
        .capacity_kib = htole32(large ? CAPACITY_EXTENDED : (uint32_t)kib),
        .error_handle = htole16(NO_ERROR_HANDLE),
        .n_devices = htole16(1),
        .extended_capacity_bytes = htole64(large ? mem->total_bytes : 0)};
    uint16_t array = begin(t, &a, TYPE_MEMORY_ARRAY, sizeof(a));
    end(t);

    struct smbios_wire_memory_device d = {
        .array_handle = htole16(array),
        .error_handle = htole16(NO_ERROR_HANDLE),
        .total_width = htole16(0xffff),
        .data_width = htole16(0xffff),
        .size_mib = htole16(mib < SIZE_IN_EXTENDED ? (uint16_t)mib : SIZE_IN_EXTENDED),
        .form_factor = 9 /* DIMM */,
        .locator = 1,
        .type = 7 /* RAM */,
        .type_detail = htole16(1 << OTHER),
        .manufacturer = 2,
        .extended_size_mib = htole32(mib < SIZE_IN_EXTENDED ? 0 : (uint32_t)mib)};
    begin(t, &d, TYPE_MEMORY_DEVICE, sizeof(d));
    string(t, "DIMM 0");
    string(t, MANUFACTURER);
    end(t);

    for (unsigned i = 0; i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        uint64_t last = r->gpa + r->size_bytes - 1;
        bool far = last / KIB >= UINT32_MAX;
        struct smbios_wire_memory_map m = {
            .first_kib = htole32(far ? UINT32_MAX : (uint32_t)(r->gpa / KIB)),
            .last_kib = htole32(far ? UINT32_MAX : (uint32_t)(last / KIB)),
            .array_handle = htole16(array),
            .partition_width = 1,
            .extended_first = htole64(far ? r->gpa : 0),
            .extended_last = htole64(far ? last : 0)};
        begin(t, &m, TYPE_MEMORY_MAP, sizeof(m));
        end(t);
    }
}

static void put_rest(struct tables *t)
{
    struct smbios_wire_boot b = {.status = 0 /* no errors detected */};
    struct smbios_wire_header last;
    begin(t, &b, TYPE_BOOT, sizeof(b));
    end(t);
    begin(t, &last, TYPE_END, sizeof(last));
    end(t);
}

int smbios_install(struct guest_mem *mem, const struct smbios_config *config, struct err *err)
{
    struct tables t = {.next_handle = 1};
    put_bios(&t);
    put_system(&t, config);
    put_chassis(&t, config);
    put_processor(&t, config);
    put_memory(&t, mem);
    put_rest(&t);
    struct smbios_wire_entry e = {.anchor = {'_', 'S', 'M', '3', '_'},
                                  .length = sizeof(e),
                                  .major = 3,
                                  .entry_revision = 1,
                                  .max_size = htole32((uint32_t)t.len),
                                  .address = htole64(BOOT_LAYOUT_SMBIOS + TABLES_OFFSET)};
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof(e); i++)
        sum = (uint8_t)(sum + ((const uint8_t *)&e)[i]);
    e.checksum = (uint8_t)-sum;
    if (t.failed)
        return err_set(err, ENOMEM, "the SMBIOS tables do not fit into %d bytes", TABLES_MAX_BYTES);
    if (guest_mem_write(mem, BOOT_LAYOUT_SMBIOS, &e, sizeof(e)) ||
        guest_mem_write(mem, BOOT_LAYOUT_SMBIOS + TABLES_OFFSET, t.data, t.len))
        return err_set(err, EFAULT, "no guest RAM for SMBIOS tables at 0x%x", BOOT_LAYOUT_SMBIOS);
    return 0;
}
