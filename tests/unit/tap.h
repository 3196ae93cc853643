/* A small test harness that speaks TAP: a program is a list of named cases.
 *
 *   static void refuses_a_chain_that_loops(void) { CHECK(x == 1); CHECK_EQ(a, b); }
 *   int main(void) { TAP_RUN(refuses_a_chain_that_loops); return tap_done(); }
 *
 * A failed CHECK prints where and what and lets the case go on; REQUIRE ends the case. */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_cases, tap_failed_cases, tap_case_failures;
static const char *tap_skip_reason;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            tap_case_failures++;                                                                   \
            printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #cond);                            \
        }                                                                                          \
    } while (0)

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            tap_case_failures++;                                                                   \
            printf("# %s:%d: required: %s\n", __FILE__, __LINE__, #cond);                          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long tap_a = (long long)(a), tap_b = (long long)(b);                                  \
        if (tap_a != tap_b) {                                                                      \
            tap_case_failures++;                                                                   \
            printf("# %s:%d: %s is %lld (0x%llx), expected %s = %lld (0x%llx)\n", __FILE__,        \
                   __LINE__, #a, tap_a, tap_a, #b, tap_b, tap_b);                                  \
        }                                                                                          \
    } while (0)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *tap_a = (a), *tap_b = (b);                                                     \
        if (strcmp(tap_a, tap_b) != 0) {                                                           \
            tap_case_failures++;                                                                   \
            printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, tap_a,      \
                   tap_b);                                                                         \
        }                                                                                          \
    } while (0)

/* Ends the case as skipped. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        tap_skip_reason = (reason);                                                                \
        return;                                                                                    \
    } while (0)

#define TAP_RUN(fn) tap_run(#fn, fn)

static inline void tap_run(const char *name, void (*fn)(void))
{
    tap_case_failures = 0;
    tap_skip_reason = NULL;
    fn();
    tap_cases++;
    if (tap_case_failures)
        tap_failed_cases++;
    printf("%s %d - %s%s%s\n", tap_case_failures ? "not ok" : "ok", tap_cases, name,
           tap_skip_reason ? " # SKIP " : "", tap_skip_reason ? tap_skip_reason : "");
    fflush(stdout);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_cases);
    return tap_failed_cases != 0;
}

#endif
