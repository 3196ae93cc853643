#include "dev/chipset/fw_cfg.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "bus/memory_map.h"

#define KEY_SIGNATURE  0x00
#define KEY_FEATURES   0x01
#define KEY_DIRECTORY  0x19
#define KEY_FIRST_FILE 0x20
#define KEY_NONE       0xffff

#define FEATURE_PORTS 1
#define FEATURE_DMA   2

#define PORTS_BYTES   12
#define REG_SELECTOR  0
#define REG_DATA      1
#define REG_DMA       4
#define REG_DMA_LOW   8
#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */

/* The DMA descriptor in guest RAM, big-endian. */
struct descriptor {
    uint32_t control;
    uint32_t length;
    uint64_t address;
};
static_assert(sizeof(struct descriptor) == 16, "fw_cfg DMA descriptor");

#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u

/* An entry of the directory, big-endian; behind a 32-bit count. */
struct entry {
    uint32_t size;
    uint16_t select;
    uint16_t reserved;
    char name[FW_CFG_NAME_BYTES];
};
static_assert(sizeof(struct entry) == 64, "fw_cfg directory entry");

/* What a read behind an item's end may ask for: zeroes, but not without bound. */
#define ZEROES_MAX_BYTES (64 * KIB)

static const struct fw_cfg_item *find(const struct fw_cfg *f, uint16_t key)
{
    for (unsigned i = 0; i < f->n_items; i++)
        if (f->items[i].key == key)
            return &f->items[i];
    unsigned file = key - (unsigned)KEY_FIRST_FILE;
    return key >= KEY_FIRST_FILE && file < f->n_files ? &f->files[file].item : NULL;
}

/* The directory is made up while it is read: byte `at` of it. */
static uint8_t directory_byte(const struct fw_cfg *f, uint32_t at)
{
    uint32_t count = htobe32(f->n_files);
    if (at < sizeof(count))
        return ((const uint8_t *)&count)[at];
    at -= (uint32_t)sizeof(count);
    const struct fw_cfg_file *file = &f->files[at / sizeof(struct entry)];
    struct entry e = {.size = htobe32(file->item.len), .select = htobe16(file->item.key)};
    memcpy(e.name, file->name, sizeof(e.name));
    return ((const uint8_t *)&e)[at % sizeof(e)];
}

static uint32_t selected_len(const struct fw_cfg *f)
{
    if (f->selected == KEY_DIRECTORY)
        return (uint32_t)(sizeof(uint32_t) + f->n_files * sizeof(struct entry));
    const struct fw_cfg_item *item = find(f, f->selected);
    return item ? item->len : 0;
}

/* Copies out of the selected item, from its current position on; `len` is within it. */
static void take(struct fw_cfg *f, uint8_t *to, uint32_t len)
{
    const struct fw_cfg_item *item = find(f, f->selected);
    if (f->selected == KEY_DIRECTORY)
        for (uint32_t i = 0; i < len; i++)
            to[i] = directory_byte(f, f->offset + i);
    else if (item && len)
        memcpy(to, (item->data ? item->data : item->small) + f->offset, len);
    f->offset += len;
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
    f->selected = key;
    f->offset = 0;
}

static uint32_t left(const struct fw_cfg *f)
{
    uint32_t len = selected_len(f);
    return f->offset < len ? len - f->offset : 0;
}

/* Reads `len` bytes of the item, then zeroes, into guest RAM. */
static bool dma_read(struct fw_cfg *f, uint64_t gpa, uint32_t len)
{
    uint32_t data = MIN(len, left(f));
    if (len - data > ZEROES_MAX_BYTES)
        return false;
    while (len) {
        uint64_t n = MIN(guest_mem_contiguous(f->mem, gpa), len);
        uint8_t *to = n ? guest_mem_ptr(f->mem, gpa, n) : NULL;
        if (!to)
            return false;
        uint32_t part = (uint32_t)MIN(n, left(f));
        take(f, to, part);
        memset(to + part, 0, n - part);
        guest_mem_mark_dirty(f->mem, gpa, n);
        gpa += n;
        len -= (uint32_t)n;
    }
    return true;
}

static void dma_run(struct fw_cfg *f, uint64_t gpa)
{
    struct descriptor d;
    if (guest_mem_read(f->mem, gpa, &d, sizeof(d)))
        return; /* nowhere to say so */
    uint32_t control = be32toh(d.control), len = be32toh(d.length);
    bool ok = !(control & DMA_WRITE);
    if (control & DMA_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (ok && (control & DMA_READ))
        ok = dma_read(f, be64toh(d.address), len);
    else if (ok && (control & DMA_SKIP))
        f->offset += MIN(len, left(f));
    uint32_t result = htobe32(ok ? 0 : DMA_ERROR);
    guest_mem_write(f->mem, gpa, &result, sizeof(result));
}

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = opaque;
    uint8_t byte = 0;
    if (offset == REG_DATA && size == 1) {
        if (left(f))
            take(f, &byte, 1);
        return byte;
    }
    if (offset < REG_DMA)
        return UINT64_MAX;
    return htobe64(DMA_SIGNATURE) >> (8 * (offset - REG_DMA));
}

static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *f = opaque;
    if (offset == REG_SELECTOR && size == 2) {
        select_item(f, (uint16_t)value);
    } else if (offset == REG_DMA && size == 4) {
        f->dma_address = (uint64_t)be32toh((uint32_t)value) << 32;
    } else if (offset == REG_DMA_LOW && size == 4) {
        uint64_t gpa = f->dma_address | be32toh((uint32_t)value);
        f->dma_address = 0;
        dma_run(f, gpa);
    }
}

static const struct bus_region_ops region_ops = {.read = reg_read, .write = reg_write};

int fw_cfg_init(struct fw_cfg *f, struct bus *bus, struct guest_mem *mem, struct err *err)
{
    memset(f, 0, sizeof(*f));
    f->mem = mem;
    fw_cfg_reset(f);
    fw_cfg_add_value(f, KEY_SIGNATURE, 0x554d4551 /* "QEMU" */, 4, NULL);
    fw_cfg_add_value(f, KEY_FEATURES, FEATURE_PORTS | FEATURE_DMA, 4, NULL);
    f->region = (struct bus_region){.name = "fw-cfg",
                                    .base = MEMORY_MAP_FW_CFG,
                                    .size = PORTS_BYTES,
                                    .ops = &region_ops,
                                    .opaque = f};
    int ret = bus_add(bus, BUS_PIO, &f->region, err);
    if (!ret)
        f->bus = bus;
    return ret;
}

void fw_cfg_fini(struct fw_cfg *f)
{
    if (!f->bus)
        return;
    bus_remove(f->bus, BUS_PIO, &f->region);
    f->bus = NULL;
}

void fw_cfg_reset(struct fw_cfg *f)
{
    select_item(f, KEY_NONE);
    f->dma_address = 0;
}

int fw_cfg_add_value(struct fw_cfg *f, uint16_t key, uint64_t value, unsigned bytes,
                     struct err *err)
{
    if (find(f, key) || key == KEY_DIRECTORY)
        return err_set(err, EEXIST, "fw_cfg has an item 0x%x already", key);
    if (f->n_items == FW_CFG_ITEMS_MAX || bytes > sizeof(value))
        return err_set(err, ENOSPC, "fw_cfg has no room for item 0x%x of %u bytes", key, bytes);
    struct fw_cfg_item *item = &f->items[f->n_items++];
    *item = (struct fw_cfg_item){.key = key, .len = bytes};
    le64_write(item->small, value);
    return 0;
}

int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, uint32_t len,
                    struct err *err)
{
    if (strlen(name) >= FW_CFG_NAME_BYTES)
        return err_set(err, ENAMETOOLONG, "fw_cfg file name '%s' is longer than %d bytes", name,
                       FW_CFG_NAME_BYTES - 1);
    for (unsigned i = 0; i < f->n_files; i++)
        if (!strcmp(f->files[i].name, name))
            return err_set(err, EEXIST, "fw_cfg has a file '%s' already", name);
    if (f->n_files == FW_CFG_FILES_MAX)
        return err_set(err, ENOSPC, "fw_cfg has no room for file '%s': at most %d", name,
                       FW_CFG_FILES_MAX);
    struct fw_cfg_file *file = &f->files[f->n_files];
    memset(file, 0, sizeof(*file));
    memcpy(file->name, name, strlen(name));
    file->item = (struct fw_cfg_item){
        .key = (uint16_t)(KEY_FIRST_FILE + f->n_files), .len = len, .data = data};
    f->n_files++;
    return 0;
}

#define STATE_VERSION 1

void fw_cfg_save(const struct fw_cfg *f, struct state_writer *w)
{
    state_begin(w, "fw-cfg", 0, STATE_VERSION);
    state_put_u16(w, f->selected);
    state_put_u32(w, f->offset);
    state_put_u64(w, f->dma_address);
    state_end(w);
}

int fw_cfg_load(struct fw_cfg *f, struct state_reader *r)
{
    if (state_open(r, "fw-cfg", 0, STATE_VERSION) < 0)
        return -r->err.code;
    f->selected = state_get_u16(r);
    f->offset = state_get_u32(r);
    f->dma_address = state_get_u64(r);
    /* A position behind the end reads zeroes, as one at the end does. */
    return state_close(r);
}
