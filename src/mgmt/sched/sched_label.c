/* The labels of hosts (state, zone, project, traits, aggregates) as bitmaps, their racks as lists.
 * Bitmaps are made when a host first has the label and stay until the snapshot goes, so that what
 * has been set once can be set again without memory. */
#include <errno.h>

#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

/* Calls fn for every bitmap of the snapshot; stops at the first that fails. */
static int each_bitmap(struct sched *s,
                       int (*fn)(struct sched *s, struct sched_bitmap *b, size_t n), size_t words)
{
    struct sched_bitmap *always[] = {&s->live,       &s->enabled, &s->everybody,
                                     &s->candidates, &s->only,    &s->group_bits};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(always) && !r; i++)
        r = fn(s, always[i], words);
    for (size_t i = 0; i < SCHED_ZONES_MAX && !r; i++)
        r = s->zones[i].words ? fn(s, &s->zones[i], words) : 0;
    for (size_t i = 0; i < SCHED_LABELS_MAX && !r; i++) {
        r = s->traits[i].words ? fn(s, &s->traits[i], words) : 0;
        if (!r && s->aggregates[i].words)
            r = fn(s, &s->aggregates[i], words);
    }
    for (size_t i = 0; i < s->n_projects && !r; i++)
        r = fn(s, &s->projects[i].bits, words);
    return r;
}

static int free_bitmap(struct sched *s, struct sched_bitmap *b, size_t words)
{
    free(b->words);
    return 0;
}

static int grow_bitmap(struct sched *s, struct sched_bitmap *b, size_t words)
{
    uint64_t *w = realloc(b->words, words * sizeof(*w));
    if (!w)
        return -ENOMEM;
    size_t had = b->words ? s->words : 0;
    memset(w + had, 0, (words - had) * sizeof(*w));
    b->words = w;
    return 0;
}

int sched_bitmaps_grow(struct sched *s, size_t words)
{
    int r = each_bitmap(s, grow_bitmap, words);
    if (!r)
        s->words = words;
    return r;
}

void sched_bitmaps_free(struct sched *s)
{
    each_bitmap(s, free_bitmap, 0);
}

static int set_bit(struct sched *s, struct sched_bitmap *b, uint32_t host, bool on)
{
    if (!b->words) {
        if (!on)
            return 0;
        b->words = calloc(s->words, sizeof(b->words[0]));
        if (!b->words)
            return -ENOMEM;
    }
    uint64_t bit = UINT64_C(1) << (host % 64);
    b->words[host / 64] = on ? b->words[host / 64] | bit : b->words[host / 64] & ~bit;
    return 0;
}

static int set_labels(struct sched *s, struct sched_bitmap *maps, const uint64_t *labels,
                      uint32_t host, bool on)
{
    for (unsigned w = 0; w < SCHED_LABEL_WORDS; w++)
        for (uint64_t left = labels[w]; left; left &= left - 1)
            if (set_bit(s, &maps[64 * w + (unsigned)__builtin_ctzll(left)], host, on))
                return -ENOMEM;
    return 0;
}

static int set_project(struct sched *s, uint32_t project, uint32_t host, bool on)
{
    size_t i = 0;
    while (i < s->n_projects && s->projects[i].project != project)
        i++;
    if (i == s->n_projects && !on)
        return 0;
    if (i == s->n_projects) {
        struct sched_project *p = realloc(s->projects, (i + 1) * sizeof(*p));
        if (!p)
            return -ENOMEM;
        s->projects = p;
        p[s->n_projects++] = (struct sched_project){.project = project};
    }
    return set_bit(s, &s->projects[i].bits, host, on);
}

static void set_rack(struct sched *s, uint32_t rack, uint32_t host, bool on)
{
    if (!rack)
        return;
    uint32_t *at = &s->rack_first[rack];
    if (on) {
        s->rack_next[host] = *at;
        *at = host;
        return;
    }
    while (*at != host)
        at = &s->rack_next[*at];
    *at = s->rack_next[host];
}

static int set_all(struct sched *s, const struct sched_host *h, uint32_t host, bool on)
{
    set_bit(s, &s->live, host, on);
    set_bit(s, &s->enabled, host, on && h->state == SCHED_ENABLED);
    set_bit(s, &s->everybody, host, on && !h->project);
    set_rack(s, h->rack, host, on);
    if ((h->zone && set_bit(s, &s->zones[h->zone], host, on)) ||
        set_labels(s, s->traits, h->traits, host, on) ||
        set_labels(s, s->aggregates, h->aggregates, host, on) ||
        (h->project && set_project(s, h->project, host, on)))
        return -ENOMEM;
    return 0;
}

int sched_label(struct sched *s, uint32_t host, const struct sched_host *h)
{
    int r = set_all(s, h, host, true);
    if (r)
        sched_unlabel(s, host, h);
    return r;
}

void sched_unlabel(struct sched *s, uint32_t host, const struct sched_host *h)
{
    set_all(s, h, host, false); /* clearing needs no memory */
}
