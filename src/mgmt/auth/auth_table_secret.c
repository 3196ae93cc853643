/* What speaks for people: API tokens, sessions, tickets. All are found by the SHA-256 of their
 * text, tokens and sessions also by id. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/auth/auth.h"
#include "mgmt/auth/auth_password.h"
#include "mgmt/auth/auth_table_internal.h"

/* A SHA-256 is as good as any hash of it; nobody can make two that share their first bytes and are
 * both stored. */
static uint64_t hash_of(const uint8_t hash[AUTH_TOKEN_HASH_BYTES])
{
    return le64_read(hash);
}

static uint64_t id_hash(const struct auth_table *t, const struct auth_id *id)
{
    return auth_map_hash(&t->seed, id->bytes, sizeof(id->bytes));
}

struct auth_table_secret *auth_table_secret_find(const struct auth_table *t,
                                                 const uint8_t hash[AUTH_TOKEN_HASH_BYTES])
{
    struct auth_map_node *n = auth_map_first(&t->hashes, hash_of(hash));
    for (; n; n = auth_map_next(n)) {
        struct auth_table_secret *s = container_of(n, struct auth_table_secret, by_hash);
        if (!memcmp(s->hash, hash, AUTH_TOKEN_HASH_BYTES))
            return s;
    }
    return NULL;
}

struct auth_table_secret *auth_table_secret_by_id(const struct auth_table *t,
                                                  enum auth_token_kind kind,
                                                  const struct auth_id *id)
{
    struct auth_map_node *n = auth_map_first(&t->ids, id_hash(t, id));
    for (; n; n = auth_map_next(n)) {
        struct auth_table_secret *s = container_of(n, struct auth_table_secret, by_id);
        if (s->kind == kind && auth_record_id_equal(&s->id, id))
            return s;
    }
    return NULL;
}

static void detach(struct auth_table *t, struct auth_table_secret *s)
{
    auth_map_remove(&t->hashes, &s->by_hash);
    if (s->kind == AUTH_TOKEN_TICKET) {
        auth_link_remove(&s->in_tickets);
        t->n_tickets--;
        s->person->n_tickets--;
    } else {
        auth_map_remove(&t->ids, &s->by_id);
        s->person->n_sessions -= s->kind == AUTH_TOKEN_SESSION;
    }
    auth_link_remove(&s->of_person);
}

void auth_table_secret_remove(struct auth_table *t, struct auth_table_secret *s)
{
    struct auth_table_person *person = s->person;
    detach(t, s);
    auth_password_wipe(s, sizeof(*s));
    free(s);
    auth_table_person_release(t, person);
}

/* `s` holds its kind, hash, id and person; there is room in the maps. */
static void attach(struct auth_table *t, struct auth_table_secret *s)
{
    struct auth_table_person *p = s->person;
    auth_map_add(&t->hashes, &s->by_hash, hash_of(s->hash));
    if (s->kind == AUTH_TOKEN_TICKET) {
        auth_link_append(&t->tickets, &s->in_tickets);
        auth_link_append(&p->tickets, &s->of_person);
        t->n_tickets++;
        p->n_tickets++;
        return;
    }
    auth_map_add(&t->ids, &s->by_id, id_hash(t, &s->id));
    auth_link_append(s->kind == AUTH_TOKEN_SESSION ? &p->sessions : &p->tokens, &s->of_person);
    p->n_sessions += s->kind == AUTH_TOKEN_SESSION;
}

void auth_table_secret_used(struct auth_table_secret *s)
{
    if (s->kind != AUTH_TOKEN_SESSION)
        return;
    auth_link_remove(&s->of_person);
    auth_link_append(&s->person->sessions, &s->of_person);
}

/* A secret with its person and room for it, in no map yet. NULL: no memory. */
static struct auth_table_secret *secret_create(struct auth_table *t, const struct auth_id *user)
{
    struct auth_table_secret *s = calloc(1, sizeof(*s));
    struct auth_table_person *p = s ? auth_table_person_get(t, user) : NULL;
    if (!p || auth_map_reserve(&t->hashes) || auth_map_reserve(&t->ids)) {
        if (p)
            auth_table_person_release(t, p);
        free(s);
        return NULL;
    }
    s->person = p;
    s->used_minute = -1;
    return s;
}

int auth_table_put_token(struct auth_table *t, const struct auth_api_token *token)
{
    if (auth_record_id_is_zero(&token->id) || auth_record_id_is_zero(&token->owner) ||
        !token->name || !*token->name || strlen(token->name) >= AUTH_RECORD_NAME_BYTES ||
        !token->rate_limit_per_min)
        return -EINVAL;
    struct auth_table_secret *old = auth_table_secret_by_id(t, AUTH_TOKEN_API, &token->id);
    const struct auth_table_secret *same = auth_table_secret_find(t, token->hash);
    if (same && same != old)
        return -EEXIST;
    struct auth_table_secret *s = secret_create(t, &token->owner);
    if (!s)
        return -ENOMEM;
    s->kind = AUTH_TOKEN_API;
    memcpy(s->hash, token->hash, sizeof(s->hash));
    s->id = token->id;
    memcpy(s->name, token->name, strlen(token->name));
    s->scopes = token->scopes;
    s->project = token->project;
    s->expires_ms = token->expires_ms;
    s->rate_limit_per_min = token->rate_limit_per_min;
    if (old)
        s->used_minute = old->used_minute;
    attach(t, s);
    if (old)
        auth_table_secret_remove(t, old);
    return 0;
}

void auth_table_remove_token(struct auth_table *t, const struct auth_id *id)
{
    struct auth_table_secret *s = auth_table_secret_by_id(t, AUTH_TOKEN_API, id);
    if (s)
        auth_table_secret_remove(t, s);
}

static struct auth_id session_id(const uint8_t hash[AUTH_TOKEN_HASH_BYTES])
{
    struct auth_id id;
    memcpy(id.bytes, hash, sizeof(id.bytes));
    return id;
}

int auth_table_put_session(struct auth_table *t, const struct auth_session *session)
{
    if (auth_record_id_is_zero(&session->user))
        return -EINVAL;
    struct auth_table_secret *s = auth_table_secret_find(t, session->hash);
    if (s) {
        if (s->kind != AUTH_TOKEN_SESSION ||
            !auth_record_id_equal(&s->person->user.id, &session->user))
            return -EINVAL;
        s->expires_ms = MAX(s->expires_ms, session->expires_ms);
        return 0;
    }
    s = secret_create(t, &session->user);
    if (!s)
        return -ENOMEM;
    struct auth_table_person *p = s->person;
    s->kind = AUTH_TOKEN_SESSION;
    memcpy(s->hash, session->hash, sizeof(s->hash));
    s->id = session_id(s->hash);
    s->scopes = UINT32_C(1) << API_TOKEN_SCOPE_ALL_WRITE;
    s->created_ms = session->created_ms;
    s->expires_ms = session->expires_ms;
    s->rate_limit_per_min = AUTH_TABLE_SESSION_RATE_PER_MIN;
    attach(t, s);
    if (p->n_sessions > AUTH_TABLE_SESSIONS_A_USER)
        auth_table_secret_remove(
            t, container_of(p->sessions.next, struct auth_table_secret, of_person));
    return 0;
}

int auth_table_open_session(struct auth_table *t, const struct auth_id *user, int64_t now_ms,
                            char text[AUTH_TOKEN_BYTES], struct auth_session *session,
                            struct err *err)
{
    const struct auth_table_person *p = auth_table_person_find(t, user);
    if (!p || !auth_table_person_is_live(p))
        return err_set(err, ENOENT, "there is no such user, or it is disabled");
    struct auth_session made = {
        .user = *user,
        .created_ms = now_ms,
        .expires_ms = now_ms + t->session_idle_ms,
    };
    char secret[AUTH_TOKEN_BYTES];
    int r = auth_token_make(AUTH_TOKEN_SESSION, secret, made.hash, err);
    if (r)
        return r;
    r = auth_table_put_session(t, &made);
    if (r) {
        err_set(err, -r, "could not allocate a session");
    } else {
        memcpy(text, secret, sizeof(secret));
        if (session)
            *session = made;
    }
    auth_password_wipe(secret, sizeof(secret));
    return r;
}

void auth_table_set_session_idle(struct auth_table *t, int64_t idle_ms)
{
    t->session_idle_ms = idle_ms;
}

int64_t auth_table_session_idle(const struct auth_table *t)
{
    return t->session_idle_ms;
}

void auth_table_end_session(struct auth_table *t, const struct auth_id *id)
{
    struct auth_table_secret *s = auth_table_secret_by_id(t, AUTH_TOKEN_SESSION, id);
    if (s)
        auth_table_secret_remove(t, s);
}

unsigned auth_table_secrets_end(struct auth_table *t, struct auth_table_person *person)
{
    struct auth_link held; /* keeps the person until the last of them is gone */
    unsigned n = 0;
    auth_link_append(&person->tokens, &held);
    while (!auth_link_is_empty(&person->tickets))
        auth_table_secret_remove(
            t, container_of(person->tickets.next, struct auth_table_secret, of_person));
    for (; !auth_link_is_empty(&person->sessions); n++)
        auth_table_secret_remove(
            t, container_of(person->sessions.next, struct auth_table_secret, of_person));
    auth_link_remove(&held);
    return n;
}

unsigned auth_table_end_sessions(struct auth_table *t, const struct auth_id *user)
{
    struct auth_table_person *p = auth_table_person_find(t, user);
    unsigned n = p ? auth_table_secrets_end(t, p) : 0;
    if (p)
        auth_table_person_release(t, p);
    return n;
}

/* Tickets expire in the order in which they were made, but for a clock that jumps. */
static void drop_old_tickets(struct auth_table *t, int64_t now_ms)
{
    while (!auth_link_is_empty(&t->tickets)) {
        struct auth_table_secret *s =
            container_of(t->tickets.next, struct auth_table_secret, in_tickets);
        if (s->expires_ms > now_ms)
            return;
        auth_table_secret_remove(t, s);
    }
}

int auth_table_open_ticket(struct auth_table *t, const struct auth_principal *p, int64_t now_ms,
                           char text[AUTH_TOKEN_BYTES], int64_t *expires_ms, struct err *err)
{
    char secret[AUTH_TOKEN_BYTES];
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    drop_old_tickets(t, now_ms);
    if (t->n_tickets >= AUTH_TABLE_TICKETS_MAX)
        return err_set(err, EAGAIN, "%u tickets are open; try again in %d s", t->n_tickets,
                       (int)(AUTH_TABLE_TICKET_MS / 1000));
    int r = auth_token_make(AUTH_TOKEN_TICKET, secret, hash, err);
    if (r)
        return r;
    struct auth_table_secret *s = secret_create(t, &p->user);
    if (!s) {
        auth_password_wipe(secret, sizeof(secret));
        return err_set(err, ENOMEM, "could not allocate a ticket");
    }
    struct auth_table_person *person = s->person;
    s->kind = AUTH_TOKEN_TICKET;
    memcpy(s->hash, hash, sizeof(hash));
    s->id = session_id(hash);
    s->expires_ms = now_ms + AUTH_TABLE_TICKET_MS;
    s->source_kind = p->kind;
    s->source = p->token;
    attach(t, s);
    if (person->n_tickets > AUTH_TABLE_TICKETS_A_USER)
        auth_table_secret_remove(
            t, container_of(person->tickets.next, struct auth_table_secret, of_person));
    memcpy(text, secret, sizeof(secret));
    *expires_ms = now_ms + AUTH_TABLE_TICKET_MS;
    auth_password_wipe(secret, sizeof(secret));
    return 0;
}

unsigned auth_table_sweep(struct auth_table *t, int64_t now_ms)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->hashes.n_heads; i++) {
        for (struct auth_map_node *node = t->hashes.heads[i], *next; node; node = next) {
            struct auth_table_secret *s = container_of(node, struct auth_table_secret, by_hash);
            next = node->next;
            if (s->kind == AUTH_TOKEN_API || s->expires_ms > now_ms)
                continue;
            auth_table_secret_remove(t, s);
            n++;
        }
    }
    return n;
}
