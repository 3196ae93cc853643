/* Linux's compressed kernel image, entered in long mode. Section names are those of
 * Documentation/arch/x86/boot.rst.
 *
 * The file is a real-mode part of (setup_sects + 1) sectors, which is only read for its header, and
 * the protected-mode part, which is loaded at the address the header prefers. It unpacks itself
 * over [pref_address, pref_address + init_size): that range must be RAM and free. */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "boot/boot_internal.h"
#include "boot/boot_layout.h"

#define SECTOR_BYTES      512
#define HEADER_OFFSET     0x1f1
#define HEADER_MAGIC      0x53726448 /* "HdrS" */
#define BOOT_FLAG         0xaa55
#define VERSION_CMDLINE   0x0206 /* has cmdline_size */
#define VERSION_XLOAD     0x020c /* has xloadflags */
#define ENTRY_64          0x200  /* "64-bit boot protocol": the 64-bit entry lies here */
#define LOADER_UNKNOWN    0xff   /* type_of_loader without a number of its own */
#define VIDEO_MODE_NORMAL 0xffff
#define SEED_BYTES        32
#define SETUP_DATA_SEED   9 /* SETUP_RNG_SEED, newer than some kernel headers */

static uint64_t setup_bytes(const struct setup_header *h)
{
    return (uint64_t)((h->setup_sects ? h->setup_sects : 4) + 1) * SECTOR_BYTES;
}

static void get_header(const struct boot *b, struct setup_header *h)
{
    memcpy(h, b->head + HEADER_OFFSET, sizeof(*h));
}

bool boot_is_bzimage(const struct boot *b)
{
    struct setup_header h;
    get_header(b, &h);
    return h.boot_flag == BOOT_FLAG && h.header == HEADER_MAGIC;
}

/* Gives the guest's random number generator a start, which it would otherwise have to wait for.
 * Kernels that do not know the type ignore it. */
static uint64_t put_seed(struct boot *b)
{
    struct setup_data head = {.type = SETUP_DATA_SEED, .len = SEED_BYTES};
    uint8_t seed[SEED_BYTES];
    if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed) ||
        guest_mem_write(b->mem, BOOT_LAYOUT_SETUP_DATA, &head, sizeof(head)) ||
        guest_mem_write(b->mem, BOOT_LAYOUT_SETUP_DATA + sizeof(head), seed, sizeof(seed)))
        return 0;
    explicit_bzero(seed, sizeof(seed));
    return BOOT_LAYOUT_SETUP_DATA;
}

int boot_put_zero_page(struct boot *b, const void *header, size_t header_bytes, struct err *err)
{
    struct boot_params p = {0};
    struct boot_memmap_entry map[BOOT_MEMMAP_MAX];
    if (header)
        memcpy(&p.hdr, header, MIN(header_bytes, sizeof(p.hdr)));
    p.hdr.boot_flag = BOOT_FLAG;
    p.hdr.header = HEADER_MAGIC;
    p.hdr.type_of_loader = LOADER_UNKNOWN;
    p.hdr.vid_mode = VIDEO_MODE_NORMAL;
    p.hdr.cmd_line_ptr = BOOT_LAYOUT_CMDLINE;
    p.hdr.ramdisk_image = (uint32_t)b->result.initrd_gpa;
    p.hdr.ramdisk_size = (uint32_t)b->result.initrd_bytes;
    p.hdr.setup_data = put_seed(b);
    p.acpi_rsdp_addr = b->config.rsdp_gpa;
    p.e820_entries = (uint8_t)boot_memmap(b, map);
    for (unsigned i = 0; i < p.e820_entries; i++) {
        p.e820_table[i].addr = map[i].gpa;
        p.e820_table[i].size = map[i].size_bytes;
        p.e820_table[i].type = map[i].type;
    }
    if (guest_mem_write(b->mem, BOOT_LAYOUT_ZERO_PAGE, &p, sizeof(p)))
        return err_set(err, EFAULT, "no guest RAM for the zero page at 0x%x",
                       BOOT_LAYOUT_ZERO_PAGE);
    return 0;
}

static int check_header(const struct boot *b, const struct setup_header *h, struct err *err)
{
    const char *name = b->config.kernel_name;
    if (h->version < VERSION_CMDLINE)
        return err_set(err, EINVAL,
                       "kernel %s speaks boot protocol %u.%02u, at least 2.06 is needed", name,
                       h->version >> 8, h->version & 0xff);
    if (!(h->loadflags & LOADED_HIGH))
        return err_set(err, EINVAL, "kernel %s is a zImage (loadflags 0x%02x): build a bzImage",
                       name, h->loadflags);
    if (h->version < VERSION_XLOAD || !(h->xloadflags & XLF_KERNEL_64))
        return err_set(err, EINVAL,
                       "kernel %s has no 64-bit entry point (xloadflags 0x%04x): a 64-bit kernel "
                       "is needed",
                       name, h->version < VERSION_XLOAD ? 0 : h->xloadflags);
    if (h->relocatable_kernel && !is_pow2(h->kernel_alignment))
        return err_set(err, EINVAL, "kernel %s: kernel_alignment 0x%x is not a power of two", name,
                       h->kernel_alignment);
    return 0;
}

/* Bytes of the protected-mode part. syssize counts units of 16 bytes, the last perhaps not whole;
 * what a signing tool appended lies behind. */
static int payload_bytes(const struct boot *b, const struct setup_header *h, uint64_t *bytes,
                         struct err *err)
{
    uint64_t want = (uint64_t)h->syssize * 16, setup = setup_bytes(h);
    if (want <= ENTRY_64)
        return err_set(err, EINVAL, "kernel %s: syssize %u leaves no room for the 64-bit entry",
                       b->config.kernel_name, h->syssize);
    if (setup >= b->file_bytes || want > b->file_bytes - setup + 15)
        return err_set(err, EINVAL,
                       "kernel %s is cut short: setup_sects and syssize make %llu bytes, the file "
                       "has %llu",
                       b->config.kernel_name, (unsigned long long)(setup + want),
                       (unsigned long long)b->file_bytes);
    *bytes = MIN(want, b->file_bytes - setup);
    return 0;
}

int boot_bzimage(struct boot *b, struct err *err)
{
    struct setup_header h;
    uint64_t payload = 0;
    get_header(b, &h);
    int ret = check_header(b, &h, err);
    ret = ret ? ret : payload_bytes(b, &h, &payload, err);
    if (ret)
        return ret;

    uint64_t load = BOOT_LAYOUT_HIGH_RAM, run = h.pref_address;
    if (h.relocatable_kernel)
        load = run = align_up(h.pref_address, h.kernel_alignment);
    ret = boot_check_range(b, "unpacked kernel (pref_address, init_size)", run, h.init_size, err);
    if (!ret && payload < h.init_size) /* what is read is written here */
        boot_will_use(b, run + payload, h.init_size - payload);
    ret = ret ? ret : boot_read_to_guest(b, "syssize", setup_bytes(&h), load, payload, err);
    b->kernel_end = MAX(load + payload, run + h.init_size);
    ret = ret ? ret : boot_put_cmdline(b, h.cmdline_size, err);
    ret = ret ? ret : boot_put_initrd(b, h.initrd_addr_max, err);
    if (ret)
        return ret;

    /* "the size of the setup header": up to 0x202 + the byte at 0x201, the short jump's offset. */
    size_t header_bytes = 0x202u + b->head[0x201] - HEADER_OFFSET;
    h.code32_start = (uint32_t)load;
    b->result.format = BOOT_BZIMAGE;
    b->result.kernel_gpa = load;
    b->result.regs.rsi = BOOT_LAYOUT_ZERO_PAGE;
    ret = boot_put_zero_page(b, &h, header_bytes, err);
    return ret ? ret : boot_enter_long_mode(b, load + ENTRY_64, err);
}
