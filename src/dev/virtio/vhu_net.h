/* virtio-net served by another process (a switch): `--net vhost-user:SOCKET`. The back end moves
 * the packets and says which offloads there are; MAC address, link state and the control queue are
 * ours. The link is down while there is no back end. Spec: virtio 1.2, 5.1. */
#ifndef DEV_VIRTIO_VHU_NET_H
#define DEV_VIRTIO_VHU_NET_H

#include "dev/virtio/vhu_device.h"

#define VHU_NET_PAIRS_MAX 16

struct vhu_net_options {
    uint8_t mac[6];
    unsigned n_pairs; /* queue pairs the VM would like; the back end may have fewer */
    uint16_t mtu;     /* 0: none announced */
};

/* Owns: takes options->fd. Errors: as vhu_device_open(); EINVAL (a multicast MAC address). Blocks:
 * up to the timeout. */
struct virtio_device *vhu_net_create(struct guest_mem *mem, const struct vhu_net_options *net,
                                     const struct vhu_device_options *options, struct err *err);

/* Pulls the cable or plugs it in, whatever the back end does. Threads: any. */
void vhu_net_set_link(struct virtio_device *dev, bool up);

#endif
