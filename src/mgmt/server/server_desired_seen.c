/* What agents report of volumes, snapshots and images, in the words of the link, to those who keep
 * account of them (server_storage.h, server_image.h). */
#include "mgmt/server/server_desired.h"

#include "base/util.h"
#include "mgmt/server/server_image.h"
#include "mgmt/server/server_storage.h"

static enum server_storage_state state_of(enum link_volume_seen_state state)
{
    static const enum server_storage_state states[] = {
        [LINK_VOLUME_SEEN_STATE_ABSENT] = SERVER_STORAGE_ABSENT,
        [LINK_VOLUME_SEEN_STATE_WORKING] = SERVER_STORAGE_WORKING,
        [LINK_VOLUME_SEEN_STATE_READY] = SERVER_STORAGE_PRESENT,
        [LINK_VOLUME_SEEN_STATE_FAILED] = SERVER_STORAGE_FAILED,
    };
    return states[state];
}

/* What it is kept as where the agent does not say. */
static enum api_image_format format_of(const struct link_volume_seen *seen)
{
    static const enum api_image_format formats[] = {
        [LINK_IMAGE_FORMAT_AUTO] = API_IMAGE_FORMAT_QCOW2,
        [LINK_IMAGE_FORMAT_RAW] = API_IMAGE_FORMAT_RAW,
        [LINK_IMAGE_FORMAT_QCOW2] = API_IMAGE_FORMAT_QCOW2,
        [LINK_IMAGE_FORMAT_VMDK] = API_IMAGE_FORMAT_VMDK,
        [LINK_IMAGE_FORMAT_OVA] = API_IMAGE_FORMAT_OVA,
        [LINK_IMAGE_FORMAT_VHDX] = API_IMAGE_FORMAT_VHDX,
        [LINK_IMAGE_FORMAT_VDI] = API_IMAGE_FORMAT_VDI,
    };
    return seen->format.is == API_VALUE && (unsigned)seen->format.v < ARRAY_LEN(formats)
               ? formats[seen->format.v]
               : API_IMAGE_FORMAT_QCOW2;
}

static uint64_t number(const struct api_int *v)
{
    return v->is == API_VALUE ? (uint64_t)v->v : 0;
}

static void image_seen(struct server *s, const struct store_id *host,
                       const struct link_volume_seen *seen, const struct store_id *id)
{
    const struct server_image_seen out = {
        .id = *id,
        .generation = seen->generation.v,
        .state = state_of(seen->state.v),
        .percent = (int)number(&seen->progress_percent),
        .received_bytes = number(&seen->received_bytes),
        .format = format_of(seen),
        .size_bytes = number(&seen->used_bytes),
        .virtual_size_bytes = number(&seen->size_bytes),
        .sha256 = seen->sha256.is == API_VALUE ? seen->sha256.v : NULL,
        .reason = seen->reason.is == API_VALUE ? seen->reason.v : NULL,
    };
    server_image_seen(s, host, &out);
}

void server_desired_volume_seen(struct server *s, const struct store_id *host,
                                const struct link_volume_seen *seen)
{
    struct store_id id;
    link_uuid(&seen->id, id.bytes);
    if (seen->kind.v == LINK_VOLUME_KIND_IMAGE) {
        image_seen(s, host, seen, &id);
        return;
    }
    const struct server_storage_seen out = {
        .kind = seen->kind.v == LINK_VOLUME_KIND_SNAPSHOT ? CATALOG_SNAPSHOT : CATALOG_VOLUME,
        .id = id,
        .generation = seen->generation.v,
        .state = state_of(seen->state.v),
        .percent = (int)number(&seen->progress_percent),
        .size_bytes = number(&seen->size_bytes),
        .used_bytes = number(&seen->used_bytes),
        .reason = seen->reason.is == API_VALUE ? seen->reason.v : NULL,
    };
    server_storage_seen(s, host, &out);
}
