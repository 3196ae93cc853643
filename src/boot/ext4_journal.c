/* A journal that was not replayed: after a crash of the guest, what it had committed lies partly
 * there alone. It is replayed in memory: a list says for which blocks of the file system a newer
 * copy lies in the journal, and reading takes that one. Nothing is written.
 *
 * Transactions are taken up to the last whose commit block is there, as Linux does; a block that a
 * later transaction revoked keeps what is on the disk. Fast commits, which come after the last of
 * them, are not looked at: what is read is the state before. The sums of data blocks in the journal
 * are not checked; those of the blocks that say what is what are.
 *
 * Spec: Linux Documentation/filesystems/ext4/journal.rst; all big-endian. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "boot/ext4_internal.h"
#include "boot/ext4_journal_wire.h"

#define ENTRIES_MAX (1u << 18) /* of either list: a journal of 1 GiB has as many blocks */

struct revoke {
    uint64_t block;
    uint32_t sequence;
};

struct replay {
    struct ext4 *fs;
    struct ext4_file file;
    uint32_t incompat, first, end, start, sequence;
    uint32_t seed;
    uint32_t end_sequence; /* of the first transaction that was not committed */
    uint8_t *block;
    struct revoke *revokes;
    struct ext4_patch *patches;
    unsigned n_revokes, n_patches;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool has_sums(const struct replay *r)
{
    return r->incompat & (EXT4_JOURNAL_WIRE_CSUM_V2 | EXT4_JOURNAL_WIRE_CSUM_V3);
}

/* One more of a list, whose room doubles. */
static void *grow(void *list, unsigned n, size_t bytes)
{
    if (n >= ENTRIES_MAX || (n & (n - 1)))
        return n >= ENTRIES_MAX ? NULL : list;
    return realloc(list, (n ? 2 * (size_t)n : 1) * bytes);
}

static int read_superblock(struct replay *r, struct err *err)
{
    uint8_t sb[EXT4_JOURNAL_WIRE_SB_BYTES];
    struct ext4 *fs = r->fs;
    int ret = ext4_read_blocks(fs, &r->file, 0, sb, sizeof(sb), err);
    if (ret)
        return ret;
    uint32_t magic = be32(sb), type = be32(sb + EXT4_JOURNAL_WIRE_TYPE);
    uint32_t bytes = be32(sb + EXT4_JOURNAL_WIRE_SB_BLOCK_BYTES);
    r->end = be32(sb + EXT4_JOURNAL_WIRE_SB_BLOCKS);
    r->first = be32(sb + EXT4_JOURNAL_WIRE_SB_FIRST);
    r->sequence = be32(sb + EXT4_JOURNAL_WIRE_SB_SEQUENCE);
    r->start = be32(sb + EXT4_JOURNAL_WIRE_SB_START);
    if (type == EXT4_JOURNAL_WIRE_SUPERBLOCK_V2)
        r->incompat = be32(sb + EXT4_JOURNAL_WIRE_SB_INCOMPAT);
    if (r->incompat & ~(uint32_t)EXT4_JOURNAL_WIRE_KNOWN)
        return err_set(err, ENOTSUP, "journal has features that are not known here: 0x%x",
                       r->incompat);
    uint32_t fast = be32(sb + EXT4_JOURNAL_WIRE_SB_FAST_BLOCKS);
    if (r->incompat & EXT4_JOURNAL_WIRE_FAST_COMMIT)
        r->end -= MIN(r->end, fast ? fast : EXT4_JOURNAL_WIRE_FAST_DEFAULT);
    r->seed = ext4_crc(UINT32_MAX, sb + EXT4_JOURNAL_WIRE_SB_UUID, 16);
    if (magic != EXT4_JOURNAL_WIRE_MAGIC || bytes != fs->block_bytes || !r->first ||
        r->first >= r->end || r->end > r->file.size_bytes >> fs->block_shift ||
        (r->start && (r->start < r->first || r->start >= r->end)))
        return err_set(err, EINVAL,
                       "journal with magic 0x%08x, %u blocks of %u bytes, the log from %u on at %u",
                       magic, r->end, bytes, r->first, r->start);
    return 0;
}

static uint32_t next_block(const struct replay *r, uint32_t at)
{
    return at + 1 < r->end ? at + 1 : r->first;
}

/* The sum over the block with the 4 bytes of the sum itself zero. */
static bool sum_is_right(const struct replay *r, size_t at)
{
    static const uint8_t zero[4];
    uint32_t crc = ext4_crc(r->seed, r->block, at);
    crc = ext4_crc(crc, zero, sizeof(zero));
    crc = ext4_crc(crc, r->block + at + 4, r->fs->block_bytes - at - 4);
    return !has_sums(r) || crc == be32(r->block + at);
}

/* One tag of a descriptor block. */
struct tag {
    uint64_t block;
    uint32_t flags;
    size_t bytes;
};

static bool read_tag(const struct replay *r, size_t at, struct tag *t)
{
    bool v3 = r->incompat & EXT4_JOURNAL_WIRE_CSUM_V3, wide = r->incompat & EXT4_JOURNAL_WIRE_64BIT;
    bool v2 = r->incompat & EXT4_JOURNAL_WIRE_CSUM_V2;
    size_t bytes = v3 ? 16 : (size_t)8 + (wide ? 4 : 0) + (v2 ? 2 : 0);
    size_t room = r->fs->block_bytes - (has_sums(r) ? 4 : 0);
    const uint8_t *p = r->block + at;
    if (at + bytes > room)
        return false;
    t->block = be32(p) | (v3 || wide ? (uint64_t)be32(p + 8) << 32 : 0);
    t->flags = v3 ? be32(p + 4) : (uint32_t)p[6] << 8 | p[7];
    t->bytes = bytes + (t->flags & EXT4_JOURNAL_WIRE_SAME_UUID ? 0 : 16);
    return true;
}

static bool is_revoked(const struct replay *r, uint64_t block, uint32_t sequence)
{
    for (unsigned lo = 0, hi = r->n_revokes; lo < hi;) {
        unsigned mid = lo + (hi - lo) / 2;
        const struct revoke *v = &r->revokes[mid];
        if (v->block == block)
            return (int32_t)(v->sequence - sequence) >= 0;
        if (v->block < block)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static int add_patch(struct replay *r, const struct tag *t, uint32_t at, struct err *err)
{
    uint64_t from = 0, run;
    struct ext4_patch *list = grow(r->patches, r->n_patches, sizeof(*list));
    if (!list)
        return err_set(err, ENOMEM, "no memory for %u blocks of a journal", r->n_patches + 1);
    r->patches = list;
    int ret = ext4_map(r->fs, &r->file, at, &from, &run, err);
    if (!ret && (!from || !t->block || t->block >= r->fs->n_blocks))
        ret = err_set(err, EINVAL, "journal block %u, at block %llu, is for block %llu of %llu", at,
                      (unsigned long long)from, (unsigned long long)t->block,
                      (unsigned long long)r->fs->n_blocks);
    if (!ret)
        list[r->n_patches] = (struct ext4_patch){.block = t->block,
                                                 .from = from,
                                                 .order = r->n_patches,
                                                 .escaped = t->flags & EXT4_JOURNAL_WIRE_ESCAPED};
    r->n_patches += !ret;
    return ret;
}

/* Passes over the blocks that a descriptor stands for; takes them if `take`. */
static int walk_descriptor(struct replay *r, uint32_t sequence, bool take, uint32_t *at,
                           uint32_t *left, struct err *err)
{
    struct tag t = {0};
    int ret = 0;
    for (size_t pos = EXT4_JOURNAL_WIRE_HEADER_BYTES;
         !ret && !(t.flags & EXT4_JOURNAL_WIRE_LAST_TAG) && read_tag(r, pos, &t); pos += t.bytes) {
        if (!*left)
            return err_set(err, EINVAL, "journal: a transaction is longer than the log");
        --*left;
        *at = next_block(r, *at);
        if (take && !is_revoked(r, t.block, sequence))
            ret = add_patch(r, &t, *at, err);
    }
    return ret;
}

static int add_revokes(struct replay *r, uint32_t sequence, struct err *err)
{
    size_t each = r->incompat & EXT4_JOURNAL_WIRE_64BIT ? 8 : 4;
    size_t end = MIN(be32(r->block + EXT4_JOURNAL_WIRE_HEADER_BYTES),
                     r->fs->block_bytes - (has_sums(r) ? 4 : 0));
    for (size_t at = EXT4_JOURNAL_WIRE_REVOKES; at + each <= end; at += each) {
        struct revoke *list = grow(r->revokes, r->n_revokes, sizeof(*list));
        if (!list)
            return err_set(err, ENOMEM, "no memory for %u blocks that a journal revokes",
                           r->n_revokes + 1);
        r->revokes = list;
        uint64_t block = each == 4 ? be32(r->block + at)
                                   : (uint64_t)be32(r->block + at) << 32 | be32(r->block + at + 4);
        list[r->n_revokes++] = (struct revoke){block, sequence};
    }
    return 0;
}

/* Goes through the log. The first time finds its end and what is revoked, the second time takes. */
static int walk(struct replay *r, bool take, struct err *err)
{
    const size_t tail = r->fs->block_bytes - 4;
    uint32_t at = r->start, sequence = r->sequence;
    for (uint32_t left = r->end - r->first; left; left--, at = next_block(r, at)) {
        int ret = ext4_read_blocks(r->fs, &r->file, (uint64_t)at << r->fs->block_shift, r->block,
                                   r->fs->block_bytes, err);
        if (ret)
            return ret;
        uint32_t type = be32(r->block + EXT4_JOURNAL_WIRE_TYPE);
        if (be32(r->block) != EXT4_JOURNAL_WIRE_MAGIC ||
            be32(r->block + EXT4_JOURNAL_WIRE_SEQUENCE) != sequence ||
            (take && sequence == r->end_sequence))
            break;
        if (!sum_is_right(r,
                          type == EXT4_JOURNAL_WIRE_COMMIT ? EXT4_JOURNAL_WIRE_COMMIT_SUM : tail))
            break;
        if (type == EXT4_JOURNAL_WIRE_COMMIT) {
            sequence++;
        } else if (type == EXT4_JOURNAL_WIRE_REVOKE) {
            ret = take ? 0 : add_revokes(r, sequence, err);
        } else if (type == EXT4_JOURNAL_WIRE_DESCRIPTOR) {
            left--; /* the loop's own, so that walk_descriptor() counts what is left */
            ret = walk_descriptor(r, sequence, take, &at, &left, err);
            left++;
            if (ret && !take)
                break; /* written half: it was not committed */
        } else {
            break;
        }
        if (ret)
            return ret;
    }
    r->end_sequence = sequence;
    return 0;
}

static int compare_revokes(const void *a, const void *b)
{
    const struct revoke *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (int32_t)(x->sequence - y->sequence) < 0 ? -1 : x->sequence != y->sequence;
}

static int compare_patches(const void *a, const void *b)
{
    const struct ext4_patch *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->order < y->order ? -1 : x->order != y->order;
}

/* Of several for a block the last one counts. What was not committed revokes nothing. */
static void sort_revokes(struct replay *r)
{
    unsigned n = 0;
    if (r->n_revokes)
        qsort(r->revokes, r->n_revokes, sizeof(*r->revokes), compare_revokes);
    for (unsigned i = 0; i < r->n_revokes; i++) {
        if (r->revokes[i].sequence == r->end_sequence)
            continue;
        if (n && r->revokes[n - 1].block == r->revokes[i].block)
            n--;
        r->revokes[n++] = r->revokes[i];
    }
    r->n_revokes = n;
}

static void sort_patches(struct replay *r)
{
    unsigned n = 0;
    if (r->n_patches)
        qsort(r->patches, r->n_patches, sizeof(*r->patches), compare_patches);
    for (unsigned i = 0; i < r->n_patches; i++) {
        if (n && r->patches[n - 1].block == r->patches[i].block)
            n--;
        r->patches[n++] = r->patches[i];
    }
    r->n_patches = n;
}

int ext4_journal_replay(struct ext4 *fs, uint32_t inode, struct err *err)
{
    struct replay r = {.fs = fs};
    if (!inode)
        return err_set(err, ENOTSUP, "its journal, which has to be replayed, is on another disk");
    int ret = ext4_inode(fs, inode, &r.file, err);
    if (!ret)
        ret = read_superblock(&r, err);
    if (!ret && r.start) {
        r.block = malloc(fs->block_bytes);
        ret = r.block ? walk(&r, false, err) : err_set(err, ENOMEM, "no memory for a journal");
        sort_revokes(&r);
        if (!ret)
            ret = walk(&r, true, err);
        sort_patches(&r);
    }
    free(r.block);
    free(r.revokes);
    for (unsigned i = 0; i < EXT4_SLOTS; i++)
        fs->slots[i].number = 0; /* read before there was a list */
    if (ret) {
        free(r.patches);
        return err_wrap(err, "journal");
    }
    fs->patches = r.patches;
    fs->n_patches = r.n_patches;
    return 0;
}

int ext4_fs_read(const struct ext4 *fs, const char *what, uint64_t offset, void *buf, size_t bytes,
                 struct err *err)
{
    static const uint8_t magic[] = {0xc0, 0x3b, 0x39, 0x98};
    int ret = disk_reader_read(&fs->part, what, offset, buf, bytes, err);
    unsigned lo = 0, hi = fs->n_patches;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (fs->patches[mid].block < offset >> fs->block_shift)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; !ret && lo < fs->n_patches; lo++) {
        const struct ext4_patch *p = &fs->patches[lo];
        uint64_t begin = p->block << fs->block_shift;
        if (begin >= offset + bytes)
            break;
        uint64_t from = MAX(begin, offset), to = MIN(begin + fs->block_bytes, offset + bytes);
        uint8_t *at = (uint8_t *)buf + (from - offset);
        ret = disk_reader_read(&fs->part, what, (p->from << fs->block_shift) + (from - begin), at,
                               (size_t)(to - from), err);
        for (uint64_t i = from - begin; !ret && p->escaped && i < sizeof(magic) && i < to - begin;
             i++)
            at[i - (from - begin)] = magic[i]; /* a block that began as the journal's own do */
    }
    return ret;
}
