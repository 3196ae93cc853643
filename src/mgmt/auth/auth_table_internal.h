/* What the table is made of. auth_table.c has people and roles, auth_secret.c what speaks for them,
 * auth_check.c and auth_may.c the questions.
 *
 * A person is there as soon as anything refers to it, and `present` once the user itself was put;
 * it goes with the last of what refers to it. So a question follows pointers from a secret to its
 * person, and nobody need put things in an order. */
#ifndef MGMT_AUTH_AUTH_TABLE_INTERNAL_H
#define MGMT_AUTH_AUTH_TABLE_INTERNAL_H

#include "base/util.h"
#include "mgmt/auth/auth_map_internal.h"
#include "mgmt/auth/auth_table.h"

/* A ring through its head. */
struct auth_link {
    struct auth_link *prev, *next;
};

static inline void auth_link_init(struct auth_link *l)
{
    l->prev = l->next = l;
}
static inline bool auth_link_is_empty(const struct auth_link *head)
{
    return head->next == head;
}
static inline void auth_link_append(struct auth_link *head, struct auth_link *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
static inline void auth_link_remove(struct auth_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    auth_link_init(l);
}

struct auth_table_person {
    struct auth_map_node by_id, by_name; /* by_name only while present */
    bool present;
    struct auth_user user; /* its texts are those below */
    char name[AUTH_RECORD_NAME_BYTES];
    char *password;
    struct auth_link roles, tokens;
    struct auth_link sessions; /* the one used last is the last */
    struct auth_link tickets;  /* the newest is the last */
    unsigned n_sessions, n_tickets;
};

/* All assignments of one person in one project, or in the cloud: how many there are of each role.
 */
struct auth_table_binding {
    struct auth_map_node by_key;
    struct auth_table_person *person;
    struct auth_id project;
    unsigned counts[API_ROLE_NAME_N];
};

struct auth_table_role_entry {
    struct auth_map_node by_id;
    struct auth_link of_person;
    struct auth_role role;
    struct auth_table_person *person;
    struct auth_table_binding *binding;
};

/* A token, a session or a ticket. */
struct auth_table_secret {
    struct auth_map_node by_hash, by_id;
    struct auth_link of_person;
    struct auth_link in_tickets; /* of a ticket */
    enum auth_token_kind kind;
    struct auth_table_person *person;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    struct auth_id id; /* of a session and a ticket the first bytes of its hash */
    char name[AUTH_RECORD_NAME_BYTES];
    uint32_t scopes;
    struct auth_id project;
    int64_t created_ms, expires_ms;
    uint32_t rate_limit_per_min;
    int64_t used_minute; /* since 1970; -1: not yet */
    /* Of a ticket: what it speaks for. */
    enum auth_token_kind source_kind;
    struct auth_id source;
};

struct auth_table {
    struct auth_map_seed seed;
    struct auth_map people, names, roles, bindings;
    struct auth_map hashes; /* of all secrets */
    struct auth_map ids;    /* of tokens and sessions */
    size_t n_users;
    struct auth_link tickets; /* all of them, the oldest first */
    unsigned n_tickets;
    int64_t session_idle_ms;
};

struct auth_table_person *auth_table_person_find(const struct auth_table *t,
                                                 const struct auth_id *id);
/* The same, made if it is not there. NULL: no memory. */
struct auth_table_person *auth_table_person_get(struct auth_table *t, const struct auth_id *id);
/* Frees it if nothing refers to it and it is not present. */
void auth_table_person_release(struct auth_table *t, struct auth_table_person *person);

static inline bool auth_table_person_is_live(const struct auth_table_person *p)
{
    return p->present && p->user.enabled;
}

struct auth_table_secret *auth_table_secret_find(const struct auth_table *t,
                                                 const uint8_t hash[AUTH_TOKEN_HASH_BYTES]);
struct auth_table_secret *auth_table_secret_by_id(const struct auth_table *t,
                                                  enum auth_token_kind kind,
                                                  const struct auth_id *id);
/* Takes it out, wipes and frees it; its person may go with it. */
void auth_table_secret_remove(struct auth_table *t, struct auth_table_secret *s);
/* Marks a session as used: the last to be pushed out. */
void auth_table_secret_used(struct auth_table_secret *s);
/* Sessions and tickets of a person. */
unsigned auth_table_secrets_end(struct auth_table *t, struct auth_table_person *person);

#endif
