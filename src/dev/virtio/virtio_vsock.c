/* virtio-vsock's life and queues: see virtio_vsock_internal.h. */
#include "dev/virtio/virtio_vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "dev/virtio/virtio_vsock_internal.h"

#define CONNECTIONS_DEFAULT 256
#define ACCEPT_BATCH        16
#define ACCEPT_AGAIN_NS     INT64_C(1000000000)

static struct virtio_vsock *of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_vsock, dev);
}
static struct virtq *vq_of(struct virtio_vsock *vs, enum vsock_queue queue)
{
    return &vs->dev.queues[queue].vq;
}

/* ---- to the guest ---- */

bool virtio_vsock_reset_ports(struct virtio_vsock *vs, uint32_t host_port, uint32_t guest_port,
                              uint16_t type)
{
    if (vs->n_resets == VSOCK_RESETS_MAX)
        return false;
    vs->resets[(vs->resets_at + vs->n_resets++) % VSOCK_RESETS_MAX] =
        (struct vsock_reset){host_port, guest_port, type};
    return true;
}

static void next_reset(struct virtio_vsock *vs, struct virtio_vsock_hdr *h)
{
    const struct vsock_reset *r = &vs->resets[vs->resets_at];
    *h = (struct virtio_vsock_hdr){
        .src_cid = htole64(VSOCK_HOST_CID),
        .dst_cid = htole64(vs->options.guest_cid),
        .src_port = htole32(r->host_port),
        .dst_port = htole32(r->guest_port),
        .type = htole16(r->type),
        .op = htole16(VIRTIO_VSOCK_OP_RST),
    };
    vs->resets_at = (vs->resets_at + 1) % VSOCK_RESETS_MAX;
    vs->n_resets--;
}

static void write_header(const struct virtq_chain *c, const struct virtio_vsock_hdr *h)
{
    size_t done = 0;
    for (unsigned i = c->n_out; done < sizeof(*h); i++) {
        size_t n = MIN(c->iov[i].iov_len, sizeof(*h) - done);
        memcpy(c->iov[i].iov_base, (const uint8_t *)h + done, n);
        done += n;
    }
}

/* Takes a receive buffer. Returns 1, 0 when there is none (kicks are then on), -errno. */
static int take_buffer(struct virtio_vsock *vs, struct virtq_chain *c, struct err *err)
{
    *c = (struct virtq_chain){.iov = vs->iov, .in_gpa = vs->in_gpa, .iov_max = VSOCK_CHAIN_IOV};
    int ret = virtq_pop(vq_of(vs, VSOCK_RX), c, err);
    if (ret == 0 && virtq_enable_kicks(vq_of(vs, VSOCK_RX)))
        ret = virtq_pop(vq_of(vs, VSOCK_RX), c, err);
    if (ret > 0 && (c->n_out || c->in_bytes < VSOCK_HDR_BYTES))
        ret = err_set(err, EPROTO,
                      "a vsock receive buffer has %u readable and %u writable bytes; none and at "
                      "least %zu are needed",
                      c->out_bytes, c->in_bytes, VSOCK_HDR_BYTES);
    return ret;
}

/* Puts one packet into the buffer. Returns whether it was used. */
static bool fill_buffer(struct virtio_vsock *vs, const struct virtq_chain *c)
{
    struct virtio_vsock_hdr h;
    struct vsock_conn *conn = NULL;
    ssize_t bytes = 0;
    if (vs->n_resets) {
        next_reset(vs, &h);
    } else {
        conn = vs->ready_first;
        virtio_vsock_conn_unready(conn);
        bytes = virtio_vsock_conn_next(conn, &h, c);
        if (bytes < 0)
            return false;
    }
    write_header(c, &h);
    virtq_push(vq_of(vs, VSOCK_RX), c, (uint32_t)(VSOCK_HDR_BYTES + (size_t)bytes));
    atomic_fetch_add_explicit(&vs->rx_bytes, (uint64_t)bytes, memory_order_relaxed);
    if (!conn)
        return true;
    virtio_vsock_conn_sent(conn, &h);
    if (conn->state != VSOCK_FREE)
        virtio_vsock_conn_want(conn, 0); /* behind the others */
    return true;
}

void virtio_vsock_pump(struct virtio_vsock *vs)
{
    struct virtq_chain c;
    struct err err = {0};
    bool have = false, used = false;
    if (!vs->running || vs->rx_waiting || virtio_device_is_broken(&vs->dev))
        return;
    for (int i = 0; vs->n_resets || vs->ready_first; i++) {
        if (i == VSOCK_BATCH) {
            loop_post(vs->options.loop, &vs->pump_post);
            break;
        }
        int ret = have ? 1 : take_buffer(vs, &c, &err);
        if (ret < 0) {
            virtio_device_broken(&vs->dev, &err);
            return;
        }
        if (ret == 0) {
            vs->rx_waiting = true;
            break;
        }
        have = !fill_buffer(vs, &c);
        used |= !have;
    }
    if (have)
        virtq_unpop(vq_of(vs, VSOCK_RX), &c);
    if (used && virtq_publish(vq_of(vs, VSOCK_RX)))
        virtio_queue_interrupt(&vs->dev, VSOCK_RX);
    if (vs->tx_held && vs->n_resets < VSOCK_RESETS_MAX) {
        vs->tx_held = false;
        virtio_queue_kick(&vs->dev, VSOCK_TX);
    }
}

static void on_pump(struct loop_post *p)
{
    virtio_vsock_pump(p->opaque);
}

static void on_answers(struct loop_post *p)
{
    virtio_vsock_conn_answers(p->opaque);
    virtio_vsock_pump(p->opaque);
}

/* ---- queues ---- */

static bool serve_rx(struct virtio_watch *w)
{
    struct virtio_vsock *vs = of(w->dev);
    vs->rx_waiting = false;
    virtq_disable_kicks(vq_of(vs, VSOCK_RX));
    virtio_vsock_pump(vs);
    return false;
}

/* One packet. Returns 1, 0 when the queue is empty (kicks are then on) or held, -errno. */
static int serve_packet(struct virtio_vsock *vs, struct err *err)
{
    struct virtq *vq = vq_of(vs, VSOCK_TX);
    struct virtq_chain c = {.iov = vs->tx_iov, .iov_max = VSOCK_CHAIN_IOV};
    if (vs->n_resets == VSOCK_RESETS_MAX) {
        vs->tx_held = true;
        return 0;
    }
    int ret = virtq_pop(vq, &c, err);
    if (ret == 0)
        return virtq_enable_kicks(vq);
    if (ret > 0)
        ret = virtio_vsock_packet(vs, &c, err);
    if (ret < 0)
        return ret;
    virtq_push(vq, &c, 0);
    return 1;
}

static bool serve_tx(struct virtio_watch *w)
{
    struct virtio_vsock *vs = of(w->dev);
    struct err err = {0};
    int ret = 1;
    if (vs->tx_held)
        return false;
    virtq_disable_kicks(vq_of(vs, VSOCK_TX));
    for (int i = 0; i < VSOCK_BATCH && ret > 0; i++)
        ret = serve_packet(vs, &err);
    if (virtq_publish(vq_of(vs, VSOCK_TX)))
        virtio_queue_interrupt(w->dev, VSOCK_TX);
    if (ret < 0) {
        virtio_device_broken(w->dev, &err);
        return false;
    }
    virtio_vsock_pump(vs);
    return ret > 0;
}

/* The only event there is. Spec: 5.10.6.7. */
static bool serve_event(struct virtio_watch *w)
{
    struct virtio_vsock *vs = of(w->dev);
    struct virtq *vq = vq_of(vs, VSOCK_EVENT);
    struct iovec iov[8];
    uint64_t in_gpa[8];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = ARRAY_LEN(iov)};
    struct err err = {0};
    if (!vs->reset_due)
        return false;
    int ret = virtq_pop(vq, &c, &err);
    if (ret == 0)
        return virtq_enable_kicks(vq);
    /* A chain of empty buffers has none at all, and iov[0] is nothing then. */
    if (ret > 0 && (c.n_out || !c.n_in || c.iov[0].iov_len < sizeof(struct virtio_vsock_event)))
        ret = err_set(&err, EPROTO, "a vsock event buffer has %u writable bytes", c.in_bytes);
    if (ret < 0) {
        virtio_device_broken(w->dev, &err);
        return false;
    }
    struct virtio_vsock_event event = {.id = htole32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET)};
    memcpy(c.iov[0].iov_base, &event, sizeof(event));
    virtq_push(vq, &c, sizeof(event));
    vs->reset_due = false;
    if (virtq_publish(vq))
        virtio_queue_interrupt(w->dev, VSOCK_EVENT);
    return false;
}

/* ---- life ---- */

static void start_in_loop(void *arg)
{
    struct virtio_vsock *vs = arg;
    vs->running = true;
    vs->rx_waiting = vs->tx_held = false;
}

static int start(struct virtio_vsock *vs, struct err *err)
{
    static bool (*const serve[])(struct virtio_watch *) = {serve_rx, serve_tx, serve_event};
    loop_call(vs->options.loop, start_in_loop, vs);
    int ret = 0;
    for (unsigned i = 0; i < ARRAY_LEN(serve) && !ret; i++)
        ret = virtio_watch_start(&vs->watches[i], &vs->dev, i, vs->options.loop, serve[i], err);
    return ret;
}

static void stop_in_loop(void *arg)
{
    struct virtio_vsock *vs = arg;
    vs->running = false;
    loop_post_cancel(vs->options.loop, &vs->pump_post);
}

static void stop(struct virtio_vsock *vs)
{
    for (unsigned i = 0; i < ARRAY_LEN(vs->watches); i++)
        virtio_watch_stop(&vs->watches[i]);
    loop_call(vs->options.loop, stop_in_loop, vs);
}

static void close_all(void *arg)
{
    struct virtio_vsock *vs = arg;
    for (unsigned i = 0; i < vs->n_conns; i++)
        if (vs->conns[i].state != VSOCK_FREE)
            virtio_vsock_conn_close(&vs->conns[i], false);
    vs->n_resets = 0;
    vs->serving = vs->reset_due = false;
}

static void serve_clients(void *arg)
{
    struct virtio_vsock *vs = arg;
    vs->serving = true;
}

static int activate(struct virtio_device *dev, struct err *err)
{
    loop_call(of(dev)->options.loop, serve_clients, of(dev));
    return start(of(dev), err);
}

static void reset(struct virtio_device *dev)
{
    stop(of(dev));
    loop_call(of(dev)->options.loop, close_all, of(dev));
}

static void pause_queues(struct virtio_device *dev)
{
    stop(of(dev));
}

static void resume_queues(struct virtio_device *dev)
{
    struct err err = {0};
    if (start(of(dev), &err))
        virtio_device_broken(dev, &err);
}

static void config_read(struct virtio_device *dev, uint32_t off, void *buf, unsigned len)
{
    struct virtio_vsock_config c = {.guest_cid = htole64(of(dev)->options.guest_cid)};
    memcpy(buf, (uint8_t *)&c + off, len);
}

/* Connections are not saved: their sockets are this process's. The context id is the one that the
 * new process was given; the guest reads it again after the transport reset. */
static void save(struct virtio_device *dev, struct state_writer *w)
{
    state_put_u64(w, of(dev)->options.guest_cid);
}

static int load(struct virtio_device *dev, struct state_reader *r)
{
    state_get_u64(r);
    of(dev)->reset_due = true;
    return 0;
}

static void stop_listening(void *arg)
{
    struct virtio_vsock *vs = arg;
    loop_fd_remove(&vs->listener);
    loop_timer_cancel(vs->options.loop, &vs->listen_timer);
    close_all(vs);
    loop_post_cancel(vs->options.loop, &vs->answers_post);
}

static void destroy(struct virtio_device *dev)
{
    struct virtio_vsock *vs = of(dev);
    loop_call(vs->options.loop, stop_listening, vs);
    if (vs->options.listen_fd >= 0)
        close(vs->options.listen_fd);
    pthread_mutex_destroy(&vs->answers_lock);
    free(vs->conns);
    free(vs);
}

static const struct virtio_device_ops ops = {
    .name = "virtio-vsock",
    .config_read = config_read,
    .activate = activate,
    .reset = reset,
    .pause = pause_queues,
    .resume = resume_queues,
    .save = save,
    .load = load,
    .destroy = destroy,
};

/* ---- creation ---- */

static void on_listener(struct loop_fd *w, uint32_t events)
{
    struct virtio_vsock *vs = w->opaque;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            /* The socket stays readable: look again later, instead of at once and for ever. */
            LOG_LIMITED(LOG_WARN, "virtio-vsock", "could not accept a client: %s", strerror(errno));
            loop_fd_remove(w);
            loop_timer_arm(vs->options.loop, &vs->listen_timer,
                           loop_now_ns(vs->options.loop) + ACCEPT_AGAIN_NS);
        }
        if (fd < 0)
            return;
        if (vs->serving)
            virtio_vsock_conn_accept(vs, fd);
        else
            close(fd); /* no driver: nobody to connect to */
    }
}

static void listen_again(struct loop_timer *t)
{
    struct virtio_vsock *vs = t->opaque;
    loop_fd_add(vs->options.loop, &vs->listener, vs->options.listen_fd, EPOLLIN);
}

static void listen_in_loop(void *arg)
{
    struct virtio_vsock *vs = arg;
    vs->listener.ready = on_listener;
    vs->listener.opaque = vs;
    vs->listen_timer = (struct loop_timer){.expired = listen_again, .opaque = vs};
    vs->listen_result =
        loop_fd_add(vs->options.loop, &vs->listener, vs->options.listen_fd, EPOLLIN);
}

static int start_listening(struct virtio_vsock *vs, struct err *err)
{
    int fd = vs->options.listen_fd;
    if (fd < 0)
        return 0;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_sys(err, errno, "could not make the vsock socket non-blocking");
    loop_call(vs->options.loop, listen_in_loop, vs);
    if (vs->listen_result)
        return err_sys(err, -vs->listen_result, "could not watch the vsock socket");
    return 0;
}

static int check_options(const struct virtio_vsock_options *o, struct err *err)
{
    if (o->guest_cid <= VSOCK_HOST_CID || o->guest_cid >= UINT32_MAX) /* 5.10.4 */
        return err_set(err, EINVAL, "vsock context id %llu is not between 3 and 4294967294",
                       (unsigned long long)o->guest_cid);
    if (o->max_connections > VIRTIO_VSOCK_CONNECTIONS_MAX)
        return err_set(err, EINVAL, "%u vsock connections: at most %d are possible",
                       o->max_connections, VIRTIO_VSOCK_CONNECTIONS_MAX);
    return 0;
}

struct virtio_device *virtio_vsock_create(struct guest_mem *mem,
                                          const struct virtio_vsock_options *options,
                                          struct err *err)
{
    unsigned n_conns = options->max_connections ? options->max_connections : CONNECTIONS_DEFAULT;
    struct virtio_vsock *vs = NULL;
    if (check_options(options, err))
        goto fail;
    vs = calloc(1, sizeof(*vs));
    if (vs)
        vs->conns = calloc(n_conns, sizeof(*vs->conns));
    if (!vs || !vs->conns) {
        err_set(err, ENOMEM, "could not allocate a vsock device");
        goto fail;
    }
    vs->options = *options;
    vs->n_conns = n_conns;
    vs->next_host_port = VSOCK_HOST_PORT;
    vs->pump_post = (struct loop_post){.run = on_pump, .opaque = vs};
    vs->answers_post = (struct loop_post){.run = on_answers, .opaque = vs};
    pthread_mutex_init(&vs->answers_lock, NULL);
    virtio_device_init(&vs->dev, &ops, VIRTIO_ID_VSOCK, mem, 3, VSOCK_QUEUE_SIZE);
    vs->dev.config_bytes = sizeof(struct virtio_vsock_config);
    if (start_listening(vs, err)) {
        pthread_mutex_destroy(&vs->answers_lock);
        free(vs->conns);
        goto fail;
    }
    return &vs->dev;
fail:
    if (options->listen_fd >= 0)
        close(options->listen_fd);
    free(vs);
    return NULL;
}

void virtio_vsock_counters_get(struct virtio_device *dev, struct virtio_vsock_counters *out)
{
    struct virtio_vsock *vs = of(dev);
    *out = (struct virtio_vsock_counters){
        .rx_bytes = atomic_load(&vs->rx_bytes),
        .tx_bytes = atomic_load(&vs->tx_bytes),
        .connections = atomic_load(&vs->connections),
        .open = atomic_load(&vs->open),
        .dropped = atomic_load(&vs->dropped),
    };
}
