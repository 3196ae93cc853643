/* Wants on their way to hosts. What one turn of the loop publishes for a host goes in one message:
 * a new VM and its disk are told together, and a group commit's worth of VMs costs a host one
 * record of TLS. */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "mgmt/server/server_desired.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_link.h"

#define TOGETHER_MAX 256

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

static void want_of(void *ctx, const struct catalog_object *v, const struct store_id *host)
{
    struct server *s = ctx;
    struct server_wants *w = &s->wants;
    if (!server_link_to(s, host))
        return;
    struct catalog_object *one = catalog_ref((struct catalog_object *)(uintptr_t)v);
    if (w->gathering && w->n == w->room) {
        size_t room = w->room ? 2 * w->room : 64;
        struct server_want *some = reallocarray(w->some, room, sizeof(*some));
        w->some = some ? some : w->some;
        w->room = some ? room : w->room;
    }
    if (w->gathering && w->n < w->room) {
        w->some[w->n] = (struct server_want){*host, one, w->n};
        w->n++;
        return;
    }
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

void server_link_gather(struct server *s)
{
    s->wants.gathering = true;
}

static int by_host(const void *a, const void *b)
{
    const struct server_want *x = a, *y = b;
    int r = memcmp(&x->host, &y->host, sizeof(x->host));
    return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* A version that was replaced meanwhile is not told: its successor is behind it. */
void server_link_tell(struct server *s)
{
    struct server_wants *w = &s->wants;
    struct catalog_object *some[TOGETHER_MAX];
    w->gathering = false;
    qsort(w->some, w->n, sizeof(*w->some), by_host);
    for (size_t i = 0, n = 0; i < w->n; i++) {
        const struct catalog_slot *slot =
            catalog_find(s->catalog, w->some[i].v->kind, &w->some[i].v->id);
        if (slot && slot->now == w->some[i].v)
            some[n++] = w->some[i].v;
        bool last = i + 1 == w->n ||
                    memcmp(&w->some[i].host, &w->some[i + 1].host, sizeof(w->some[i].host)) != 0;
        if (n && (last || n == TOGETHER_MAX)) {
            tell(s, &w->some[i].host, some, n);
            n = 0;
        }
    }
    for (size_t i = 0; i < w->n; i++)
        catalog_unref(w->some[i].v);
    w->n = 0;
}
