#include "mgmt/auth/auth_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/auth/auth_password.h"
#include "mgmt/auth/auth_random_internal.h"
#include "mgmt/auth/auth_table_internal.h"

struct auth_table *auth_table_create(struct err *err)
{
    struct auth_table *t = calloc(1, sizeof(*t));
    if (!t) {
        err_set(err, ENOMEM, "could not allocate the table of users");
        return NULL;
    }
    auth_link_init(&t->tickets);
    t->session_idle_ms = AUTH_TABLE_SESSION_IDLE_MS;
    bool failed = auth_map_init(&t->people) || auth_map_init(&t->names) ||
                  auth_map_init(&t->roles) || auth_map_init(&t->bindings) ||
                  auth_map_init(&t->hashes) || auth_map_init(&t->ids);
    if (failed)
        err_set(err, ENOMEM, "could not allocate the table of users");
    else
        failed = auth_random_fill(&t->seed, sizeof(t->seed), err) != 0;
    if (!failed)
        return t;
    auth_table_destroy(t);
    return NULL;
}

static void destroy_secrets(struct auth_table *t)
{
    for (size_t i = 0; t->hashes.heads && i < t->hashes.n_heads; i++)
        while (t->hashes.heads[i])
            auth_table_secret_remove(
                t, container_of(t->hashes.heads[i], struct auth_table_secret, by_hash));
}

void auth_table_destroy(struct auth_table *t)
{
    if (!t)
        return;
    destroy_secrets(t);
    for (size_t i = 0; t->roles.heads && i < t->roles.n_heads; i++) {
        while (t->roles.heads[i]) {
            struct auth_id id =
                container_of(t->roles.heads[i], struct auth_table_role_entry, by_id)->role.id;
            auth_table_remove_role(t, &id);
        }
    }
    for (size_t i = 0; t->people.heads && i < t->people.n_heads; i++) {
        while (t->people.heads[i]) {
            struct auth_id id =
                container_of(t->people.heads[i], struct auth_table_person, by_id)->user.id;
            auth_table_remove_user(t, &id);
        }
    }
    auth_map_fini(&t->people);
    auth_map_fini(&t->names);
    auth_map_fini(&t->roles);
    auth_map_fini(&t->bindings);
    auth_map_fini(&t->hashes);
    auth_map_fini(&t->ids);
    free(t);
}

static uint64_t id_hash(const struct auth_table *t, const struct auth_id *id)
{
    return auth_map_hash(&t->seed, id->bytes, sizeof(id->bytes));
}

struct auth_table_person *auth_table_person_find(const struct auth_table *t,
                                                 const struct auth_id *id)
{
    struct auth_map_node *n = auth_map_first(&t->people, id_hash(t, id));
    for (; n; n = auth_map_next(n)) {
        struct auth_table_person *p = container_of(n, struct auth_table_person, by_id);
        if (auth_record_id_equal(&p->user.id, id))
            return p;
    }
    return NULL;
}

struct auth_table_person *auth_table_person_get(struct auth_table *t, const struct auth_id *id)
{
    struct auth_table_person *p = auth_table_person_find(t, id);
    if (p)
        return p;
    p = calloc(1, sizeof(*p));
    if (!p || auth_map_reserve(&t->people)) {
        free(p);
        return NULL;
    }
    p->user.id = *id;
    auth_link_init(&p->roles);
    auth_link_init(&p->tokens);
    auth_link_init(&p->sessions);
    auth_link_init(&p->tickets);
    auth_map_add(&t->people, &p->by_id, id_hash(t, id));
    return p;
}

static void forget_password(struct auth_table_person *p)
{
    if (p->password)
        auth_password_wipe(p->password, strlen(p->password));
    free(p->password);
    p->password = NULL;
    p->user.password = NULL;
}

void auth_table_person_release(struct auth_table *t, struct auth_table_person *p)
{
    if (p->present || !auth_link_is_empty(&p->roles) || !auth_link_is_empty(&p->tokens) ||
        !auth_link_is_empty(&p->sessions) || !auth_link_is_empty(&p->tickets))
        return;
    auth_map_remove(&t->people, &p->by_id);
    free(p);
}

static bool name_is_valid(const char *name)
{
    return name && *name && strlen(name) < AUTH_RECORD_NAME_BYTES;
}

int auth_table_put_user(struct auth_table *t, const struct auth_user *user)
{
    if (auth_record_id_is_zero(&user->id) || !name_is_valid(user->name))
        return -EINVAL;
    char *password = user->password ? strdup(user->password) : NULL;
    struct auth_table_person *p = auth_table_person_get(t, &user->id);
    if (!p || (user->password && !password) || auth_map_reserve(&t->names)) {
        if (p)
            auth_table_person_release(t, p);
        free(password);
        return -ENOMEM;
    }
    /* `user` may be the table's own record: take its name before anything changes. */
    char name[AUTH_RECORD_NAME_BYTES] = "";
    memcpy(name, user->name, strlen(user->name));
    struct auth_user record = *user;
    if (p->present)
        auth_map_remove(&t->names, &p->by_name);
    else
        t->n_users++;
    forget_password(p);
    memcpy(p->name, name, sizeof(name));
    p->password = password;
    p->user = record;
    p->user.name = p->name;
    p->user.password = password;
    p->present = true;
    auth_map_add(&t->names, &p->by_name, auth_map_hash(&t->seed, name, strlen(name)));
    if (!p->user.enabled)
        auth_table_secrets_end(t, p);
    return 0;
}

void auth_table_remove_user(struct auth_table *t, const struct auth_id *id)
{
    struct auth_table_person *p = auth_table_person_find(t, id);
    if (!p || !p->present)
        return;
    auth_map_remove(&t->names, &p->by_name);
    t->n_users--;
    auth_table_secrets_end(t, p);
    forget_password(p);
    p->present = false;
    auth_table_person_release(t, p);
}

const struct auth_user *auth_table_user(const struct auth_table *t, const struct auth_id *id)
{
    const struct auth_table_person *p = auth_table_person_find(t, id);
    return p && p->present ? &p->user : NULL;
}

const struct auth_user *auth_table_user_named(const struct auth_table *t, const char *name)
{
    struct auth_map_node *n =
        auth_map_first(&t->names, auth_map_hash(&t->seed, name, strlen(name)));
    for (; n; n = auth_map_next(n)) {
        const struct auth_table_person *p = container_of(n, struct auth_table_person, by_name);
        if (!strcmp(p->name, name))
            return &p->user;
    }
    return NULL;
}

size_t auth_table_users(const struct auth_table *t)
{
    return t->n_users;
}
