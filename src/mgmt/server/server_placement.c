/* Not built yet. */
#include "mgmt/server/server_internal.h"

const struct server_route server_placement_routes[] = {{0}};
