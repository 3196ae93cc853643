/* What is wanted of hosts, and what their agents report. */
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_storage.h"

bool server_storage_want(const struct server *s, const struct catalog_object *v,
                         struct server_storage_want *want)
{
    (void)s, (void)v, (void)want;
    return false;
}

void server_storage_seen(struct server *s, const struct store_id *host,
                         const struct server_storage_seen *seen)
{
    (void)s, (void)host, (void)seen;
}

void server_storage_pools_seen(struct server *s, const struct store_id *host,
                               const struct server_storage_pool *pools, size_t n)
{
    (void)s, (void)host, (void)pools, (void)n;
}
