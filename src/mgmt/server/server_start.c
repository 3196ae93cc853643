/* The first start of a cloud: an administrator, a project, settings, a flavor or two; in one
 * transaction, so that of two servers that start on one store only one makes them. */
#include "mgmt/server/server_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/util.h"
#include "mgmt/auth/auth_bootstrap.h"
#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_internal.h"

#define FIRST_MAX         16
#define UNDELETE_WINDOW_S 86400 /* as the settings begin */

struct first {
    struct server *s;
    struct catalog_object *objects[FIRST_MAX];
    struct store_op ops[FIRST_MAX];
    unsigned n;
    bool failed;
    int64_t now_ms;
};

static const struct {
    const char *name;
    int64_t vcpus, memory_mib, disk_gib;
} flavors[] = {
    {"tiny", 1, 512, 0},
    {"small", 1, 2048, 10},
    {"medium", 2, 4096, 20},
    {"large", 4, 8192, 40},
};

static struct catalog_object *add(struct first *f, enum catalog_kind kind,
                                  const struct store_id *id)
{
    static const struct store_id nobody;
    struct catalog_object *v = f->n < FIRST_MAX ? catalog_new(kind, id, &nobody) : NULL;
    f->failed |= !v;
    if (v)
        f->objects[f->n++] = v;
    return v;
}

static void set(struct first *f, struct catalog_object *v, struct api_text *field, const char *text)
{
    f->failed |= server_meta_text(v, field, text) != 0;
}

static void add_project(struct first *f)
{
    struct store_id id = catalog_id(f->now_ms);
    struct catalog_object *v = add(f, CATALOG_PROJECT, &id);
    if (v)
        set(f, v, &((struct api_project *)v->doc)->name, "default");
    if (v)
        ((struct api_project *)v->doc)->undelete_window_s =
            (struct api_int){API_VALUE, UNDELETE_WINDOW_S};
    add(f, CATALOG_QUOTA, &id);
}

static void add_admin(struct first *f, const struct auth_bootstrap *b)
{
    struct store_id user_id = server_store_id(&b->user.id), role_id = server_store_id(&b->role.id);
    struct catalog_object *project = f->objects[0], *v = add(f, CATALOG_USER, &user_id);
    if (v) {
        struct api_user *user = v->doc;
        set(f, v, &user->name, b->user.name);
        set(f, v, &user->password, b->password_text);
        set(f, v, &user->default_project, project->id_text);
        user->enabled = (struct api_bool){API_VALUE, true};
    }
    v = add(f, CATALOG_ROLE, &role_id);
    if (v) {
        struct api_role *role = v->doc;
        char text[UUID_TEXT_BYTES];
        uuid_format(user_id.bytes, text);
        set(f, v, &role->user, text);
        role->role.is = API_VALUE;
        role->role.v = API_ROLE_NAME_ADMIN;
    }
}

static void add_flavors(struct first *f)
{
    for (size_t i = 0; i < ARRAY_LEN(flavors); i++) {
        struct store_id id = catalog_id(f->now_ms);
        struct catalog_object *v = add(f, CATALOG_FLAVOR, &id);
        if (!v)
            return;
        struct api_flavor *flavor = v->doc;
        set(f, v, &flavor->name, flavors[i].name);
        flavor->vcpus = (struct api_int){API_VALUE, flavors[i].vcpus};
        flavor->memory_mib = (struct api_int){API_VALUE, flavors[i].memory_mib};
        flavor->disk_gib = (struct api_int){API_VALUE, flavors[i].disk_gib};
    }
}

static void add_rest(struct first *f)
{
    static const struct store_id nobody;
    struct store_id id = catalog_id(f->now_ms);
    struct catalog_object *v = add(f, CATALOG_SETTINGS, &nobody);
    f->failed |= v && server_join_make_authority(v, NULL);
    v = add(f, CATALOG_QUOTA, &nobody);
    if (v) {
        struct api_quota *quota = v->doc;
        quota->limits.v = api_json_new(&api_types_quota_limits, &v->arena);
        quota->limits.is = quota->limits.v ? API_VALUE : API_ABSENT;
    }
    v = add(f, CATALOG_ZONE, &id);
    if (v) {
        struct api_zone *zone = v->doc;
        set(f, v, &zone->name, "default");
        zone->default_ = (struct api_bool){API_VALUE, true};
        f->failed |= server_zone_set_status(v) != 0;
    }
    add_flavors(f);
}

static int finish(struct first *f)
{
    for (unsigned i = 0; i < f->n && !f->failed; i++) {
        struct catalog_object *v = f->objects[i];
        f->failed = api_json_fill(catalog_kinds[v->kind].type, v->doc, &v->arena) ||
                    server_meta_init(v, f->now_ms) || catalog_seal(v);
        f->ops[i] = (struct store_op){.type = STORE_PUT,
                                      .object = {.kind = (uint8_t)v->kind,
                                                 .id = v->id,
                                                 .project = v->project,
                                                 .name = store_text_of(v->name),
                                                 .body = {v->body, v->body_bytes},
                                                 .when = STORE_IF_ABSENT}};
    }
    return f->failed ? -ENOMEM : 0;
}

static void publish(struct first *f)
{
    for (unsigned i = 0; i < f->n; i++) {
        f->objects[i]->seq = f->ops[i].seq;
        catalog_publish(f->s->catalog, catalog_ref(f->objects[i]));
        f->s->seq = f->ops[i].seq;
    }
}

/* In a file, not on a terminal that is logged. */
static int write_password(const char *path, const char *password, struct err *err)
{
    size_t bytes = strlen(password);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, password, bytes) != (ssize_t)bytes || fsync(fd) < 0)
        return err_sys(err, errno ? errno : ENOSPC, "cannot write %s", path);
    return 0;
}

static int make_first(struct first *f, struct auth_bootstrap *b, struct err *err)
{
    struct store_id user = catalog_id(f->now_ms), role = catalog_id(f->now_ms);
    struct auth_id user_id = server_auth_id(&user), role_id = server_auth_id(&role);
    int r = auth_bootstrap_make("admin", &user_id, &role_id, f->now_ms, &f->s->config.password_cost,
                                b, err);
    if (r)
        return r;
    add_project(f);
    if (!f->failed)
        add_admin(f, b);
    add_rest(f);
    if (finish(f))
        return err_set(err, ENOMEM, "no memory for a new cloud");
    const char *path = f->s->config.first_password_path;
    r = path ? write_password(path, b->password, err) : 0;
    if (r)
        return r;
    struct store_txn txn = {.ops = f->ops, .n_ops = f->n};
    (void)fault_point("server_start.first.begin");
    r = store_submit_wait(f->s->store, &txn);
    (void)fault_point("server_start.first.stored");
    if (r && r != -EINPROGRESS && path)
        unlink(path); /* another server was faster, or there is no cloud yet */
    if (r)
        return err_set(err, -r, "cannot store a new cloud (%s): start again", strerror(-r));
    publish(f);
    f->s->first_password = strdup(b->password);
    return 0;
}

int server_start(struct server *s, struct err *err)
{
    struct first f = {.s = s, .now_ms = server_now_ms()};
    struct auth_bootstrap b;
    if (!auth_bootstrap_is_needed(s->auth))
        return 0;
    int r = make_first(&f, &b, err);
    auth_bootstrap_fini(&b);
    for (unsigned i = 0; i < f.n; i++)
        catalog_unref(f.objects[i]);
    return r;
}
