/* What reservations hold: the list of a reservation's places, and the claims of those that are
 * free.
 *
 * The list is made from the object whenever that changes, and kept up to date with the VMs. An
 * entry without places is there as long as VMs have taken more than there are: then one was moved,
 * or given to a VM whose disks forced it elsewhere, and the next fill puts it right. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_claim.h"
#include "mgmt/server/server_host.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_reservation.h"

struct taking {
    struct server_hold hold;
    struct store_id reservation, host;
    uint8_t nodes;
};

/* ---- lists ---- */

static int order(const struct server_reservation_place *p, const struct store_id *host,
                 uint8_t nodes)
{
    int by_host = memcmp(&p->host, host, sizeof(*host));
    return by_host ? by_host : (p->nodes > nodes) - (p->nodes < nodes);
}

uint32_t server_reservation_seek(const struct server_reservation_list *list,
                                 const struct store_id *host, uint8_t nodes)
{
    uint32_t low = 0, high = list->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (order(&list->at[middle], host, nodes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct server_reservation_place *server_reservation_find(const struct server_reservation_list *list,
                                                         const struct store_id *host, uint8_t nodes)
{
    uint32_t at = server_reservation_seek(list, host, nodes);
    return at < list->n && !order(&list->at[at], host, nodes) ? &list->at[at] : NULL;
}

struct server_reservation_place *server_reservation_entry(struct server_reservation_list *list,
                                                          const struct store_id *host,
                                                          uint8_t nodes)
{
    uint32_t at = server_reservation_seek(list, host, nodes);
    if (at < list->n && !order(&list->at[at], host, nodes))
        return &list->at[at];
    if (list->n == list->room) {
        uint32_t room = list->room ? 2 * list->room : 8;
        struct server_reservation_place *more = reallocarray(list->at, room, sizeof(*more));
        if (!more)
            return NULL;
        list->at = more;
        list->room = room;
    }
    memmove(&list->at[at + 1], &list->at[at], (list->n - at) * sizeof(list->at[0]));
    list->n++;
    list->at[at] = (struct server_reservation_place){.host = *host, .nodes = nodes};
    return &list->at[at];
}

/* ---- claims ---- */

void server_reservation_need(const struct catalog_object *v, struct sched_need *need)
{
    *need = (struct sched_need){
        .vcpus = (uint32_t)v->own->vcpus.v,
        .memory_mib = (uint32_t)v->own->memory_mib.v,
        .disk_gib = (uint32_t)v->own->disk_gib.v,
        .cpu = (enum sched_cpu)v->own->cpu_policy.v,
        .pages = v->own->hugepages.v ? SCHED_PAGES_2M : SCHED_PAGES_4K,
    };
}

static void tally(struct server_host *host, const struct sched_need *need, int sign)
{
    uint64_t by = (uint64_t)(int64_t)sign; /* modulo 2^64: adds or subtracts */
    if (!host)
        return;
    host->kept_places += by;
    host->kept_vcpus += by * need->vcpus;
    host->kept_memory_mib += by * need->memory_mib;
    host->kept_disk_gib += by * need->disk_gib;
}

static void let_go(struct server *s, const struct server_reservation *r,
                   struct server_reservation_place *p)
{
    const struct sched_choice choice = {.host = p->number, .nodes = p->nodes};
    server_claim_release(s, &r->need, &choice);
    tally(server_host_find(s, &p->host), &r->need, -1);
    p->held--;
}

/* False: its host cannot count it, as when it has not said which NUMA nodes it has. */
static bool hold(struct server *s, const struct server_reservation *r,
                 struct server_reservation_place *p, struct server_host *host)
{
    const struct sched_choice choice = {.host = host->number, .nodes = p->nodes};
    if (sched_adopt(s->sched, &r->need, &choice, NULL))
        return false;
    p->number = host->number;
    p->held++;
    tally(host, &r->need, 1);
    return true;
}

/* Holds what is not taken. */
static void refresh(struct server *s, struct server_reservation *r,
                    struct server_reservation_place *p)
{
    struct server_host *host = server_host_find(s, &p->host);
    uint32_t gone = p->used + p->taking;
    uint32_t wanted = host && host->in_sched && p->places > gone ? p->places - gone : 0;
    while (p->held > wanted)
        let_go(s, r, p);
    while (p->held < wanted && hold(s, r, p, host))
        ;
    r->stale = true;
}

static void refresh_all(struct server *s, struct server_reservation *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->list.n; i++) {
        struct server_reservation_place *p = &r->list.at[i];
        refresh(s, r, p);
        if (p->places || p->used || p->taking || p->held)
            r->list.at[n++] = *p;
    }
    r->list.n = n;
}

/* ---- from objects ---- */

static void read_places(struct server_reservation *r, const struct catalog_object *v)
{
    const struct api_texts *places = &v->own->places;
    for (uint32_t i = 0; places->is == API_VALUE && i < places->n; i++) {
        char id_text[UUID_TEXT_BYTES];
        struct store_id host;
        unsigned nodes, n;
        if (sscanf(places->v[i], "%36s %u %u", id_text, &nodes, &n) != 3 ||
            catalog_id_parse(id_text, &host))
            continue;
        struct server_reservation_place *p =
            server_reservation_entry(&r->list, &host, (uint8_t)nodes);
        if (p)
            p->places = n;
    }
}

static bool has_ended(const struct catalog_object *v)
{
    const struct api_reservation *doc = v->doc;
    return doc->status.is == API_VALUE &&
           doc->status.v->state.v == API_RESERVATION_STATUS_STATE_ENDED;
}

/* The reservation that a VM uses a place of; NULL: none. */
static const char *used_by(const struct catalog_object *vm_version)
{
    const struct api_vm *vm = vm_version ? vm_version->doc : NULL;
    return vm && vm->reservation.is == API_VALUE && vm->status.is == API_VALUE &&
                   vm->status.v->host.is == API_VALUE
               ? vm->reservation.v
               : NULL;
}

static void count_vm(struct server_reservation *r, const struct catalog_object *vm)
{
    struct store_id host = catalog_parent(vm);
    struct server_reservation_place *p =
        server_reservation_entry(&r->list, &host, (uint8_t)vm->own->nodes.v);
    if (p)
        p->used++;
}

static void count_vms(struct server *s, struct server_reservation *r,
                      const struct catalog_object *v)
{
    const struct catalog_list *vms = catalog_in(s->catalog, CATALOG_VM, &v->project);
    for (size_t i = 0; i < vms->n && !has_ended(v); i++) {
        const char *id = used_by(vms->slots[i]->now);
        if (id && !strcmp(id, v->id_text))
            count_vm(r, vms->slots[i]->now);
    }
}

static void reservation_free(struct server *s, struct server_reservation *r)
{
    for (uint32_t i = 0; i < r->list.n; i++)
        while (r->list.at[i].held)
            let_go(s, r, &r->list.at[i]);
    free(r->list.at);
    free(r);
}

void server_reservation_changed(struct server *s, struct catalog_slot *slot,
                                const struct catalog_object *before,
                                const struct catalog_object *after)
{
    struct server_reservation *r = slot->aux;
    if (!after) {
        slot->aux = NULL;
        if (r)
            reservation_free(s, r);
        return;
    }
    if (r && before && before->seq == after->seq) /* what is shown, and nothing else */
        return;
    if (!r) {
        slot->aux = r = calloc(1, sizeof(*r));
        if (!r)
            return;
    }
    if (!r->need.vcpus)
        server_reservation_need(after, &r->need);
    for (uint32_t i = 0; i < r->list.n; i++)
        r->list.at[i].places = r->list.at[i].used = 0;
    read_places(r, after);
    count_vms(s, r, after);
    refresh_all(s, r);
}

static void vm_uses(struct server *s, const struct catalog_object *vm, int by)
{
    const char *id = used_by(vm);
    struct catalog_slot *slot = id ? catalog_find_id(s->catalog, CATALOG_RESERVATION, id) : NULL;
    struct server_reservation *r = slot ? slot->aux : NULL;
    if (!r || has_ended(slot->now))
        return;
    struct store_id host = catalog_parent(vm);
    struct server_reservation_place *p =
        server_reservation_entry(&r->list, &host, (uint8_t)vm->own->nodes.v);
    if (!p || (by < 0 && !p->used))
        return;
    p->used += (uint32_t)by;
    refresh(s, r, p);
}

static bool same_use(const struct catalog_object *before, const struct catalog_object *after)
{
    const char *was = used_by(before), *is = used_by(after);
    if (!was || !is)
        return was == is;
    struct store_id a = catalog_parent(before), b = catalog_parent(after);
    return !strcmp(was, is) && !memcmp(&a, &b, sizeof(a)) &&
           before->own->nodes.v == after->own->nodes.v;
}

void server_reservation_vm_changed(struct server *s, const struct catalog_object *before,
                                   const struct catalog_object *after)
{
    if (same_use(before, after))
        return;
    vm_uses(s, before, -1);
    vm_uses(s, after, 1);
}

void server_reservation_host_changed(struct server *s, const struct store_id *host)
{
    const struct catalog_list *all = catalog_all(s->catalog, CATALOG_RESERVATION);
    for (size_t i = 0; i < all->n; i++) {
        struct server_reservation *r = all->slots[i]->aux;
        for (uint32_t k = r ? server_reservation_seek(&r->list, host, 0) : 0;
             r && k < r->list.n && !memcmp(&r->list.at[k].host, host, sizeof(*host)); k++)
            refresh(s, r, &r->list.at[k]);
    }
}

void server_reservation_destroy_all(struct server *s)
{
    const struct catalog_list *all =
        s->catalog ? catalog_all(s->catalog, CATALOG_RESERVATION) : NULL;
    for (size_t i = 0; all && i < all->n; i++) {
        struct server_reservation *r = all->slots[i]->aux;
        if (r)
            free(r->list.at);
        free(r);
        all->slots[i]->aux = NULL;
    }
}

/* ---- VMs that take one ---- */

uint32_t server_reservation_offer(struct server *s, const struct catalog_slot *slot, uint32_t *from,
                                  uint32_t *numbers, uint32_t max)
{
    struct server_reservation *r = slot->aux;
    uint32_t n = 0, i = *from;
    for (; r && i < r->list.n && n < max; i++) {
        struct server_reservation_place *p = &r->list.at[i];
        if (!p->held || (n && numbers[n - 1] == p->number))
            continue;
        numbers[n++] = p->number;
        let_go(s, r, p);
    }
    *from = i;
    return n;
}

void server_reservation_offered(struct server *s, const struct catalog_slot *slot)
{
    struct server_reservation *r = slot->aux;
    for (uint32_t i = 0; r && i < r->list.n; i++)
        if (r->list.at[i].places)
            refresh(s, r, &r->list.at[i]);
}

bool server_reservation_nodes(const struct catalog_slot *slot, const struct store_id *host,
                              uint8_t *nodes)
{
    const struct server_reservation *r = slot->aux;
    for (uint32_t k = r ? server_reservation_seek(&r->list, host, 0) : 0;
         r && k < r->list.n && !memcmp(&r->list.at[k].host, host, sizeof(*host)); k++)
        if (r->list.at[k].held) {
            *nodes = r->list.at[k].nodes;
            return true;
        }
    return false;
}

uint32_t server_reservation_used(const struct catalog_slot *slot)
{
    const struct server_reservation *r = slot->aux;
    uint32_t used = 0;
    for (uint32_t i = 0; r && i < r->list.n; i++)
        used += r->list.at[i].used + r->list.at[i].taking;
    return used;
}

uint32_t server_reservation_left(const struct catalog_slot *slot)
{
    const struct server_reservation *r = slot->aux;
    uint32_t places = 0, used = server_reservation_used(slot);
    for (uint32_t i = 0; r && i < r->list.n; i++)
        places += r->list.at[i].places;
    return places > used ? places - used : 0;
}

static struct server_reservation *taken_from(struct server *s, const struct taking *taking)
{
    struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_RESERVATION, &taking->reservation);
    return slot ? slot->aux : NULL;
}

static void taking_end(struct server *s, struct server_hold *h, bool done)
{
    struct taking *taking = container_of(h, struct taking, hold);
    struct server_reservation *r = taken_from(s, taking);
    struct server_reservation_place *p =
        r ? server_reservation_find(&r->list, &taking->host, taking->nodes) : NULL;
    (void)done;
    if (!p || !p->taking)
        return;
    p->taking--;
    refresh(s, r, p);
}

int server_reservation_take(struct server_txn *t, const struct catalog_slot *slot,
                            const struct store_id *host, uint8_t nodes)
{
    struct server_reservation *r = slot->aux;
    struct taking *taking = api_arena_alloc(&t->arena, sizeof(*taking));
    struct server_reservation_place *p =
        r && taking ? server_reservation_entry(&r->list, host, nodes) : NULL;
    if (!p)
        return -ENOMEM;
    *taking = (struct taking){
        .hold = {.end = taking_end}, .reservation = slot->now->id, .host = *host, .nodes = nodes};
    p->taking++;
    refresh(t->s, r, p);
    server_txn_hold(t, &taking->hold);
    return 0;
}
