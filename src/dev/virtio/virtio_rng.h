/* virtio-rng: random bytes from the host's kernel. Spec: virtio 1.2, 5.4. */
#ifndef DEV_VIRTIO_VIRTIO_RNG_H
#define DEV_VIRTIO_VIRTIO_RNG_H

#include "dev/virtio/virtio.h"
#include "io/loop.h"
#include "mem/guest_mem.h"

/* A request gets at most this much; the driver asks again. */
#define VIRTIO_RNG_REQUEST_BYTES 4096

struct virtio_rng_options {
    struct loop *loop;
    uint64_t bytes_per_s; /* 0: no limit */
    uint64_t burst_bytes; /* 0: 10 ms' worth */
};

struct virtio_device *virtio_rng_create(struct guest_mem *mem,
                                        const struct virtio_rng_options *options, struct err *err);

#endif
