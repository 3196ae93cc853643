/* Why a request did not get a host, in numbers and in words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/util.h"
#include "mgmt/sched/sched_internal.h"

int sched_explain(struct sched *s, const struct sched_request *request,
                  struct sched_refusals *refusals, struct err *err)
{
    struct sched_query q;
    int r = sched_query_init(&q, s, request, err);
    if (!r)
        sched_query_count(&q, refusals);
    return r;
}

/* Whether the filter turns the host away. */
static bool refuses(const struct sched_filter *filter, const struct sched_query *q, uint32_t host,
                    struct sched_refusal *why)
{
    if (!filter->applies(q))
        return false;
    if (filter->check)
        return !filter->check(q, host, why);
    uint64_t bits = UINT64_C(1) << (host % 64);
    filter->mask(q, &bits, host / 64, 1);
    return !(bits >> (host % 64) & 1);
}

int sched_explain_host(struct sched *s, const struct sched_request *request, uint32_t host,
                       struct sched_refusal *why, struct err *err)
{
    struct sched_query q;
    if (!sched_exists(s, host))
        return err_set(err, ENOENT, "no host %u", host);
    int r = sched_query_init(&q, s, request, err);
    if (r)
        return r;
    for (unsigned f = 0; f < SCHED_FILTERS; f++) {
        *why = (struct sched_refusal){.filter = f};
        if (refuses(&sched_filters[f], &q, host, why))
            return 0;
    }
    *why = (struct sched_refusal){.filter = SCHED_FILTERS};
    return 0;
}

int sched_refusals_text(const struct sched_refusals *refusals, char *text, size_t size)
{
    int at = snprintf(text, size, "%" PRIu32 " host%s", refusals->hosts,
                      refusals->hosts == 1 ? "" : "s");
    const char *between = ": ";
    for (unsigned f = 0; f < SCHED_FILTERS && at >= 0; f++) {
        if (!refusals->by_filter[f])
            continue;
        size_t used = MIN((size_t)at, size);
        at += snprintf(text + used, size - used, "%s%" PRIu32 " %s (%s)", between,
                       refusals->by_filter[f], sched_filters[f].people, sched_filters[f].name);
        between = ", ";
    }
    if (refusals->fit && at >= 0) {
        size_t used = MIN((size_t)at, size);
        at += snprintf(text + used, size - used, "%s%" PRIu32 " fit", between, refusals->fit);
    }
    return at;
}

int sched_refusal_text(const struct sched_refusal *why, char *text, size_t size)
{
    if (why->filter >= SCHED_FILTERS)
        return snprintf(text, size, "fits");
    const struct sched_filter *filter = &sched_filters[why->filter];
    if (!why->unit)
        return snprintf(text, size, "%s: %s", filter->name, filter->people);
    return snprintf(text, size, "%s: needs %" PRId64 " %s, %" PRId64 " free", filter->name,
                    why->need, why->unit, why->free);
}
