/* The addresses that the guest was seen with (net/net_addresses.h), and when to tell that they are
 * others: at once, and then for a while not again, since it is the guest that decides how often. */
#include <stdatomic.h>
#include <string.h>

#include "dev/virtio/virtio_net.h"
#include "machine/machine_internal.h"

#define QUIET_NS INT64_C(1000000000)

void machine_addresses(struct machine *m, void (*fn)(void *arg, const char *nic, const char *ip),
                       void *arg)
{
    for (unsigned i = 0; i < m->n_devices; i++) {
        const struct machine_device *d = m->devices[i];
        struct net_addresses seen;
        char text[NET_ADDRESSES_TEXT_BYTES];
        if (d->remote || strcmp(d->kind, "nic") != 0)
            continue;
        virtio_net_addresses_get(d->dev, &seen);
        for (unsigned k = 0; k < seen.n; k++) {
            net_addresses_text(&seen.address[k], text);
            fn(arg, d->id, text);
        }
    }
}

void machine_addresses_changed(void *opaque)
{
    const struct machine_device *d = opaque;
    /* Until it has been told the main thread need not be woken again. */
    if (!atomic_exchange(&d->machine->addresses_changed, true))
        machine_request(d->machine, MACHINE_REQUEST_ADDRESSES);
}

static void tell(struct machine *m)
{
    m->addresses_told_ns = loop_now_ns(m->setup.loop);
    atomic_store(&m->addresses_changed, false);
    machine_emit(m, MACHINE_EVENT_ADDRESSES, NULL, NULL, 0);
}

static void quiet_over(struct loop_timer *t)
{
    tell(t->opaque);
}

void machine_addresses_request(struct machine *m)
{
    int64_t again_ns = m->addresses_told_ns + QUIET_NS;
    m->addresses_timer.expired = quiet_over;
    m->addresses_timer.opaque = m;
    if (!m->addresses_told_ns || loop_now_ns(m->setup.loop) >= again_ns ||
        loop_timer_arm(m->setup.loop, &m->addresses_timer, again_ns))
        tell(m);
}
