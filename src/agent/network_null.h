/* Ports that are not there: ids in memory. For tests and for simulated hosts. */
#ifndef AGENT_NETWORK_NULL_H
#define AGENT_NETWORK_NULL_H

#include "agent/network_driver.h"

struct network_driver *network_null_open(struct err *err);
/* The next operation fails with this errno; 0: none. */
void network_null_fail(struct network_driver *d, int code);
/* What counters() will say of every port. */
void network_null_count(struct network_driver *d, const struct network_counters *c);

#endif
