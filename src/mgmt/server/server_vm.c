/* Not built yet. */
#include "mgmt/server/server_internal.h"

const struct server_route server_vm_routes[] = {{0}};
