/* The drivers that a host has as one: a port that names a bridge is plugged by `bridge`, any other
 * by `user`. */
#ifndef AGENT_NETWORK_KINDS_H
#define AGENT_NETWORK_KINDS_H

#include "agent/network_driver.h"

/* Owns: both, from now on, also where it fails. `bridge` may be NULL: the host offers none; `only`
 * are the bridges that ports may be put on, ended by NULL, borrowed. Errors: ENOMEM. */
struct network_driver *network_kinds_open(struct network_driver *user,
                                          struct network_driver *bridge, const char *const *only,
                                          struct err *err);

#endif
