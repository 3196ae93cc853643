/* The cloud itself: settings, version, health, the description. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "mgmt/server/server_follow.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_sweep.h"
#include "mgmt/server/server_system.h"
#include "mgmt/server/server_usage.h"

#define QUEUE_SLOW            1000
#define DESCRIPTION_MAX_BYTES (SERVER_BODY_MAX_BYTES)

/* ---- settings ---- */

static struct catalog_slot *settings_slot(struct server *s)
{
    static const struct store_id zero;
    return catalog_find(s->catalog, CATALOG_SETTINGS, &zero);
}

const struct api_settings *server_system_settings(struct server *s)
{
    const struct catalog_slot *slot = settings_slot(s);
    return slot ? slot->now->doc : NULL;
}

static int no_settings(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                           "the store holds no settings: restore a backup");
}

static int settings_get(struct server_call *c)
{
    const struct catalog_slot *slot = settings_slot(c->s);
    if (!slot)
        return no_settings(c);
    server_call_reply_object(c, 200, slot->now);
    return 0;
}

static int settings_patch(struct server_call *c)
{
    static const struct server_resource settings = {.kind = CATALOG_SETTINGS};
    struct catalog_slot *slot = settings_slot(c->s);
    return slot ? server_resource_patch_slot(c, &settings, slot) : no_settings(c);
}

/* ---- version, health ---- */

/* What the drivers of this version offer; whatever is false is refused with feature.no_driver. */
static const struct {
    const char *name;
    bool offered;
} features[] = {
    {"volume.file", true},           {"volume.encryption", false},       {"volume.qos", false},
    {"network.user", true},          {"network.bridge", true},           {"network.overlay", false},
    {"network.floating_ips", false}, {"network.security_groups", false},
};

static int version_get(struct server_call *c)
{
    static const char *versions[] = {"1"};
    const struct api_settings *settings = server_system_settings(c->s);
    struct api_feature list[ARRAY_LEN(features)];
    bool named = settings && settings->cloud_name.is == API_VALUE;
    for (size_t i = 0; i < ARRAY_LEN(features); i++)
        list[i] = (struct api_feature){.name = {API_VALUE, features[i].name},
                                       .offered = {API_VALUE, features[i].offered}};
    struct api_version_info info = {
        .version = {API_VALUE, VIRGA_VERSION},
        .api_versions = {API_VALUE, 1, versions},
        .cloud_name = {API_VALUE, named ? settings->cloud_name.v : "virga"},
    };
    info.features.is = API_VALUE;
    info.features.n = ARRAY_LEN(list);
    info.features.v = list;
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
        .leader = {API_VALUE, server_sweep_leads(c->s)},
        .seq = {API_VALUE, (int64_t)server_follow_seq(c->s)},
    };
    health.store.is = API_VALUE;
    health.store.v = !well                        ? API_HEALTH_STORE_GONE
                     : status.queued > QUEUE_SLOW ? API_HEALTH_STORE_SLOW
                                                  : API_HEALTH_STORE_OK;
    server_call_reply_struct(c, well ? 200 : 503, &api_types_health, &health);
    return 0;
}

/* ---- the description ---- */

struct description {
    struct server_job job;
    struct server_call *c;
    char *text;
    size_t bytes;
    int result;
};

static int read_file(struct description *d, const char *path)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return -errno;
    if (st.st_size <= 0 || st.st_size > DESCRIPTION_MAX_BYTES)
        return -EFBIG;
    d->text = malloc((size_t)st.st_size);
    if (!d->text)
        return -ENOMEM;
    while (d->bytes < (size_t)st.st_size) {
        ssize_t n = read(fd, d->text + d->bytes, (size_t)st.st_size - d->bytes);
        if (n <= 0)
            return n ? -errno : -EIO;
        d->bytes += (size_t)n;
    }
    return 0;
}

static void description_work(struct server_job *j)
{
    struct description *d = container_of(j, struct description, job);
    d->result = read_file(d, d->c->s->config.description);
}

static void description_done(struct server_job *j)
{
    struct description *d = container_of(j, struct description, job);
    struct server_call *c = d->c;
    struct server *s = c->s;
    if (d->result) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                        "the file of --description cannot be read (%s)", strerror(-d->result));
        server_call_refuse(c);
    } else {
        if (!s->description) {
            s->description = steal_ptr(&d->text);
            s->description_bytes = d->bytes;
        }
        server_call_reply(c, 200, s->description, s->description_bytes);
    }
    free(d->text);
    free(d);
}

static int openapi_get(struct server_call *c)
{
    struct server *s = c->s;
    if (s->description) {
        server_call_reply(c, 200, s->description, s->description_bytes);
        return 0;
    }
    if (!s->config.description)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
                               "this server was started without --description");
    struct description *d = calloc(1, sizeof(*d));
    if (d) {
        d->job = (struct server_job){.work = description_work, .done = description_done};
        d->c = c;
        if (!server_workers_submit(s->workers, &d->job))
            return 0;
    }
    free(d);
    c->refusal.retry_after_s = 1;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "too much is being read: try again");
}

const struct server_route server_system_routes[] = {
    {API_OP_SETTINGS_GET, settings_get},
    {API_OP_SETTINGS_PATCH, settings_patch},
    {API_OP_VERSION_GET, version_get},
    {API_OP_HEALTH_GET, health_get},
    {API_OP_OPENAPI_GET, openapi_get},
    {API_OP_USAGE_LIST, server_usage_list},
    {0},
};
