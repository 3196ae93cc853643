/* A virtio device as its transport (dev/virtio/virtio_pci.h) and the machine see it. Devices
 * implement virtio_provider.h. */
#ifndef DEV_VIRTIO_VIRTIO_H
#define DEV_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "state/state.h"
#include "virtq/virtq.h"

#define VIRTIO_QUEUES_MAX 64

/* Feature bits common to all devices. Spec: virtio 1.2, 6. */
#define VIRTIO_F_INDIRECT (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT    (UINT64_C(1) << 29)
#define VIRTIO_F_V1       (UINT64_C(1) << 32)
#define VIRTIO_F_PACKED   (UINT64_C(1) << 34)
#define VIRTIO_F_COMMON   (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT | VIRTIO_F_V1 | VIRTIO_F_PACKED)

/* Device status. Spec: virtio 1.2, 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER      2
#define VIRTIO_STATUS_DRIVER_OK   4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_NEEDS_RESET 64
#define VIRTIO_STATUS_FAILED      128

struct virtio_device;

/* Leaves the queues if the device is active and frees it with its back ends. NULL is allowed.
 * A device that belongs to a transport is destroyed by it. Called with the device lock held, or
 * when no vCPU runs. */
void virtio_device_destroy(struct virtio_device *dev);

/* Stops and resumes the processing of queues, for pause, snapshot and detach. On return of
 * pause, no thread touches guest memory for this device and nothing is in flight; resume looks at
 * every queue again, so that no kick is lost. Called with the device lock held. */
void virtio_device_pause(struct virtio_device *dev);
void virtio_device_resume(struct virtio_device *dev);

/* The dirty log of a device whose queues another process serves; does nothing for the others, which
 * write through mem/. sync moves what was logged so far into the log of mem/. With the device lock
 * held. Errors: the back end's (it cannot log). */
int virtio_device_log_start(struct virtio_device *dev, struct err *err);
void virtio_device_log_sync(struct virtio_device *dev);
void virtio_device_log_stop(struct virtio_device *dev);

#endif
