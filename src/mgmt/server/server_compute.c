/* Flavors and key pairs. */
#include "mgmt/server/server_internal.h"

static const struct server_resource flavor = {.kind = CATALOG_FLAVOR};

static int flavor_create(struct server_call *c)
{
    return server_resource_create(c, &flavor);
}
static int flavor_get(struct server_call *c)
{
    return server_resource_get(c, &flavor);
}
static int flavor_list(struct server_call *c)
{
    return server_resource_list(c, &flavor);
}
static int flavor_patch(struct server_call *c)
{
    return server_resource_patch(c, &flavor);
}
static int flavor_delete(struct server_call *c)
{
    return server_resource_delete(c, &flavor);
}

const struct server_route server_compute_routes[] = {
    {API_OP_FLAVOR_LIST, flavor_list},     {API_OP_FLAVOR_CREATE, flavor_create},
    {API_OP_FLAVOR_GET, flavor_get},       {API_OP_FLAVOR_PATCH, flavor_patch},
    {API_OP_FLAVOR_DELETE, flavor_delete}, {0},
};
