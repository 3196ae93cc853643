#include "migrate/saved_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/util.h"

#define VERSION      2
#define HEADER_BYTES 64
#define PAGE         GUEST_MEM_PAGE_BYTES
/* One write at most: how long a cancelled save goes on. */
#define RUN_MAX_BYTES (UINT64_C(4) << 20)

static const char magic[8] = "VIRGAVM1";

struct header {
    uint64_t state_bytes, ram_offset, ram_bytes, state_sum;
    uint32_t ram_sum;
    uint8_t uuid[16];
};

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static int write_all(int fd, const uint8_t *p, size_t n, uint64_t at, struct err *err)
{
    while (n) {
        ssize_t done = pwrite(fd, p, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(err, errno, "could not write the saved VM at byte %llu",
                           (unsigned long long)at);
        p += done;
        at += (size_t)done;
        n -= (size_t)done;
    }
    return 0;
}

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Adds the page with this number, which is not zero, to RAM's checksum. Pages of zeroes are left
 * out: a copy of the file may have holes where it had zeroes, and the other way round. */
static uint32_t add_page(uint32_t crc, uint64_t number, const uint8_t *page)
{
    uint8_t where[8];
    le64_write(where, number);
    return crc32c(crc32c(crc, where, sizeof(where)), page, PAGE);
}

/* ---- write ---- */

/* Where the next bytes are that may be anything but zero: shared RAM that was never touched is not
 * read, which would make pages of it. */
static uint64_t next_data(const struct guest_mem *mem, const struct guest_mem_region *r,
                          uint64_t at, uint64_t *end)
{
    *end = r->size_bytes;
    if (mem->fd < 0)
        return at;
    off_t data = lseek(mem->fd, (off_t)(r->fd_offset + at), SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? r->size_bytes : at;
    off_t hole = lseek(mem->fd, data, SEEK_HOLE);
    if (hole >= 0)
        *end = MIN(*end, (uint64_t)hole - r->fd_offset);
    return MIN(r->size_bytes, (uint64_t)data - r->fd_offset);
}

struct writer {
    int fd;
    const _Atomic bool *cancel;
    uint64_t ram_offset; /* in the file */
    uint64_t before;     /* bytes of RAM in the regions before this one */
    uint32_t sum;
};

/* Writes the pages of [at, end) of a region that are not zero. */
static int write_range(struct writer *w, const uint8_t *ram, uint64_t at, uint64_t end,
                       struct err *err)
{
    while (at < end) {
        if (atomic_load_explicit(w->cancel, memory_order_relaxed))
            return err_set(err, ECANCELED, "saving the VM was cancelled");
        if (is_zero(ram + at)) {
            at += PAGE;
            continue;
        }
        uint64_t from = at;
        for (; at < end && at - from < RUN_MAX_BYTES && !is_zero(ram + at); at += PAGE)
            w->sum = add_page(w->sum, (w->before + at) / PAGE, ram + at);
        int ret = write_all(w->fd, ram + from, at - from, w->ram_offset + w->before + from, err);
        if (ret)
            return ret;
    }
    return 0;
}

static int write_ram(struct writer *w, const struct guest_mem *mem, struct err *err)
{
    int ret = 0;
    for (unsigned i = 0; !ret && i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        uint64_t end;
        for (uint64_t at = 0; !ret && at < r->size_bytes; at = end) {
            at = next_data(mem, r, at, &end);
            ret = write_range(w, r->hva, at, end, err);
        }
        w->before += r->size_bytes;
    }
    return ret;
}

static int write_header(int fd, const struct header *h, struct err *err)
{
    uint8_t b[HEADER_BYTES] = {0};
    memcpy(b, magic, sizeof(magic));
    le32_write(b + 8, VERSION);
    le32_write(b + 12, h->ram_sum);
    le64_write(b + 16, h->state_bytes);
    le64_write(b + 24, h->ram_offset);
    le64_write(b + 32, h->ram_bytes);
    le64_write(b + 40, h->state_sum);
    memcpy(b + 48, h->uuid, sizeof(h->uuid));
    return write_all(fd, b, sizeof(b), 0, err);
}

static int check_empty(int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_sys(err, errno, "could not look at the file for the saved VM");
    if (!S_ISREG(st.st_mode) || st.st_size)
        return err_set(err, EINVAL,
                       "a VM is saved to an empty regular file and not to %s: open one with "
                       "O_CREAT and O_TRUNC",
                       S_ISREG(st.st_mode) ? "one that has content" : "this");
    return 0;
}

static int sync_file(int fd, struct err *err)
{
    return fdatasync(fd) ? err_sys(err, errno, "could not sync the saved VM") : 0;
}

int saved_vm_write(int fd, const struct guest_mem *mem, const uint8_t uuid[16], const void *state,
                   size_t state_bytes, const _Atomic bool *cancel, struct err *err)
{
    struct header h = {.state_bytes = state_bytes,
                       .ram_offset = align_up(HEADER_BYTES + state_bytes, PAGE),
                       .ram_bytes = mem->total_bytes,
                       .state_sum = fnv1a(state, state_bytes)};
    struct writer w = {.fd = fd, .cancel = cancel, .ram_offset = h.ram_offset};
    memcpy(h.uuid, uuid, sizeof(h.uuid));
    int ret = check_empty(fd, err);
    if (!ret && ftruncate(fd, (off_t)(h.ram_offset + h.ram_bytes)))
        ret = err_sys(err, errno, "could not make the saved VM %llu bytes long",
                      (unsigned long long)(h.ram_offset + h.ram_bytes));
    if (!ret)
        ret = write_all(fd, state, state_bytes, HEADER_BYTES, err);
    if (!ret)
        ret = write_ram(&w, mem, err);
    h.ram_sum = w.sum;
    if (!ret)
        ret = sync_file(fd, err);
    if (!ret)
        ret = write_header(fd, &h, err);
    return ret ? ret : sync_file(fd, err);
}

/* ---- read ---- */

static int read_all(int fd, const char *name, void *p, size_t n, uint64_t at, struct err *err)
{
    uint8_t *to = p;
    while (n) {
        ssize_t done = pread(fd, to, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(err, errno, "could not read saved VM '%s' at byte %llu", name,
                           (unsigned long long)at);
        if (done == 0)
            return err_set(err, EINVAL, "saved VM '%s' ends at byte %llu: it is cut off", name,
                           (unsigned long long)at);
        to += done;
        at += (size_t)done;
        n -= (size_t)done;
    }
    return 0;
}

static int read_header(int fd, const char *name, struct header *h, struct err *err)
{
    uint8_t b[HEADER_BYTES];
    static const uint8_t nothing[HEADER_BYTES];
    int ret = read_all(fd, name, b, sizeof(b), 0, err);
    if (ret)
        return ret;
    if (memcmp(b, nothing, sizeof(b)) == 0)
        return err_set(err, EINVAL, "saved VM '%s' is not complete: saving it was interrupted",
                       name);
    if (memcmp(b, magic, sizeof(magic)) != 0)
        return err_set(err, EINVAL, "'%s' is not a saved VM: it does not begin with \"%.8s\"", name,
                       magic);
    if (le32_read(b + 8) != VERSION)
        return err_set(err, EINVAL, "saved VM '%s' has version %u, this program reads version %d",
                       name, le32_read(b + 8), VERSION);
    *h = (struct header){.state_bytes = le64_read(b + 16),
                         .ram_offset = le64_read(b + 24),
                         .ram_bytes = le64_read(b + 32),
                         .state_sum = le64_read(b + 40),
                         .ram_sum = le32_read(b + 12)};
    memcpy(h->uuid, b + 48, sizeof(h->uuid));
    return 0;
}

static int check_header(int fd, const char *name, const struct header *h,
                        const struct guest_mem *mem, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_sys(err, errno, "could not look at saved VM '%s'", name);
    if (h->ram_bytes != mem->total_bytes)
        return err_set(err, EINVAL,
                       "saved VM '%s' has %llu bytes of RAM, this VM has %llu: give it the same "
                       "--memory",
                       name, (unsigned long long)h->ram_bytes,
                       (unsigned long long)mem->total_bytes);
    if (h->state_bytes > SAVED_VM_STATE_MAX_BYTES ||
        h->ram_offset != align_up(HEADER_BYTES + h->state_bytes, PAGE))
        return err_set(err, EINVAL,
                       "saved VM '%s' says that its state has %llu bytes and its RAM begins at "
                       "byte %llu: it is corrupt",
                       name, (unsigned long long)h->state_bytes, (unsigned long long)h->ram_offset);
    if ((uint64_t)st.st_size != h->ram_offset + h->ram_bytes)
        return err_set(err, EINVAL, "saved VM '%s' has %llu bytes and should have %llu: %s", name,
                       (unsigned long long)st.st_size,
                       (unsigned long long)(h->ram_offset + h->ram_bytes),
                       (uint64_t)st.st_size < h->ram_offset + h->ram_bytes ? "it is cut off"
                                                                           : "it is corrupt");
    return 0;
}

/* Reads what is not a hole; where the file system cannot tell, all of it. */
static int read_ram(int fd, const char *name, const struct guest_mem *mem, uint64_t offset,
                    uint32_t *sum, struct err *err)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < mem->n_regions; i++) {
        const struct guest_mem_region *r = &mem->regions[i];
        uint64_t at = 0, end;
        for (; at < r->size_bytes; at = end) {
            off_t data = lseek(fd, (off_t)(offset + at), SEEK_DATA);
            if (data < 0 && errno == ENXIO)
                break;
            uint64_t from = data < 0 ? at : MAX(at, (uint64_t)data - offset);
            off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
            end = hole < 0 ? r->size_bytes : MIN(r->size_bytes, (uint64_t)hole - offset);
            if (from >= r->size_bytes || end <= from)
                break;
            from -= from % PAGE;
            end = align_up(end, PAGE);
            int ret = read_all(fd, name, r->hva + from, end - from, offset + from, err);
            if (ret)
                return ret;
            for (uint64_t p = from; p < end; p += PAGE)
                if (!is_zero(r->hva + p))
                    *sum = add_page(*sum, (before + p) / PAGE, r->hva + p);
        }
        offset += r->size_bytes;
        before += r->size_bytes;
    }
    return 0;
}

int saved_vm_read(int fd, const char *name, struct guest_mem *mem, void **state,
                  size_t *state_bytes, struct err *err)
{
    struct header h = {0};
    int ret = read_header(fd, name, &h, err);
    if (!ret)
        ret = check_header(fd, name, &h, mem, err);
    if (ret)
        return ret;
    CLEANUP_FREE uint8_t *bytes = malloc(h.state_bytes + 1);
    if (!bytes)
        return err_set(err, ENOMEM, "could not allocate the state of saved VM '%s'", name);
    ret = read_all(fd, name, bytes, h.state_bytes, HEADER_BYTES, err);
    if (!ret && fnv1a(bytes, h.state_bytes) != h.state_sum)
        ret =
            err_set(err, EINVAL, "the checksum of saved VM '%s' does not fit: it is corrupt", name);
    uint32_t ram_sum = 0;
    guest_mem_advise_huge(mem, false);
    if (!ret)
        ret = read_ram(fd, name, mem, h.ram_offset, &ram_sum, err);
    guest_mem_advise_huge(mem, true);
    if (!ret && ram_sum != h.ram_sum)
        ret = err_set(err, EINVAL,
                      "the RAM of saved VM '%s' has checksum 0x%08x, its header says 0x%08x: it is "
                      "corrupt",
                      name, ram_sum, h.ram_sum);
    if (ret)
        return ret;
    *state = bytes;
    *state_bytes = h.state_bytes;
    bytes = NULL;
    return 0;
}

int saved_vm_read_uuid(int fd, const char *name, uint8_t uuid[16], struct err *err)
{
    struct header h = {0};
    int ret = read_header(fd, name, &h, err);
    if (!ret)
        memcpy(uuid, h.uuid, sizeof(h.uuid));
    return ret;
}
