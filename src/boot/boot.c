#include "boot/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"

#define RAM_MIN_BYTES (2 * MIB)
/* One system call moves at most this much, so that a signal is served in between. */
#define READ_CHUNK_BYTES (64 * MIB)

/* One of the two files, however it is read. */
struct input {
    const char *kind, *name;
    const struct boot_source *source; /* NULL: fd */
    int fd;
};

static struct input kernel_input(const struct boot_config *c)
{
    return (struct input){"kernel", c->kernel_name, c->kernel, c->kernel_fd};
}

static struct input initrd_input(const struct boot_config *c)
{
    return (struct input){"initrd", c->initrd_name, c->initrd, c->initrd_fd};
}

static int input_size(const struct input *in, uint64_t *size, struct err *err)
{
    struct stat st = {.st_mode = S_IFREG};
    if (in->source)
        st.st_size = (off_t)in->source->size_bytes;
    else if (fstat(in->fd, &st) < 0)
        return err_sys(err, errno, "could not examine %s %s", in->kind, in->name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s %s is not a regular file", in->kind, in->name);
    if (st.st_size == 0)
        return err_set(err, EINVAL, "%s %s is empty", in->kind, in->name);
    *size = (uint64_t)st.st_size;
    return 0;
}

static int read_source(const struct input *in, uint64_t offset, void *buf, uint64_t len,
                       struct err *err)
{
    int ret = in->source->read(in->source->opaque, offset, buf, len, err);
    return ret ? err_wrap(err, "%s %s", in->kind, in->name) : 0;
}

static int read_fully(const struct input *in, uint64_t offset, void *buf, uint64_t len,
                      struct err *err)
{
    const char *kind = in->kind, *name = in->name;
    if (in->source)
        return read_source(in, offset, buf, len, err);
    for (uint8_t *to = buf; len;) {
        ssize_t n = pread(in->fd, to, MIN(len, READ_CHUNK_BYTES), (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "could not read %s %s at offset %llu", kind, name,
                           (unsigned long long)offset);
        if (n == 0)
            return err_set(err, EIO, "%s %s ended at offset %llu while it was being read", kind,
                           name, (unsigned long long)offset);
        to += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

unsigned boot_memmap(const struct boot *b, struct boot_memmap_entry *map)
{
    unsigned n = 0;
    const uint64_t high = BOOT_LAYOUT_HIGH_RAM;
    map[n++] = (struct boot_memmap_entry){0, BOOT_LAYOUT_LOW_RAM_END, BOOT_MEM_RAM};
    map[n++] = (struct boot_memmap_entry){BOOT_LAYOUT_LOW_RAM_END,
                                          0xa0000 - BOOT_LAYOUT_LOW_RAM_END, BOOT_MEM_RESERVED};
    map[n++] =
        (struct boot_memmap_entry){BOOT_LAYOUT_ACPI, high - BOOT_LAYOUT_ACPI, BOOT_MEM_RESERVED};
    map[n++] = (struct boot_memmap_entry){high, b->ram_end - high, BOOT_MEM_RAM};
    /* Linux uses ECAM only where the memory map or the DSDT reserves it. */
    map[n++] =
        (struct boot_memmap_entry){MEMORY_MAP_ECAM_BASE, MEMORY_MAP_ECAM_SIZE, BOOT_MEM_RESERVED};
    map[n++] = (struct boot_memmap_entry){
        MEMORY_MAP_KVM_IDENTITY, MEMORY_MAP_KVM_TSS_BASE + 0x3000 - MEMORY_MAP_KVM_IDENTITY,
        BOOT_MEM_RESERVED};
    uint64_t above = guest_mem_contiguous(b->mem, GUEST_MEM_HIGH_START);
    if (above)
        map[n++] = (struct boot_memmap_entry){GUEST_MEM_HIGH_START, above, BOOT_MEM_RAM};
    return n;
}

int boot_check_range(const struct boot *b, const char *what, uint64_t gpa, uint64_t len,
                     struct err *err)
{
    if (gpa < BOOT_LAYOUT_HIGH_RAM)
        return err_set(err, EINVAL,
                       "kernel %s: %s at 0x%llx is below 1 MiB, where the boot data lies",
                       b->config.kernel_name, what, (unsigned long long)gpa);
    if (!range_within(gpa, len, b->ram_end))
        return err_set(err, ENOMEM,
                       "kernel %s: %s of %llu bytes at 0x%llx does not fit below 0x%llx; give the "
                       "VM more memory",
                       b->config.kernel_name, what, (unsigned long long)len,
                       (unsigned long long)gpa, (unsigned long long)b->ram_end);
    return 0;
}

int boot_read(const struct boot *b, const char *what, uint64_t offset, void *buf, size_t len,
              struct err *err)
{
    if (!range_within(offset, len, b->file_bytes))
        return err_set(err, EINVAL,
                       "kernel %s is cut short: %s needs %llu bytes at offset %llu, the file has "
                       "%llu",
                       b->config.kernel_name, what, (unsigned long long)len,
                       (unsigned long long)offset, (unsigned long long)b->file_bytes);
    struct input in = kernel_input(&b->config);
    return read_fully(&in, offset, buf, len, err);
}

int boot_read_to_guest(struct boot *b, const char *what, uint64_t offset, uint64_t gpa,
                       uint64_t len, struct err *err)
{
    int ret = boot_check_range(b, what, gpa, len, err);
    if (ret || !len)
        return ret;
    ret = boot_read(b, what, offset, guest_mem_ptr(b->mem, gpa, len), len, err);
    guest_mem_mark_dirty(b->mem, gpa, len);
    if (!ret)
        b->result.kernel_bytes += len;
    return ret;
}

void boot_will_use(const struct boot *b, uint64_t gpa, uint64_t len)
{
    if (b->config.will_use && len && range_within(gpa, len, b->ram_end))
        b->config.will_use(b->config.opaque, gpa, len);
}

void boot_clear(struct boot *b, uint64_t gpa, uint64_t len)
{
    void *p = guest_mem_ptr(b->mem, gpa, len);
    if (!p || !len)
        return;
    memset(p, 0, len);
    guest_mem_mark_dirty(b->mem, gpa, len);
}

int boot_put_cmdline(struct boot *b, uint64_t max_bytes, struct err *err)
{
    const char *cmdline = b->config.cmdline ? b->config.cmdline : "";
    size_t len = strlen(cmdline);
    max_bytes = MIN(max_bytes, BOOT_LAYOUT_CMDLINE_MAX - 1);
    if (len > max_bytes)
        return err_set(err, EINVAL, "the command line has %zu bytes, kernel %s takes at most %llu",
                       len, b->config.kernel_name, (unsigned long long)max_bytes);
    return guest_mem_write(b->mem, BOOT_LAYOUT_CMDLINE, cmdline, len + 1);
}

int boot_put_initrd(struct boot *b, uint64_t last_gpa, struct err *err)
{
    const struct boot_config *c = &b->config;
    const char *name = c->initrd_name;
    uint64_t size;
    if (c->initrd_fd < 0 && !c->initrd)
        return 0;
    struct input in = initrd_input(c);
    int64_t begin_ns = clock_now_ns();
    int ret = input_size(&in, &size, err);
    if (ret)
        return ret;
    uint64_t end = MIN(b->ram_end, last_gpa == UINT64_MAX ? last_gpa : last_gpa + 1);
    uint64_t floor = align_up(MAX(b->kernel_end, BOOT_LAYOUT_HIGH_RAM), GUEST_MEM_PAGE_BYTES);
    uint64_t gpa = size <= end ? (end - size) & ~(uint64_t)(GUEST_MEM_PAGE_BYTES - 1) : 0;
    if (gpa < floor)
        return err_set(err, ENOMEM,
                       "initrd %s of %llu bytes does not fit between the kernel's end at 0x%llx "
                       "and 0x%llx; give the VM more memory",
                       name, (unsigned long long)size, (unsigned long long)floor,
                       (unsigned long long)end);
    ret = read_fully(&in, 0, guest_mem_ptr(b->mem, gpa, size), size, err);
    guest_mem_mark_dirty(b->mem, gpa, size);
    if (ret)
        return ret;
    b->result.initrd_gpa = gpa;
    b->result.initrd_bytes = size;
    b->result.initrd_ns = clock_now_ns() - begin_ns;
    return 0;
}

/* Formats are told by what they must have at fixed places, the most telling first. */
static int load(struct boot *b, struct err *err)
{
    long header = boot_multiboot_header(b);
    if (boot_is_bzimage(b))
        return boot_bzimage(b, err);
    if (header >= 0 && boot_multiboot_has_addresses(b, header))
        return boot_multiboot(b, header, NULL, err);
    if (boot_is_elf(b))
        return boot_elf(b, err);
    if (header >= 0)
        return err_set(err, EINVAL,
                       "kernel %s has a multiboot header but neither is ELF nor says where to load "
                       "it (flag 16)",
                       b->config.kernel_name);
    return err_set(err, ENOEXEC,
                   "kernel %s is neither a bzImage nor ELF nor multiboot: it begins with "
                   "%02x %02x %02x %02x",
                   b->config.kernel_name, b->head[0], b->head[1], b->head[2], b->head[3]);
}

int boot_load(struct guest_mem *mem, const struct boot_config *config, struct boot_result *result,
              struct err *err)
{
    struct boot b = {.mem = mem, .config = *config, .ram_end = guest_mem_contiguous(mem, 0)};
    b.config.kernel_name = config->kernel_name ? config->kernel_name : "(unnamed)";
    b.config.initrd_name = config->initrd_name ? config->initrd_name : "(unnamed)";
    int64_t begin_ns = clock_now_ns();
    if (b.ram_end < RAM_MIN_BYTES)
        return err_set(err, ENOMEM, "a kernel needs a VM of at least 2 MiB, this one has %llu KiB",
                       (unsigned long long)(b.ram_end / KIB));
    struct input in = kernel_input(&b.config);
    int ret = input_size(&in, &b.file_bytes, err);
    if (ret)
        return ret;
    b.head_bytes = (size_t)MIN(b.file_bytes, sizeof(b.head));
    ret = boot_read(&b, "its head", 0, b.head, b.head_bytes, err);
    if (!ret)
        ret = load(&b, err);
    if (ret)
        return ret;
    b.result.kernel_ns = clock_now_ns() - begin_ns - b.result.initrd_ns;
    *result = b.result;
    return 0;
}
