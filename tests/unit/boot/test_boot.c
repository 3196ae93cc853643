#include "boot/boot.h"

#include <errno.h>

#include "boot/boot_layout.h"
#include "boot/pvh_wire.h"
#include "kernel_images.h"
#include "tap.h"

#define RAM_BYTES (64 * MIB)

static struct guest_mem mem;
static struct err err;
static struct boot_result result;
static struct used {
    unsigned n;
    uint64_t gpa, len;
} used; /* what will_use() was told last */

static void note_use(void *opaque, uint64_t gpa, uint64_t len)
{
    struct used *u = opaque;
    *u = (struct used){u->n + 1, gpa, len};
}

/* Loads an image with "console=ttyS0" and an initrd of `initrd_bytes` times 'i'. */
static int load_with(const void *image, size_t len, size_t initrd_bytes, const char *cmdline)
{
    struct boot_config c = {.kernel_fd = image_fd(image, len),
                            .kernel_name = "test-kernel",
                            .initrd_fd = -1,
                            .initrd_name = "test-initrd",
                            .cmdline = cmdline,
                            .rsdp_gpa = 0xe0000,
                            .will_use = note_use,
                            .opaque = &used};
    uint8_t *initrd = malloc(initrd_bytes + 1);
    memset(initrd, 'i', initrd_bytes + 1);
    if (initrd_bytes)
        c.initrd_fd = image_fd(initrd, initrd_bytes);
    free(initrd);
    err = (struct err){0};
    used = (struct used){0};
    memset(&result, 0xee, sizeof(result));
    int ret = boot_load(&mem, &c, &result, &err);
    close(c.kernel_fd);
    if (c.initrd_fd >= 0)
        close(c.initrd_fd);
    return ret;
}

static int load(const void *image, size_t len)
{
    return load_with(image, len, 5000, "console=ttyS0");
}

static const void *at(uint64_t gpa)
{
    return guest_mem_ptr(&mem, gpa, 1);
}

/* A refusal names the file and the thing. */
static void check_refused(int ret, int code, const char *words)
{
    CHECK_EQ(ret, -code);
    if (!strstr(err.msg, words) || !strstr(err.msg, "test-"))
        printf("# message: %s\n", err.msg);
    CHECK(strstr(err.msg, words) != NULL);
    CHECK(strstr(err.msg, "test-") != NULL);
    CHECK_EQ(*(const uint8_t *)&result, 0xee);
}

/* ---- bzImage ---- */

static void loads_a_bzimage_in_long_mode_with_its_zero_page(void)
{
    struct image_bzimage k;
    image_bzimage(&k);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.format, BOOT_BZIMAGE);
    CHECK_EQ(result.regs.rip, 0x1000200);
    CHECK_EQ(result.regs.rsi, BOOT_LAYOUT_ZERO_PAGE);
    CHECK_EQ(result.kernel_bytes, IMAGE_PAYLOAD_BYTES);
    CHECK_EQ(*(const uint8_t *)at(0x1000fff), 0x5a);
    const struct boot_params *p = at(BOOT_LAYOUT_ZERO_PAGE);
    CHECK_EQ(p->hdr.type_of_loader, 0xff);
    CHECK_EQ(p->hdr.cmd_line_ptr, BOOT_LAYOUT_CMDLINE);
    CHECK_EQ(p->hdr.kernel_alignment, 0x200000);
    CHECK_EQ(p->acpi_rsdp_addr, 0xe0000);
    CHECK_EQ(p->hdr.ramdisk_image, RAM_BYTES - 2 * 4096);
    CHECK_EQ(p->hdr.ramdisk_size, 5000);
    CHECK_STR(at(BOOT_LAYOUT_CMDLINE), "console=ttyS0");
    CHECK_EQ(*(const uint8_t *)at(RAM_BYTES - 2 * 4096 + 4999), 'i');
    CHECK_EQ(result.initrd_gpa, RAM_BYTES - 2 * 4096);
    CHECK_EQ(result.initrd_bytes, 5000);
    CHECK_EQ(used.n, 1);
    CHECK_EQ(used.gpa, 0x1000000 + IMAGE_PAYLOAD_BYTES);
    CHECK_EQ(used.len, 0x800000 - IMAGE_PAYLOAD_BYTES);
}

static void describes_memory_without_overlap_in_ascending_order(void)
{
    struct image_bzimage k;
    image_bzimage(&k);
    REQUIRE(load(&k, sizeof(k)) == 0);
    const struct boot_params *p = at(BOOT_LAYOUT_ZERO_PAGE);
    uint64_t ram = 0;
    REQUIRE(p->e820_entries >= 4);
    for (unsigned i = 0; i < p->e820_entries; i++) {
        ram += p->e820_table[i].type == 1 ? p->e820_table[i].size : 0;
        if (i)
            CHECK(p->e820_table[i].addr >= p->e820_table[i - 1].addr + p->e820_table[i - 1].size);
    }
    CHECK_EQ(ram, RAM_BYTES - MIB + BOOT_LAYOUT_LOW_RAM_END);
}

static void seeds_the_guests_random_numbers_anew_each_time(void)
{
    struct image_bzimage k;
    uint8_t first[32];
    image_bzimage(&k);
    REQUIRE(load(&k, sizeof(k)) == 0);
    const struct boot_params *p = at(BOOT_LAYOUT_ZERO_PAGE);
    const struct setup_data *d = at(p->hdr.setup_data);
    CHECK_EQ(d->type, 9);
    CHECK_EQ(d->len, 32);
    CHECK_EQ(d->next, 0);
    memcpy(first, d->data, sizeof(first));
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK(memcmp(first, d->data, sizeof(first)) != 0);
}

static void honours_the_highest_address_for_the_initrd(void)
{
    struct image_bzimage k;
    image_bzimage(&k);
    k.h.initrd_addr_max = 0x2ffffff;
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.initrd_gpa, 0x3000000 - 2 * 4096);
}

static void ignores_a_signature_behind_the_kernel(void)
{
    struct {
        struct image_bzimage k;
        uint8_t signature[3000];
    } s;
    image_bzimage(&s.k);
    REQUIRE(load(&s, sizeof(s)) == 0);
    CHECK_EQ(result.kernel_bytes, IMAGE_PAYLOAD_BYTES);
}

static void refuses_a_bzimage_with_a_bad_header(void)
{
    struct image_bzimage good, k;
    image_bzimage(&good);
#define SPOIL(field, value, code, words)                                                           \
    do {                                                                                           \
        k = good;                                                                                  \
        k.field = (value);                                                                         \
        check_refused(load(&k, sizeof(k)), code, words);                                           \
    } while (0)
    SPOIL(h.version, 0x0205, EINVAL, "2.05");
    SPOIL(h.version, 0x020b, EINVAL, "64-bit");
    SPOIL(h.loadflags, 0, EINVAL, "loadflags");
    SPOIL(h.xloadflags, 0, EINVAL, "xloadflags");
    SPOIL(h.kernel_alignment, 0x30000, EINVAL, "kernel_alignment");
    SPOIL(h.kernel_alignment, 0, EINVAL, "kernel_alignment");
    SPOIL(h.syssize, 0, EINVAL, "syssize");
    SPOIL(h.syssize, UINT32_MAX, EINVAL, "syssize");
    SPOIL(h.setup_sects, 200, EINVAL, "setup_sects");
    SPOIL(h.init_size, UINT32_MAX, ENOMEM, "init_size");
    SPOIL(h.init_size, RAM_BYTES, ENOMEM, "init_size");
    SPOIL(h.pref_address, UINT64_MAX, EINVAL, "pref_address");
    SPOIL(h.pref_address, UINT64_C(1) << 40, ENOMEM, "pref_address");
    SPOIL(h.pref_address, 0, EINVAL, "pref_address");
    SPOIL(h.initrd_addr_max, 0x100000, ENOMEM, "initrd");
    SPOIL(h.cmdline_size, 5, EINVAL, "command line");
#undef SPOIL
}

static void refuses_a_kernel_cut_short_at_any_length(void)
{
    struct image_bzimage b;
    struct image_elf64 e;
    image_bzimage(&b);
    image_elf64(&e);
    /* syssize counts 16 bytes, so up to 15 at the end may never have been there. */
    for (size_t len = 0; len < sizeof(b) - 15; len += 37)
        CHECK(load(&b, len) < 0);
    for (size_t len = 0; len < sizeof(e); len += 37)
        CHECK(load(&e, len) < 0);
}

static void refuses_an_initrd_that_does_not_fit(void)
{
    struct image_bzimage k;
    image_bzimage(&k);
    check_refused(load_with(&k, sizeof(k), RAM_BYTES - 8 * MIB, ""), ENOMEM, "initrd");
}

static void refuses_what_is_not_a_regular_file(void)
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    struct boot_config c = {.kernel_fd = fds[0], .kernel_name = "a-pipe", .initrd_fd = -1};
    CHECK_EQ(boot_load(&mem, &c, &result, &err), -EINVAL);
    CHECK(strstr(err.msg, "a-pipe") != NULL);
    close(fds[0]);
    close(fds[1]);
}

static void refuses_unknown_formats(void)
{
    static const char script[] = "#!/bin/sh\n";
    check_refused(load(script, sizeof(script)), ENOEXEC, "23 21 2f 62");
}

/* ---- ELF ---- */

static void enters_pvh_kernels_in_protected_mode(void)
{
    struct image_elf64 k;
    image_elf64(&k);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.format, BOOT_PVH);
    CHECK_EQ(result.regs.rip, 0x200020);
    CHECK_EQ(result.sregs.cr0 & 0x80000001, 1);
    CHECK_EQ(result.sregs.efer, 0);
    const struct pvh_wire_start_info *s = at(result.regs.rbx);
    CHECK_EQ(s->magic, 0x336ec578);
    CHECK_EQ(s->version, 1);
    CHECK_EQ(s->rsdp_paddr, 0xe0000);
    CHECK_STR(at(s->cmdline_paddr), "console=ttyS0");
    REQUIRE(s->nr_modules == 1);
    const struct pvh_wire_module *m = at(s->modlist_paddr);
    CHECK_EQ(m->paddr, RAM_BYTES - 2 * 4096);
    CHECK_EQ(m->size, 5000);
    const struct pvh_wire_memmap *map = at(s->memmap_paddr);
    CHECK_EQ(map[3].addr, MIB);
    CHECK_EQ(map[3].size, RAM_BYTES - MIB);
    CHECK_EQ(map[3].type, 1);
    CHECK_EQ(used.n, 1);
    CHECK_EQ(used.gpa, 0x200000);
    CHECK_EQ(used.len, 8192);
}

static void clears_bss_and_loads_at_physical_addresses(void)
{
    struct image_elf64 k;
    image_elf64(&k);
    memset(guest_mem_ptr(&mem, 0x200000, 8192), 0xff, 8192);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(*(const uint8_t *)at(0x200fff), 0x5a);
    CHECK_EQ(*(const uint8_t *)at(0x201000), 0);
    CHECK_EQ(*(const uint8_t *)at(0x201fff), 0);
    CHECK_EQ(result.kernel_bytes, 4096);
    CHECK_EQ(result.kernel_gpa, 0x200000);
}

static void enters_plain_elf64_in_long_mode_with_identity_pages(void)
{
    struct image_elf64 k;
    image_elf64(&k);
    k.note.p_type = PT_NULL;
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.format, BOOT_ELF64);
    CHECK_EQ(result.regs.rip, 0x200010);
    CHECK_EQ(result.sregs.efer, 0x500);
    CHECK_EQ(result.sregs.cs.l, 1);
    CHECK_EQ(result.sregs.cr4 & 0x20, 0x20);
    const uint64_t *pml4 = at(result.sregs.cr3);
    const uint64_t *pdpt = at(pml4[0] & ~0xfffull);
    const uint64_t *pd = at(pdpt[3] & ~0xfffull);
    CHECK_EQ(pd[511], 0xffe00083);
    CHECK_EQ(pml4[1], 0);
    CHECK_EQ(pdpt[4], 0);
    /* The GDT says what the segment registers hold. */
    const uint64_t *gdt = at(result.sregs.gdt.base);
    CHECK_EQ(gdt[result.sregs.cs.selector / 8], 0x00af9b000000ffff);
    CHECK_EQ(gdt[result.sregs.ds.selector / 8], 0x00cf93000000ffff);
    CHECK_EQ(gdt[result.sregs.tr.selector / 8], 0x00008b0000000067);
}

static void enters_plain_elf32_in_protected_mode(void)
{
    struct image_elf32 k;
    image_elf32(&k);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.format, BOOT_ELF32);
    CHECK_EQ(result.regs.rip, 0x300008);
    CHECK_EQ(result.sregs.cs.db, 1);
    CHECK_EQ(result.sregs.cs.l, 0);
    CHECK_EQ(result.sregs.cr0 & 0x80000001, 1);
}

static void translates_a_virtual_entry_point(void)
{
    struct image_elf64 k;
    image_elf64(&k);
    k.note.p_type = PT_NULL;
    k.e.e_entry = UINT64_C(0xffffffff80200123);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.regs.rip, 0x200123);
}

static void refuses_an_elf_with_bad_headers(void)
{
    struct image_elf64 good, k;
    image_elf64(&good);
#define SPOIL(field, value, code, words)                                                           \
    do {                                                                                           \
        k = good;                                                                                  \
        k.field = (value);                                                                         \
        check_refused(load(&k, sizeof(k)), code, words);                                           \
    } while (0)
    SPOIL(e.e_ident[EI_CLASS], 3, EINVAL, "class 3");
    SPOIL(e.e_ident[EI_DATA], ELFDATA2MSB, EINVAL, "encoding 2");
    SPOIL(e.e_type, ET_REL, EINVAL, "e_type 1");
    SPOIL(e.e_machine, EM_AARCH64, EINVAL, "e_machine 183");
    SPOIL(e.e_phentsize, 32, EINVAL, "e_phentsize is 32");
    SPOIL(e.e_phnum, 0, EINVAL, "e_phnum is 0");
    SPOIL(e.e_phnum, PN_XNUM, EINVAL, "e_phnum is 65535");
    SPOIL(e.e_phoff, UINT64_MAX - 8, EINVAL, "e_phoff");
    SPOIL(load.p_offset, UINT64_MAX - 100, EINVAL, "segment 0");
    SPOIL(load.p_offset, 4097, EINVAL, "cut short");
    SPOIL(load.p_filesz, 8193, EINVAL, "p_filesz");
    SPOIL(load.p_memsz, RAM_BYTES, ENOMEM, "segment 0");
    SPOIL(load.p_memsz, UINT64_MAX, ENOMEM, "segment 0");
    SPOIL(load.p_paddr, RAM_BYTES - 4096, ENOMEM, "segment 0");
    SPOIL(load.p_paddr, UINT64_MAX - 4095, ENOMEM, "segment 0");
    SPOIL(load.p_paddr, 0x7c00, EINVAL, "below 1 MiB");
    SPOIL(note.p_offset, 9000, EINVAL, "note");
    SPOIL(xen.entry, 0xfffffff0, ENOMEM, "PVH");
#undef SPOIL
}

static void refuses_an_entry_outside_of_what_is_loaded(void)
{
    struct image_elf64 k;
    image_elf64(&k);
    k.note.p_type = PT_NULL;
    k.e.e_entry = 0x500000;
    check_refused(load(&k, sizeof(k)), EINVAL, "e_entry 0x500000");
}

static void refuses_segments_that_fill_ram_many_times(void)
{
    struct {
        struct image_elf64 k;
        Elf64_Phdr load[64];
    } f;
    image_elf64(&f.k);
    f.k.e.e_phoff = sizeof(f.k);
    f.k.e.e_phnum = 64;
    for (unsigned i = 0; i < 64; i++) {
        f.load[i] = f.k.load;
        f.load[i].p_memsz = RAM_BYTES / 2;
    }
    check_refused(load(&f, sizeof(f)), ENOMEM, "its segments");
}

/* ---- multiboot ---- */

static void check_multiboot_info(void)
{
    CHECK_EQ(result.format, BOOT_MULTIBOOT);
    CHECK_EQ(result.regs.rax, 0x2badb002);
    CHECK_EQ(result.sregs.cr0 & 0x80000001, 1);
    const struct multiboot_wire_info *i = at(result.regs.rbx);
    CHECK_EQ(i->flags, 0x24d);
    CHECK_EQ(i->mem_lower_kib, 639);
    CHECK_EQ(i->mem_upper_kib, (RAM_BYTES - MIB) / KIB);
    CHECK_STR(at(i->cmdline), "console=ttyS0");
    CHECK_STR(at(i->boot_loader_name), "virga");
    REQUIRE(i->mods_count == 1);
    const struct multiboot_wire_module *m = at(i->mods_addr);
    CHECK_EQ(m->mod_end - m->mod_start, 5000);
    CHECK_EQ(*(const uint8_t *)at(m->mod_start), 'i');
    CHECK_EQ(m->mod_start % 4096, 0);
    const struct multiboot_wire_mmap *map = at(i->mmap_addr);
    CHECK_EQ(i->mmap_length % sizeof(*map), 0);
    CHECK_EQ(map[0].size, 20);
    CHECK_EQ(map[3].addr_low, MIB);
    CHECK_EQ(map[3].len_low, RAM_BYTES - MIB);
}

static void loads_multiboot_elf(void)
{
    struct image_elf32 k;
    image_elf32(&k);
    image_multiboot_header(&k.multiboot, MULTIBOOT_WIRE_WANT_ALIGN);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.regs.rip, 0x300008);
    CHECK_EQ(result.kernel_bytes, 4096);
    check_multiboot_info();
}

static void loads_multiboot_by_the_headers_addresses(void)
{
    struct image_flat k;
    image_flat(&k);
    memset(guest_mem_ptr(&mem, 0x400000, 0x4000), 0xff, 0x4000);
    REQUIRE(load(&k, sizeof(k)) == 0);
    CHECK_EQ(result.regs.rip, 0x400100);
    CHECK_EQ(result.kernel_bytes, sizeof(k));
    CHECK_EQ(*(const uint8_t *)at(0x400fff), 0x5a);
    CHECK_EQ(*(const uint8_t *)at(0x401000), 0);
    CHECK_EQ(*(const uint8_t *)at(0x402fff), 0);
    CHECK_EQ(*(const uint8_t *)at(0x403000), 0xff);
    check_multiboot_info();
}

static void refuses_bad_multiboot_headers(void)
{
    struct image_flat good, k;
    image_flat(&good);
#define SPOIL(field, value, code, words)                                                           \
    do {                                                                                           \
        k = good;                                                                                  \
        k.field = (value);                                                                         \
        check_refused(load(&k, sizeof(k)), code, words);                                           \
    } while (0)
    SPOIL(h.checksum, 1, ENOEXEC, "neither");
    SPOIL(h.load_addr, 0x400011, EINVAL, "load_addr");
    SPOIL(h.load_addr, 0x3fffff, EINVAL, "load_addr");
    SPOIL(h.load_end_addr, 0x3ff000, EINVAL, "load_end_addr");
    SPOIL(h.load_end_addr, 0x401001, EINVAL, "cut short");
    SPOIL(h.bss_end_addr, UINT32_MAX, ENOMEM, "bss_end_addr");
    SPOIL(h.entry_addr, 0x403000, EINVAL, "entry_addr");
    SPOIL(h.entry_addr, 0x3fffff, EINVAL, "entry_addr");
#undef SPOIL
    k = good;
    k.h.header_addr = 0x10;
    k.h.load_addr = 0;
    check_refused(load(&k, sizeof(k)), EINVAL, "below 1 MiB");
    k = good;
    image_multiboot_header(&k.h, MULTIBOOT_WIRE_ADDRESSES | 4);
    check_refused(load(&k, sizeof(k)), EINVAL, "video");
    k = good;
    image_multiboot_header(&k.h, 0);
    check_refused(load(&k, sizeof(k)), EINVAL, "flag 16");
}

int main(void)
{
    if (guest_mem_init(&mem, RAM_BYTES, 0, &err)) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    TAP_RUN(loads_a_bzimage_in_long_mode_with_its_zero_page);
    TAP_RUN(describes_memory_without_overlap_in_ascending_order);
    TAP_RUN(seeds_the_guests_random_numbers_anew_each_time);
    TAP_RUN(honours_the_highest_address_for_the_initrd);
    TAP_RUN(ignores_a_signature_behind_the_kernel);
    TAP_RUN(refuses_a_bzimage_with_a_bad_header);
    TAP_RUN(refuses_a_kernel_cut_short_at_any_length);
    TAP_RUN(refuses_an_initrd_that_does_not_fit);
    TAP_RUN(refuses_what_is_not_a_regular_file);
    TAP_RUN(refuses_unknown_formats);
    TAP_RUN(enters_pvh_kernels_in_protected_mode);
    TAP_RUN(clears_bss_and_loads_at_physical_addresses);
    TAP_RUN(enters_plain_elf64_in_long_mode_with_identity_pages);
    TAP_RUN(enters_plain_elf32_in_protected_mode);
    TAP_RUN(translates_a_virtual_entry_point);
    TAP_RUN(refuses_an_elf_with_bad_headers);
    TAP_RUN(refuses_an_entry_outside_of_what_is_loaded);
    TAP_RUN(refuses_segments_that_fill_ram_many_times);
    TAP_RUN(loads_multiboot_elf);
    TAP_RUN(loads_multiboot_by_the_headers_addresses);
    TAP_RUN(refuses_bad_multiboot_headers);
    guest_mem_fini(&mem);
    return tap_done();
}
