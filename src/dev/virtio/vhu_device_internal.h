/* Shared by vhu_device.c (the virtio side, any thread), vhu_device_link.c (the connection, the
 * loop's thread) and vhu_device_log.c. */
#ifndef DEV_VIRTIO_VHU_DEVICE_INTERNAL_H
#define DEV_VIRTIO_VHU_DEVICE_INTERNAL_H

#include "dev/virtio/vhu_device.h"

/* Protocol features that every kind makes use of. */
#define VHU_DEVICE_PROTOCOL (VHU_PF_MQ | VHU_PF_LOG_SHMFD | VHU_PF_REPLY_ACK | VHU_PF_BACKEND_REQ)

/* All of these run in the loop's thread. */

/* Reads the configuration space into *fresh. */
int vhu_device_fetch_config(struct vhu_device *vd, struct vhu_front *front, uint8_t *fresh,
                            struct err *err);
/* Watches a connection that has just been opened. */
int vhu_device_watch(struct vhu_device *vd, struct err *err);
/* Hands memory and rings to the back end, if it is there and the driver is ready. */
void vhu_device_start(struct vhu_device *vd);
/* Takes the rings back; afterwards rings[].front.base says where each stands. */
void vhu_device_stop(struct vhu_device *vd);
/* Drops the connection and asks for another. */
void vhu_device_lost(struct vhu_device *vd, const struct err *why);
/* Takes a new connection into use. */
int vhu_device_adopt(struct vhu_device *vd, int fd, unsigned timeout_ms, struct err *err);
/* Tells the back end what the driver wrote to configuration space. */
void vhu_device_flush_config(struct vhu_device *vd);
void vhu_device_unwatch(struct vhu_device *vd);
void vhu_device_inflight_drop(struct vhu_device *vd);

/* Tells the back end where to log, or (log off) to stop. vhu_device_log.c */
int vhu_device_log_tell(struct vhu_device *vd, struct err *err);

#endif
