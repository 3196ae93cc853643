/* What is particular of images: where they come from, how far their making is, what came. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent_volumes_internal.h"
#include "agent/volume_pools.h"
#include "base/fault.h"
#include "base/util.h"

static const enum link_image_format FORMATS[IMAGE_PROBE_N] = {
    [IMAGE_PROBE_RAW] = LINK_IMAGE_FORMAT_RAW,   [IMAGE_PROBE_QCOW2] = LINK_IMAGE_FORMAT_QCOW2,
    [IMAGE_PROBE_VMDK] = LINK_IMAGE_FORMAT_VMDK, [IMAGE_PROBE_OVA] = LINK_IMAGE_FORMAT_OVA,
    [IMAGE_PROBE_VHDX] = LINK_IMAGE_FORMAT_VHDX, [IMAGE_PROBE_VDI] = LINK_IMAGE_FORMAT_VDI,
};

static const char *text_or_null(const struct api_text *t)
{
    return t->is == API_VALUE ? t->v : NULL;
}

int agent_volumes_image_read(const struct link_volume_want *want, struct agent_volumes_want *w,
                             struct err *err)
{
    if (want->origin.is != API_VALUE)
        return err_set(err, EINVAL, "an image has an origin");
    const struct link_image_origin *from = want->origin.v;
    const char *source = NULL;
    switch (from->kind.v) {
    case LINK_IMAGE_ORIGIN_KIND_PATH:
        w->origin = IMAGE_ORIGIN_PATH;
        source = text_or_null(&from->path);
        break;
    case LINK_IMAGE_ORIGIN_KIND_URL:
        w->origin = IMAGE_ORIGIN_URL;
        source = text_or_null(&from->url);
        break;
    case LINK_IMAGE_ORIGIN_KIND_CONTENT:
        w->origin = IMAGE_ORIGIN_SERVER;
        source = text_or_null(&from->content);
        w->file = (char *)(uintptr_t)text_or_null(&from->path);
        break;
    default:
        w->origin = IMAGE_ORIGIN_DEBIAN;
        source = from->recipe.is == API_VALUE ? from->recipe.v : "{}";
        break;
    }
    if (!source)
        return err_set(err, EINVAL, "an image of kind %s says where it comes from",
                       link_types_image_origin_kind.names[from->kind.v]);
    w->source = (char *)(uintptr_t)source;
    w->sha256 = (char *)(uintptr_t)text_or_null(&want->sha256);
    for (unsigned i = 0; i < IMAGE_PROBE_N; i++)
        if (want->format.is == API_VALUE && want->format.v == FORMATS[i] &&
            want->format.v != LINK_IMAGE_FORMAT_AUTO) {
            w->expects = true;
            w->format = (enum image_probe_format)i;
        }
    return 0;
}

/* On the worker; the loop looks now and then. */
static void progress(void *ctx, unsigned percent, uint64_t received_bytes)
{
    struct agent_volumes_entry *e = ctx;
    atomic_store(&e->percent, percent);
    atomic_store(&e->received_bytes, received_bytes);
}

int agent_volumes_image_make(struct agent_volumes_entry *e, struct volume_driver *pools)
{
    const struct agent_volumes_config *c = agent_volumes_config_of(e->owner);
    struct image_import_result result = {.was_there = true};
    struct image_origin origin = {.kind = e->job.origin,
                                  .source = e->job.source,
                                  .file = e->job.file,
                                  .expects = e->job.expects,
                                  .format = e->job.format,
                                  .sha256 = e->job.sha256,
                                  .progress = progress,
                                  .ctx = e,
                                  .stop = &e->stop};
    struct volume_info info;
    memcpy(origin.id, e->id, sizeof(origin.id));
    if (!pools->ops->info(pools, VOLUME_IMAGE, e->id, &info, NULL))
        return 0;
    origin.pool = volume_pools_find(pools, e->job.spec.pool, &e->job_err);
    if (!origin.pool)
        return -ENOENT;
    int ret = image_origin_make(c->images, &origin, &result, &e->job_err);
    if (!ret)
        ret = fault_point("agent_volumes.image.made");
    e->job_came = (!ret || ret == -EBADMSG) && !result.was_there;
    e->job_result = result;
    return ret;
}

static bool describe_sum(const uint8_t sum[IMAGE_FETCH_SHA256_BYTES], struct api_arena *arena,
                         struct api_text *out)
{
    char *text = api_arena_alloc(arena, 2 * IMAGE_FETCH_SHA256_BYTES + 1);
    if (!text)
        return false;
    for (size_t i = 0; i < IMAGE_FETCH_SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    *out = (struct api_text){API_VALUE, text};
    return true;
}

bool agent_volumes_image_describe(const struct agent_volumes_entry *e, struct api_arena *arena,
                                  struct link_volume_seen *out)
{
    if (e->there) {
        out->format.is = API_VALUE;
        out->format.v =
            e->info.format == VOLUME_RAW ? LINK_IMAGE_FORMAT_RAW : LINK_IMAGE_FORMAT_QCOW2;
    }
    if (e->working && e->received_bytes)
        out->received_bytes = (struct api_int){API_VALUE, (int64_t)e->received_bytes};
    if (e->working || !e->came)
        return true;
    out->received_bytes = (struct api_int){API_VALUE, (int64_t)e->result.received_bytes};
    if (e->there && FORMATS[e->result.format] != LINK_IMAGE_FORMAT_AUTO)
        out->format.v = FORMATS[e->result.format];
    return describe_sum(e->result.sha256, arena, &out->sha256);
}
