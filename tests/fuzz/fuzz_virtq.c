/* A virtqueue over memory that is the input.
 *   OFFSET  SIZE  MEANING
 *   0       1     bit 0 packed, 1 event index, 2 indirect; bits 4 to 7: log2 of the size
 *   1       4     position (virtq_set_base())
 *   5       1     rounds
 *   6       n     memory from the rings on: 16 bytes a descriptor, then the two other areas
 * Every iovec must lie in guest memory, every id and count within the ring. */
#include "virtq/virtq.h"

#include <stdlib.h>

#include "base/util.h"

#define MEM_BYTES 0x8000
#define HALF      (MEM_BYTES / 2)
#define IOVS      48

static void check(const struct virtq *vq, const struct virtq_chain *c, const uint8_t *mem)
{
    uint64_t out = 0, in = 0;
    if ((unsigned)c->n_out + c->n_in > IOVS || vq->in_flight > vq->config.size)
        abort();
    for (unsigned i = 0; i < (unsigned)c->n_out + c->n_in; i++) {
        size_t off = (size_t)((uint8_t *)c->iov[i].iov_base - mem);
        if (!range_within(off, c->iov[i].iov_len, MEM_BYTES) || !c->iov[i].iov_len)
            abort();
        *(i < c->n_out ? &out : &in) += c->iov[i].iov_len;
    }
    if (out != c->out_bytes || in != c->in_bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t mem[MEM_BYTES];
    if (size < 6)
        return 0;
    memset(mem, 0, sizeof(mem));
    memcpy(mem, data + 6, MIN(size - 6, sizeof(mem)));
    /* Two regions that are neighbours for the guest: buffers and tables may lie across. */
    struct virtq_xlate x = {.n_regions = 2, .regions = {{0, HALF, mem}, {HALF, HALF, mem + HALF}}};
    struct virtq_config config = {
        .size = (uint16_t)(1u << (data[0] >> 4) % 9),
        .packed = data[0] & 1,
        .event_idx = data[0] & 2,
        .indirect = data[0] & 4,
    };
    config.driver = 16ull * config.size;
    config.device = align_up(config.driver + 6 + 2ull * config.size, 4);
    struct virtq vq;
    if (virtq_init(&vq, &config, &x, NULL))
        return 0;
    virtq_set_base(&vq, le32_read(data + 1));
    struct iovec iov[2][IOVS];
    uint64_t in_gpa[2][IOVS];
    struct virtq_chain c[2];
    for (unsigned i = 0; i < 2; i++)
        c[i] = (struct virtq_chain){.iov = iov[i], .in_gpa = in_gpa[i], .iov_max = IOVS};
    for (unsigned round = 0; round < data[5] % 32u; round++) {
        struct err err = {0};
        virtq_disable_kicks(&vq);
        int first = virtq_pop(&vq, &c[0], &err);
        if (first < 0 && !err.code)
            abort();
        if (first <= 0)
            break;
        check(&vq, &c[0], mem);
        if (virtq_pop(&vq, &c[1], NULL) == 1) {
            check(&vq, &c[1], mem);
            if (round % 3)
                virtq_unpop(&vq, &c[1]);
            else
                virtq_push(&vq, &c[1], round * 7); /* out of order */
        }
        virtq_push(&vq, &c[0], round % 2 ? UINT32_MAX : 0);
        virtq_publish(&vq);
        virtq_enable_kicks(&vq);
        virtq_get_base(&vq);
    }
    return 0;
}
