#include "boot/disk_reader.h"

#include <errno.h>

#include "base/util.h"

int disk_reader_read(const struct disk_reader *r, const char *what, uint64_t offset, void *buf,
                     size_t bytes, struct err *err)
{
    if (!range_within(offset, bytes, r->size_bytes))
        return err_set(err, EINVAL, "%s: %zu bytes at %llu lie outside of %llu bytes", what, bytes,
                       (unsigned long long)offset, (unsigned long long)r->size_bytes);
    if (!bytes)
        return 0;
    if (r->reads_left && !*r->reads_left)
        return err_set(err, E2BIG, "%s: the search for a kernel has read too many pieces", what);
    if (r->reads_left)
        --*r->reads_left;
    int ret = r->read(r->ctx, r->offset_bytes + offset, buf, bytes);
    return ret ? err_sys(err, -ret, "could not read %s: %zu bytes at %llu of the disk", what, bytes,
                         (unsigned long long)(r->offset_bytes + offset))
               : 0;
}

struct disk_reader disk_reader_part(const struct disk_reader *r, uint64_t offset, uint64_t bytes)
{
    struct disk_reader part = *r;
    offset = MIN(offset, r->size_bytes);
    part.offset_bytes += offset;
    part.size_bytes = MIN(bytes, r->size_bytes - offset);
    return part;
}
