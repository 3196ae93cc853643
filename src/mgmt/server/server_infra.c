/* Not built yet. */
#include "mgmt/server/server_internal.h"

const struct server_route server_infra_routes[] = {{0}};
