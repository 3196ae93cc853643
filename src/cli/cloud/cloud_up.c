/* `virga up` and `virga down`: a cloud on this machine. Each step looks whether it is done already,
 * so that it may be asked for again at any time, after any failure. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_config.h"
#include "cli/cloud/cloud_daemon.h"
#include "cli/cloud/cloud_run.h"

#define DEFAULT_PORT   8440 /* of the API; agents are awaited at the next one */
#define START_LIMIT_MS 30000
#define STOP_LIMIT_MS  30000
#define PROFILE        "local"

#define PATH CLOUD_DAEMON_PATH_BYTES

struct up {
    struct cloud_run *r;
    char api[32], agents[32], url[40]; /* where it is served */
    char state[PATH], server[PATH], agent[PATH], pool[PATH], import[PATH], host[64];
    int lock;
    struct cloud_daemon virgad, virga_agent;
};

static int fail(const struct up *u, const struct err *err)
{
    return cloud_run_fail(u->r, CLOUD_EXIT_FAILED, err);
}

/* ---- where ---- */

static void default_state(char state[PATH])
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (!geteuid())
        snprintf(state, PATH, "/var/lib/virga");
    else if (data && *data)
        snprintf(state, PATH, "%s/virga", data);
    else
        snprintf(state, PATH, "%s/.local/share/virga", home ? home : "/tmp");
}

static int make_folder(const char *path, struct err *err)
{
    char part[PATH];
    for (const char *at = path + 1; at; at = *at ? strchr(at + 1, '/') : NULL) {
        snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
        if (part[0] && mkdir(part, 0755) && errno != EEXIST)
            return err_sys(err, errno, "cannot make %s", part);
        if (!strchr(at + 1, '/'))
            break;
    }
    if (mkdir(path, 0700) && errno != EEXIST)
        return err_sys(err, errno, "cannot make %s", path);
    return 0;
}

static int choose_port(struct up *u, struct err *err)
{
    const char *given = u->r->args.common[CLOUD_PORT];
    char *end = NULL;
    unsigned long port = given ? strtoul(given, &end, 10) : DEFAULT_PORT;
    if (given && (!*given || *end || port < 1 || port > 65534))
        return err_set(err, EINVAL, "--port %s: give a number from 1 to 65534", given);
    snprintf(u->api, sizeof(u->api), "127.0.0.1:%lu", port);
    snprintf(u->agents, sizeof(u->agents), "127.0.0.1:%lu", port + 1);
    snprintf(u->url, sizeof(u->url), "http://%s", u->api);
    return 0;
}

static int prepare(struct up *u, struct err *err)
{
    int e = choose_port(u, err);
    if (e)
        return e;
    const char *given = u->r->args.common[CLOUD_STATE];
    if (given)
        snprintf(u->state, sizeof(u->state), "%s", given);
    else
        default_state(u->state);
    if (strlen(u->state) > PATH - 32 || u->state[0] != '/')
        return err_set(err, EINVAL, "--state %s: give a path that begins with /", u->state);
    snprintf(u->server, sizeof(u->server), "%.*s/server", PATH - 16, u->state);
    snprintf(u->agent, sizeof(u->agent), "%.*s/agent", PATH - 16, u->state);
    snprintf(u->pool, sizeof(u->pool), "%.*s/pool", PATH - 16, u->state);
    snprintf(u->import, sizeof(u->import), "%.*s/import", PATH - 16, u->state);
    if (gethostname(u->host, sizeof(u->host) - 1))
        snprintf(u->host, sizeof(u->host), "localhost");
    u->host[strcspn(u->host, ".")] = 0;
    u->virgad = (struct cloud_daemon){"virgad", u->state};
    u->virga_agent = (struct cloud_daemon){"virga-agent", u->state};
    const char *folders[] = {u->state, u->server, u->agent, u->pool, u->import};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        int r = make_folder(folders[i], err);
        if (r)
            return r;
    }
    return 0;
}

/* Two at once would start everything twice. */
static int lock(struct up *u, struct err *err)
{
    char path[PATH];
    snprintf(path, sizeof(path), "%.*s/up.lock", PATH - 16, u->state);
    u->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (u->lock < 0)
        return err_sys(err, errno, "cannot open %s", path);
    return flock(u->lock, LOCK_EX) ? err_sys(err, errno, "cannot lock %s", path) : 0;
}

/* ---- the server ---- */

static bool answers(const struct up *u)
{
    struct cloud_http_config config = {.url = u->url};
    struct err err = {0};
    struct cloud_http *h = cloud_http_create(&config, &err);
    struct cloud_http_request request = {.method = API_METHOD_GET, .path = "/readyz"};
    struct cloud_http_answer a = {0};
    bool good = h && !cloud_http_send(h, &request, &a, &err) && a.status == 200;
    cloud_http_answer_fini(&a);
    cloud_http_destroy(h);
    return good;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static int start_server(struct up *u, struct err *err)
{
    const char *argv[] = {"virgad",   "--state", u->server,  "--listen", u->api,
                          "--agents", u->agents, "--import", u->import,  NULL};
    char words[400];
    if (answers(u) && !cloud_daemon_pid(&u->virgad)) {
        cloud_run_tell(u->r, "a server serves at %s already, not started by virga up", u->url);
        return 0;
    }
    int r = cloud_daemon_start(&u->virgad, argv, err);
    int64_t end_ns = clock_now_ns() + (int64_t)START_LIMIT_MS * 1000000;
    while (!r && !answers(u)) {
        if (!cloud_daemon_pid(&u->virgad) || clock_now_ns() > end_ns) {
            cloud_daemon_last_words(&u->virgad, words, sizeof(words));
            return err_set(err, EIO, "virgad does not serve: %s (see %s/virgad.log)", words,
                           u->state);
        }
        nap();
    }
    return r;
}

/* ---- who ---- */

static int set_token(struct up *u, const char *token, struct err *err)
{
    struct cloud_run *r = u->r;
    json_object_set_new(r->profile, "url", json_string(u->url));
    json_object_set_new(r->profile, "user", json_string("admin"));
    json_object_set_new(r->profile, "token", json_string(token));
    if (!json_object_get(r->config, "current"))
        json_object_set_new(r->config, "current", json_string(PROFILE));
    return cloud_config_write(r->config, err);
}

static int connect_as(struct up *u, const char *token, struct err *err)
{
    struct cloud_http_config config = {.url = u->url, .token = token};
    cloud_http_destroy(u->r->http);
    u->r->url = u->url;
    u->r->http = cloud_http_create(&config, err);
    return u->r->http ? 0 : -EIO;
}

static bool token_works(struct up *u, const char *token)
{
    struct err err = {0};
    struct cloud_http_request request = {.method = API_METHOD_GET, .path = "/v1/whoami"};
    struct cloud_http_answer a = {0};
    bool good = token && !connect_as(u, token, &err) &&
                !cloud_http_send(u->r->http, &request, &a, &err) && a.status == 200;
    cloud_http_answer_fini(&a);
    return good;
}

static char *first_password(struct up *u, struct err *err)
{
    char path[PATH], text[128];
    snprintf(path, sizeof(path), "%.*s/first-password", PATH - 24, u->server);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    if (!n)
        err_set(err, ENOENT,
                "nobody is signed in, and %s is not there: virga login %s --profile %s", path,
                u->url, PROFILE);
    return n ? strdup(text) : NULL;
}

/* The first password opens a session, which makes a token that lasts. */
static int sign_in(struct up *u)
{
    struct err err = {0};
    struct cloud_run *r = u->r;
    char *password = first_password(u, &err);
    if (!password || connect_as(u, NULL, &err)) {
        free(password);
        return fail(u, &err);
    }
    json_t *body = json_pack("{s:s, s:s}", "user", "admin", "password", password), *answer = NULL;
    explicit_bzero(password, strlen(password));
    free(password);
    struct cloud_call session = {.op = API_OP_SESSION_CREATE, .body = body};
    int status = cloud_run_call(r, &session, &answer, NULL);
    json_decref(body);
    if (status)
        return status;
    if (connect_as(u, json_string_value(json_object_get(answer, "secret")), &err))
        return fail(u, &err);
    json_decref(answer);
    char name[64];
    snprintf(name, sizeof(name), "virga-up-%lld", (long long)time(NULL));
    body =
        json_pack("{s:s, s:s}", "name", name, "description", "Made by virga up for this machine.");
    struct cloud_call token = {.op = API_OP_TOKEN_CREATE, .body = body};
    status = cloud_run_call(r, &token, &answer, NULL);
    json_decref(body);
    if (status)
        return status;
    const char *secret = json_string_value(json_object_get(answer, "secret"));
    if (set_token(u, secret, &err) || connect_as(u, secret, &err))
        status = fail(u, &err);
    json_decref(answer);
    return status;
}

/* ---- the host ---- */

/* Runs a program beside this one with a secret on its standard input, where nobody sees it. */
static int run_program(const char *const *argv, const char *input, struct err *err)
{
    char program[PATH];
    int status = 0, fds[2], r = cloud_daemon_program(argv[0], program, err);
    if (r)
        return r;
    if (pipe2(fds, O_CLOEXEC))
        return err_sys(err, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (!pid) {
        if (dup2(fds[0], 0) == 0)
            execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(fds[0]);
    dprintf(fds[1], "%s\n", input); /* shorter than a pipe holds */
    close(fds[1]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_sys(err, errno, "cannot run %s", program);
    return status ? err_set(err, EIO, "%s %s failed", argv[0], argv[1]) : 0;
}

static bool joined(const struct up *u)
{
    char path[PATH];
    snprintf(path, sizeof(path), "%.*s/identity.pem", PATH - 16, u->agent);
    return !access(path, F_OK);
}

static int join(struct up *u)
{
    struct err err = {0};
    char name[64];
    json_t *answer = NULL;
    snprintf(name, sizeof(name), "virga-up-%lld", (long long)time(NULL));
    json_t *body = json_pack("{s:s}", "name", name);
    struct cloud_call call = {.op = API_OP_HOST_JOIN_TOKEN_CREATE, .body = body};
    int status = cloud_run_call(u->r, &call, &answer, NULL);
    json_decref(body);
    if (status)
        return status;
    const char *argv[] = {"virga-agent", "join",   "--state", u->agent, "--server",
                          u->agents,     "--name", u->host,   "-",      NULL};
    if (run_program(argv, json_string_value(json_object_get(answer, "secret")), &err))
        status = fail(u, &err);
    json_decref(answer);
    return status;
}

static int start_agent(struct up *u)
{
    struct err err = {0};
    char pool[PATH + 16];
    int status = joined(u) ? 0 : join(u);
    if (status)
        return status;
    snprintf(pool, sizeof(pool), "local=%s", u->pool);
    const char *argv[] = {"virga-agent", "--state", u->agent,   "--pool",  pool,
                          "--import",    u->server, "--import", u->import, NULL};
    return cloud_daemon_start(&u->virga_agent, argv, &err) ? fail(u, &err) : 0;
}

/* The state of the one of a list that has the name (NULL: of any that is in the state). */
static bool has_state(const json_t *list, const char *name, const char *state)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(list, "items"), i, one)
    {
        const char *is =
            json_string_value(json_object_get(json_object_get(one, "status"), "state"));
        if ((!name || !strcmp(json_string_value(json_object_get(one, "name")), name)) && is &&
            !strcmp(is, state))
            return true;
    }
    return false;
}

/* A server that was started again takes its hosts to be up until their leases end: only what a host
 * has told, such as its pools, says that it is. */
static int look_at_host(struct up *u, bool *up)
{
    json_t *hosts = NULL, *pools = NULL;
    struct cloud_call call = {.op = API_OP_HOST_LIST};
    int status = cloud_run_call(u->r, &call, &hosts, NULL);
    call.op = API_OP_POOL_LIST;
    status = status ? status : cloud_run_call(u->r, &call, &pools, NULL);
    *up = !status && has_state(hosts, u->host, "up") && has_state(pools, NULL, "online");
    json_decref(hosts);
    json_decref(pools);
    return status;
}

static int wait_for_host(struct up *u)
{
    struct err err = {0};
    char words[400];
    int64_t end_ns = clock_now_ns() + (int64_t)START_LIMIT_MS * 1000000;
    for (;;) {
        bool up;
        int status = look_at_host(u, &up);
        if (status || up)
            return status;
        if (!cloud_daemon_pid(&u->virga_agent) || clock_now_ns() > end_ns) {
            cloud_daemon_last_words(&u->virga_agent, words, sizeof(words));
            err_set(&err, ETIMEDOUT, "this host does not come up: %s (see %s/virga-agent.log)",
                    words, u->state);
            return fail(u, &err);
        }
        nap();
    }
}

/* ---- a network ---- */

static int make_network(struct up *u)
{
    json_t *answer = NULL;
    struct cloud_call list = {.op = API_OP_NETWORK_LIST};
    int status = cloud_run_call(u->r, &list, &answer, NULL);
    bool some = !status && json_array_size(json_object_get(answer, "items"));
    json_decref(answer);
    if (status || some)
        return status;
    json_t *body = json_pack("{s:s, s:s}", "name", "default", "kind", "nat");
    struct cloud_call create = {.op = API_OP_NETWORK_CREATE, .body = body};
    status = cloud_run_call(u->r, &create, NULL, NULL);
    json_decref(body);
    return status;
}

/* ---- commands ---- */

static void tell_what_next(struct cloud_run *r, const struct up *u)
{
    cloud_run_tell(r, "the cloud is up: %s, profile %s", u->url, PROFILE);
    cloud_run_tell(r, "next: virga image import debian debian:bookworm");
    cloud_run_tell(r, "      virga vm create web --image debian --flavor small");
}

int cloud_run_up(struct cloud_run *r)
{
    struct up u = {.r = r, .lock = -1};
    struct err err = {0};
    if (prepare(&u, &err) || lock(&u, &err) || start_server(&u, &err))
        return fail(&u, &err);
    r->args.common[CLOUD_PROFILE] = PROFILE;
    int status = cloud_run_profile(r, true);
    if (status)
        return status;
    const char *token = json_string_value(json_object_get(r->profile, "token"));
    if (!token_works(&u, token))
        status = sign_in(&u);
    if (!status)
        status = start_agent(&u);
    if (!status)
        status = wait_for_host(&u);
    if (!status)
        status = make_network(&u);
    if (!status)
        tell_what_next(r, &u);
    close(u.lock);
    return status;
}

int cloud_run_down(struct cloud_run *r)
{
    struct up u = {.r = r, .lock = -1};
    struct err err = {0};
    if (prepare(&u, &err) || lock(&u, &err) ||
        cloud_daemon_stop(&u.virga_agent, STOP_LIMIT_MS, &err) ||
        cloud_daemon_stop(&u.virgad, STOP_LIMIT_MS, &err))
        return fail(&u, &err);
    cloud_run_tell(r, "the cloud is down; VMs that ran go on, and are taken up again by virga up");
    close(u.lock);
    return CLOUD_EXIT_DONE;
}
