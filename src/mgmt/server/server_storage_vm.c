/* Volumes of VMs: the first one, further ones, and what becomes of them. */
#include <errno.h>

#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_storage.h"

int server_storage_boot(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                        const struct catalog_object *image, int64_t size_gib, const char *pool,
                        const struct store_id *host, struct catalog_object **volume)
{
    (void)t, (void)vm, (void)image, (void)size_gib, (void)pool, (void)host, (void)volume;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "volumes are not built yet");
}

int server_storage_attach(struct server_call *c, struct server_txn *t, struct catalog_object *vm,
                          const struct api_vm_volume *spec, unsigned index,
                          const struct store_id *host, struct catalog_object **volume)
{
    (void)t, (void)vm, (void)spec, (void)index, (void)host, (void)volume;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_FEATURE_NO_DRIVER,
                           "volumes are not built yet");
}

int server_storage_release(struct server_txn *t, struct catalog_slot *volume, bool remove)
{
    (void)t, (void)volume, (void)remove;
    return -ENOSYS;
}

const struct store_id *server_storage_host_of(const struct catalog_object *volume,
                                              struct store_id *host)
{
    const struct api_text *text = &volume->own->host;
    return text->is == API_VALUE && !catalog_id_parse(text->v, host) ? host : NULL;
}
