/* Theory of operation. Queue 0 carries bytes to the guest, queue 1 from it. A chain of which the
 * back end took only a part goes back into the ring, and `sent` remembers how much of it was taken:
 * so nothing is ever in flight, and a pause, a save and a load need no more than that number. */
#include "dev/virtio/virtio_console.h"

#include <errno.h>
#include <linux/virtio_console.h>

#include "base/util.h"
#include "dev/virtio/virtio_watch.h"

#define QUEUE_SIZE   128
#define IOVS         (QUEUE_SIZE + VIRTQ_REGIONS_MAX)
#define BUDGET_BYTES (64 * KIB) /* a turn in the loop */
#define RX           0
#define TX           1

struct virtio_console {
    struct virtio_device dev;
    struct loop *loop;
    struct virtio_console_backend backend;
    struct virtio_watch watch[2];
    uint16_t cols, rows;
    /* Of the loop's thread from here on. */
    bool serving;
    bool output_blocked; /* the back end had no room */
    bool input_refused;  /* the guest had no buffer */
    uint32_t sent;       /* bytes of the first chain of TX that the back end has */
};

static void fail(struct virtio_console *con, const struct err *err)
{
    virtio_device_broken(&con->dev, err);
}

/* Hands over what follows con->sent, at most `max` bytes; returns how many were taken. */
static uint32_t output_chain(struct virtio_console *con, const struct virtq_chain *c, uint32_t max)
{
    uint32_t skip = con->sent, done = 0;
    for (unsigned i = 0; i < c->n_out && done < max; i++) {
        if (skip >= c->iov[i].iov_len) {
            skip -= (uint32_t)c->iov[i].iov_len;
            continue;
        }
        uint32_t n = (uint32_t)MIN(c->iov[i].iov_len - skip, max - done);
        size_t took =
            con->backend.output(con->backend.opaque, (uint8_t *)c->iov[i].iov_base + skip, n);
        done += (uint32_t)MIN(took, n);
        if (took < n) {
            con->output_blocked = true;
            break;
        }
        skip = 0;
    }
    return done;
}

static bool serve_tx(struct virtio_watch *w)
{
    struct virtio_console *con = (struct virtio_console *)w->dev;
    struct virtq *vq = &w->dev->queues[TX].vq;
    struct iovec iov[IOVS];
    struct virtq_chain c = {.iov = iov, .iov_max = IOVS};
    struct err err = {0};
    int ret = 0;
    uint32_t budget = BUDGET_BYTES;
    virtq_disable_kicks(vq);
    for (unsigned n = QUEUE_SIZE; n && budget && !con->output_blocked; n--) {
        ret = virtq_pop(vq, &c, &err);
        if (ret <= 0)
            break;
        uint32_t done = output_chain(con, &c, budget);
        budget -= done;
        if ((uint64_t)con->sent + done < c.out_bytes) {
            con->sent += done;
            virtq_unpop(vq, &c);
        } else {
            con->sent = 0;
            virtq_push(vq, &c, 0);
        }
    }
    if (virtq_publish(vq))
        virtio_queue_interrupt(w->dev, TX);
    if (ret < 0)
        fail(con, &err);
    return ret >= 0 && !con->output_blocked && virtq_enable_kicks(vq);
}

/* Kicks on this queue are wanted only after bytes were refused. */
static bool serve_rx(struct virtio_watch *w)
{
    struct virtio_console *con = (struct virtio_console *)w->dev;
    virtq_disable_kicks(&w->dev->queues[RX].vq);
    if (con->input_refused) {
        con->input_refused = false;
        if (con->backend.input_ready)
            con->backend.input_ready(con->backend.opaque);
    }
    return false;
}

static size_t fill(const struct virtq_chain *c, const uint8_t *data, size_t len)
{
    size_t done = 0;
    for (unsigned i = 0; i < c->n_in && done < len; i++) {
        size_t n = MIN(c->iov[c->n_out + i].iov_len, len - done);
        memcpy(c->iov[c->n_out + i].iov_base, data + done, n);
        done += n;
    }
    return done;
}

size_t virtio_console_input(struct virtio_device *dev, const void *data, size_t len)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    struct virtq *vq = &dev->queues[RX].vq;
    struct iovec iov[IOVS];
    uint64_t in_gpa[IOVS];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = IOVS};
    struct err err = {0};
    size_t done = 0;
    int ret = 0;
    if (!con->serving || !dev->queues[RX].enabled || virtio_device_is_broken(dev)) {
        con->input_refused = len > 0;
        return 0;
    }
    bool empty = false;
    for (unsigned n = QUEUE_SIZE; n && done < len && !empty; n--) {
        ret = virtq_pop(vq, &c, &err);
        if (ret < 0)
            break;
        if (ret == 0) {
            empty = !virtq_enable_kicks(vq);
            continue;
        }
        size_t took = fill(&c, (const uint8_t *)data + done, len - done);
        virtq_push(vq, &c, (uint32_t)took);
        done += took;
    }
    if (virtq_publish(vq))
        virtio_queue_interrupt(dev, RX);
    if (ret < 0)
        fail(con, &err);
    con->input_refused = done < len;
    if (con->input_refused && !empty) /* the budget ended, not the buffers */
        virtio_queue_kick(dev, RX);
    return done;
}

void virtio_console_output_ready(struct virtio_device *dev)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    con->output_blocked = false;
    if (con->serving && dev->queues[TX].enabled)
        virtio_queue_kick(dev, TX);
}

void virtio_console_resize(struct virtio_device *dev, uint16_t cols, uint16_t rows)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    con->cols = cols;
    con->rows = rows;
    virtio_config_changed(dev);
}

/* ---- slots ---- */

static void config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    const struct virtio_console *con = (const struct virtio_console *)dev;
    const struct virtio_console_config config = {
        .cols = htole16(con->cols),
        .rows = htole16(con->rows),
        .max_nr_ports = htole32(1),
    };
    memcpy(buf, (const uint8_t *)&config + off, len);
}

static void begin_serving(void *arg)
{
    struct virtio_console *con = arg;
    con->serving = true;
    con->output_blocked = false; /* ask the back end anew */
}

static void end_serving(void *arg)
{
    struct virtio_console *con = arg;
    con->serving = false;
}

static int start(struct virtio_device *dev, struct err *err)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    loop_call(con->loop, begin_serving, con);
    int ret = virtio_watch_start(&con->watch[RX], dev, RX, con->loop, serve_rx, err);
    return ret ? ret : virtio_watch_start(&con->watch[TX], dev, TX, con->loop, serve_tx, err);
}

static void stop(struct virtio_device *dev)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    virtio_watch_stop(&con->watch[RX]);
    virtio_watch_stop(&con->watch[TX]);
    loop_call(con->loop, end_serving, con);
}

static void reset(struct virtio_device *dev)
{
    stop(dev);
    ((struct virtio_console *)dev)->sent = 0;
}

static void resume(struct virtio_device *dev)
{
    struct err err = {0};
    if (start(dev, &err))
        virtio_device_broken(dev, &err);
}

static void save(struct virtio_device *dev, struct state_writer *w)
{
    const struct virtio_console *con = (const struct virtio_console *)dev;
    state_put_u16(w, con->cols);
    state_put_u16(w, con->rows);
    state_put_u32(w, con->sent);
}

static int load(struct virtio_device *dev, struct state_reader *r)
{
    struct virtio_console *con = (struct virtio_console *)dev;
    con->cols = state_get_u16(r);
    con->rows = state_get_u16(r);
    con->sent = state_get_u32(r);
    return 0;
}

static void destroy(struct virtio_device *dev)
{
    free(dev);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-console",
    .config_read = config_read,
    .activate = start,
    .reset = reset,
    .pause = stop,
    .resume = resume,
    .save = save,
    .load = load,
    .destroy = destroy,
};

struct virtio_device *virtio_console_create(struct guest_mem *mem,
                                            const struct virtio_console_options *options,
                                            struct err *err)
{
    struct virtio_console *con = calloc(1, sizeof(*con));
    if (!con) {
        err_set(err, ENOMEM, "could not allocate a virtio-console device");
        return NULL;
    }
    virtio_device_init(&con->dev, &ops, 3, mem, 2, QUEUE_SIZE);
    con->dev.config_bytes = sizeof(struct virtio_console_config);
    if (options->cols && options->rows)
        con->dev.features_offered = UINT64_C(1) << VIRTIO_CONSOLE_F_SIZE;
    con->loop = options->loop;
    con->backend = options->backend;
    con->cols = options->cols;
    con->rows = options->rows;
    return &con->dev;
}
