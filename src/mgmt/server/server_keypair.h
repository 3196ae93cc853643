/* Key pairs for SSH. */
#ifndef MGMT_SERVER_SERVER_KEYPAIR_H
#define MGMT_SERVER_SERVER_KEYPAIR_H

#include "mgmt/server/server_internal.h"

extern const struct server_route server_keypair_routes[];

#endif
