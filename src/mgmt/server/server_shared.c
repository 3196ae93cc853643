/* What other projects may refer to. */
#include "mgmt/server/server_call.h"
#include "mgmt/server/server_internal.h"

bool server_shared(const struct catalog_object *v)
{
    if (v->kind == CATALOG_IMAGE) {
        const struct api_image *image = v->doc;
        return image->visibility.is == API_VALUE &&
               image->visibility.v == API_IMAGE_VISIBILITY_PUBLIC;
    }
    if (v->kind == CATALOG_NETWORK) {
        const struct api_network *network = v->doc;
        return network->shared.is == API_VALUE && network->shared.v;
    }
    return false;
}
