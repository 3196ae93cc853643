/* Directories and paths, and files whose data lies in the inode. Directories are read from end to
 * end, hashed ones too: a handful of look-ups needs no index, and an index is one thing less to
 * believe. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "boot/ext4_internal.h"

#define DIR_MAX_BYTES   (64 * MIB)
#define LINKS_MAX       16
#define PATH_ROOM_BYTES 4096

bool ext4_is_regular(const struct ext4_file *file)
{
    return S_ISREG(file->mode);
}

/* ---- data in the inode ---- */

/* Finds the attribute "system.data" among those in the inode. */
static int find_data(const struct ext4 *fs, const struct ext4_file *file, const uint8_t **rest,
                     size_t *bytes, struct err *err)
{
    const uint8_t *end = fs->inode + fs->inode_bytes;
    size_t extra = fs->inode_bytes > EXT4_WIRE_INODE_BYTES
                       ? (size_t)le16_read(fs->inode + EXT4_WIRE_INODE_EXTRA)
                       : 0;
    size_t room = fs->inode_bytes - EXT4_WIRE_INODE_BYTES;
    *bytes = 0;
    if (!extra || extra % 4 || extra + 4 > room ||
        le32_read(fs->inode + EXT4_WIRE_INODE_BYTES + extra) != EXT4_WIRE_XATTR_MAGIC)
        return 0; /* no attributes: all of it is in i_block */
    const uint8_t *first = fs->inode + EXT4_WIRE_INODE_BYTES + extra + 4;
    for (const uint8_t *e = first; end - e >= EXT4_WIRE_XATTR_BYTES && le32_read(e);) {
        size_t name_len = e[EXT4_WIRE_XATTR_NAME_LEN];
        size_t entry_bytes = align_up(EXT4_WIRE_XATTR_BYTES + name_len, 4);
        if (entry_bytes > (size_t)(end - e))
            break;
        if (e[EXT4_WIRE_XATTR_INDEX] == EXT4_WIRE_XATTR_SYSTEM && name_len == 4 &&
            memcmp(e + EXT4_WIRE_XATTR_BYTES, "data", 4) == 0) {
            uint32_t at = le16_read(e + EXT4_WIRE_XATTR_VALUE_OFFSET);
            uint32_t n = le32_read(e + EXT4_WIRE_XATTR_VALUE_BYTES);
            if (!range_within(at, n, (uint64_t)(end - first)) ||
                le32_read(e + EXT4_WIRE_XATTR_VALUE_INODE))
                return err_set(err, EINVAL, "inode %u: inline data of %u bytes at %u of %td",
                               file->inode, n, at, end - first);
            *rest = first + at;
            *bytes = n;
            return 0;
        }
        e += entry_bytes;
    }
    return 0;
}

int ext4_inline_rest(struct ext4 *fs, const struct ext4_file *file, const uint8_t **rest,
                     size_t *bytes, struct err *err)
{
    struct ext4_file again;
    int ret = ext4_inode(fs, file->inode, &again, err);
    return ret ? ret : find_data(fs, file, rest, bytes, err);
}

static int read_inline(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, uint8_t *buf,
                       uint64_t bytes, struct err *err)
{
    const size_t head = sizeof(file->block);
    const uint8_t *rest = NULL;
    size_t rest_bytes = 0;
    int ret = 0;
    if (offset + bytes > head)
        ret = ext4_inline_rest(fs, file, &rest, &rest_bytes, err);
    if (!ret && offset + bytes > head + rest_bytes)
        ret = err_set(err, EINVAL, "inode %u: %llu bytes in an inode with room for %zu",
                      file->inode, (unsigned long long)file->size_bytes, head + rest_bytes);
    if (ret)
        return ret;
    size_t n = offset < head ? (size_t)MIN(bytes, head - offset) : 0;
    memcpy(buf, file->block + (n ? offset : 0), n);
    if (bytes > n)
        memcpy(buf + n, rest + (offset + n - head), (size_t)(bytes - n));
    return 0;
}

static int read_any(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, void *buf,
                    uint64_t bytes, struct err *err)
{
    if (!range_within(offset, bytes, file->size_bytes))
        return err_set(err, EINVAL, "inode %u: %llu bytes at %llu of a file of %llu", file->inode,
                       (unsigned long long)bytes, (unsigned long long)offset,
                       (unsigned long long)file->size_bytes);
    return file->flags & EXT4_WIRE_FLAG_INLINE
               ? read_inline(fs, file, offset, buf, bytes, err)
               : ext4_read_blocks(fs, file, offset, buf, bytes, err);
}

int ext4_read(struct ext4 *fs, const struct ext4_file *file, uint64_t offset, void *buf,
              uint64_t bytes, struct err *err)
{
    if (!ext4_is_regular(file))
        return err_set(err, EINVAL, "inode %u is no regular file: mode 0%o", file->inode,
                       file->mode);
    return read_any(fs, file, offset, buf, bytes, err);
}

/* ---- directories ---- */

struct walk {
    int (*fn)(void *arg, const char *name, uint32_t inode);
    void *arg;
};

static uint32_t entry_length(const struct ext4 *fs, const uint8_t *e, size_t region_bytes)
{
    uint32_t len = le16_read(e + EXT4_WIRE_DE_LEN);
    if (fs->block_bytes < 64 * KIB || region_bytes < fs->block_bytes)
        return len;
    /* 16 bits for blocks of 64 KiB: the low two hold what is above. */
    return len == 0 || len == 65535 ? fs->block_bytes : (len & 65532) | ((len & 3) << 16);
}

static int walk_region(const struct ext4 *fs, const struct ext4_file *dir, const uint8_t *data,
                       size_t bytes, const struct walk *w, struct err *err)
{
    char name[EXT4_NAME_MAX + 1];
    for (size_t at = 0; bytes - at >= EXT4_WIRE_DE_BYTES;) {
        const uint8_t *e = data + at;
        uint32_t len = entry_length(fs, e, bytes), inode = le32_read(e + EXT4_WIRE_DE_INODE);
        size_t name_len = e[EXT4_WIRE_DE_NAME_LEN];
        if (len < EXT4_WIRE_DE_BYTES || len % 4 || len > bytes - at ||
            name_len > len - EXT4_WIRE_DE_BYTES)
            return err_set(err, EINVAL,
                           "directory inode %u: entry of %u bytes with a name of %zu at %zu of %zu",
                           dir->inode, len, name_len, at, bytes);
        memcpy(name, e + EXT4_WIRE_DE_BYTES, name_len);
        name[name_len] = 0;
        if (inode && name_len && !memchr(name, 0, name_len) && !strchr(name, '/')) {
            int ret = w->fn(w->arg, name, inode);
            if (ret)
                return ret;
        }
        at += len;
    }
    return 0;
}

static int check_dir_block(const struct ext4 *fs, const struct ext4_file *dir, const uint8_t *data,
                           struct err *err)
{
    const size_t at = fs->block_bytes - EXT4_WIRE_DE_TAIL_BYTES;
    const uint8_t *tail = data + at;
    if (!ext4_has_checksums(fs))
        return 0;
    bool has_tail = !le32_read(tail + EXT4_WIRE_DE_INODE) &&
                    le16_read(tail + EXT4_WIRE_DE_LEN) == EXT4_WIRE_DE_TAIL_BYTES &&
                    !tail[EXT4_WIRE_DE_NAME_LEN] &&
                    tail[EXT4_WIRE_DE_TYPE] == EXT4_WIRE_DE_TAIL_TYPE;
    if (!has_tail && (dir->flags & EXT4_WIRE_FLAG_INDEX))
        return 0; /* a block of its index, perhaps */
    uint32_t crc = ext4_crc(dir->checksum_seed, data, at);
    uint32_t want = le32_read(tail + EXT4_WIRE_DE_TAIL_CHECKSUM);
    if (!has_tail || crc != want)
        return err_set(err, EINVAL,
                       "directory inode %u: block is damaged: checksum 0x%08x, expected 0x%08x",
                       dir->inode, crc, want);
    return 0;
}

static int walk_blocks(struct ext4 *fs, const struct ext4_file *dir, const struct walk *w,
                       struct err *err)
{
    if (dir->size_bytes > DIR_MAX_BYTES || dir->size_bytes % fs->block_bytes)
        return err_set(err, EINVAL, "directory inode %u has %llu bytes", dir->inode,
                       (unsigned long long)dir->size_bytes);
    for (uint64_t i = 0; i < dir->size_bytes >> fs->block_shift; i++) {
        uint64_t physical = 0, run;
        bool fresh;
        int ret = ext4_map(fs, dir, i, &physical, &run, err);
        if (!ret && !physical)
            ret = err_set(err, EINVAL, "directory inode %u has a hole at block %llu", dir->inode,
                          (unsigned long long)i);
        if (!ret)
            ret = ext4_load_block(fs, EXT4_SLOT_DIR, dir, physical, "directory block", &fresh, err);
        const uint8_t *data = fs->slots[EXT4_SLOT_DIR].data;
        if (!ret && fresh && (ret = check_dir_block(fs, dir, data, err)))
            fs->slots[EXT4_SLOT_DIR].number = 0;
        if (!ret)
            ret = walk_region(fs, dir, data, fs->block_bytes, w, err);
        if (ret)
            return ret;
    }
    return 0;
}

/* A directory in its inode: the parent's number, entries to the end of i_block, entries in the
 * attribute. */
static int walk_inline(struct ext4 *fs, const struct ext4_file *dir, const struct walk *w,
                       struct err *err)
{
    const uint8_t *rest = NULL;
    size_t rest_bytes = 0;
    int ret = w->fn(w->arg, "..", le32_read(dir->block));
    if (!ret)
        ret = walk_region(fs, dir, dir->block + 4, sizeof(dir->block) - 4, w, err);
    if (!ret)
        ret = ext4_inline_rest(fs, dir, &rest, &rest_bytes, err);
    return ret ? ret : walk_region(fs, dir, rest, rest_bytes, w, err);
}

static int walk_dir(struct ext4 *fs, const struct ext4_file *dir, const struct walk *w,
                    struct err *err)
{
    if (!S_ISDIR(dir->mode))
        return err_set(err, ENOTDIR, "inode %u is no directory", dir->inode);
    return dir->flags & EXT4_WIRE_FLAG_INLINE ? walk_inline(fs, dir, w, err)
                                              : walk_blocks(fs, dir, w, err);
}

struct list {
    int (*fn)(void *arg, const char *name);
    void *arg;
};

static int list_one(void *arg, const char *name, uint32_t inode)
{
    struct list *l = arg;
    (void)inode;
    return l->fn(l->arg, name);
}

int ext4_list(struct ext4 *fs, const struct ext4_file *directory,
              int (*fn)(void *arg, const char *name), void *arg, struct err *err)
{
    struct list l = {fn, arg};
    struct walk w = {list_one, &l};
    return walk_dir(fs, directory, &w, err);
}

/* ---- paths ---- */

#define FOUND 1

struct search {
    const char *name;
    uint32_t inode;
};

static int compare(void *arg, const char *name, uint32_t inode)
{
    struct search *s = arg;
    if (strcmp(name, s->name) != 0)
        return 0;
    s->inode = inode;
    return FOUND;
}

static int find_in(struct ext4 *fs, const struct ext4_file *dir, const char *name,
                   struct ext4_file *file, struct err *err)
{
    struct search s = {.name = name};
    struct walk w = {compare, &s};
    int ret = walk_dir(fs, dir, &w, err);
    if (ret == FOUND)
        return ext4_inode(fs, s.inode, file, err);
    return ret ? ret : err_set(err, ENOENT, "there is no '%s'", name);
}

/* Puts a link's target before what is left of the path. */
static int follow(struct ext4 *fs, const struct ext4_file *link, char *rest, struct err *err)
{
    char target[PATH_ROOM_BYTES];
    size_t left = strlen(rest);
    if (!link->size_bytes || link->size_bytes + 1 + left >= PATH_ROOM_BYTES)
        return err_set(err, ENAMETOOLONG, "symbolic link inode %u of %llu bytes", link->inode,
                       (unsigned long long)link->size_bytes);
    size_t n = (size_t)link->size_bytes;
    bool in_inode = n < sizeof(link->block) &&
                    !(link->flags & (EXT4_WIRE_FLAG_EXTENTS | EXT4_WIRE_FLAG_INLINE));
    int ret = in_inode ? 0 : read_any(fs, link, 0, target, n, err);
    if (ret)
        return ret;
    if (in_inode)
        memcpy(target, link->block, n);
    if (memchr(target, 0, n))
        return err_set(err, EINVAL, "symbolic link inode %u has a zero byte in it", link->inode);
    memmove(rest + n + 1, rest, left + 1);
    memcpy(rest, target, n);
    rest[n] = '/';
    return 0;
}

/* Cuts the next component off the path; false at its end. */
static bool next_component(char *rest, char name[EXT4_NAME_MAX + 1], bool *too_long)
{
    size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/");
    *too_long = n > EXT4_NAME_MAX;
    if (!n || *too_long)
        return false;
    memcpy(name, rest + skip, n);
    name[n] = 0;
    memmove(rest, rest + skip + n, strlen(rest + skip + n) + 1);
    return true;
}

int ext4_lookup(struct ext4 *fs, const char *path, struct ext4_file *file, struct err *err)
{
    char rest[PATH_ROOM_BYTES], name[EXT4_NAME_MAX + 1];
    struct ext4_file root, at, next;
    unsigned links = 0;
    bool too_long = false;
    if (strlen(path) >= sizeof(rest))
        return err_set(err, ENAMETOOLONG, "the path has %zu bytes", strlen(path));
    memcpy(rest, path, strlen(path) + 1);
    int ret = ext4_inode(fs, EXT4_WIRE_INODE_ROOT, &root, err);
    for (at = root; !ret && next_component(rest, name, &too_long);) {
        if (strcmp(name, ".") == 0 || (strcmp(name, "..") == 0 && at.inode == root.inode))
            continue;
        ret = find_in(fs, &at, name, &next, err);
        if (!ret && !S_ISLNK(next.mode)) {
            at = next;
        } else if (!ret) {
            if (++links > LINKS_MAX)
                ret = err_set(err, ELOOP, "more than %d symbolic links", LINKS_MAX);
            else
                ret = follow(fs, &next, rest, err);
            if (!ret && rest[0] == '/')
                at = root;
        }
    }
    if (!ret && too_long)
        ret = err_set(err, ENAMETOOLONG, "a name has more than %d bytes", EXT4_NAME_MAX);
    if (ret) {
        err_wrap(err, "%.200s", path);
        return ret; /* what is absent stays so without an err */
    }
    *file = at;
    return 0;
}
