/* ELF executables: segments go to their physical addresses. A PVH entry point in a Xen note is
 * preferred; then a multiboot header; what has neither is entered at e_entry. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"

#define SEGMENTS_MAX       64
#define NOTE_BYTES_MAX     (64 * KIB)
#define NOTE_PHYS32_ENTRY  18 /* XEN_ELFNOTE_PHYS32_ENTRY: the PVH entry point */
#define DEFAULT_INITRD_END (UINT64_C(0xffffffff))

/* Both classes' headers, as far as loading needs them. */
struct header {
    uint64_t entry, phoff;
    unsigned type, machine, phentsize, phnum;
};
struct segment {
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
    uint32_t type;
};

bool boot_is_elf(const struct boot *b)
{
    return memcmp(b->head, ELFMAG, SELFMAG) == 0;
}

/* The file's class (ELFCLASS32 or ELFCLASS64). */
static int elf_class(const struct boot *b)
{
    return b->head[EI_CLASS];
}

static bool is64(const struct boot *b)
{
    return elf_class(b) == ELFCLASS64;
}

static void get_header(const struct boot *b, struct header *h)
{
    Elf64_Ehdr e64;
    Elf32_Ehdr e32;
    memcpy(&e64, b->head, sizeof(e64));
    memcpy(&e32, b->head, sizeof(e32));
    if (is64(b))
        *h = (struct header){e64.e_entry,   e64.e_phoff,     e64.e_type,
                             e64.e_machine, e64.e_phentsize, e64.e_phnum};
    else
        *h = (struct header){e32.e_entry,   e32.e_phoff,     e32.e_type,
                             e32.e_machine, e32.e_phentsize, e32.e_phnum};
}

static int check_header(const struct boot *b, const struct header *h, struct err *err)
{
    const char *name = b->config.kernel_name;
    const unsigned machine = is64(b) ? EM_X86_64 : EM_386;
    const unsigned phentsize = is64(b) ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (b->head[EI_CLASS] != ELFCLASS64 && b->head[EI_CLASS] != ELFCLASS32)
        return err_set(err, EINVAL, "kernel %s: ELF class %u is neither 32-bit nor 64-bit", name,
                       b->head[EI_CLASS]);
    if (b->head[EI_DATA] != ELFDATA2LSB)
        return err_set(err, EINVAL, "kernel %s: ELF data encoding %u is not little-endian", name,
                       b->head[EI_DATA]);
    if (h->type != ET_EXEC && h->type != ET_DYN)
        return err_set(err, EINVAL, "kernel %s: e_type %u is not an executable", name, h->type);
    if (h->machine != machine)
        return err_set(err, EINVAL, "kernel %s: e_machine %u is not x86 (%u)", name, h->machine,
                       machine);
    if (h->phentsize != phentsize)
        return err_set(err, EINVAL, "kernel %s: e_phentsize is %u, expected %u", name, h->phentsize,
                       phentsize);
    if (!h->phnum || h->phnum > SEGMENTS_MAX)
        return err_set(err, EINVAL, "kernel %s: e_phnum is %u, expected 1 to %d", name, h->phnum,
                       SEGMENTS_MAX);
    return 0;
}

static int get_segments(const struct boot *b, const struct header *h, struct segment *segments,
                        struct err *err)
{
    uint8_t raw[SEGMENTS_MAX * sizeof(Elf64_Phdr)];
    int ret = boot_read(b, "program headers (e_phoff, e_phnum)", h->phoff, raw,
                        h->phnum * h->phentsize, err);
    for (unsigned i = 0; !ret && i < h->phnum; i++) {
        Elf64_Phdr p64;
        Elf32_Phdr p32;
        memcpy(&p32, raw + i * h->phentsize, sizeof(p32));
        memcpy(&p64, raw + (is64(b) ? i : 0) * sizeof(p64), sizeof(p64));
        if (is64(b))
            segments[i] = (struct segment){p64.p_offset, p64.p_vaddr, p64.p_paddr, p64.p_filesz,
                                           p64.p_memsz,  p64.p_align, p64.p_type};
        else
            segments[i] = (struct segment){p32.p_offset, p32.p_vaddr, p32.p_paddr, p32.p_filesz,
                                           p32.p_memsz,  p32.p_align, p32.p_type};
    }
    return ret;
}

static int load_segment(struct boot *b, unsigned index, const struct segment *s, struct err *err)
{
    char what[32];
    snprintf(what, sizeof(what), "segment %u", index);
    if (s->filesz > s->memsz)
        return err_set(err, EINVAL, "kernel %s: %s has p_filesz %llu above p_memsz %llu",
                       b->config.kernel_name, what, (unsigned long long)s->filesz,
                       (unsigned long long)s->memsz);
    int ret = boot_check_range(b, what, s->paddr, s->memsz, err);
    ret = ret ? ret : boot_read_to_guest(b, what, s->offset, s->paddr, s->filesz, err);
    if (ret)
        return ret;
    boot_clear(b, s->paddr + s->filesz, s->memsz - s->filesz);
    b->kernel_end = MAX(b->kernel_end, s->paddr + s->memsz);
    if (!b->result.kernel_gpa || s->paddr < b->result.kernel_gpa)
        b->result.kernel_gpa = s->paddr;
    return 0;
}

/* Looks through a note segment for the PVH entry point. Its size is the file's to choose, so only
 * a bounded part is read. */
static int scan_notes(const struct boot *b, const struct segment *s, uint32_t *pvh_entry,
                      struct err *err)
{
    CLEANUP_FREE uint8_t *notes = NULL;
    uint64_t size = MIN(s->filesz, NOTE_BYTES_MAX), align = s->align == 8 ? 8 : 4, at = 0;
    if (!size)
        return 0;
    notes = malloc(size);
    if (!notes)
        return err_set(err, ENOMEM, "could not allocate %llu bytes for notes",
                       (unsigned long long)size);
    int ret = boot_read(b, "a note segment", s->offset, notes, size, err);
    while (!ret && range_within(at, sizeof(Elf64_Nhdr), size)) {
        Elf64_Nhdr n;
        memcpy(&n, notes + at, sizeof(n));
        uint64_t name = at + sizeof(n), desc = align_up(name + n.n_namesz, align);
        if (!range_within(desc, n.n_descsz, size))
            break;
        if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 && n.n_descsz >= 4 &&
            !memcmp(notes + name, "Xen", 4))
            *pvh_entry = le32_read(notes + desc);
        at = align_up(desc + n.n_descsz, align);
    }
    return ret;
}

/* e_entry is a physical address in Linux's vmlinux and a virtual one in most other kernels. */
static int physical_entry(const struct boot *b, const struct header *h,
                          const struct segment *segments, uint64_t *entry, struct err *err)
{
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct segment *s = &segments[i];
        if (s->type != PT_LOAD || h->entry - s->paddr >= s->memsz)
            continue;
        *entry = h->entry;
        return 0;
    }
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct segment *s = &segments[i];
        if (s->type != PT_LOAD || h->entry - s->vaddr >= s->memsz)
            continue;
        *entry = h->entry - s->vaddr + s->paddr;
        return 0;
    }
    return err_set(err, EINVAL, "kernel %s: e_entry 0x%llx lies in no segment",
                   b->config.kernel_name, (unsigned long long)h->entry);
}

/* Loads all segments. `entry` receives the physical address of e_entry, `pvh_entry` that of the PVH
 * note or 0. */
static int load_segments(struct boot *b, uint64_t *entry, uint32_t *pvh_entry, struct err *err)
{
    struct header h;
    struct segment segments[SEGMENTS_MAX];
    uint64_t total = 0;
    *pvh_entry = 0;
    get_header(b, &h);
    int ret = check_header(b, &h, err);
    ret = ret ? ret : get_segments(b, &h, segments, err);
    for (unsigned i = 0; !ret && i < h.phnum; i++)
        if (segments[i].type == PT_LOAD)
            boot_will_use(b, segments[i].paddr, segments[i].memsz);
    for (unsigned i = 0; !ret && i < h.phnum; i++) {
        const struct segment *s = &segments[i];
        if (s->type == PT_NOTE)
            ret = scan_notes(b, s, pvh_entry, err);
        if (ret || s->type != PT_LOAD || !s->memsz)
            continue;
        /* Segments that overlap could make us fill all RAM many times over. */
        total += MIN(s->memsz, b->ram_end);
        if (total > b->ram_end)
            return err_set(err, ENOMEM,
                           "kernel %s: its segments up to number %u need %llu bytes, the VM has "
                           "%llu below the PCI hole",
                           b->config.kernel_name, i, (unsigned long long)total,
                           (unsigned long long)b->ram_end);
        ret = load_segment(b, i, s, err);
    }
    if (!ret && *pvh_entry)
        ret = boot_check_range(b, "the PVH note's entry point", *pvh_entry, 1, err);
    else if (!ret)
        ret = physical_entry(b, &h, segments, entry, err);
    return ret;
}

int boot_elf(struct boot *b, struct err *err)
{
    uint64_t entry = 0;
    uint32_t pvh_entry;
    long header = boot_multiboot_header(b);
    int ret = load_segments(b, &entry, &pvh_entry, err);
    if (ret)
        return ret;
    if (!pvh_entry && header >= 0 && !is64(b))
        return boot_multiboot(b, header, &entry, err);
    ret = boot_put_cmdline(b, UINT64_MAX, err);
    ret = ret ? ret : boot_put_initrd(b, DEFAULT_INITRD_END, err);
    if (ret)
        return ret;
    if (pvh_entry) {
        b->result.format = BOOT_PVH;
        ret = boot_pvh_info(b, err);
        return ret ? ret : boot_enter_protected_mode(b, pvh_entry, err);
    }
    b->result.format = is64(b) ? BOOT_ELF64 : BOOT_ELF32;
    b->result.regs.rsi = BOOT_LAYOUT_ZERO_PAGE;
    ret = boot_put_zero_page(b, NULL, 0, err);
    if (ret)
        return ret;
    return is64(b) ? boot_enter_long_mode(b, entry, err)
                   : boot_enter_protected_mode(b, (uint32_t)entry, err);
}
