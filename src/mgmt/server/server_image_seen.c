/* Where images are wanted, and what agents report of them. */
#include <errno.h>

#include "mgmt/server/server_image.h"
#include "mgmt/server/server_internal.h"

int server_image_use(struct server_call *c, struct server_txn *t,
                     const struct catalog_object *image, int64_t size_gib, const char *pointer,
                     int64_t *needs_gib)
{
    (void)t, (void)image, (void)size_gib, (void)pointer, (void)needs_gib;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "images are not built yet");
}

const struct store_id *server_image_host_of(const struct catalog_object *image,
                                            struct store_id *host)
{
    (void)image, (void)host;
    return NULL;
}

bool server_image_want(struct server *s, const struct catalog_object *image,
                       const struct store_id *host, struct server_image_want *want)
{
    (void)s, (void)image, (void)host, (void)want;
    return false;
}

void server_image_each(struct server *s, const struct store_id *host,
                       void (*each)(void *ctx, const struct server_image_want *want), void *ctx)
{
    (void)s, (void)host, (void)each, (void)ctx;
}

void server_image_seen(struct server *s, const struct store_id *host,
                       const struct server_image_seen *seen)
{
    (void)s, (void)host, (void)seen;
}

bool server_image_on(const struct server *s, const struct store_id *image,
                     const struct store_id *host)
{
    (void)s, (void)image, (void)host;
    return false;
}
