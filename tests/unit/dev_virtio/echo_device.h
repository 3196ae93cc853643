/* A virtio device for tests of the core and its transports: two queues that answer every request
 * with the inverse of its bytes, 6 bytes of configuration space, one of its own feature bits, and a
 * saved number. */
#ifndef ECHO_DEVICE_H
#define ECHO_DEVICE_H

#include <errno.h>

#include "base/util.h"
#include "dev/virtio/virtio_watch.h"

#define ECHO_FEATURE (UINT64_C(1) << 5)

struct echo {
    struct virtio_device dev;
    struct loop *loop;
    struct virtio_watch watch[2];
    unsigned activated, reset, paused, resumed, served;
    bool refuse_activation, refuse_features;
    uint8_t config[6];
    uint32_t number;
    bool *destroyed;
};

static inline bool echo_serve(struct virtio_watch *w)
{
    struct echo *e = (struct echo *)w->dev;
    struct virtq *vq = &w->dev->queues[w->queue].vq;
    struct iovec iov[4];
    uint64_t in_gpa[4];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = 4};
    struct err err = {0};
    int ret;
    virtq_disable_kicks(vq);
    while ((ret = virtq_pop(vq, &c, &err)) == 1) {
        uint32_t n = 0;
        if (c.n_out && c.n_in) {
            n = (uint32_t)MIN(iov[0].iov_len, iov[c.n_out].iov_len);
            for (uint32_t i = 0; i < n; i++)
                ((uint8_t *)iov[c.n_out].iov_base)[i] = (uint8_t) ~((uint8_t *)iov[0].iov_base)[i];
        }
        virtq_push(vq, &c, n);
        e->served++;
    }
    if (virtq_publish(vq))
        virtio_queue_interrupt(w->dev, w->queue);
    if (ret < 0) {
        virtio_device_broken(w->dev, &err);
        return false;
    }
    return virtq_enable_kicks(vq);
}

static inline int echo_features_ok(struct virtio_device *dev, struct err *err)
{
    return ((struct echo *)dev)->refuse_features ? err_set(err, EINVAL, "no such luck") : 0;
}
static inline void echo_config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned n)
{
    memcpy(buf, ((struct echo *)dev)->config + off, n);
}
static inline void echo_config_write(struct virtio_device *dev, uint32_t off, const void *buf,
                                     unsigned n)
{
    memcpy(((struct echo *)dev)->config + off, buf, n);
}
static inline int echo_start(struct echo *e, struct err *err)
{
    int ret = 0;
    for (unsigned i = 0; !ret && i < 2; i++)
        ret = virtio_watch_start(&e->watch[i], &e->dev, i, e->loop, echo_serve, err);
    return ret;
}
static inline void echo_stop(struct echo *e)
{
    for (unsigned i = 0; i < 2; i++)
        virtio_watch_stop(&e->watch[i]);
}
static inline int echo_activate(struct virtio_device *dev, struct err *err)
{
    struct echo *e = (struct echo *)dev;
    e->activated++;
    if (e->refuse_activation)
        return err_set(err, EIO, "the back end is gone");
    return echo_start(e, err);
}
static inline void echo_reset(struct virtio_device *dev)
{
    ((struct echo *)dev)->reset++;
    echo_stop((struct echo *)dev);
}
static inline void echo_pause(struct virtio_device *dev)
{
    ((struct echo *)dev)->paused++;
    echo_stop((struct echo *)dev);
}
static inline void echo_resume(struct virtio_device *dev)
{
    ((struct echo *)dev)->resumed++;
    echo_start((struct echo *)dev, NULL);
}
static inline void echo_save(struct virtio_device *dev, struct state_writer *w)
{
    state_put_u32(w, ((struct echo *)dev)->number);
}
static inline int echo_load(struct virtio_device *dev, struct state_reader *r)
{
    ((struct echo *)dev)->number = state_get_u32(r);
    return 0;
}
static inline void echo_destroy(struct virtio_device *dev)
{
    struct echo *e = (struct echo *)dev;
    if (e->destroyed)
        *e->destroyed = true;
    free(e);
}

static inline struct echo *echo_new(struct guest_mem *mem, struct loop *loop)
{
    static const struct virtio_device_ops ops = {
        .name = "virtio-echo",
        .features_ok = echo_features_ok,
        .config_read = echo_config_read,
        .config_write = echo_config_write,
        .activate = echo_activate,
        .reset = echo_reset,
        .pause = echo_pause,
        .resume = echo_resume,
        .save = echo_save,
        .load = echo_load,
        .destroy = echo_destroy,
    };
    struct echo *e = calloc(1, sizeof(*e));
    virtio_device_init(&e->dev, &ops, 42, mem, 2, 16);
    e->loop = loop;
    e->dev.features_offered = ECHO_FEATURE;
    e->dev.config_bytes = sizeof(e->config);
    memcpy(e->config, "config", 6);
    return e;
}

#endif
