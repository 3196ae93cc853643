/* The cloud itself: version, health, operations. */
#include <string.h>

#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_usage.h"

static int version_get(struct server_call *c)
{
    static const char *versions[] = {"1"};
    struct api_version_info info = {
        .version = {API_VALUE, "0.1.0"},
        .api_versions = {API_VALUE, 1, versions},
        .cloud_name = {API_VALUE, "virga"},
    };
    server_call_reply_struct(c, 200, &api_types_version_info, &info);
    return 0;
}

static int health_get(struct server_call *c)
{
    struct store_status status;
    store_status(c->s->store, &status);
    bool well = !status.last.code;
    struct api_health health = {
        .healthy = {API_VALUE, well},
        .seq = {API_VALUE, (int64_t)c->s->seq},
    };
    health.store.is = API_VALUE;
    health.store.v = well ? API_HEALTH_STORE_OK : API_HEALTH_STORE_GONE;
    server_call_reply_struct(c, well ? 200 : 503, &api_types_health, &health);
    return 0;
}

const struct server_route server_system_routes[] = {
    {API_OP_VERSION_GET, version_get},
    {API_OP_HEALTH_GET, health_get},
    {API_OP_USAGE_LIST, server_usage_list},
    {0},
};
