/* Role assignments. Several may say something of one person in one project; what counts is the
 * highest, found without looking at them one by one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/auth/auth_table_internal.h"

static uint64_t binding_hash(const struct auth_table *t, const struct auth_id *user,
                             const struct auth_id *project)
{
    struct auth_id key[2] = {*user, *project};
    return auth_map_hash(&t->seed, key, sizeof(key));
}

static struct auth_table_binding *binding_find(const struct auth_table *t,
                                               const struct auth_table_person *person,
                                               const struct auth_id *project)
{
    struct auth_map_node *n =
        auth_map_first(&t->bindings, binding_hash(t, &person->user.id, project));
    for (; n; n = auth_map_next(n)) {
        struct auth_table_binding *b = container_of(n, struct auth_table_binding, by_key);
        if (b->person == person && auth_record_id_equal(&b->project, project))
            return b;
    }
    return NULL;
}

static struct auth_table_binding *
binding_get(struct auth_table *t, struct auth_table_person *person, const struct auth_id *project)
{
    struct auth_table_binding *b = binding_find(t, person, project);
    if (b)
        return b;
    b = calloc(1, sizeof(*b));
    if (!b || auth_map_reserve(&t->bindings)) {
        free(b);
        return NULL;
    }
    b->person = person;
    b->project = *project;
    auth_map_add(&t->bindings, &b->by_key, binding_hash(t, &person->user.id, project));
    return b;
}

static void binding_release(struct auth_table *t, struct auth_table_binding *b)
{
    for (unsigned i = 0; i < API_ROLE_NAME_N; i++)
        if (b->counts[i])
            return;
    auth_map_remove(&t->bindings, &b->by_key);
    free(b);
}

static enum api_types_role binding_role(const struct auth_table_binding *b)
{
    for (unsigned i = API_ROLE_NAME_N; b && i-- > 0;)
        if (b->counts[i])
            return (enum api_types_role)(API_ROLE_READER + i);
    return API_ROLE_NONE;
}

static struct auth_table_role_entry *role_find(const struct auth_table *t, const struct auth_id *id)
{
    struct auth_map_node *n =
        auth_map_first(&t->roles, auth_map_hash(&t->seed, id->bytes, sizeof(id->bytes)));
    for (; n; n = auth_map_next(n)) {
        struct auth_table_role_entry *e = container_of(n, struct auth_table_role_entry, by_id);
        if (auth_record_id_equal(&e->role.id, id))
            return e;
    }
    return NULL;
}

/* Takes an entry out of what it counts in, but for the map of ids. */
static void detach(struct auth_table *t, struct auth_table_role_entry *e)
{
    e->binding->counts[e->role.role]--;
    binding_release(t, e->binding);
    auth_link_remove(&e->of_person);
    auth_table_person_release(t, e->person);
}

int auth_table_put_role(struct auth_table *t, const struct auth_role *role)
{
    if (auth_record_id_is_zero(&role->id) || auth_record_id_is_zero(&role->user) ||
        role->role >= API_ROLE_NAME_N)
        return -EINVAL;
    struct auth_table_role_entry *old = role_find(t, &role->id);
    struct auth_table_role_entry *e = old ? old : calloc(1, sizeof(*e));
    struct auth_table_person *person = auth_table_person_get(t, &role->user);
    struct auth_table_binding *b = person ? binding_get(t, person, &role->project) : NULL;
    if (!e || !b || auth_map_reserve(&t->roles)) {
        if (b)
            binding_release(t, b);
        if (person)
            auth_table_person_release(t, person);
        if (!old)
            free(e);
        return -ENOMEM;
    }
    b->counts[role->role]++; /* before the old one goes: it may be in the same binding */
    if (old) {
        struct auth_link held; /* keeps the person while it is detached from it */
        auth_link_append(&person->roles, &held);
        detach(t, old);
        auth_link_remove(&held);
    } else {
        auth_map_add(&t->roles, &e->by_id,
                     auth_map_hash(&t->seed, role->id.bytes, sizeof(role->id.bytes)));
    }
    e->role = *role;
    e->person = person;
    e->binding = b;
    auth_link_append(&person->roles, &e->of_person);
    return 0;
}

void auth_table_remove_role(struct auth_table *t, const struct auth_id *id)
{
    struct auth_table_role_entry *e = role_find(t, id);
    if (!e)
        return;
    auth_map_remove(&t->roles, &e->by_id);
    detach(t, e);
    free(e);
}

enum api_types_role auth_table_role(const struct auth_table *t, const struct auth_id *user,
                                    const struct auth_id *project)
{
    static const struct auth_id cloud;
    const struct auth_table_person *p = auth_table_person_find(t, user);
    if (!p || !auth_table_person_is_live(p))
        return API_ROLE_NONE;
    enum api_types_role role = binding_role(binding_find(t, p, &cloud));
    if (!project || auth_record_id_is_zero(project))
        return role;
    enum api_types_role there = binding_role(binding_find(t, p, project));
    return MAX(role, there);
}

void auth_table_each_role(const struct auth_table *t, const struct auth_id *user,
                          void (*each)(const struct auth_role *role, void *ctx), void *ctx)
{
    const struct auth_table_person *p = auth_table_person_find(t, user);
    if (!p)
        return;
    for (const struct auth_link *l = p->roles.next; l != &p->roles; l = l->next)
        each(&container_of(l, struct auth_table_role_entry, of_person)->role, ctx);
}
