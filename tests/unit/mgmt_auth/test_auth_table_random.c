/* The table against one that is a few arrays, searched from end to end: after each of many random
 * changes both are asked the same. */
#include <errno.h>

#include "auth_fixture.h"
#include "base/util.h"
#include "mgmt/auth/auth_table.h"

enum { USERS = 8, NAMES = 6, PROJECTS = 4, ROLES = 24, TOKENS = 16, SESSIONS = 400, TICKETS = 40 };

struct model_user {
    bool present, enabled;
    unsigned name;
    int64_t since_ms;
    unsigned put_at; /* counts puts: of a name that two have the later one counts */
};
struct model_role {
    bool present;
    unsigned user, project; /* 0: the cloud */
    enum api_role_name role;
};
struct model_secret {
    bool present;
    unsigned user, project;
    uint32_t scopes;
    int64_t created_ms, expires_ms;
    char text[AUTH_TOKEN_BYTES];
    struct auth_id id; /* of a session */
    int source;        /* of a ticket: a token, or a session behind them */
};

struct model {
    struct model_user users[USERS];
    struct model_role roles[ROLES];
    struct model_secret tokens[TOKENS], sessions[SESSIONS], tickets[TICKETS];
    unsigned puts;
    int64_t now_ms;
};

static struct auth_table *t;
static struct model m;
static uint64_t seed;

static unsigned random_below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static const char *name_of(unsigned n)
{
    static const char *const WORDS[NAMES] = {"ada", "bob", "cyd", "dan", "eve", "fay"};
    return WORDS[n];
}

static struct auth_id project_of(unsigned n)
{
    return n ? PROJECT(n) : NOTHING;
}

static void end_sessions(unsigned user)
{
    for (unsigned i = 0; i < SESSIONS; i++)
        if (m.sessions[i].user == user)
            m.sessions[i].present = false;
    for (unsigned i = 0; i < TICKETS; i++)
        if (m.tickets[i].user == user)
            m.tickets[i].present = false;
}

static void change_user(void)
{
    unsigned n = random_below(USERS);
    struct auth_id id = USER(n);
    struct model_user *u = &m.users[n];
    if (random_below(4) == 0) {
        auth_table_remove_user(t, &id);
        if (u->present)
            end_sessions(n);
        u->present = false;
        return;
    }
    *u = (struct model_user){
        .present = true,
        .enabled = random_below(4) != 0,
        .name = random_below(NAMES),
        .since_ms = random_below(3) ? 0 : m.now_ms - random_below(100000),
        .put_at = ++m.puts,
    };
    struct auth_user r = {.id = id,
                          .name = name_of(u->name),
                          .enabled = u->enabled,
                          .password = u->enabled ? "x" : NULL,
                          .sessions_since_ms = u->since_ms};
    CHECK_EQ(auth_table_put_user(t, &r), 0);
    if (!u->enabled)
        end_sessions(n);
}

static void change_role(void)
{
    unsigned n = random_below(ROLES);
    struct auth_id id = ROLE(n);
    struct model_role *r = &m.roles[n];
    r->present = random_below(3) != 0;
    if (!r->present) {
        auth_table_remove_role(t, &id);
        return;
    }
    r->user = random_below(USERS);
    r->project = random_below(PROJECTS);
    r->role = (enum api_role_name)random_below(API_ROLE_NAME_N);
    CHECK_EQ(put_role(t, n, r->user, project_of(r->project), r->role), 0);
}

static void change_token(void)
{
    unsigned n = random_below(TOKENS);
    struct auth_id id = TOKEN(n);
    struct model_secret *k = &m.tokens[n];
    if (random_below(3) == 0) {
        auth_table_remove_token(t, &id);
        k->present = false;
        return;
    }
    struct auth_api_token r = {.id = id, .name = "ci", .rate_limit_per_min = 1};
    if (!k->present || random_below(2)) /* else the same secret again */
        CHECK_EQ(auth_token_make(AUTH_TOKEN_API, k->text, r.hash, NULL), 0);
    CHECK_EQ(auth_token_hash(k->text, AUTH_TOKEN_BYTES - 1, r.hash), 0);
    k->present = true;
    k->user = random_below(USERS);
    k->project = random_below(3) ? 0 : random_below(PROJECTS);
    k->scopes = random_below(1u << API_TOKEN_SCOPE_N);
    k->expires_ms = m.now_ms + random_below(200000);
    r.owner = USER(k->user);
    r.project = project_of(k->project);
    r.scopes = k->scopes;
    r.expires_ms = k->expires_ms;
    CHECK_EQ(auth_table_put_token(t, &r), 0);
}

static bool user_is_live(unsigned n)
{
    return m.users[n].present && m.users[n].enabled;
}

static unsigned sessions_of(unsigned user)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SESSIONS; i++)
        n += m.sessions[i].present && m.sessions[i].user == user;
    return n;
}

static void change_session(void)
{
    unsigned n = random_below(SESSIONS);
    struct model_secret *s = &m.sessions[n];
    struct auth_session made;
    if (s->present && random_below(2)) {
        auth_table_end_session(t, &s->id);
        s->present = false;
        return;
    }
    if (random_below(50) == 0) {
        unsigned user = random_below(USERS);
        struct auth_id id = USER(user);
        CHECK_EQ(auth_table_end_sessions(t, &id), sessions_of(user));
        end_sessions(user);
        return;
    }
    if (s->present)
        return;
    unsigned user = random_below(USERS);
    struct auth_id id = USER(user);
    if (sessions_of(user) == AUTH_TABLE_SESSIONS_A_USER)
        return; /* which one goes then has a test of its own */
    int r = auth_table_open_session(t, &id, m.now_ms, s->text, &made, NULL);
    CHECK_EQ(r, user_is_live(user) ? 0 : -ENOENT);
    if (r)
        return;
    s->present = true;
    s->user = user;
    s->created_ms = m.now_ms;
    s->expires_ms = made.expires_ms;
    s->scopes = SCOPE(ALL_WRITE);
    memcpy(s->id.bytes, made.hash, sizeof(s->id.bytes));
}

static struct model_secret *source_of(int source)
{
    return source < TOKENS ? &m.tokens[source] : &m.sessions[source - TOKENS];
}

/* The code that a token or session gets. */
static int expected(const struct model_secret *s, bool session)
{
    if (!s->present || !user_is_live(s->user))
        return API_PROBLEM_CODE_AUTH_INVALID;
    if (m.now_ms >= s->expires_ms || (session && s->created_ms < m.users[s->user].since_ms))
        return API_PROBLEM_CODE_AUTH_EXPIRED;
    return TAKEN;
}

static enum api_types_role expected_role(unsigned user, unsigned project)
{
    int best = -1;
    for (unsigned i = 0; i < ROLES && user_is_live(user); i++) {
        const struct model_role *r = &m.roles[i];
        if (r->present && r->user == user && (!r->project || r->project == project))
            best = MAX(best, (int)r->role);
    }
    return best < 0 ? API_ROLE_NONE : (enum api_types_role)(best + API_ROLE_READER);
}

static void check_secret(struct model_secret *s, bool session)
{
    struct auth_principal p;
    if (!*s->text)
        return;
    int want = expected(s, session);
    CHECK_EQ(code_of(t, s->text, m.now_ms, &p), want);
    if (want != TAKEN)
        return;
    if (session)
        s->expires_ms = MAX(s->expires_ms, MIN(m.now_ms + AUTH_TABLE_SESSION_IDLE_MS,
                                               s->created_ms + AUTH_TABLE_SESSION_LONGEST_MS));
    enum api_types_role role = expected_role(s->user, 0);
    CHECK_EQ(p.user.bytes[15], s->user);
    CHECK_EQ(p.scopes, s->scopes);
    CHECK_EQ(p.project.bytes[15], s->project);
    CHECK_EQ(p.expires_ms, s->expires_ms);
    CHECK_EQ(p.cloud_role, s->project ? API_ROLE_ANY : MAX(role, API_ROLE_ANY));
    CHECK(auth_still(t, &p, m.now_ms));
    CHECK(!auth_still(t, &p, s->expires_ms));
    for (unsigned project = 1; project < PROJECTS; project++) {
        struct auth_id id = PROJECT(project);
        CHECK_EQ(auth_role_in(t, &p, &id), s->project && s->project != project
                                               ? API_ROLE_NONE
                                               : expected_role(s->user, project));
    }
}

static void change_ticket(void)
{
    struct model_secret *k = &m.tickets[random_below(TICKETS)];
    struct auth_principal p;
    if (k->present) {
        struct model_secret *s = source_of(k->source);
        bool good = m.now_ms < k->expires_ms && s->user == k->user &&
                    expected(s, k->source >= TOKENS) == TAKEN;
        /* A session's id comes with its secret: it may not be the one that made the ticket. */
        good = good && (k->source < TOKENS || auth_record_id_equal(&s->id, &k->id));
        int r = auth_check_ticket(t, k->text, AUTH_TOKEN_BYTES - 1, m.now_ms, &p, NULL);
        CHECK_EQ(!r, good);
        if (!r && k->source >= TOKENS)
            s->expires_ms = p.expires_ms;
        CHECK(auth_check_ticket(t, k->text, AUTH_TOKEN_BYTES - 1, m.now_ms, &p, NULL) < 0);
        k->present = false;
        return;
    }
    int source = (int)random_below(TOKENS + SESSIONS);
    struct model_secret *s = source_of(source);
    if (!*s->text || code_of(t, s->text, m.now_ms, &p) != TAKEN)
        return;
    if (source >= TOKENS)
        s->expires_ms = p.expires_ms;
    CHECK_EQ(auth_table_open_ticket(t, &p, m.now_ms, k->text, &k->expires_ms, NULL), 0);
    k->present = true;
    k->user = s->user;
    k->source = source;
    k->id = s->id;
}

static void sweep(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SESSIONS; i++) {
        bool old = m.sessions[i].present && m.sessions[i].expires_ms <= m.now_ms;
        m.sessions[i].present &= !old;
        n += old;
    }
    unsigned swept = auth_table_sweep(t, m.now_ms);
    CHECK(swept >= n); /* and tickets, some of which went when others were opened */
}

static void check_users(void)
{
    size_t n = 0;
    for (unsigned i = 0; i < USERS; i++) {
        struct auth_id id = USER(i);
        const struct auth_user *u = auth_table_user(t, &id);
        CHECK_EQ(u != NULL, m.users[i].present);
        n += m.users[i].present;
        if (!u)
            continue;
        CHECK_STR(u->name, name_of(m.users[i].name));
        CHECK_EQ(u->enabled, m.users[i].enabled);
        CHECK_EQ(u->password != NULL, m.users[i].enabled);
    }
    CHECK_EQ(auth_table_users(t), n);
    for (unsigned name = 0; name < NAMES; name++) {
        const struct model_user *last = NULL;
        for (unsigned i = 0; i < USERS; i++)
            if (m.users[i].present && m.users[i].name == name &&
                (!last || m.users[i].put_at > last->put_at))
                last = &m.users[i];
        const struct auth_user *u = auth_table_user_named(t, name_of(name));
        CHECK_EQ(u ? (int)u->id.bytes[15] : -1, last ? (int)(last - m.users) : -1);
    }
}

static void check_all(void)
{
    check_users();
    for (unsigned user = 0; user < USERS; user++) {
        struct auth_id id = USER(user);
        for (unsigned project = 0; project < PROJECTS; project++) {
            struct auth_id where = project_of(project);
            CHECK_EQ(auth_table_role(t, &id, &where), expected_role(user, project));
        }
    }
    for (unsigned i = 0; i < TOKENS; i++)
        check_secret(&m.tokens[i], false);
    for (unsigned i = 0; i < SESSIONS; i++)
        check_secret(&m.sessions[i], true);
}

static void both_tables_say_the_same(void)
{
    for (unsigned round = 0; round < 3; round++) {
        seed = 1 + round;
        memset(&m, 0, sizeof(m));
        m.now_ms = NOW;
        t = auth_table_create(NULL);
        REQUIRE(t);
        for (unsigned step = 0; step < 12000 && !tap_case_failures; step++) {
            static void (*const CHANGES[])(void) = {change_user,    change_role,    change_token,
                                                    change_session, change_session, change_ticket,
                                                    change_ticket};
            CHANGES[random_below(ARRAY_LEN(CHANGES))]();
            m.now_ms += random_below(random_below(400) ? 2000 : 40000000);
            if (random_below(100) == 0)
                sweep();
            check_secret(&m.tokens[random_below(TOKENS)], false);
            check_secret(&m.sessions[random_below(SESSIONS)], true);
            if (step % 100 == 0)
                check_all();
            if (tap_case_failures)
                printf("# in round %u, step %u\n", round, step);
        }
        auth_table_destroy(t);
    }
}

int main(void)
{
    TAP_RUN(both_tables_say_the_same);
    return tap_done();
}
