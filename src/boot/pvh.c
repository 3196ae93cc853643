/* The start info of the PVH boot protocol, with its module list and memory map behind it. */
#include <errno.h>

#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"
#include "boot/pvh_wire.h"

/* All that EBX leads to, in the one page that the layout gives it. */
struct info {
    struct pvh_wire_start_info start;
    struct pvh_wire_module initrd;
    struct pvh_wire_memmap memmap[BOOT_MEMMAP_MAX];
};
static_assert(sizeof(struct info) <= BOOT_LAYOUT_INFO_BYTES, "PVH information");

int boot_pvh_info(struct boot *b, struct err *err)
{
    const uint64_t gpa = BOOT_LAYOUT_INFO;
    struct boot_memmap_entry map[BOOT_MEMMAP_MAX];
    unsigned n = boot_memmap(b, map);
    struct info info = {
        .start.magic = htole32(PVH_WIRE_MAGIC),
        .start.version = htole32(PVH_WIRE_VERSION),
        .start.cmdline_paddr = htole64(BOOT_LAYOUT_CMDLINE),
        .start.rsdp_paddr = htole64(b->config.rsdp_gpa),
        .start.memmap_paddr = htole64(gpa + offsetof(struct info, memmap)),
        .start.memmap_entries = htole32(n),
    };
    if (b->result.initrd_bytes) {
        info.start.nr_modules = htole32(1);
        info.start.modlist_paddr = htole64(gpa + offsetof(struct info, initrd));
        info.initrd.paddr = htole64(b->result.initrd_gpa);
        info.initrd.size = htole64(b->result.initrd_bytes);
    }
    for (unsigned i = 0; i < n; i++) {
        info.memmap[i].addr = htole64(map[i].gpa);
        info.memmap[i].size = htole64(map[i].size_bytes);
        info.memmap[i].type = htole32(map[i].type);
    }
    b->result.regs.rbx = gpa;
    if (guest_mem_write(b->mem, gpa, &info, sizeof(info)))
        return err_set(err, EFAULT, "no guest RAM for PVH information at 0x%x", BOOT_LAYOUT_INFO);
    return 0;
}
