/* Not built yet. */
#include "mgmt/server/server_internal.h"

const struct server_route server_image_routes[] = {{0}};
