/* Volumes that are not there: ids and sizes in memory, by the rules of the seam. For tests and for
 * simulated hosts. */
#ifndef AGENT_VOLUME_NULL_H
#define AGENT_VOLUME_NULL_H

#include "agent/volume_driver.h"

struct volume_driver *volume_null_open(struct err *err);
/* The next operation fails with this errno; 0: none. */
void volume_null_fail(struct volume_driver *d, int code);

#endif
