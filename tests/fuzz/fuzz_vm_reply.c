/* A monitor that answers anything, in pieces of any size: the first byte says of which. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/vm_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(void *opaque, const char *data, size_t bytes)
{
    unsigned *sum = opaque;
    for (size_t i = 0; i < bytes; i++)
        *sum += (unsigned char)data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vm_reply r;
    unsigned sum = 0;
    size_t used, step = size ? data[0] + 1u : 1;
    vm_reply_init(&r);
    for (size_t at = 1; at < size; at += used) {
        size_t n = size - at < step ? size - at : step;
        if (vm_reply_feed(&r, (const char *)data + at, n, take, &sum, &used))
            break;
        if (used > n || (used < n && r.part != VM_REPLY_DONE))
            abort();
        if (r.part == VM_REPLY_DONE)
            vm_reply_init(&r);
        if (!used)
            break;
    }
    return sum == UINT32_MAX; /* so that the bytes are read */
}
