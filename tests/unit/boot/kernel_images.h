/* Kernel images made in memory, for the loader's tests: just enough of each format, with every
 * field at a name, so that a test spoils one and sees what the loader says. */
#ifndef TESTS_UNIT_BOOT_KERNEL_IMAGES_H
#define TESTS_UNIT_BOOT_KERNEL_IMAGES_H

#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/multiboot_wire.h"

/* A memfd that holds `len` bytes. */
static inline int image_fd(const void *data, size_t len)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        return -1;
    return fd;
}

#define IMAGE_SETUP_BYTES   1024 /* setup_sects 1 */
#define IMAGE_PAYLOAD_BYTES 4096

struct image_bzimage {
    uint8_t before[0x1f1];
    struct setup_header h;
    uint8_t rest[IMAGE_SETUP_BYTES - 0x1f1 - sizeof(struct setup_header)];
    uint8_t payload[IMAGE_PAYLOAD_BYTES];
} __attribute__((packed));
static_assert(sizeof(struct image_bzimage) == IMAGE_SETUP_BYTES + IMAGE_PAYLOAD_BYTES, "bzImage");

static inline void image_bzimage(struct image_bzimage *k)
{
    memset(k, 0, sizeof(*k));
    k->h.setup_sects = 1;
    k->h.boot_flag = 0xaa55;
    k->h.jump = 0x66eb; /* the header's end: 0x202 + 0x66 */
    k->h.header = 0x53726448;
    k->h.version = 0x020f;
    k->h.syssize = IMAGE_PAYLOAD_BYTES / 16;
    k->h.loadflags = LOADED_HIGH;
    k->h.relocatable_kernel = 1;
    k->h.kernel_alignment = 0x200000;
    k->h.pref_address = 0x1000000;
    k->h.init_size = 0x800000;
    k->h.initrd_addr_max = 0x7fffffff;
    k->h.cmdline_size = 2047;
    k->h.xloadflags = XLF_KERNEL_64;
    memset(k->payload, 0x5a, sizeof(k->payload));
}

/* One PT_LOAD of 4 KiB at 2 MiB with 4 KiB of bss, and optionally a note with a PVH entry. */
struct image_elf64 {
    Elf64_Ehdr e;
    Elf64_Phdr load, note;
    struct {
        Elf64_Nhdr h;
        char name[4];
        uint32_t entry;
    } xen;
    uint8_t pad[4096 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - 20];
    uint8_t text[4096];
};
static_assert(sizeof(struct image_elf64) == 8192, "ELF64");

static inline void image_elf64(struct image_elf64 *k)
{
    memset(k, 0, sizeof(*k));
    memcpy(k->e.e_ident, ELFMAG, SELFMAG);
    k->e.e_ident[EI_CLASS] = ELFCLASS64;
    k->e.e_ident[EI_DATA] = ELFDATA2LSB;
    k->e.e_type = ET_EXEC;
    k->e.e_machine = EM_X86_64;
    k->e.e_entry = 0x200010;
    k->e.e_phoff = sizeof(Elf64_Ehdr);
    k->e.e_phentsize = sizeof(Elf64_Phdr);
    k->e.e_phnum = 2;
    k->load = (Elf64_Phdr){.p_type = PT_LOAD,
                           .p_offset = 4096,
                           .p_vaddr = UINT64_C(0xffffffff80200000),
                           .p_paddr = 0x200000,
                           .p_filesz = 4096,
                           .p_memsz = 8192};
    k->note = (Elf64_Phdr){.p_type = PT_NOTE,
                           .p_offset = offsetof(struct image_elf64, xen),
                           .p_filesz = sizeof(k->xen),
                           .p_align = 4};
    k->xen.h = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 18};
    memcpy(k->xen.name, "Xen", 4);
    k->xen.entry = 0x200020;
    memset(k->text, 0x5a, sizeof(k->text));
}

struct image_elf32 {
    Elf32_Ehdr e;
    Elf32_Phdr load;
    struct multiboot_wire_header multiboot;
    uint8_t text[4096];
};

static inline void image_elf32(struct image_elf32 *k)
{
    memset(k, 0, sizeof(*k));
    memcpy(k->e.e_ident, ELFMAG, SELFMAG);
    k->e.e_ident[EI_CLASS] = ELFCLASS32;
    k->e.e_ident[EI_DATA] = ELFDATA2LSB;
    k->e.e_type = ET_EXEC;
    k->e.e_machine = EM_386;
    k->e.e_entry = 0x300008;
    k->e.e_phoff = sizeof(Elf32_Ehdr);
    k->e.e_phentsize = sizeof(Elf32_Phdr);
    k->e.e_phnum = 1;
    k->load = (Elf32_Phdr){.p_type = PT_LOAD,
                           .p_offset = offsetof(struct image_elf32, text),
                           .p_vaddr = 0x300000,
                           .p_paddr = 0x300000,
                           .p_filesz = sizeof(k->text),
                           .p_memsz = sizeof(k->text)};
    memset(k->text, 0x5a, sizeof(k->text));
}

static inline void image_multiboot_header(struct multiboot_wire_header *h, uint32_t flags)
{
    *h = (struct multiboot_wire_header){MULTIBOOT_WIRE_HEADER_MAGIC, flags,
                                        0u - MULTIBOOT_WIRE_HEADER_MAGIC - flags};
}

/* The a.out kludge: no format but the header, at file offset 16. */
struct image_flat {
    uint8_t before[16];
    struct multiboot_wire_header h;
    uint8_t text[4096 - 48];
};
static_assert(sizeof(struct image_flat) == 4096, "flat multiboot");

static inline void image_flat(struct image_flat *k)
{
    memset(k, 0x5a, sizeof(*k));
    image_multiboot_header(&k->h, MULTIBOOT_WIRE_ADDRESSES | MULTIBOOT_WIRE_WANT_MEM);
    k->h.header_addr = 0x400010;
    k->h.load_addr = 0x400000;
    k->h.bss_end_addr = 0x403000;
    k->h.entry_addr = 0x400100;
}

#endif
