/* Ports behind NAT by passt, which the monitor starts for itself: nothing of them is on the host.
 */
#ifndef AGENT_NETWORK_USER_H
#define AGENT_NETWORK_USER_H

#include "agent/network_driver.h"

struct network_driver *network_user_open(struct err *err);

#endif
