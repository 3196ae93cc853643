/* Theory of operation. The order of stores is what counts, not their visibility to other CPUs: the
 * reader is a process that starts after the writer died. So plain program order is enough, kept
 * against the compiler by atomic_signal_fence().
 *
 * A batch of completions is linked through `next` from last_batch_head before its used index
 * becomes visible, and cleared after. A writer that dies in between leaves used_idx behind the
 * ring's: as many entries as the difference, along the links, are complete. */
#include "vhu/vhu_inflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define REGION_ALIGN 64

static void store_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t region_bytes(uint16_t queue_size)
{
    return align_up(sizeof(struct vhu_inflight_region) +
                        queue_size * sizeof(struct vhu_inflight_entry),
                    REGION_ALIGN);
}

uint64_t vhu_inflight_bytes(uint16_t n_queues, uint16_t queue_size)
{
    return n_queues * region_bytes(queue_size);
}

static int check_sizes(uint16_t n_queues, uint16_t queue_size, struct err *err)
{
    if (!n_queues || n_queues > VHU_VRING_INDEX_MASK + 1 || !is_pow2(queue_size) ||
        queue_size > VIRTQ_SIZE_MAX)
        return err_set(err, EINVAL,
                       "an in-flight area for %u queues of %u entries: at most 256 queues and a "
                       "power of two of at most %d entries are possible",
                       n_queues, queue_size, VIRTQ_SIZE_MAX);
    return 0;
}

int vhu_inflight_create(uint16_t n_queues, uint16_t queue_size, int *fd_out, struct err *err)
{
    int ret = check_sizes(n_queues, queue_size, err);
    if (ret)
        return ret;
    uint64_t bytes = vhu_inflight_bytes(n_queues, queue_size);
    CLEANUP_CLOSE int fd = memfd_create("vhost-user-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_sys(err, errno, "could not make an in-flight area of %llu bytes",
                       (unsigned long long)bytes);
    *fd_out = steal_fd(&fd);
    return 0;
}

int vhu_inflight_map(struct vhu_inflight *in, int fd, const struct vhu_inflight_desc *desc,
                     struct err *err)
{
    struct stat st;
    int ret = check_sizes(desc->n_queues, desc->queue_size, err);
    if (ret)
        return ret;
    uint64_t need = vhu_inflight_bytes(desc->n_queues, desc->queue_size);
    if (fstat(fd, &st) < 0 || desc->mmap_size < need || desc->mmap_offset % REGION_ALIGN ||
        !range_within(desc->mmap_offset, need, (uint64_t)st.st_size))
        return err_set(err, EINVAL,
                       "an in-flight area of %llu bytes at %llu does not hold %u queues of %u "
                       "entries, or is not within its file",
                       (unsigned long long)desc->mmap_size, (unsigned long long)desc->mmap_offset,
                       desc->n_queues, desc->queue_size);
    size_t lead = desc->mmap_offset % (uint64_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, need + lead, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                        (off_t)(desc->mmap_offset - lead));
    if (map == MAP_FAILED)
        return err_sys(err, errno, "could not map an in-flight area of %llu bytes",
                       (unsigned long long)need);
    *in = (struct vhu_inflight){map, need + lead, lead, desc->n_queues, desc->queue_size};
    return 0;
}

void vhu_inflight_unmap(struct vhu_inflight *in)
{
    if (in->map)
        munmap(in->map, in->map_bytes);
    *in = (struct vhu_inflight){0};
}

/* Clears the entries of a batch whose used index became visible before its writer died. */
static int settle_last_batch(struct vhu_inflight_queue *q, uint16_t used_idx, struct err *err)
{
    struct vhu_inflight_region *r = q->region;
    uint16_t n = (uint16_t)(used_idx - r->used_idx);
    if (n > q->size)
        return err_set(err, EPROTO, "an in-flight area has used index %u where its ring has %u",
                       r->used_idx, used_idx);
    for (uint16_t head = r->last_batch_head; n; n--) {
        if (head >= q->size)
            return err_set(err, EPROTO, "an in-flight area links to entry %u of %u", head, q->size);
        r->desc[head].inflight = 0;
        head = r->desc[head].next;
    }
    store_order();
    r->used_idx = used_idx;
    return 0;
}

struct order {
    uint64_t counter;
    uint16_t head;
};

static int by_counter(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static void list_replay(struct vhu_inflight_queue *q)
{
    struct order order[VIRTQ_SIZE_MAX];
    unsigned n = 0;
    for (uint16_t i = 0; i < q->size; i++)
        if (q->region->desc[i].inflight)
            order[n++] = (struct order){q->region->desc[i].counter, i};
    qsort(order, n, sizeof(order[0]), by_counter);
    for (unsigned i = 0; i < n; i++)
        q->replay[i] = order[i].head;
    q->n_replay = (uint16_t)n;
    q->counter = n ? order[n - 1].counter + 1 : 0;
}

int vhu_inflight_attach(const struct vhu_inflight *in, unsigned index, uint16_t ring_size,
                        uint16_t used_idx, struct vhu_inflight_queue *q, struct err *err)
{
    memset(q, 0, offsetof(struct vhu_inflight_queue, replay));
    if (!in->map)
        return 0;
    if (index >= in->n_queues || ring_size > in->queue_size)
        return err_set(err, EPROTO,
                       "queue %u of %u entries has no room in an in-flight area for %u of %u",
                       index, ring_size, in->n_queues, in->queue_size);
    uint8_t *at = in->map + in->lead_bytes + index * region_bytes(in->queue_size);
    q->region = (struct vhu_inflight_region *)(void *)at;
    q->size = ring_size;
    if (!q->region->version) {
        memset(q->region, 0, region_bytes(in->queue_size));
        q->region->desc_num = ring_size;
        q->region->used_idx = used_idx;
        store_order();
        q->region->version = VHU_INFLIGHT_VERSION;
        return 0;
    }
    int ret = 0;
    if (q->region->version != VHU_INFLIGHT_VERSION || q->region->desc_num != ring_size)
        ret = err_set(err, EPROTO,
                      "an in-flight area has version %u for %u entries, expected %d for %u",
                      q->region->version, q->region->desc_num, VHU_INFLIGHT_VERSION, ring_size);
    if (!ret)
        ret = settle_last_batch(q, used_idx, err);
    if (ret)
        q->region = NULL;
    else
        list_replay(q);
    return ret;
}

void vhu_inflight_taken(struct vhu_inflight_queue *q, uint16_t head)
{
    if (!q->region || head >= q->size)
        return;
    q->region->desc[head].counter = q->counter++;
    store_order();
    q->region->desc[head].inflight = 1;
}

void vhu_inflight_returned(struct vhu_inflight_queue *q, uint16_t head)
{
    if (q->region && head < q->size)
        q->region->desc[head].inflight = 0;
}

void vhu_inflight_completed(struct vhu_inflight_queue *q, uint16_t head)
{
    if (!q->region || head >= q->size || q->n_batch == VIRTQ_SIZE_MAX)
        return;
    q->region->desc[head].next = q->region->last_batch_head;
    store_order();
    q->region->last_batch_head = head;
    q->batch[q->n_batch++] = head;
    store_order();
}

void vhu_inflight_published(struct vhu_inflight_queue *q, uint16_t used_idx)
{
    if (!q->region)
        return;
    for (unsigned i = 0; i < q->n_batch; i++)
        q->region->desc[q->batch[i]].inflight = 0;
    q->n_batch = 0;
    store_order();
    q->region->used_idx = used_idx;
}
