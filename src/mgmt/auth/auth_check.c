/* Who a secret speaks for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mgmt/auth/auth.h"
#include "mgmt/auth/auth_table_internal.h"

/* Whether a token or session that is in the table works. `refusal` may be NULL. */
static int is_good(const struct auth_table_secret *s, int64_t now_ms, struct api_refusal *refusal)
{
    const struct auth_table_person *p = s->person;
    bool session = s->kind == AUTH_TOKEN_SESSION;
    if (!p->present)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID,
                               "the user that the token speaks for is gone");
    if (!p->user.enabled)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID,
                               "the user that the token speaks for is disabled");
    if (now_ms >= s->expires_ms)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_EXPIRED,
                               session ? "the session has ended; sign in again"
                                       : "the token has expired; make another");
    if (session && s->created_ms < p->user.sessions_since_ms)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_EXPIRED,
                               "the password was changed since; sign in again");
    return 0;
}

/* Fills in the caller and notes the use. */
static void use(struct auth_table *t, struct auth_table_secret *s, int64_t now_ms,
                struct auth_principal *p)
{
    const struct auth_user *user = &s->person->user;
    bool session = s->kind == AUTH_TOKEN_SESSION;
    int64_t minute = now_ms / 60000;
    if (session) {
        int64_t last_ms = s->created_ms + AUTH_TABLE_SESSION_LONGEST_MS;
        int64_t moved_ms = MIN(now_ms + t->session_idle_ms, last_ms);
        s->expires_ms = MAX(s->expires_ms, moved_ms);
    }
    auth_table_secret_used(s);
    *p = (struct auth_principal){
        .kind = s->kind,
        .user = user->id,
        .token = s->id,
        .cloud_role = API_ROLE_ANY,
        .scopes = s->scopes,
        .project = s->project,
        .default_project = user->default_project,
        .created_ms = s->created_ms,
        .expires_ms = s->expires_ms,
        .rate_limit_per_min = s->rate_limit_per_min,
        .first_in_minute = s->used_minute != minute,
    };
    memcpy(p->user_name, user->name, strlen(user->name));
    memcpy(p->token_name, s->name, sizeof(s->name));
    s->used_minute = minute;
    if (auth_record_id_is_zero(&p->project)) {
        enum api_types_role role = auth_table_role(t, &user->id, NULL);
        p->cloud_role = MAX(role, API_ROLE_ANY);
    }
}

/* The secret of a text, of one of the kinds that are allowed here. */
static int look_up(struct auth_table *t, const char *text, size_t bytes, bool ticket,
                   struct auth_table_secret **s, struct api_refusal *refusal)
{
    enum auth_token_kind kind;
    struct err err;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    if (!text || !bytes)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_REQUIRED,
                               "sign in, or send a token: Authorization: Bearer TOKEN");
    if (auth_token_parse(text, bytes, &kind, &err))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID, "%s", err.msg);
    if (ticket != (kind == AUTH_TOKEN_TICKET))
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID,
                               ticket ? "this is no ticket; POST /v1/tickets makes one"
                                      : "a ticket opens a WebSocket only, as the query parameter "
                                        "ticket");
    if (auth_token_hash(text, bytes, hash))
        return api_problem_set(refusal, API_PROBLEM_CODE_SERVER_INTERNAL,
                               "could not compute a SHA-256");
    *s = auth_table_secret_find(t, hash);
    if (!*s)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID,
                               ticket ? "the ticket was used, has expired or is another cloud's"
                                      : "the token was deleted, has ended or is another cloud's");
    return 0;
}

int auth_check(struct auth_table *t, const char *text, size_t bytes, int64_t now_ms,
               struct auth_principal *p, struct api_refusal *refusal)
{
    struct auth_table_secret *s;
    int r = look_up(t, text, bytes, false, &s, refusal);
    if (!r)
        r = is_good(s, now_ms, refusal);
    if (!r)
        use(t, s, now_ms, p);
    return r;
}

int auth_check_ticket(struct auth_table *t, const char *text, size_t bytes, int64_t now_ms,
                      struct auth_principal *p, struct api_refusal *refusal)
{
    struct auth_table_secret *ticket;
    int r = look_up(t, text, bytes, true, &ticket, refusal);
    if (r)
        return r;
    struct auth_table_secret *s = auth_table_secret_by_id(t, ticket->source_kind, &ticket->source);
    bool same_person = s && s->person == ticket->person;
    int64_t expires_ms = ticket->expires_ms;
    auth_table_secret_remove(t, ticket);
    if (now_ms >= expires_ms)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_EXPIRED,
                               "the ticket has expired; make another");
    if (!same_person)
        return api_problem_set(refusal, API_PROBLEM_CODE_AUTH_INVALID,
                               "what made the ticket is gone; sign in again");
    r = is_good(s, now_ms, refusal);
    if (!r)
        use(t, s, now_ms, p);
    return r;
}

bool auth_still(const struct auth_table *t, const struct auth_principal *p, int64_t now_ms)
{
    const struct auth_table_secret *s = auth_table_secret_by_id(t, p->kind, &p->token);
    return s && auth_record_id_equal(&s->person->user.id, &p->user) && !is_good(s, now_ms, NULL);
}
