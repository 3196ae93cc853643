/* A guest that sends any frames: pieces of a length byte and as many bytes, with time in between.
 * What the table holds must be what a host can have, each once. */
#include "net/net_addresses.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static void check(const struct net_addresses *a, int64_t now_ns)
{
    char text[NET_ADDRESSES_TEXT_BYTES];
    if (a->n > NET_ADDRESSES_MAX)
        abort();
    for (unsigned i = 0; i < a->n; i++) {
        const struct net_address *x = &a->address[i];
        if (x->bytes[0] == 0 || x->bytes[0] == (x->ipv6 ? 0xff : 127) || a->seen_ns[i] > now_ns)
            abort();
        net_addresses_text(x, text);
        if (!text[0])
            abort();
        for (unsigned k = 0; k < i; k++)
            if (x->ipv6 == a->address[k].ipv6 && !memcmp(x->bytes, a->address[k].bytes, 16))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_addresses a = {0};
    int64_t now_ns = 0;
    while (size) {
        size_t bytes = MIN(data[0], size - 1);
        uint8_t *frame = malloc(bytes + 1); /* of just that size */
        memcpy(frame, data + 1, bytes);
        struct net_addresses before = a;
        bool changed = net_addresses_look(&a, frame, bytes, now_ns);
        free(frame);
        bool same =
            a.n == before.n && !memcmp(a.address, before.address, a.n * sizeof(a.address[0]));
        if (!changed && !same)
            abort();
        check(&a, now_ns);
        now_ns += bytes * INT64_C(10000000000);
        data += 1 + bytes;
        size -= 1 + bytes;
    }
    return 0;
}
