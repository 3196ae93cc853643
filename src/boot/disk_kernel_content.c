/* Names of what is on a partition, for messages: "cannot read xfs" helps more than "found nothing".
 * Only signatures are looked at. */
#include <string.h>

#include "base/util.h"
#include "boot/disk_kernel_internal.h"

static const struct {
    const char *name;
    uint64_t offset;
    const char *bytes;
    unsigned n;
} signatures[] = {
    {"xfs", 0, "XFSB", 4},
    {"btrfs", 0x10040, "_BHRfS_M", 8},
    {"LUKS", 0, "LUKS\xba\xbe", 6},
    {"LVM", 0x218, "LVM2 001", 8},
    {"swap", 0xff6, "SWAPSPACE2", 10},
    {"FAT", 0x52, "FAT32", 5},
    {"FAT", 0x36, "FAT1", 4},
    {"exFAT", 3, "EXFAT   ", 8},
    {"NTFS", 3, "NTFS    ", 8},
    {"squashfs", 0, "hsqs", 4},
    {"ISO 9660", 0x8001, "CD001", 5},
    {"f2fs", 0x400, "\x10\x20\xf5\xf2", 4},
    {"erofs", 0x400, "\xe2\xe1\xf5\xe0", 4},
    {"Linux RAID", 0x1000, "\xfc\x4e\x2b\xa9", 4},
    {"qcow2, which this disk is not said to be", 0, "QFI\xfb", 4},
};

const char *disk_kernel_content(const struct disk_reader *part)
{
    if (ext4_probe(part))
        return "ext4";
    for (unsigned i = 0; i < ARRAY_LEN(signatures); i++) {
        uint8_t have[16];
        if (!disk_reader_read(part, "signature", signatures[i].offset, have, signatures[i].n,
                              NULL) &&
            memcmp(have, signatures[i].bytes, signatures[i].n) == 0)
            return signatures[i].name;
    }
    return "nothing known";
}
