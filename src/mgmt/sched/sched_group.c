/* Server groups: where their members are, and the hosts that follow from it. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

int sched_group_set(struct sched *s, uint32_t group, enum sched_affinity affinity,
                    enum sched_scope scope, uint32_t most, struct err *err)
{
    if (!group || group >= SCHED_GROUPS_MAX)
        return err_set(err, EINVAL, "group %u is not within 1 .. %u", group, SCHED_GROUPS_MAX - 1);
    if (group >= s->n_groups) {
        size_t n = MAX((size_t)group + 1, 2 * s->n_groups);
        struct sched_group *g = realloc(s->groups, n * sizeof(*g));
        if (!g)
            return err_set(err, ENOMEM, "no memory for group %u", group);
        memset(g + s->n_groups, 0, (n - s->n_groups) * sizeof(*g));
        s->groups = g;
        s->n_groups = n;
    }
    s->groups[group].known = true;
    s->groups[group].affinity = affinity;
    s->groups[group].scope = scope;
    s->groups[group].most = MAX(most, 1);
    return 0;
}

bool sched_group_is_apart(const struct sched *s, uint32_t group)
{
    return group && group < s->n_groups && s->groups[group].known &&
           (s->groups[group].affinity == SCHED_APART ||
            s->groups[group].affinity == SCHED_APART_IF);
}

void sched_group_fini(struct sched_group *g)
{
    free(g->members);
    *g = (struct sched_group){0};
}

static struct sched_member *find(const struct sched_group *g, uint32_t host)
{
    for (size_t i = 0; i < g->n_members; i++)
        if (g->members[i].host == host)
            return &g->members[i];
    return NULL;
}

uint32_t sched_group_members(const struct sched *s, uint32_t group, uint32_t host)
{
    const struct sched_member *m =
        group && group < s->n_groups ? find(&s->groups[group], host) : NULL;
    return m ? m->vms : 0;
}

int sched_group_add(struct sched *s, uint32_t group, uint32_t host)
{
    struct sched_group *g = &s->groups[group];
    struct sched_member *m = find(g, host);
    if (m) {
        m->vms++;
        return 0;
    }
    if (g->n_members == g->cap_members) {
        size_t cap = g->cap_members ? 2 * g->cap_members : 4;
        m = realloc(g->members, cap * sizeof(*m));
        if (!m)
            return -ENOMEM;
        g->members = m;
        g->cap_members = cap;
    }
    g->members[g->n_members++] = (struct sched_member){.host = host, .vms = 1};
    return 0;
}

void sched_group_remove(struct sched *s, uint32_t group, uint32_t host)
{
    struct sched_group *g = &s->groups[group];
    struct sched_member *m = find(g, host);
    if (m && !--m->vms)
        *m = g->members[--g->n_members];
}

/* The rack that counts for a member's host, 0 if the host stands for itself. */
static uint32_t rack_of(const struct sched *s, const struct sched_group *g, uint32_t host)
{
    return g->scope == SCHED_BY_RACK ? s->specs[host].rack : 0;
}

/* Fills s->rack_vms, or empties it again. */
static void count_racks(struct sched *s, const struct sched_group *g, bool fill)
{
    for (size_t i = 0; i < g->n_members; i++) {
        uint32_t rack = rack_of(s, g, g->members[i].host);
        if (rack)
            s->rack_vms[rack] = fill ? s->rack_vms[rack] + g->members[i].vms : 0;
    }
}

/* Members in the scope of member i's host. */
static uint32_t scope_vms(const struct sched *s, const struct sched_group *g, size_t i)
{
    uint32_t rack = rack_of(s, g, g->members[i].host);
    return rack ? s->rack_vms[rack] : g->members[i].vms;
}

static void set_group_bit(struct sched *s, uint32_t host, bool on)
{
    uint64_t bit = UINT64_C(1) << (host % 64), *w = &s->group_bits.words[host / 64];
    *w = on ? *w | bit : *w & ~bit;
}

void sched_group_mask(struct sched *s, const struct sched_group *g, uint32_t least, uint32_t most)
{
    bool others = !least; /* hosts without members are in it, members' hosts perhaps not */
    memset(s->group_bits.words, others ? 0xff : 0, s->words * sizeof(uint64_t));
    count_racks(s, g, true);
    for (size_t i = 0; i < g->n_members; i++) {
        uint32_t vms = scope_vms(s, g, i), host = g->members[i].host;
        bool in = vms >= least && vms <= most;
        if (in == others)
            continue;
        uint32_t rack = rack_of(s, g, host);
        if (!rack)
            set_group_bit(s, host, in);
        for (uint32_t h = rack ? s->rack_first[rack] : UINT32_MAX; h != UINT32_MAX;
             h = s->rack_next[h])
            set_group_bit(s, h, in);
    }
    count_racks(s, g, false);
}

uint32_t sched_group_next(struct sched *s, const struct sched_group *g, uint32_t than, bool down)
{
    uint32_t next = 0;
    count_racks(s, g, true);
    for (size_t i = 0; i < g->n_members; i++) {
        uint32_t vms = scope_vms(s, g, i);
        if (down ? vms < than && vms > next : vms > than && (!next || vms < next))
            next = vms;
    }
    count_racks(s, g, false);
    return next;
}
