/* The search for the best hosts, and requests of several VMs.
 *
 * Theory of operation: the filters of labels leave a bitmap of candidates. The index has the hosts
 * in the order of their weighted rest; the walk begins at the smallest rest that can hold the VM
 * (spread: at the largest) and passes over leaves in which nothing fits. There is one index, and
 * one walk, for each overcommit ratio: within it a VM takes the same of every host, so for best fit
 * the first candidate that passes is the best. For `balanced`, and in the class of odd ratios, the
 * score of what lies ahead has a lower bound, and the walk ends when the bound is no better than
 * what was found. So every policy is exact. Where the bitmap has few candidates they are looked at
 * one by one. */
#include <errno.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

#define FEW_MAX  1024 /* candidates that are looked at one by one */
#define WANT_MAX (SCHED_ALTERNATES_MAX + 1)

struct found {
    int64_t score, key;
    uint32_t host;
};

struct search {
    const struct sched_query *q;
    enum sched_policy policy;
    unsigned want, n;
    struct found best[WANT_MAX];
    /* Of the class that is walked: */
    int32_t need[SCHED_DIMS];
    int64_t take_min, take_max; /* what the VM takes of a host's key */
    int64_t lopsided_max;       /* what `balanced` may add to a score or take off it */
};

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

static int64_t memory_need(const struct sched_query *q)
{
    return q->need[SCHED_DIM_MEMORY] == INT32_MIN ? 0 : q->need[SCHED_DIM_MEMORY];
}

/* Hundredths of a vCPU that it takes of a host with the ratio. */
static int64_t cpu_need(const struct sched_query *q, uint32_t ratio)
{
    return (int64_t)q->r->need.vcpus * (q->whole ? ratio : SCHED_SHARED_COST);
}

static void search_init(struct search *f, const struct sched_query *q, unsigned want)
{
    f->q = q;
    f->policy = q->r->policy;
    f->want = want;
    f->n = 0;
}

static void search_class(struct search *f, const struct sched_class *c)
{
    const struct sched_query *q = f->q;
    const struct sched_weights *w = &q->s->weights;
    int64_t memory = w->memory * memory_need(q);
    int64_t low = w->cpu * cpu_need(q, c->ratio_min), high = w->cpu * cpu_need(q, c->ratio_max);
    memcpy(f->need, q->need, sizeof(f->need));
    f->need[SCHED_DIM_CPU] = (int32_t)cpu_need(q, c->ratio_min);
    f->take_min = low + memory;
    f->take_max = high + memory;
    f->lopsided_max = 0;
    if (f->policy == SCHED_BALANCED)
        f->lopsided_max = MAX(magnitude(low - memory), magnitude(high - memory));
}

/* Less is better. */
static int64_t score_of(const struct search *f, int64_t key, uint32_t host, int32_t cpu,
                        int32_t memory)
{
    const struct sched_weights *w = &f->q->s->weights;
    int64_t take_cpu =
        w->cpu * cpu_need(f->q, f->q->whole ? f->q->s->ratio[host] : SCHED_SHARED_COST);
    int64_t take_memory = w->memory * memory_need(f->q);
    int64_t rest = key - take_cpu - take_memory;
    if (f->policy == SCHED_BEST_FIT)
        return rest;
    if (f->policy == SCHED_SPREAD)
        return -rest;
    int64_t lopsided = w->cpu * cpu - w->memory * memory;
    return rest + magnitude(lopsided - (take_cpu - take_memory)) - magnitude(lopsided);
}

/* Equal scores: the lower key, then the lower number; spread walks the other way. */
static bool better(const struct search *f, const struct found *a, const struct found *b)
{
    if (a->score != b->score)
        return a->score < b->score;
    if (f->policy == SCHED_SPREAD)
        return a->key != b->key ? a->key > b->key : a->host > b->host;
    return a->key != b->key ? a->key < b->key : a->host < b->host;
}

/* Whether nothing from this key and host on along the walk can get into the list. */
static bool over(const struct search *f, int64_t key, uint32_t host)
{
    if (f->n < f->want)
        return false;
    struct found bound = {.key = key, .host = host};
    bound.score =
        f->policy == SCHED_SPREAD ? f->take_min - key : key - f->take_max - f->lopsided_max;
    return !better(f, &bound, &f->best[f->n - 1]);
}

static void insert(struct search *f, const struct found *x)
{
    if (f->n == f->want && !better(f, x, &f->best[f->n - 1]))
        return;
    unsigned at = f->n < f->want ? f->n++ : f->n - 1;
    for (; at && better(f, x, &f->best[at - 1]); at--)
        f->best[at] = f->best[at - 1];
    f->best[at] = *x;
}

/* Looks at one candidate that has what the index knows of; false: the walk is over. */
static bool consider(struct search *f, uint32_t host, int32_t cpu, int32_t memory)
{
    struct found x = {.key = sched_index_key(&f->q->s->weights, cpu, memory), .host = host};
    if (over(f, x.key, host))
        return false;
    if (!sched_query_passes(f->q, host))
        return true;
    x.score = score_of(f, x.key, host, cpu, memory);
    insert(f, &x);
    return true;
}

/* All entries of a leaf that fit, in the direction of the walk; false: the walk is over. */
static bool walk_leaf(struct search *f, const struct sched_leaf_ref *ref)
{
    const struct sched_leaf *leaf = ref->leaf;
    const uint64_t *candidates = f->q->s->candidates.words;
    uint64_t left = sched_index_fits(ref, f->need);
    while (left) {
        unsigned i = (unsigned)(f->policy == SCHED_SPREAD ? 63 - __builtin_clzll(left)
                                                          : __builtin_ctzll(left));
        left &= ~(UINT64_C(1) << i);
        if (sched_bit(candidates, leaf->host[i]) &&
            !consider(f, leaf->host[i], leaf->free[SCHED_DIM_CPU][i],
                      leaf->free[SCHED_DIM_MEMORY][i]))
            return false;
    }
    return true;
}

static void walk_up(struct search *f, const struct sched_index *index, size_t first)
{
    for (size_t l = first; l < index->n; l++) {
        const struct sched_leaf_ref *ref = &index->refs[l];
        if (over(f, ref->key, ref->host))
            return;
        if (sched_index_may_fit(ref, f->need) && !walk_leaf(f, ref))
            return;
    }
}

static void walk_down(struct search *f, const struct sched_index *index, size_t first)
{
    for (size_t l = index->n; l-- > first;) {
        const struct sched_leaf_ref *ref = &index->refs[l];
        if (l + 1 < index->n && over(f, ref[1].key, ref[1].host))
            return;
        if (sched_index_may_fit(ref, f->need) && !walk_leaf(f, ref))
            return;
    }
}

/* The candidates, if they are few. */
static bool list_few(const struct sched *s, uint32_t *hosts, unsigned *n)
{
    /* A walk costs more with more hosts, for it passes over those that are no candidates. */
    unsigned few = MIN(FEW_MAX, 64 + s->limit / 256);
    size_t words = (s->limit + 63) / 64;
    *n = 0;
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = s->candidates.words[w]; left; left &= left - 1) {
            if (*n == few)
                return false;
            hosts[(*n)++] = (uint32_t)(64 * w) + (uint32_t)__builtin_ctzll(left);
        }
    return true;
}

static bool has_needs(const struct sched_query *q, const struct sched_entry *e)
{
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        if (e->free[d] < q->need[d])
            return false;
    return true;
}

static void look_at_few(struct search *f, const uint32_t *few, unsigned n)
{
    const struct sched *s = f->q->s;
    for (unsigned i = 0; i < n; i++) {
        const struct sched_entry *e = &s->free[few[i]];
        int32_t cpu = e->free[SCHED_DIM_CPU], memory = e->free[SCHED_DIM_MEMORY];
        if (!has_needs(f->q, e) || !sched_query_passes(f->q, few[i]))
            continue;
        struct found x = {.key = sched_index_key(&s->weights, cpu, memory), .host = few[i]};
        x.score = score_of(f, x.key, few[i], cpu, memory);
        insert(f, &x);
    }
}

/* A walk for each ratio, or a look at each of few, over s->candidates. */
static void search_candidates(struct search *f)
{
    const struct sched *s = f->q->s;
    uint32_t few[FEW_MAX];
    unsigned n;
    if (list_few(s, few, &n)) {
        look_at_few(f, few, n);
        return;
    }
    for (unsigned c = 0; c < s->n_classes; c++) {
        const struct sched_index *index = s->classes[c].index;
        size_t first = 0;
        search_class(f, &s->classes[c]);
        if (f->need[SCHED_DIM_MEMORY] != INT32_MIN) /* else it may be below 0 */
            first = sched_index_seek(index, f->take_min);
        if (f->policy == SCHED_SPREAD)
            walk_down(f, index, first);
        else
            walk_up(f, index, first);
    }
}

static void drop_chosen(struct sched *s, const struct sched_result *r)
{
    for (uint32_t i = 0; i < r->n_chosen; i++)
        s->candidates.words[r->chosen[i].host / 64] &= ~(UINT64_C(1) << (r->chosen[i].host % 64));
}

/* The hosts in whose scope `least` to `most` members of a soft group are, added to the list. */
static void search_level(const struct sched_query *q, struct search *all, uint32_t least,
                         uint32_t most, const struct sched_result *without)
{
    struct sched *s = q->s;
    struct search f;
    search_init(&f, q, all->want - all->n);
    sched_query_candidates(q);
    if (without)
        drop_chosen(s, without);
    sched_group_mask(s, q->group, least, most);
    for (size_t w = 0; w < (s->limit + 63) / 64; w++)
        s->candidates.words[w] &= s->group_bits.words[w];
    search_candidates(&f);
    memcpy(&all->best[all->n], f.best, f.n * sizeof(f.best[0]));
    all->n += f.n;
}

static unsigned count_ties(const struct search *f)
{
    unsigned ties = 0;
    while (ties < f->n && f->best[ties].score == f->best[0].score)
        ties++;
    return ties;
}

/* A soft group: the scopes with the most members first; or those with fewer than may share one,
 * which are all alike, then those with the fewest. */
static void search_levels(const struct sched_query *q, const struct sched_result *without,
                          struct search *f, unsigned *ties)
{
    bool together = q->group->affinity == SCHED_TOGETHER_IF;
    uint32_t vms = together ? sched_group_next(q->s, q->group, UINT32_MAX, true) : 0;
    uint32_t least = vms;
    if (!together)
        vms = q->group->most - 1;
    *ties = 0;
    for (;;) {
        search_level(q, f, least, vms, without);
        if (!*ties) /* all that were found so far are of one level */
            *ties = count_ties(f);
        uint32_t next = sched_group_next(q->s, q->group, vms, together);
        if (f->n == f->want || (together ? !vms : !next))
            return;
        least = vms = next;
    }
}

/* The best hosts, best first; *ties receives how many of them are as good as the first. `without`:
 * none that it chose. */
static void search_best(const struct sched_query *q, unsigned want,
                        const struct sched_result *without, struct search *f, unsigned *ties)
{
    search_init(f, q, want);
    *ties = 0;
    if (!q->s->limit)
        return;
    if (q->group &&
        (q->group->affinity == SCHED_TOGETHER_IF || q->group->affinity == SCHED_APART_IF)) {
        search_levels(q, without, f, ties);
        return;
    }
    sched_query_candidates(q);
    if (without)
        drop_chosen(q->s, without);
    search_candidates(f);
    *ties = count_ties(f);
}

static uint64_t mix(uint64_t v)
{
    v += UINT64_C(0x9e3779b97f4a7c15);
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

static struct sched_choice choice_of(const struct sched_query *q, const struct found *x)
{
    unsigned fitting;
    struct sched_choice c = {.host = x->host, .generation = q->s->specs[x->host].generation};
    if (q->placed)
        c.nodes = sched_pick_nodes(q->s, x->host, q->n_nodes, &q->per_node, &fitting);
    return c;
}

static void name_alternates(const struct sched_query *q, const struct search *f, unsigned skip,
                            struct sched_result *out)
{
    for (unsigned i = 0; i < f->n && out->n_alternates < q->r->alternates; i++)
        if (i != skip)
            out->alternates[out->n_alternates++] = choice_of(q, &f->best[i]);
}

/* Chooses a host for one VM; false if there is none. */
static bool place_one(const struct sched_query *q, uint64_t seed, bool alternates,
                      struct sched_result *out)
{
    struct search f;
    unsigned ties, among = MAX(q->r->among, 1);
    search_best(q, MAX(among, alternates ? q->r->alternates + 1 : 1), NULL, &f, &ties);
    if (!f.n)
        return false;
    unsigned pick = among > 1 ? (unsigned)(mix(seed) % MIN(ties, among)) : 0;
    out->chosen[out->n_chosen++] = choice_of(q, &f.best[pick]);
    if (alternates)
        name_alternates(q, &f, pick, out);
    return true;
}

/* Several VMs: each is claimed while the next is placed, and all are given back. */
static int place_many(const struct sched_query *q, uint64_t seed, struct sched_result *out)
{
    struct sched *s = q->s;
    const struct sched_need *need = &q->r->need;
    int r = 0;
    while (!r && out->n_chosen < q->r->count && place_one(q, seed + out->n_chosen, false, out)) {
        struct sched_choice *c = &out->chosen[out->n_chosen - 1];
        r = sched_apply(s, need, c, 1);
        if (r)
            out->n_chosen--;
        else
            s->specs[c->host].generation++;
        sched_query_refresh(q);
    }
    out->fitted = out->n_chosen;
    if (!r && out->fitted < q->r->count)
        sched_query_count(q, &out->refusals);
    else if (!r && q->r->alternates) {
        struct search f;
        unsigned ties;
        search_best(q, q->r->alternates, out, &f, &ties);
        name_alternates(q, &f, WANT_MAX, out);
    }
    for (uint32_t i = out->n_chosen; i-- > 0;) {
        s->specs[out->chosen[i].host].generation--;
        sched_apply(s, need, &out->chosen[i], -1);
    }
    return r;
}

int sched_place(struct sched *s, const struct sched_request *request, uint64_t seed,
                struct sched_result *out, struct err *err)
{
    struct sched_query q;
    char why[256];
    int r = sched_query_init(&q, s, request, err);
    if (r)
        return r;
    *out = (struct sched_result){0};
    uint32_t count = MAX(request->count, 1);
    if (count > 1) {
        if (place_many(&q, seed, out))
            return err_set(err, ENOMEM, "no memory to place %u VMs", count);
    } else if (place_one(&q, seed, true, out)) {
        out->fitted = 1;
    } else {
        sched_query_count(&q, &out->refusals);
    }
    if (out->n_chosen == count || (request->best_effort && out->n_chosen))
        return 0;
    out->n_chosen = out->n_alternates = 0;
    sched_refusals_text(&out->refusals, why, sizeof(why));
    if (out->fitted)
        return err_set(err, ENOSPC, "only %u of %u VMs fit; then of %s", out->fitted, count, why);
    return err_set(err, ENOSPC, "no host fits: of %s", why);
}
