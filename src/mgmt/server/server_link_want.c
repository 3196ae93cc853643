/* Wants on their way to hosts. What one turn of the loop publishes for a host goes in one message:
 * a new VM and its disk are told together, and a group commit's worth of VMs costs a host one
 * record of TLS.
 *
 * What a host itself has said (the VM came up, the disk is there) asks nothing of it, and waits up
 * to a second: a host that makes many is told of all in one message. Hosts take turns in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/util.h"
#include "mgmt/server/server_desired.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"

#define TOGETHER_MAX 256
#define TURN_US      (1000000 / SERVER_WANT_TURNS)

static void tell(struct server *s, const struct store_id *host, struct catalog_object *const *some,
                 size_t n)
{
    struct server_link *l = server_link_to(s, host);
    if (!l)
        return;
    (void)fault_point("server_link.want.begin");
    server_desired_some(s, l, host, some, n);
    (void)fault_point("server_link.want.said");
}

/* False: no memory. */
static bool add(struct server_want_list *list, const struct store_id *host,
                const struct catalog_object *v)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        struct server_want *some = reallocarray(list->some, room, sizeof(*some));
        if (!some)
            return false;
        list->some = some;
        list->room = room;
    }
    list->some[list->n] = (struct server_want){*host, v->kind, v->id, v->seq, list->n};
    list->n++;
    return true;
}

static bool add_patient(struct server *s, const struct store_id *host,
                        const struct catalog_object *v)
{
    /* The end of an id is random. */
    struct server_wants *w = &s->wants;
    if (!v->patient || !w->turns ||
        !add(&w->patient[host->bytes[sizeof(host->bytes) - 1] % SERVER_WANT_TURNS], host, v))
        return false;
    if (!w->n_patient++)
        web_timer_arm(w->turns, TURN_US);
    return true;
}

static void want_of(void *ctx, const struct catalog_object *v, const struct store_id *host)
{
    struct server *s = ctx;
    if (!server_link_to(s, host) || add_patient(s, host, v) ||
        (s->wants.gathering && add(&s->wants.now, host, v)))
        return;
    struct catalog_object *one = catalog_ref((struct catalog_object *)(uintptr_t)v);
    tell(s, host, &one, 1);
    catalog_unref(one);
}

void server_link_want(struct server *s, const struct catalog_object *v)
{
    struct store_id host = catalog_parent(v);
    if (v->kind == CATALOG_IMAGE)
        server_image_hosts(s, v, want_of, s);
    else
        want_of(s, v, &host);
}

static int by_host(const void *a, const void *b)
{
    const struct server_want *x = a, *y = b;
    int r = memcmp(&x->host, &y->host, sizeof(x->host));
    return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* A version that was replaced meanwhile is not told: its successor is behind it, or was told. */
static void tell_all(struct server *s, struct server_want_list *list)
{
    struct catalog_object *some[TOGETHER_MAX];
    if (list->n)
        qsort(list->some, list->n, sizeof(*list->some), by_host);
    for (size_t i = 0, n = 0; i < list->n; i++) {
        const struct server_want *w = &list->some[i];
        const struct catalog_slot *slot = catalog_find(s->catalog, w->kind, &w->id);
        if (slot && slot->now->seq == w->seq)
            some[n++] = slot->now;
        bool last = i + 1 == list->n || memcmp(&w->host, &w[1].host, sizeof(w->host)) != 0;
        if (n && (last || n == TOGETHER_MAX)) {
            tell(s, &w->host, some, n);
            n = 0;
        }
    }
    list->n = 0;
}

void server_link_gather(struct server *s)
{
    s->wants.gathering = true;
}

void server_link_tell(struct server *s)
{
    s->wants.gathering = false;
    tell_all(s, &s->wants.now);
}

static void turn(void *ctx)
{
    struct server *s = ctx;
    struct server_wants *w = &s->wants;
    struct server_want_list *list = &w->patient[w->turn++ % SERVER_WANT_TURNS];
    w->n_patient -= list->n;
    tell_all(s, list);
    if (w->n_patient)
        web_timer_arm(w->turns, TURN_US);
}

int server_link_wants_init(struct server *s)
{
    s->wants.turns = web_timer_create(s->loop, turn, s);
    return s->wants.turns ? 0 : -ENOMEM;
}

void server_link_wants_fini(struct server *s)
{
    struct server_wants *w = &s->wants;
    web_timer_destroy(w->turns);
    free(w->now.some);
    for (unsigned i = 0; i < SERVER_WANT_TURNS; i++)
        free(w->patient[i].some);
    *w = (struct server_wants){0}; /* what is published later on asks for nothing any more */
}
