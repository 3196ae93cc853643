/* Signing in and out, and the profiles that sessions are kept in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_config.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_value.h"

static int usage(const struct cloud_run *r, struct err *err, const char *what)
{
    err_set(err, EINVAL, "%s", what);
    return cloud_run_fail(r, CLOUD_EXIT_USAGE, err);
}

/* Writes the certificate beside the configuration; the profile names it from then on. */
static int keep_certificate(const struct cloud_run *r, const char *pem, char *path, struct err *err)
{
    char config[CLOUD_CONFIG_PATH_BYTES];
    int e = cloud_config_path(config, err);
    if (e)
        return e;
    char *slash = strrchr(config, '/');
    int n = snprintf(path, CLOUD_CONFIG_PATH_BYTES, "%.*sca-%s.pem",
                     slash ? (int)(slash - config + 1) : 0, config, r->profile_name);
    if (n >= CLOUD_CONFIG_PATH_BYTES || strchr(r->profile_name, '/'))
        return err_set(err, EINVAL, "the profile's name is too long or holds a /");
    /* The folder is made by writing the configuration, which is as it was. */
    e = cloud_config_write(r->config, err);
    if (e)
        return e;
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t bytes = strlen(pem);
    if (fd < 0 || write(fd, pem, bytes) != (ssize_t)bytes)
        return err_sys(err, errno, "could not write %.200s", path);
    return 0;
}

/* Which server, and what is trusted of it: into the profile that is being made. */
static int choose_server(struct cloud_run *r, json_t *made, struct err *err)
{
    const char *env = getenv("VIRGA_URL"), *ca = r->args.common[CLOUD_CA_FILE];
    const char *given = r->args.n_words ? r->args.words[0] : r->args.common[CLOUD_URL];
    const char *own = json_string_value(json_object_get(r->profile, "url"));
    r->url = given ? given : env && *env ? env : own;
    if (!r->url)
        return err_set(err, EINVAL, "no server is known: virga login URL");
    bool same = own && !strcmp(own, r->url);
    json_object_set_new(made, "url", json_string(r->url));
    const char *project = r->args.common[CLOUD_PROJECT];
    project = project ? project
              : same  ? json_string_value(json_object_get(r->profile, "project"))
                      : NULL;
    if (project)
        json_object_set_new(made, "project", json_string(project));
    if (r->args.common[CLOUD_FINGERPRINT]) {
        char path[CLOUD_CONFIG_PATH_BYTES];
        CLEANUP_FREE char *pem = NULL;
        int e = cloud_http_pin(r->url, r->args.common[CLOUD_FINGERPRINT], &pem, err);
        e = e ? e : keep_certificate(r, pem, path, err);
        return e ? e : json_object_set_new(made, "ca_file", json_string(path));
    }
    CLEANUP_FREE char *whole = ca ? realpath(ca, NULL) : NULL;
    if (ca && !whole)
        return err_sys(err, errno, "--ca-file: could not read %.200s", ca);
    const char *kept = same ? json_string_value(json_object_get(r->profile, "ca_file")) : NULL;
    ca = whole ? whole : kept;
    return ca ? json_object_set_new(made, "ca_file", json_string(ca)) : 0;
}

/* Who, by flag, profile or question. Owns: free(). */
static char *choose_user(const struct cloud_run *r)
{
    const char *user = r->args.common[CLOUD_USER];
    char line[128];
    if (!user)
        user = json_string_value(json_object_get(r->profile, "user"));
    if (user || !isatty(STDIN_FILENO) || r->args.common[CLOUD_PASSWORD_STDIN])
        return user ? strdup(user) : NULL;
    fputs("user: ", stderr);
    if (!fgets(line, sizeof(line), stdin))
        return NULL;
    line[strcspn(line, "\r\n")] = '\0';
    return line[0] ? strdup(line) : NULL;
}

static int sign_in(struct cloud_run *r, json_t *made, struct err *err)
{
    CLEANUP_FREE char *user = choose_user(r);
    char *password = NULL;
    json_t *session = NULL;
    if (!user)
        return usage(r, err, "who signs in? --user USER");
    int e = r->args.common[CLOUD_PASSWORD_STDIN]
                ? cloud_value_read_line(&password, err)
                : cloud_value_ask_secret("password", &password, err);
    if (e == -ENOTTY)
        return usage(r, err,
                     "there is no terminal to ask for the password: give it to "
                     "--password-stdin");
    if (e)
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, err);
    json_t *body = json_pack("{s:s, s:s}", "user", user, "password", password);
    explicit_bzero(password, strlen(password));
    free(password);
    struct cloud_call c = {.op = API_OP_SESSION_CREATE, .body = body};
    int status = cloud_run_call(r, &c, &session, NULL);
    json_decref(body);
    if (!status) {
        json_object_set_new(made, "user", json_string(user));
        json_object_set(made, "token", json_object_get(session, "secret"));
        json_object_set(made, "expires_at", json_object_get(session, "expires_at"));
        cloud_run_tell(r, "signed in to %s as %s (profile %s)", r->url, user, r->profile_name);
    }
    json_decref(session);
    return status;
}

int cloud_run_login(struct cloud_run *r)
{
    struct err err = {0};
    if (r->args.n_words > 1)
        return usage(r, &err, "it is: virga login [URL] [FLAGS]");
    int status = cloud_run_profile(r, true);
    if (status)
        return status;
    json_t *made = json_object();
    if (choose_server(r, made, &err))
        status = cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    const char *debug = r->args.common[CLOUD_DEBUG];
    struct cloud_http_config config = {
        .url = r->url,
        .ca_file = json_string_value(json_object_get(made, "ca_file")),
        .debug = debug && !strcmp(debug, "true"),
    };
    if (!status) {
        r->http = cloud_http_create(&config, &err);
        status = r->http ? sign_in(r, made, &err) : cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    if (!status) {
        json_object_clear(r->profile);
        json_object_update(r->profile, made);
        json_object_set_new(r->config, "current", json_string(r->profile_name));
        if (cloud_config_write(r->config, &err))
            status = cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    }
    json_decref(made);
    return status;
}

int cloud_run_logout(struct cloud_run *r)
{
    struct err err = {0};
    struct cloud_call c = {.op = API_OP_SESSION_DELETE};
    int status = cloud_run_connect(r);
    if (status)
        return status;
    /* The session may have ended by itself, or the server may be gone: it is forgotten anyway. */
    status = cloud_run_call(r, &c, NULL, NULL);
    json_object_del(r->profile, "token");
    json_object_del(r->profile, "expires_at");
    if (r->profile && cloud_config_write(r->config, &err))
        return cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    if (!status)
        cloud_run_tell(r, "signed out of %s", r->url);
    return status == CLOUD_EXIT_SIGN_IN ? CLOUD_EXIT_DONE : status;
}

int cloud_run_profile_ls(struct cloud_run *r)
{
    int status = cloud_run_profile(r, false);
    if (status)
        return status;
    json_t *items = json_array();
    const char *name;
    json_t *profile;
    json_object_foreach(json_object_get(r->config, "profiles"), name, profile)
    {
        json_t *item = json_pack("{s:s, s:s}", "name", name, "current",
                                 strcmp(name, r->profile_name) ? "no" : "yes");
        const char *key;
        json_t *v;
        json_object_foreach(profile, key, v) if (strcmp(key, "token") != 0)
            json_object_set(item, key, v);
        json_array_append_new(items, item);
    }
    const char *columns = r->args.common[CLOUD_COLUMNS];
    cloud_print_list(items, r->form, columns ? columns : cloud_command_noun("profile").columns,
                     stdout);
    json_decref(items);
    return CLOUD_EXIT_DONE;
}

/* The profile of the first word, which has to be there. */
static int named_profile(struct cloud_run *r, bool needed)
{
    struct err err = {0};
    if (r->args.n_words > 1 || (needed && !r->args.n_words))
        return usage(r, &err, "one word is needed: the profile's name; virga profile ls");
    if (r->args.n_words)
        r->args.common[CLOUD_PROFILE] = r->args.words[0];
    int status = cloud_run_profile(r, false);
    if (!status && !r->profile)
        return usage(r, &err, "there is no profile: virga login makes one");
    return status;
}

static int keep(struct cloud_run *r)
{
    struct err err = {0};
    if (cloud_config_write(r->config, &err))
        return cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    return CLOUD_EXIT_DONE;
}

int cloud_run_profile_use(struct cloud_run *r)
{
    int status = named_profile(r, true);
    if (status)
        return status;
    json_object_set_new(r->config, "current", json_string(r->profile_name));
    return keep(r);
}

int cloud_run_profile_set(struct cloud_run *r)
{
    struct err err = {0};
    const char *project = r->args.common[CLOUD_PROJECT], *ca = r->args.common[CLOUD_CA_FILE];
    int status = named_profile(r, false);
    if (status)
        return status;
    if (!project && !ca)
        return usage(r, &err, "nothing is to be changed: give --project or --ca-file");
    CLEANUP_FREE char *whole = ca ? realpath(ca, NULL) : NULL;
    if (ca && !whole) {
        err_sys(&err, errno, "--ca-file: could not read %.200s", ca);
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    if (project)
        json_object_set_new(r->profile, "project", json_string(project));
    if (whole)
        json_object_set_new(r->profile, "ca_file", json_string(whole));
    return keep(r);
}

int cloud_run_profile_rm(struct cloud_run *r)
{
    int status = named_profile(r, true);
    if (status)
        return status;
    json_object_del(json_object_get(r->config, "profiles"), r->args.words[0]);
    const char *current = json_string_value(json_object_get(r->config, "current"));
    if (current && !strcmp(current, r->args.words[0]))
        json_object_del(r->config, "current");
    return keep(r);
}
