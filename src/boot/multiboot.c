/* Multiboot 1: ELF32 files, and files of any format whose header says what goes where (the "a.out
 * kludge"). Section numbers are those of the specification. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"
#include "boot/multiboot_wire.h"

#define MODULE_LAST_GPA UINT64_C(0xffffffff)
#define KNOWN_DEMANDS   (MULTIBOOT_WIRE_WANT_ALIGN | MULTIBOOT_WIRE_WANT_MEM)

static void get_header(const struct boot *b, long at, struct multiboot_wire_header *h)
{
    memset(h, 0, sizeof(*h));
    memcpy(h, b->head + at, MIN(sizeof(*h), BOOT_HEAD_BYTES - (size_t)at));
}

long boot_multiboot_header(const struct boot *b)
{
    for (size_t at = 0; at + MULTIBOOT_WIRE_HEADER_MIN_BYTES <= b->head_bytes; at += 4)
        if (le32_read(b->head + at) == MULTIBOOT_WIRE_HEADER_MAGIC &&
            le32_read(b->head + at) + le32_read(b->head + at + 4) + le32_read(b->head + at + 8) ==
                0)
            return (long)at;
    return -1;
}

bool boot_multiboot_has_addresses(const struct boot *b, long header)
{
    return le32_read(b->head + header + 4) & MULTIBOOT_WIRE_ADDRESSES;
}

/* 3.1.3, the address fields. */
static int load_by_addresses(struct boot *b, long at, uint64_t *entry, struct err *err)
{
    struct multiboot_wire_header h;
    const char *name = b->config.kernel_name;
    get_header(b, at, &h);
    if ((size_t)at + sizeof(h) > b->head_bytes)
        return err_set(err, EINVAL, "kernel %s: its multiboot header at %ld is cut short", name,
                       at);
    uint64_t before = (uint64_t)h.header_addr - h.load_addr;
    if (h.load_addr > h.header_addr || before > (uint64_t)at)
        return err_set(err, EINVAL,
                       "kernel %s: multiboot load_addr 0x%x and header_addr 0x%x do not fit a "
                       "header at file offset %ld",
                       name, h.load_addr, h.header_addr, at);
    uint64_t offset = (uint64_t)at - before, len = b->file_bytes - offset;
    if (h.load_end_addr && h.load_end_addr < h.load_addr)
        return err_set(err, EINVAL,
                       "kernel %s: multiboot load_end_addr 0x%x is below load_addr 0x%x", name,
                       h.load_end_addr, h.load_addr);
    if (h.load_end_addr)
        len = h.load_end_addr - h.load_addr;
    int ret =
        boot_read_to_guest(b, "multiboot load_addr..load_end_addr", offset, h.load_addr, len, err);
    if (ret)
        return ret;
    b->result.kernel_gpa = h.load_addr;
    b->kernel_end = h.load_addr + len;
    if (h.bss_end_addr > b->kernel_end) {
        uint64_t bss = h.bss_end_addr - b->kernel_end;
        ret = boot_check_range(b, "multiboot bss_end_addr", b->kernel_end, bss, err);
        if (ret)
            return ret;
        boot_clear(b, b->kernel_end, bss);
        b->kernel_end = h.bss_end_addr;
    }
    if (h.entry_addr < h.load_addr || h.entry_addr >= b->kernel_end)
        return err_set(err, EINVAL,
                       "kernel %s: multiboot entry_addr 0x%x is outside of what is loaded", name,
                       h.entry_addr);
    *entry = h.entry_addr;
    return 0;
}

/* All that EBX leads to, in the one page that the layout gives it. */
struct info {
    struct multiboot_wire_info info;
    struct multiboot_wire_module module;
    struct multiboot_wire_mmap mmap[BOOT_MEMMAP_MAX];
    char loader_name[8];
    char module_name[8];
};
static_assert(sizeof(struct info) <= BOOT_LAYOUT_INFO_BYTES, "multiboot information");

static uint32_t info_gpa(size_t offset)
{
    return htole32((uint32_t)(BOOT_LAYOUT_INFO + offset));
}

static int put_info(struct boot *b, struct err *err)
{
    struct boot_memmap_entry map[BOOT_MEMMAP_MAX];
    unsigned n = boot_memmap(b, map);
    struct info i = {
        .info.flags = htole32(MULTIBOOT_WIRE_INFO_MEM | MULTIBOOT_WIRE_INFO_CMDLINE |
                              MULTIBOOT_WIRE_INFO_MODS | MULTIBOOT_WIRE_INFO_MMAP |
                              MULTIBOOT_WIRE_INFO_LOADER),
        .info.mem_lower_kib = htole32(BOOT_LAYOUT_LOW_RAM_END / KIB),
        .info.mem_upper_kib = htole32((uint32_t)((b->ram_end - BOOT_LAYOUT_HIGH_RAM) / KIB)),
        .info.cmdline = htole32(BOOT_LAYOUT_CMDLINE),
        .info.mods_count = htole32(b->result.initrd_bytes ? 1 : 0),
        .info.mods_addr = info_gpa(offsetof(struct info, module)),
        .info.mmap_length = htole32(n * (uint32_t)sizeof(struct multiboot_wire_mmap)),
        .info.mmap_addr = info_gpa(offsetof(struct info, mmap)),
        .info.boot_loader_name = info_gpa(offsetof(struct info, loader_name)),
        .module.mod_start = htole32((uint32_t)b->result.initrd_gpa),
        .module.mod_end = htole32((uint32_t)(b->result.initrd_gpa + b->result.initrd_bytes)),
        .module.string = info_gpa(offsetof(struct info, module_name)),
        .loader_name = "virga",
        .module_name = "initrd",
    };
    for (unsigned k = 0; k < n; k++) {
        struct multiboot_wire_mmap *m = &i.mmap[k];
        m->size = htole32(sizeof(*m) - sizeof(m->size));
        m->addr_low = htole32((uint32_t)map[k].gpa);
        m->addr_high = htole32((uint32_t)(map[k].gpa >> 32));
        m->len_low = htole32((uint32_t)map[k].size_bytes);
        m->len_high = htole32((uint32_t)(map[k].size_bytes >> 32));
        m->type = htole32(map[k].type);
    }
    if (guest_mem_write(b->mem, BOOT_LAYOUT_INFO, &i, sizeof(i)))
        return err_set(err, EFAULT, "no guest RAM for multiboot information at 0x%x",
                       BOOT_LAYOUT_INFO);
    return 0;
}

int boot_multiboot(struct boot *b, long header, const uint64_t *elf_entry, struct err *err)
{
    uint64_t entry = elf_entry ? *elf_entry : 0;
    uint32_t demands = le32_read(b->head + header + 4) & MULTIBOOT_WIRE_DEMANDS;
    if (demands & ~(uint32_t)KNOWN_DEMANDS)
        return err_set(err, EINVAL,
                       "kernel %s: multiboot flags 0x%x demand what is not offered here (0x%x; "
                       "bit 2 is a video mode)",
                       b->config.kernel_name, le32_read(b->head + header + 4),
                       demands & ~(uint32_t)KNOWN_DEMANDS);
    int ret = elf_entry ? 0 : load_by_addresses(b, header, &entry, err);
    ret = ret ? ret : boot_put_cmdline(b, UINT64_MAX, err);
    ret = ret ? ret : boot_put_initrd(b, MODULE_LAST_GPA, err);
    ret = ret ? ret : put_info(b, err);
    if (ret)
        return ret;
    b->result.format = BOOT_MULTIBOOT;
    b->result.regs.rax = MULTIBOOT_WIRE_LOADER_MAGIC;
    b->result.regs.rbx = BOOT_LAYOUT_INFO;
    return boot_enter_protected_mode(b, (uint32_t)entry, err);
}
