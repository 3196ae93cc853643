#include "boot/gpt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "boot/gpt_wire.h"

#define MBR_BYTES           512
#define SECTOR_MAX          4096
#define ENTRY_BYTES_MAX     4096
#define ENTRIES_BYTES_MAX   (1 * MIB)
#define LOGICAL_MAX         60 /* Linux counts on from 5 */
#define FIRST_LOGICAL       5
#define MBR_TYPE_EXTENDED   0x05
#define MBR_TYPE_EXTENDED_X 0x0f
#define MBR_TYPE_EXTENDED_L 0x85

/* CRC-32 of IEEE 802.3. A table once per boot need not be fast. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* NULL when there is no room, or nothing of the partition lies within the disk. */
static struct gpt_partition *add(struct gpt *gpt, const struct disk_reader *disk, unsigned number,
                                 uint64_t lba, uint64_t n_sectors, uint64_t sector_bytes)
{
    uint64_t last = disk->size_bytes / sector_bytes;
    if (gpt->n == GPT_PARTITIONS_MAX || !n_sectors || !range_within(lba, n_sectors, last))
        return NULL;
    struct gpt_partition *p = &gpt->partitions[gpt->n++];
    *p = (struct gpt_partition){.number = number,
                                .offset_bytes = lba * sector_bytes,
                                .size_bytes = n_sectors * sector_bytes};
    return p;
}

/* ---- GPT ---- */

static void format_guid(const uint8_t *g, char out[37])
{
    snprintf(out, 37, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32_read(g),
             le16_read(g + 4), le16_read(g + 6), g[8], g[9], g[10], g[11], g[12], g[13], g[14],
             g[15]);
}

static int check_header(const uint8_t *sector, uint64_t sector_bytes, uint64_t lba,
                        struct gpt_wire_header *h, struct err *err)
{
    uint8_t copy[SECTOR_MAX];
    memcpy(h, sector, sizeof(*h));
    if (memcmp(h->signature, GPT_WIRE_SIGNATURE, sizeof(h->signature)) != 0)
        return err_set(err, EINVAL, "GPT header at sector %llu has no signature",
                       (unsigned long long)lba);
    uint32_t bytes = le32toh(h->header_bytes);
    if (bytes < GPT_WIRE_HEADER_MIN || bytes > sector_bytes)
        return err_set(err, EINVAL, "GPT header at sector %llu claims %u bytes",
                       (unsigned long long)lba, bytes);
    memcpy(copy, sector, bytes);
    memset(copy + offsetof(struct gpt_wire_header, header_crc32), 0, sizeof(uint32_t));
    uint32_t crc = crc32_update(0, copy, bytes);
    if (crc != le32toh(h->header_crc32) || le64toh(h->my_lba) != lba)
        return err_set(err, EINVAL,
                       "GPT header at sector %llu is damaged: crc 0x%08x, expected 0x%08x, for "
                       "sector %llu",
                       (unsigned long long)lba, crc, le32toh(h->header_crc32),
                       (unsigned long long)le64toh(h->my_lba));
    return 0;
}

/* The entries, an entry at a time: their sum is checked before they are used, so they are read
 * twice; `gpt` NULL is the first time. */
static int walk_entries(const struct disk_reader *disk, const struct gpt_wire_header *h,
                        uint64_t sector_bytes, struct gpt *gpt, uint32_t *crc, struct err *err)
{
    static const uint8_t unused[16];
    uint8_t buf[ENTRY_BYTES_MAX];
    uint32_t n = le32toh(h->n_entries), entry_bytes = le32toh(h->entry_bytes);
    uint64_t at = le64toh(h->entries_lba) * sector_bytes;
    uint32_t left = n * entry_bytes;
    for (unsigned number = 1; left;) {
        uint32_t piece = MIN(left, sizeof(buf) / entry_bytes * entry_bytes);
        int ret = disk_reader_read(disk, "GPT entries", at, buf, piece, err);
        if (ret)
            return ret;
        *crc = crc32_update(*crc, buf, piece);
        for (uint32_t i = 0; gpt && i < piece; i += entry_bytes, number++) {
            struct gpt_wire_entry e;
            memcpy(&e, buf + i, sizeof(e));
            uint64_t first = le64toh(e.first_lba), last = le64toh(e.last_lba);
            if (memcmp(e.type_guid, unused, sizeof(unused)) == 0 || last < first)
                continue;
            struct gpt_partition *p = add(gpt, disk, number, first, last - first + 1, sector_bytes);
            if (p)
                format_guid(e.guid, p->partuuid);
        }
        at += piece;
        left -= piece;
    }
    return 0;
}

static int read_gpt_at(const struct disk_reader *disk, uint64_t sector_bytes, uint64_t lba,
                       struct gpt *gpt, struct err *err)
{
    uint8_t sector[SECTOR_MAX];
    struct gpt_wire_header h;
    int ret = disk_reader_read(disk, "GPT header", lba * sector_bytes, sector, sector_bytes, err);
    if (!ret)
        ret = check_header(sector, sector_bytes, lba, &h, err);
    if (ret)
        return ret;
    uint32_t n = le32toh(h.n_entries), entry_bytes = le32toh(h.entry_bytes), crc = 0;
    if (entry_bytes < GPT_WIRE_ENTRY_MIN || entry_bytes > ENTRY_BYTES_MAX || entry_bytes % 8 ||
        n > ENTRIES_BYTES_MAX / entry_bytes ||
        le64toh(h.entries_lba) > disk->size_bytes / sector_bytes)
        return err_set(err, EINVAL, "GPT claims %u entries of %u bytes at sector %llu", n,
                       entry_bytes, (unsigned long long)le64toh(h.entries_lba));
    ret = walk_entries(disk, &h, sector_bytes, NULL, &crc, err);
    if (ret)
        return ret;
    if (crc != le32toh(h.entries_crc32))
        return err_set(err, EINVAL, "GPT entries are damaged: crc 0x%08x, expected 0x%08x", crc,
                       le32toh(h.entries_crc32));
    gpt->scheme = GPT_GPT;
    gpt->n = 0;
    return walk_entries(disk, &h, sector_bytes, gpt, &crc, err);
}

/* The virtual disk has sectors of 512 bytes; an image made for a disk with 4096 counts in those. */
static int read_gpt(const struct disk_reader *disk, struct gpt *gpt, struct err *err)
{
    static const uint64_t sector_sizes[] = {512, SECTOR_MAX};
    struct err first = {0}, other = {0};
    for (unsigned i = 0; i < ARRAY_LEN(sector_sizes); i++) {
        uint64_t sectors = disk->size_bytes / sector_sizes[i];
        if (sectors < 3)
            continue;
        if (!read_gpt_at(disk, sector_sizes[i], 1, gpt, i ? &other : &first) ||
            !read_gpt_at(disk, sector_sizes[i], sectors - 1, gpt, &other))
            return 0;
    }
    return err_set(err, first.code ? first.code : EINVAL, "%s, and so is its backup",
                   first.code ? first.msg : "the disk is too small for its GPT");
}

/* ---- MBR ---- */

static void mbr_entry(const uint8_t *sector, unsigned i, struct gpt_wire_mbr_entry *e)
{
    memcpy(e, sector + GPT_WIRE_MBR_OFFSET + i * sizeof(*e), sizeof(*e));
    e->first_lba = le32toh(e->first_lba);
    e->n_sectors = le32toh(e->n_sectors);
}

static bool has_signature(const uint8_t *sector)
{
    return sector[GPT_WIRE_MBR_SIGNATURE] == 0x55 && sector[GPT_WIRE_MBR_SIGNATURE + 1] == 0xaa;
}

/* Boot sectors of file systems end in the same two bytes, with code where entries would be. */
static bool is_mbr(const uint8_t *sector)
{
    unsigned used = 0;
    for (unsigned i = 0; i < GPT_WIRE_MBR_ENTRIES; i++) {
        struct gpt_wire_mbr_entry e;
        mbr_entry(sector, i, &e);
        if (e.status & 0x7f)
            return false;
        used += e.type && e.n_sectors;
    }
    return has_signature(sector) && used;
}

static bool is_extended(uint8_t type)
{
    return type == MBR_TYPE_EXTENDED || type == MBR_TYPE_EXTENDED_X || type == MBR_TYPE_EXTENDED_L;
}

/* A list: each link says where a logical partition lies, from itself, and where the next link is,
 * from the extended partition's beginning. */
static int read_logical(const struct disk_reader *disk, uint64_t base, uint64_t n_sectors,
                        uint32_t disk_id, struct gpt *gpt, struct err *err)
{
    uint64_t link = base;
    for (unsigned i = 0; i < LOGICAL_MAX; i++) {
        uint8_t sector[MBR_BYTES];
        struct gpt_wire_mbr_entry e, next;
        int ret = disk_reader_read(disk, "link of the extended partition", link * MBR_BYTES, sector,
                                   sizeof(sector), err);
        if (ret || !has_signature(sector))
            return ret;
        mbr_entry(sector, 0, &e);
        mbr_entry(sector, 1, &next);
        if (e.type && !is_extended(e.type)) {
            struct gpt_partition *p =
                add(gpt, disk, FIRST_LOGICAL + i, link + e.first_lba, e.n_sectors, MBR_BYTES);
            if (p)
                snprintf(p->partuuid, sizeof(p->partuuid), "%08x-%02x", disk_id, FIRST_LOGICAL + i);
        }
        if (!is_extended(next.type) || next.first_lba >= n_sectors)
            return 0;
        link = base + next.first_lba;
    }
    return 0;
}

static int read_mbr(const struct disk_reader *disk, const uint8_t *sector, struct gpt *gpt,
                    struct err *err)
{
    uint32_t disk_id = le32_read(sector + GPT_WIRE_MBR_DISK_ID);
    struct gpt_wire_mbr_entry extended = {0};
    gpt->scheme = GPT_MBR;
    for (unsigned i = 0; i < GPT_WIRE_MBR_ENTRIES; i++) {
        struct gpt_wire_mbr_entry e;
        mbr_entry(sector, i, &e);
        if (is_extended(e.type)) {
            extended = e;
            continue;
        }
        struct gpt_partition *p =
            e.type ? add(gpt, disk, i + 1, e.first_lba, e.n_sectors, MBR_BYTES) : NULL;
        if (p)
            snprintf(p->partuuid, sizeof(p->partuuid), "%08x-%02x", disk_id, i + 1);
    }
    if (!range_within(extended.first_lba, extended.n_sectors, disk->size_bytes / MBR_BYTES))
        return 0;
    return extended.n_sectors
               ? read_logical(disk, extended.first_lba, extended.n_sectors, disk_id, gpt, err)
               : 0;
}

static bool is_protective(const uint8_t *sector)
{
    for (unsigned i = 0; i < GPT_WIRE_MBR_ENTRIES; i++) {
        struct gpt_wire_mbr_entry e;
        mbr_entry(sector, i, &e);
        if (e.type == GPT_WIRE_TYPE_PROTECTED)
            return true;
    }
    return false;
}

int gpt_read(const struct disk_reader *disk, struct gpt *gpt, struct err *err)
{
    uint8_t sector[MBR_BYTES];
    memset(gpt, 0, sizeof(*gpt));
    int ret = disk_reader_read(disk, "partition table", 0, sector, sizeof(sector), err);
    if (ret)
        return ret;
    if (is_mbr(sector))
        return is_protective(sector) ? read_gpt(disk, gpt, err) : read_mbr(disk, sector, gpt, err);
    gpt->scheme = GPT_NONE;
    add(gpt, disk, 0, 0, disk->size_bytes / MBR_BYTES, MBR_BYTES);
    return 0;
}

const char *gpt_scheme_name(enum gpt_scheme scheme)
{
    static const char *const names[] = {"no partition table", "GPT", "MBR"};
    return names[scheme];
}
