#include "mgmt/server/server_identity.h"

#include <errno.h>

#include "mgmt/server/server_call.h"
#include "shown.h"
#include "still.h"

#define HOUR_MS INT64_C(3600000)

static struct server *S;
static int64_t Begin_ms; /* of the sessions to make; 0: not said */

/* A session, or a token, of the first user, as it is stored; *text is its secret. */
static struct catalog_slot *make(bool session, int64_t ends_ms, char text[AUTH_TOKEN_BYTES])
{
    static const struct store_id nobody;
    uint8_t hash[AUTH_TOKEN_HASH_BYTES];
    char hex[2 * sizeof(hash) + 1], end[SERVER_TIME_BYTES];
    struct store_id id = catalog_id(server_now_ms());
    struct err err = {0};
    const char *user = still_first(S, CATALOG_USER)->now->id_text;
    if (auth_token_make(session ? AUTH_TOKEN_SESSION : AUTH_TOKEN_API, text, hash, &err))
        abort();
    if (session)
        memcpy(&id, hash, sizeof(id));
    struct catalog_object *v = catalog_new(CATALOG_TOKEN, &id, &nobody);
    struct api_token *token = v->doc;
    server_identity_hex(hash, sizeof(hash), hex);
    server_meta_time(ends_ms, end);
    v->own->session = (struct api_bool){API_VALUE, session};
    if (Begin_ms)
        v->own->serial = (struct api_int){API_VALUE, Begin_ms};
    server_meta_text(v, &v->own->secret_sha256, hex);
    server_meta_text(v, &v->own->user, user);
    server_meta_text(v, &token->owner, user);
    server_meta_text(v, &token->expires_at, end);
    server_meta_text(v, &token->name, v->id_text);
    if (api_json_fill(&api_types_token, token, &v->arena))
        abort();
    struct server_txn *t = server_txn_begin(S, NULL);
    server_txn_put(t, NULL, v, false);
    if (server_txn_commit(t, NULL, NULL))
        abort();
    still_settle(S);
    return catalog_find(S->catalog, CATALOG_TOKEN, &id);
}

/* A call by it, at that time; the code of the refusal, or -1. */
static int use(struct server_call *c, const char *text, int64_t now_ms)
{
    struct api_refusal refusal;
    api_problem_init(&refusal);
    *c = (struct server_call){.s = S};
    return auth_check(S->auth, text, strlen(text), now_ms, &c->who, &refusal) ? (int)refusal.code
                                                                              : -1;
}

static const char *end_of(const struct catalog_slot *slot)
{
    return ((const struct api_token *)slot->now->doc)->expires_at.v;
}

static void the_end_of_a_session_is_written_when_it_has_moved_far_enough(void)
{
    char text[AUTH_TOKEN_BYTES], before[SERVER_TIME_BYTES];
    int64_t now_ms = server_now_ms(), idle_ms = auth_table_session_idle(S->auth);
    struct server_call c;
    struct catalog_slot *slot = make(true, now_ms + idle_ms, text);
    REQUIRE(slot);
    snprintf(before, sizeof(before), "%s", end_of(slot));
    CHECK_EQ(use(&c, text, now_ms + 1000), -1);
    server_identity_used(&c);
    still_settle(S);
    CHECK_STR(end_of(slot), before);
    uint64_t seq = slot->now->seq;
    CHECK_EQ(use(&c, text, now_ms + 61000), -1);
    CHECK(c.who.first_in_minute);
    server_identity_used(&c);
    CHECK(slot->writing);
    server_identity_used(&c); /* one is on its way: no second one */
    still_settle(S);
    CHECK(strcmp(end_of(slot), before) > 0);
    CHECK(slot->now->seq > seq);
    CHECK_EQ(server_meta_generation(slot->now), 1);
}

static void a_token_remembers_the_minute_and_nothing_else_changes(void)
{
    char text[AUTH_TOKEN_BYTES], end[SERVER_TIME_BYTES];
    int64_t now_ms = server_now_ms();
    struct server_call c;
    struct catalog_slot *slot = make(false, now_ms + HOUR_MS, text);
    REQUIRE(slot);
    snprintf(end, sizeof(end), "%s", end_of(slot));
    CHECK_EQ(use(&c, text, now_ms), -1);
    server_identity_used(&c);
    still_settle(S);
    const struct api_token *token = slot->now->doc;
    REQUIRE(token->last_used_at.is == API_VALUE);
    CHECK_STR(token->last_used_at.v + 16, ":00.000Z");
    CHECK_STR(end_of(slot), end);
    CHECK_EQ(server_meta_generation(slot->now), 1);
    CHECK_EQ(use(&c, text, now_ms), -1); /* it still works after it was put again */
    CHECK(!c.who.first_in_minute);
}

static void what_has_expired_is_swept_and_nothing_else(void)
{
    char text[2][AUTH_TOKEN_BYTES];
    int64_t now_ms = server_now_ms();
    struct server_call c;
    struct catalog_slot *soon = make(true, now_ms + 1000, text[0]);
    struct catalog_slot *token = make(false, now_ms + 1000, text[1]);
    REQUIRE(soon && token);
    struct store_id id = soon->now->id, token_id = token->now->id;
    server_identity_sweep(S, now_ms + 999);
    still_settle(S);
    CHECK(catalog_find(S->catalog, CATALOG_TOKEN, &id));
    server_identity_sweep(S, now_ms + 1000);
    still_settle(S);
    CHECK(!catalog_find(S->catalog, CATALOG_TOKEN, &id));
    CHECK(catalog_find(S->catalog, CATALOG_TOKEN, &token_id));
    CHECK_EQ(use(&c, text[0], now_ms), API_PROBLEM_CODE_AUTH_INVALID);
}

static void more_sessions_than_a_transaction_takes_are_swept_in_turns(void)
{
    enum { N = 230 };
    static char text[AUTH_TOKEN_BYTES];
    int64_t now_ms = server_now_ms();
    size_t before = catalog_all(S->catalog, CATALOG_TOKEN)->n;
    for (unsigned i = 0; i < N; i++)
        REQUIRE(make(true, now_ms + 5000, text));
    CHECK_EQ(catalog_all(S->catalog, CATALOG_TOKEN)->n, before + N);
    server_identity_sweep(S, now_ms + 5000);
    still_settle(S);
    size_t left = catalog_all(S->catalog, CATALOG_TOKEN)->n;
    CHECK(left > before && left < before + N);
    server_identity_sweep(S, now_ms + 5000);
    still_settle(S);
    CHECK_EQ(catalog_all(S->catalog, CATALOG_TOKEN)->n, before);
}

static void sessions_from_before_a_change_of_password_have_ended(void)
{
    char text[AUTH_TOKEN_BYTES];
    int64_t now_ms = server_now_ms();
    struct server_call c;
    struct catalog_slot *session = make(true, now_ms + HOUR_MS, text);
    struct catalog_slot *user = still_first(S, CATALOG_USER);
    REQUIRE(session && user);
    CHECK_EQ(use(&c, text, now_ms), -1);
    struct catalog_object *v = catalog_copy(user->now);
    v->own->serial = (struct api_int){API_VALUE, now_ms + 5000}; /* by a clock that is ahead */
    struct server_txn *t = server_txn_begin(S, NULL);
    server_txn_put(t, user, v, true);
    REQUIRE(!server_txn_commit(t, NULL, NULL));
    still_settle(S);
    CHECK_EQ(use(&c, text, now_ms + 6000), API_PROBLEM_CODE_AUTH_EXPIRED);
    Begin_ms = now_ms + 5000; /* as session_create() has it */
    REQUIRE(make(true, now_ms + HOUR_MS, text));
    Begin_ms = 0;
    CHECK_EQ(use(&c, text, now_ms), -1);
}

static void the_settings_say_how_long_a_session_rests(void)
{
    struct catalog_slot *slot = still_first(S, CATALOG_SETTINGS);
    REQUIRE(slot);
    CHECK_EQ(auth_table_session_idle(S->auth), HOUR_MS);
    struct catalog_object *v = catalog_copy(slot->now);
    ((struct api_settings *)v->doc)->session_idle_s = (struct api_int){API_VALUE, 120};
    struct server_txn *t = server_txn_begin(S, NULL);
    server_txn_put(t, slot, v, true);
    REQUIRE(!server_txn_commit(t, NULL, NULL));
    still_settle(S);
    CHECK_EQ(auth_table_session_idle(S->auth), 120000);
    char text[AUTH_TOKEN_BYTES];
    int64_t now_ms = server_now_ms();
    struct server_call c;
    REQUIRE(make(true, now_ms + 1000, text));
    CHECK_EQ(use(&c, text, now_ms), -1);
    CHECK_EQ(c.who.expires_ms, now_ms + 120000);
    CHECK_EQ(use(&c, text, now_ms + 120000), API_PROBLEM_CODE_AUTH_EXPIRED);
}

static void the_key_of_the_authority_is_in_no_text(void)
{
    const struct catalog_slot *slot = still_first(S, CATALOG_SETTINGS);
    REQUIRE(slot && slot->now->own->key.is == API_VALUE);
    CHECK(strstr(slot->now->own->key.v, "PRIVATE KEY"));
    CHECK(!shows(slot->now, "PRIVATE"));
    CHECK(!shows(slot->now, "CERTIFICATE"));
}

int main(void)
{
    S = still_create();
    TAP_RUN(the_end_of_a_session_is_written_when_it_has_moved_far_enough);
    TAP_RUN(a_token_remembers_the_minute_and_nothing_else_changes);
    TAP_RUN(what_has_expired_is_swept_and_nothing_else);
    TAP_RUN(more_sessions_than_a_transaction_takes_are_swept_in_turns);
    TAP_RUN(the_settings_say_how_long_a_session_rests);
    TAP_RUN(the_key_of_the_authority_is_in_no_text);
    TAP_RUN(sessions_from_before_a_change_of_password_have_ended);
    server_destroy(S);
    return tap_done();
}
