/* Points at which a test may let a program fail or die. Each step of an operation that must survive
 * a crash has one, named "module.operation.step"; a test arms one by name, or has them told.
 *
 * In a program nothing is armed unless fault_setup_from_env() found VIRGA_FAULT=NAME[:N[:HOW]]: at
 * the N-th passing (default 1) HOW: kill (default; SIGKILL), fail (the point says EIO). A point
 * that is not armed costs a load.
 *
 * VIRGA_FAULT=@DIR lets a test arm a program that runs: what the file DIR/armed says counts from
 * the next point on, and is removed when it happens, so that it happens once, whoever reads it;
 * each point that is passed is a line at the end of DIR/passed. tools/fault-points lists all names.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

enum fault_how { FAULT_KILL, FAULT_FAIL };

/* Arms one point, for the n-th time it is passed; n 0 disarms. `name` is borrowed.
 * Threads: none may pass a point meanwhile. */
void fault_arm(const char *name, unsigned n, enum fault_how how);
/* Called with each point's name as it is passed, so that a test learns them; NULL: no more. */
void fault_tell(void (*passed)(void *arg, const char *name), void *arg);
/* For main(). Errors: EINVAL, VIRGA_FAULT is not of that form. */
int fault_setup_from_env(struct err *err);

extern _Atomic bool fault_watched;
int fault_passed(const char *name);

/* 0, or -EIO where the armed fault says so. Threads: any. */
static inline int fault_point(const char *name)
{
    return atomic_load_explicit(&fault_watched, memory_order_relaxed) ? fault_passed(name) : 0;
}

#endif
