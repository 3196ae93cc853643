/* The timer: 1 GHz before the divider (11.5.4).
 *
 * Theory of operation. Nothing ticks. `deadline` is the guest TSC at which the timer fires next,
 * LAPIC_NEVER when it is not armed; a count began at `timer_start` and its value is computed from
 * the TSC. Every write of a register is preceded by lapic_timer_look(), so that what was due before
 * happens under the old settings. */
#include "apic/lapic_internal.h"
#include "base/util.h"

enum lapic_timer_mode lapic_timer_mode(const struct lapic *a)
{
    return (enum lapic_timer_mode)(a->lvt[LAPIC_LVT_TIMER] >> 17 & 3);
}

static bool counts(const struct lapic *a)
{
    return lapic_timer_mode(a) <= LAPIC_TIMER_PERIODIC;
}

static unsigned divider(const struct lapic *a)
{
    unsigned v = (a->timer_divide & 3) | (a->timer_divide >> 1 & 4);
    return v == 7 ? 1 : 2u << v;
}

static uint64_t ticks_to_tsc(const struct lapic *a, uint64_t ticks)
{
    unsigned __int128 ns = (unsigned __int128)ticks * divider(a);
    return (uint64_t)(ns * a->tsc_khz / 1000000);
}

static uint64_t tsc_to_ticks(const struct lapic *a, uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)tsc * 1000000 / a->tsc_khz / divider(a));
}

/* The period or the whole count, at least one TSC tick. */
static uint64_t span(const struct lapic *a)
{
    return MAX(ticks_to_tsc(a, a->timer_initial), UINT64_C(1));
}

/* Since the count began; the TSC may have been set so that this was before its zero. */
static uint64_t passed(const struct lapic *a, uint64_t tsc)
{
    int64_t since = (int64_t)(tsc - a->timer_start);
    return since > 0 ? (uint64_t)since : 0;
}

/* A TSC that a guest has set to just before its end does not bring the deadline to its beginning,
 * which would be due over and over. */
static uint64_t after(uint64_t tsc, uint64_t by)
{
    return by < LAPIC_NEVER - tsc ? tsc + by : LAPIC_NEVER - 1;
}

static void disarm(struct lapic *a)
{
    a->deadline = LAPIC_NEVER;
    a->tsc_deadline = 0;
}

uint32_t lapic_timer_current(const struct lapic *a, uint64_t tsc)
{
    if (!counts(a) || a->deadline == LAPIC_NEVER)
        return 0;
    uint64_t since = passed(a, tsc);
    if (lapic_timer_mode(a) == LAPIC_TIMER_PERIODIC)
        since %= span(a);
    uint64_t ticks = tsc_to_ticks(a, since);
    return ticks >= a->timer_initial ? 0 : (uint32_t)(a->timer_initial - ticks);
}

void lapic_timer_look(struct lapic *a, uint64_t tsc)
{
    if (tsc < a->deadline)
        return;
    if (lapic_timer_mode(a) == LAPIC_TIMER_PERIODIC) {
        /* One interrupt for all the periods that were missed. */
        uint64_t period = span(a);
        a->timer_start += passed(a, tsc) / period * period;
        a->deadline = after(tsc, period - passed(a, tsc));
    } else {
        disarm(a);
    }
    uint32_t lvt = a->lvt[LAPIC_LVT_TIMER];
    if (!(lvt & LAPIC_LVT_MASKED))
        lapic_accept(a, (uint8_t)lvt, false);
}

/* Rounded up, so that the count reads as `left` again whatever the frequencies. */
void lapic_timer_resume(struct lapic *a, uint32_t left, uint64_t tsc)
{
    uint64_t ticks = a->timer_initial - MIN(left, a->timer_initial);
    unsigned __int128 scaled = (unsigned __int128)ticks * divider(a) * a->tsc_khz;
    uint64_t gone = MIN((uint64_t)((scaled + 999999) / 1000000), span(a));
    a->timer_start = tsc - gone; /* may wrap: see passed() */
    a->deadline = after(tsc, span(a) - gone);
}

void lapic_timer_set_initial(struct lapic *a, uint32_t value, uint64_t tsc)
{
    if (lapic_timer_mode(a) == LAPIC_TIMER_DEADLINE)
        return;
    a->timer_initial = value;
    disarm(a);
    if (value && counts(a))
        lapic_timer_resume(a, value, tsc);
}

/* What is left of the count goes on at the new rate. */
void lapic_timer_set_divide(struct lapic *a, uint32_t value, uint64_t tsc)
{
    uint32_t left = lapic_timer_current(a, tsc);
    a->timer_divide = value & LAPIC_DIVIDE_BITS;
    if (left)
        lapic_timer_resume(a, left, tsc);
}

/* Between one-shot and periodic a count goes on, as hardware and KVM have it; what leaves or
 * enters TSC-deadline mode is disarmed (11.5.4.1). */
void lapic_timer_mode_changed(struct lapic *a, enum lapic_timer_mode before)
{
    if (lapic_timer_mode(a) == before || (counts(a) && before <= LAPIC_TIMER_PERIODIC))
        return;
    a->timer_initial = 0;
    disarm(a);
}

void lapic_set_tsc_deadline(struct lapic *a, uint64_t value, uint64_t tsc)
{
    if (lapic_timer_mode(a) != LAPIC_TIMER_DEADLINE)
        return;
    lapic_timer_look(a, tsc);
    a->tsc_deadline = value;
    a->deadline = value ? value : LAPIC_NEVER;
    lapic_timer_look(a, tsc);
}

uint64_t lapic_tsc_deadline(const struct lapic *a)
{
    return lapic_timer_mode(a) == LAPIC_TIMER_DEADLINE ? a->tsc_deadline : 0;
}

void lapic_set_tsc_khz(struct lapic *a, uint32_t tsc_khz)
{
    a->tsc_khz = MAX(tsc_khz, 1u);
}

void lapic_tsc_moved(struct lapic *a, uint64_t from, uint64_t to)
{
    lapic_timer_look(a, from);
    if (!counts(a) || a->deadline == LAPIC_NEVER)
        return;
    a->timer_start += to - from;
    a->deadline = after(to, a->deadline - from);
}
