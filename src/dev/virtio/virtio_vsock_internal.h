/* What the files of virtio-vsock share: virtio_vsock.c (life, queues), virtio_vsock_packet.c (what
 * the guest sends), virtio_vsock_conn.c (connections: beginning and end), virtio_vsock_data.c
 * (their data).
 *
 * Theory of operation. All of it lives in one loop's thread. Connections are slots of an array, so
 * a guest cannot make us allocate, but for one buffer of a connection whose socket is full.
 *
 * To the guest: whoever has something to say stands in the `ready` list: a connection with control
 * bits set in `pending`, or with a readable socket while the guest has credit for its data. The
 * pump takes the first, sends one packet for it into one receive buffer, data going straight from
 * the socket to guest memory, and puts it last, so that connections share fairly. Sockets are
 * watched edge-triggered: readiness is remembered in the connection, not asked again.
 *
 * From the guest: data is written from guest memory to the socket; what the socket does not take
 * goes to the connection's buffer, whose size is the credit that the guest was given, so it always
 * fits. A guest that exceeds its credit has the connection reset.
 *
 * Resets for connections that do not exist need no slot: they wait in `resets`. When that is full,
 * the guest's transmit queue is not read until the guest gives receive buffers (5.10.6.1.2).
 *
 * States of a connection and what moves it on:
 *   HANDSHAKE  accepted on the host; reads "CONNECT port"     -> CONNECTING, closed
 *   CONNECTING REQUEST sent; the guest answers                -> OPEN, closed
 *   DIALING    REQUEST received; the connector answers        -> OPEN, CLOSING
 *   OPEN       data, credit, shutdown                         -> CLOSING, closed
 *   CLOSING    no socket any more; RST is to be sent          -> closed (the slot is free) */
#ifndef DEV_VIRTIO_VIRTIO_VSOCK_INTERNAL_H
#define DEV_VIRTIO_VIRTIO_VSOCK_INTERNAL_H

#include <assert.h>
#include <linux/virtio_vsock.h>
#include <pthread.h>

#include "base/util.h"
#include "dev/virtio/virtio_provider.h"
#include "dev/virtio/virtio_vsock.h"
#include "dev/virtio/virtio_watch.h"

#define VSOCK_HDR_BYTES  sizeof(struct virtio_vsock_hdr)
#define VSOCK_HOST_CID   2
#define VSOCK_QUEUE_SIZE 256
#define VSOCK_CHAIN_IOV  (VSOCK_QUEUE_SIZE + 8)
#define VSOCK_BUF_BYTES  (128 * 1024) /* credit given to the guest for one connection */
#define VSOCK_PACKET_MAX (64 * 1024)  /* payload of one packet to the guest */
#define VSOCK_RESETS_MAX 64
#define VSOCK_BUCKETS    256
#define VSOCK_BATCH      64
#define VSOCK_LINE_BYTES 32
#define VSOCK_HOST_PORT  UINT32_C(0x40000000) /* ports of host-side clients begin here */
#define VSOCK_TIMEOUT_NS INT64_C(5000000000)  /* handshake, connection */
#define VSOCK_CLOSING_NS INT64_C(8000000000)  /* the guest's answer to a full shutdown */
#define VSOCK_SHUT_BOTH  (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

enum vsock_queue { VSOCK_RX, VSOCK_TX, VSOCK_EVENT };
enum vsock_state {
    VSOCK_FREE,
    VSOCK_HANDSHAKE,
    VSOCK_CONNECTING,
    VSOCK_DIALING,
    VSOCK_OPEN,
    VSOCK_CLOSING,
};
/* Packets that a connection has to send, in order of precedence. */
enum vsock_pending {
    VSOCK_P_REQUEST = 1 << 0,
    VSOCK_P_RESPONSE = 1 << 1,
    VSOCK_P_RST = 1 << 2,
    VSOCK_P_CREDIT_UPDATE = 1 << 3,
    VSOCK_P_CREDIT_REQUEST = 1 << 4,
    VSOCK_P_SHUTDOWN = 1 << 5,
};

struct vsock_conn {
    struct virtio_vsock *vs;
    enum vsock_state state;
    uint32_t generation; /* of this slot: a stale ticket does not match */
    uint32_t host_port, guest_port;
    struct loop_fd watch; /* watch.fd is the socket; -1 without */
    struct loop_timer timer;
    bool readable, hung_up; /* as the socket last said */
    bool eof;               /* read: the host sends no more */
    uint8_t pending;        /* enum vsock_pending */
    uint8_t shut_by_guest;  /* enum virtio_vsock_shutdown */
    uint8_t shut_by_us;
    /* Credit. Spec: 5.10.6.3. Counters wrap. */
    uint32_t peer_buf_alloc, peer_fwd_cnt, sent_cnt;
    uint32_t received_cnt, fwd_cnt, fwd_told;
    uint8_t *buf; /* VSOCK_BUF_BYTES: data for a socket that is full */
    uint32_t buf_at, buf_bytes;
    char line[VSOCK_LINE_BYTES];
    unsigned line_bytes;
    struct vsock_conn *hash_next;
    bool in_ready;
    struct vsock_conn *ready_prev, *ready_next;
    uint64_t ticket; /* DIALING: awaited answer, 0 if none. Under answers_lock */
    int answer;      /* fd or -errno, VSOCK_NO_ANSWER. Under answers_lock */
};
#define VSOCK_NO_ANSWER INT32_MIN

struct vsock_reset {
    uint32_t host_port, guest_port;
    uint16_t type;
};

struct virtio_vsock {
    struct virtio_device dev;
    struct virtio_vsock_options options;
    struct loop_fd listener;
    struct loop_timer listen_timer; /* out of descriptors: try again */
    struct virtio_watch watches[3];
    struct loop_post pump_post, answers_post;
    int listen_result;
    bool serving;    /* active: clients are accepted */
    bool running;    /* and not paused: the queues may be touched */
    bool rx_waiting; /* no receive buffers: kicks are on */
    bool tx_held;    /* too many resets wait */
    bool reset_due;  /* a transport reset event is to be sent */
    unsigned n_conns;
    struct vsock_conn *conns;
    struct vsock_conn *buckets[VSOCK_BUCKETS];
    struct vsock_conn *ready_first, *ready_last;
    uint32_t next_host_port;
    struct vsock_reset resets[VSOCK_RESETS_MAX];
    unsigned resets_at, n_resets;
    pthread_mutex_t answers_lock;
    _Atomic uint64_t rx_bytes, tx_bytes, connections, open, dropped;
    struct iovec iov[VSOCK_CHAIN_IOV];
    uint64_t in_gpa[VSOCK_CHAIN_IOV];
    struct iovec tx_iov[VSOCK_CHAIN_IOV];
};

/* ---- virtio_vsock.c ---- */

/* Sends what waits, as far as the guest has buffers. Call after anything that may have put
 * somebody in the ready list. */
void virtio_vsock_pump(struct virtio_vsock *vs);
/* Queues a reset for ports without a connection; false if there is no room. */
bool virtio_vsock_reset_ports(struct virtio_vsock *vs, uint32_t host_port, uint32_t guest_port,
                              uint16_t type);

/* ---- virtio_vsock_packet.c ---- */

/* Handles one packet of the guest: `c` holds header and payload. Returns 0 or -errno (EPROTO) if
 * the driver broke the device's rules. */
int virtio_vsock_packet(struct virtio_vsock *vs, const struct virtq_chain *c, struct err *err);

/* ---- virtio_vsock_conn.c ---- */

struct vsock_conn *virtio_vsock_conn_find(struct virtio_vsock *vs, uint32_t host_port,
                                          uint32_t guest_port);
/* The guest asks for a connection: dials, and answers with RESPONSE or RST. */
void virtio_vsock_conn_dial(struct virtio_vsock *vs, const struct virtio_vsock_hdr *h);
/* A socket that the listener accepted. */
void virtio_vsock_conn_accept(struct virtio_vsock *vs, int fd);
/* The guest took a connection that a host client asked for. */
void virtio_vsock_conn_established(struct vsock_conn *c);
/* Closes the socket and frees the slot; with `tell_guest`, after an RST was sent. */
void virtio_vsock_conn_close(struct vsock_conn *c, bool tell_guest);
/* Sets pending bits and puts the connection in the ready list if it has something to send. */
void virtio_vsock_conn_want(struct vsock_conn *c, uint8_t pending);
/* Takes it out of the ready list. */
void virtio_vsock_conn_unready(struct vsock_conn *c);
/* Looks for answers of the connector. */
void virtio_vsock_conn_answers(struct virtio_vsock *vs);
/* Closes the connection after this time, unless its timer is set anew or cancelled. */
void virtio_vsock_conn_timer(struct vsock_conn *c, int64_t ns);

/* ---- virtio_vsock_data.c ---- */

/* Data from the guest: `bytes` bytes from `skip` on. */
void virtio_vsock_conn_data(struct vsock_conn *c, const struct virtq_chain *chain, size_t skip,
                            uint32_t bytes);
void virtio_vsock_conn_shutdown(struct vsock_conn *c, uint8_t flags);
/* The socket takes data again: what is left for it. */
void virtio_vsock_conn_flush(struct vsock_conn *c);
/* Whether it has something to send now. */
bool virtio_vsock_conn_ready(const struct vsock_conn *c);
/* Fills in the next packet: header in *h, payload read into iov behind the header's place. Returns
 * the payload's length, or -EAGAIN if there is nothing to send after all. */
ssize_t virtio_vsock_conn_next(struct vsock_conn *c, struct virtio_vsock_hdr *h,
                               const struct virtq_chain *chain);
/* That packet is in the ring: what follows from it. Frees the slot after an RST. */
void virtio_vsock_conn_sent(struct vsock_conn *c, const struct virtio_vsock_hdr *h);

#endif
