/* Passwords: a handler that needs one hashed or verified is run again when that has been done; what
 * came of it stays with the call. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/util.h"
#include "mgmt/server/server_identity.h"

#define LOGINS_PER_MIN 60
#define LOGINS_BURST   30

/* Of a call, in its memory. */
struct passwords {
    struct work {
        struct auth_hasher_job job;
        struct server_call *c;
        const char *detail;
        bool done;
    } verify, hash;
};

static int busy(struct server_call *c)
{
    c->refusal.retry_after_s = 1;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                           "too many passwords are being worked on: try again");
}

static void refuse(struct work *w)
{
    struct server_call *c = w->c;
    api_problem_init(&c->refusal);
    if (w->job.result == -EACCES)
        api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FAILED, "%s", w->detail);
    else
        busy(c);
    server_call_refuse(c);
}

static void worked(struct auth_hasher_job *job, void *ctx)
{
    struct work *w = ctx;
    if (job->result) {
        refuse(w);
        return;
    }
    w->done = true;
    server_call_run(w->c);
}

static struct passwords *passwords_of(struct server_call *c)
{
    if (!c->kept)
        c->kept = api_arena_alloc(&c->arena, sizeof(struct passwords));
    if (!c->kept)
        busy(c);
    return c->kept;
}

static int begun(struct server_call *c, int r)
{
    if (r == -ERANGE)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/password",
                               "it is too short or too long: %d to %d bytes are allowed",
                               AUTH_PASSWORD_MIN_BYTES, AUTH_PASSWORD_MAX_BYTES);
    return r ? busy(c) : SERVER_IDENTITY_LATER;
}

int server_identity_hash(struct server_call *c, const char *password, const char **hash)
{
    struct passwords *p = passwords_of(c);
    if (!p)
        return -EAGAIN;
    if (p->hash.done) {
        *hash = p->hash.job.text;
        return 0;
    }
    p->hash.c = c;
    size_t bytes = strlen(password);
    int r = auth_hasher_hash(c->s->hasher, &p->hash.job, password, bytes, worked, &p->hash);
    if (!r)
        auth_password_wipe((void *)(uintptr_t)password, bytes);
    return begun(c, r);
}

int server_identity_verify(struct server_call *c, const char *password, const char *stored,
                           const char *detail, const char **hash)
{
    struct passwords *p = passwords_of(c);
    if (!p)
        return -EAGAIN;
    if (p->verify.done) {
        *hash = *p->verify.job.text ? p->verify.job.text : NULL;
        return 0;
    }
    p->verify.c = c;
    p->verify.detail = detail;
    size_t bytes = strlen(password);
    int r = auth_hasher_verify(c->s->hasher, &p->verify.job, password, bytes, stored, worked,
                               &p->verify);
    if (r == -ERANGE) /* no password is as long as that */
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FAILED, "%s", detail);
    if (!r)
        auth_password_wipe((void *)(uintptr_t)password, bytes);
    return begun(c, r);
}

int server_identity_login_rate(struct server_call *c)
{
    static const struct auth_rate_limit limit = {.per_min = LOGINS_PER_MIN, .burst = LOGINS_BURST};
    const struct passwords *p = c->kept;
    if (p) /* it has been let in */
        return 0;
    struct auth_id key = auth_rate_address(web_request_peer_address(c->web));
    struct auth_rate_answer a =
        auth_rate_take(c->s->login_rate, &key, &limit, clock_now_ns() / 1000);
    if (a.allowed)
        return 0;
    c->refusal.retry_after_s = a.retry_after_s;
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_RATE_LIMITED,
                           "%u tries a minute are allowed from one address: try again in %u s",
                           a.limit, a.retry_after_s);
}
