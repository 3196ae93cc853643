/* A driver thread and a device thread on one ring, each asleep on an eventfd unless notified: data
 * and order must hold (run under ThreadSanitizer too), and a lost notification hangs the test. */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define VDRV_NO_DEVICE
#include "tap.h"
#include "virtio_driver.h"

#define REQUESTS 40000
#define SLOTS    64

struct shared {
    struct guest_mem mem;
    struct virtq_xlate xlate;
    struct vdrv_ring ring;
    struct virtq vq;
    int kick_fd, irq_fd;
    _Atomic bool stop, stalled;
    unsigned kicks, interrupts;
};

static void notify(int fd)
{
    eventfd_write(fd, 1);
}

/* Returns false after 20 s without a notification. */
static bool wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    eventfd_t v;
    return poll(&p, 1, 20000) == 1 && !eventfd_read(fd, &v);
}

static void *device_thread(void *arg)
{
    struct shared *s = arg;
    struct iovec iov[8];
    uint64_t in_gpa[8];
    struct virtq_chain c = {.iov = iov, .in_gpa = in_gpa, .iov_max = 8};
    for (;;) {
        int ret;
        virtq_disable_kicks(&s->vq);
        while ((ret = virtq_pop(&s->vq, &c, NULL)) == 1) {
            uint32_t v;
            memcpy(&v, iov[0].iov_base, 4);
            v = ~v;
            memcpy(iov[c.n_out].iov_base, &v, 4);
            virtq_push(&s->vq, &c, 4);
            if (v % 3 == 0 && virtq_publish(&s->vq))
                notify(s->irq_fd);
        }
        if (virtq_publish(&s->vq))
            notify(s->irq_fd);
        if (virtq_enable_kicks(&s->vq))
            continue;
        if (ret < 0 || atomic_load(&s->stop) || !wait_for(s->kick_fd))
            return NULL;
    }
}

static void run_driver(struct shared *s)
{
    unsigned sent = 0, done = 0;
    bool slot_used[SLOTS] = {0};
    while (done < REQUESTS) {
        int id;
        uintptr_t cookie = 0;
        uint32_t len, v;
        vdrv_ring_disable_interrupts(&s->ring);
        while (vdrv_ring_used(&s->ring, &id, &cookie, &len)) {
            unsigned slot = cookie % SLOTS;
            memcpy(&v, guest_mem_ptr(&s->mem, 0x80000 + 8 * slot + 4, 4), 4);
            REQUIRE(id >= 0 && len == 4 && v == ~(uint32_t)cookie);
            slot_used[slot] = false;
            done++;
        }
        while (sent < REQUESTS && !slot_used[sent % SLOTS]) {
            uint64_t at = 0x80000 + 8 * (sent % SLOTS);
            struct vdrv_buf bufs[2] = {{at, 4}, {at + 4, 4}};
            memcpy(guest_mem_ptr(&s->mem, at, 4), &sent, 4);
            if (vdrv_ring_add(&s->ring, bufs, 1, 1, s->ring.config.indirect && sent % 2, sent) < 0)
                break;
            slot_used[sent % SLOTS] = true;
            sent++;
            if (sent % 5 == 0 && vdrv_ring_publish(&s->ring))
                notify(s->kick_fd), s->kicks++;
        }
        if (vdrv_ring_publish(&s->ring))
            notify(s->kick_fd), s->kicks++;
        if (!vdrv_ring_enable_interrupts(&s->ring) && done < REQUESTS) {
            REQUIRE(wait_for(s->irq_fd));
            s->interrupts++;
        }
    }
}

static void run(struct virtq_config config)
{
    static struct shared s;
    memset(&s, 0, sizeof(s));
    REQUIRE(!guest_mem_init(&s.mem, MIB, 0, NULL));
    uint64_t next = 0x1000;
    s.xlate.n_regions = 1;
    s.xlate.regions[0] = (struct virtq_region){0, MIB, s.mem.regions[0].hva};
    vdrv_ring_init(&s.ring, &s.mem, &next, config);
    REQUIRE(!virtq_init(&s.vq, &s.ring.config, &s.xlate, NULL));
    s.kick_fd = eventfd(0, EFD_CLOEXEC);
    s.irq_fd = eventfd(0, EFD_CLOEXEC);
    pthread_t thread;
    REQUIRE(!pthread_create(&thread, NULL, device_thread, &s));
    run_driver(&s);
    atomic_store(&s.stop, true);
    notify(s.kick_fd);
    pthread_join(thread, NULL);
    printf("# %u requests, %u kicks, %u interrupts\n", REQUESTS, s.kicks, s.interrupts);
    close(s.kick_fd);
    close(s.irq_fd);
    guest_mem_fini(&s.mem);
}

static void split_ring_across_threads(void)
{
    run((struct virtq_config){.size = 32});
}
static void split_ring_with_event_index_across_threads(void)
{
    run((struct virtq_config){.size = 32, .event_idx = true, .indirect = true});
}
static void packed_ring_across_threads(void)
{
    run((struct virtq_config){.size = 33, .packed = true});
}
static void packed_ring_with_event_index_across_threads(void)
{
    run((struct virtq_config){.size = 33, .packed = true, .event_idx = true, .indirect = true});
}

int main(void)
{
    TAP_RUN(split_ring_across_threads);
    TAP_RUN(split_ring_with_event_index_across_threads);
    TAP_RUN(packed_ring_across_threads);
    TAP_RUN(packed_ring_with_event_index_across_threads);
    return tap_done();
}
