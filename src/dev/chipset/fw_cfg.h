/* fw_cfg: where firmware finds what the machine wants it to know, as numbered items and a directory
 * of named files. Read byte by byte or by DMA; nothing can be written. The interface is QEMU's, so
 * that its firmware (OVMF, SeaBIOS) and Linux's driver work with it.
 *
 *   PORT   SIZE  MEANING
 *   0x510  2     write: selects an item and rewinds it
 *   0x511  1     read: the item's next byte, 0 behind its end
 *   0x514  8     big-endian address of a DMA descriptor; writing its low half (0x518) starts it.
 *                Reads "QEMU CFG"
 *
 * Source: QEMU docs/specs/fw_cfg.rst. */
#ifndef DEV_CHIPSET_FW_CFG_H
#define DEV_CHIPSET_FW_CFG_H

#include <stdint.h>

#include "bus/bus.h"
#include "mem/guest_mem.h"
#include "state/state.h"

/* Items with numbers of their own. */
#define FW_CFG_RAM_SIZE 0x03 /* u64: bytes */
#define FW_CFG_N_CPUS   0x05 /* u16 */
#define FW_CFG_MAX_CPUS 0x0f /* u16 */

#define FW_CFG_ITEMS_MAX  16
#define FW_CFG_FILES_MAX  32
#define FW_CFG_NAME_BYTES 56 /* with the terminating NUL */

struct fw_cfg_item {
    uint16_t key;
    uint32_t len;
    const uint8_t *data; /* NULL: `small` */
    uint8_t small[8];
};

struct fw_cfg_file {
    char name[FW_CFG_NAME_BYTES];
    struct fw_cfg_item item;
};

struct fw_cfg {
    struct bus *bus;
    struct guest_mem *mem;
    struct bus_region region;
    unsigned n_items, n_files;
    struct fw_cfg_item items[FW_CFG_ITEMS_MAX];
    struct fw_cfg_file files[FW_CFG_FILES_MAX];
    uint16_t selected;
    uint32_t offset; /* in the selected item */
    uint64_t dma_address;
};

/* Puts the device on the bus, with its signature and an empty directory. Errors: those of
 * bus_add(). */
int fw_cfg_init(struct fw_cfg *f, struct bus *bus, struct guest_mem *mem, struct err *err);
void fw_cfg_fini(struct fw_cfg *f);
void fw_cfg_reset(struct fw_cfg *f);

/* Adds an item of `bytes` (at most 8) whose value is stored little-endian. Before vCPUs run.
 * Errors: ENOSPC, EEXIST. */
int fw_cfg_add_value(struct fw_cfg *f, uint16_t key, uint64_t value, unsigned bytes,
                     struct err *err);
/* Adds a file; `data` is borrowed until fw_cfg_fini(). Before vCPUs run. Errors: ENOSPC, EEXIST,
 * ENAMETOOLONG. */
int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, uint32_t len,
                    struct err *err);

/* What is selected and where; the items are the machine's to add again. */
void fw_cfg_save(const struct fw_cfg *f, struct state_writer *w);
int fw_cfg_load(struct fw_cfg *f, struct state_reader *r);

#endif
