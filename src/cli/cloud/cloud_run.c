#include "cli/cloud/cloud_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_help.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_text.h"
#include "cli/cloud/cloud_value.h"

static bool is_on(const struct cloud_run *r, enum cloud_flag_common flag)
{
    return r->args.common[flag] && !strcmp(r->args.common[flag], "true");
}

void cloud_run_print(const struct cloud_run *r, const json_t *item)
{
    cloud_print_one(item, r->form, r->args.common[CLOUD_COLUMNS], stdout);
}

void cloud_run_tell(const struct cloud_run *r, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    if (r->form != CLOUD_PRINT_TABLE)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    cloud_text_put(stdout, line, false);
    putchar('\n');
}

/* What was said before any call. */
static int read_common(struct cloud_run *r, struct err *err)
{
    const char *form = r->args.common[CLOUD_OUTPUT], *timeout = r->args.common[CLOUD_TIMEOUT];
    struct cloud_text_guess guess = {.typed = form};
    r->wait = !r->args.common[CLOUD_WAIT] || is_on(r, CLOUD_WAIT);
    r->wait_limit_ms = -1;
    if (timeout && cloud_value_time(timeout, &r->wait_limit_ms))
        return err_set(err, EINVAL, "--timeout: \"%.60s\" is no time: use one such as 90s or 5m",
                       timeout);
    for (unsigned i = 0; form && i < CLOUD_PRINT_FORMS; i++) {
        cloud_text_guess(&guess, cloud_print_forms[i]);
        if (!strcmp(form, cloud_print_forms[i])) {
            r->form = i;
            return 0;
        }
    }
    if (form)
        return err_set(err, EINVAL,
                       "--output: \"%.40s\" is not allowed: use table, json, yaml, name "
                       "or csv%s%s",
                       form, guess.best ? "; perhaps " : "", guess.best ? guess.best : "");
    return 0;
}

static int wrong_words(const struct cloud_run *r, struct err *err)
{
    char words[160];
    cloud_help_words(&r->command, words, sizeof(words));
    return err_set(err, EINVAL, "it is: virga %s%s%s [FLAGS]; %u words were given", r->who,
                   words[0] ? " " : "", words, r->args.n_words);
}

/* Fills the path's parameters, then the fields of the body that go without a flag. */
static int take_words(struct cloud_run *r, const struct api_route *route, struct cloud_call *c,
                      struct err *err)
{
    unsigned at = 0;
    if (r->command.flags & CLOUD_COMMAND_PROJECT_WORD && r->args.n_words)
        r->args.common[CLOUD_PROJECT] = r->args.words[at++];
    for (unsigned i = 0; i < route->n_params; i++) {
        bool project = !strcmp(route->params[i], "project") && route->n_params == 1 &&
                       strcmp(r->command.noun, "project") != 0;
        if (project && at == r->args.n_words) {
            int status = cloud_run_connect(r);
            if (status)
                return -ECANCELED; /* it was said */
            c->params[i] = r->project;
        } else if (at < r->args.n_words) {
            c->params[i] = r->args.words[at++];
        }
        if (!c->params[i] || !*c->params[i])
            return wrong_words(r, err);
    }
    bool creates = route->n_params == 0;
    for (size_t i = 0; i < r->flags.n && at < r->args.n_words; i++) {
        const struct cloud_flag *f = &r->flags.v[i];
        bool scalar =
            f->field && f->field->kind <= API_KIND_ENUM && f->field->kind != API_KIND_BOOL;
        if (f->place != CLOUD_FLAG_BODY || !scalar || cloud_flag_is_secret(f->field) ||
            !(f->field->flags & API_FIELD_REQUIRED || !strcmp(f->path, "name")) ||
            (creates && strcmp(f->path, "name") != 0) || strchr(f->path, '.') ||
            route->method == API_METHOD_PATCH)
            continue;
        int n = cloud_value_set(r->args.body, f, r->args.words[at++], false, err);
        if (n)
            return n;
    }
    return at == r->args.n_words ? 0 : wrong_words(r, err);
}

static int ask_if_meant(const struct cloud_run *r, const char *what, struct err *err)
{
    char line[16] = "";
    if (is_on(r, CLOUD_YES) || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return 0;
    fprintf(stderr, "virga %s", r->who);
    fputs(what[0] ? " " : "", stderr);
    cloud_text_put(stderr, what, false);
    fputs(": is it meant? [y/N] ", stderr);
    if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
        return 0;
    return err_set(err, ECANCELED, "nothing was done (--yes does not ask)");
}

/* The ETag that a change is made against: what the person saw, or what is there now. */
static int find_etag(struct cloud_run *r, const struct api_route *route, struct cloud_call *c,
                     char etag[64])
{
    if (r->args.common[CLOUD_IF_MATCH]) {
        c->if_match = r->args.common[CLOUD_IF_MATCH];
        return CLOUD_EXIT_DONE;
    }
    for (unsigned op = 0; op < API_OPS && route->method == API_METHOD_PATCH; op++) {
        const struct api_route *get = &api_route_table[op];
        const char *end = strrchr(route->path, '/');
        bool same = !strcmp(get->path, route->path);
        /* A project's quota is read within the project: /quota of /projects/{project}/quota. */
        bool within = get->flags & API_ROUTE_PROJECT && !strcmp(get->path, end) &&
                      route->n_params == 1 && !strncmp(route->path, "/projects/{project}/", 20);
        if (get->method != API_METHOD_GET || !(same || within))
            continue;
        struct cloud_call seen = {.op = op};
        if (same)
            memcpy(seen.params, c->params, sizeof(seen.params));
        else if (!cloud_run_connect(r))
            r->project = c->params[0];
        int status = cloud_run_call(r, &seen, NULL, etag);
        if (etag[0])
            c->if_match = etag;
        return status;
    }
    return CLOUD_EXIT_DONE;
}

/* {"token": ..., "secret": ...}: the secret goes into the file that --save names. */
static int save_secret(const struct cloud_run *r, json_t *answer, struct err *err)
{
    const char *path = r->args.common[CLOUD_SAVE];
    const char *key = json_object_get(answer, "secret") ? "secret" : "private_key";
    const char *secret = json_string_value(json_object_get(answer, key));
    if (!path || !secret)
        return 0;
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t n = strlen(secret);
    if (fd < 0 || write(fd, secret, n) != (ssize_t)n ||
        ((!n || secret[n - 1] != '\n') && write(fd, "\n", 1) != 1))
        return err_sys(
            err, errno,
            "--save: could not write %.200s; the secret is lost: remove what was made and "
            "make it again",
            path);
    json_object_del(answer, key);
    return 0;
}

/* The file is looked at before anything is made whose secret it is to hold. */
static int check_save(const struct cloud_run *r, struct err *err)
{
    const char *path = r->args.common[CLOUD_SAVE];
    return path && !access(path, F_OK)
               ? err_set(err, EEXIST, "--save: %.200s is there already: name a new file", path)
               : 0;
}

static int run_download(struct cloud_run *r, struct cloud_call *c)
{
    struct err err = {0};
    const char *path = r->args.common[CLOUD_FILE];
    bool own = path && strcmp(path, "-") != 0;
    if (!own && isatty(STDOUT_FILENO) &&
        strcmp(api_route_table[c->op].response_media, "application/json") != 0) {
        err_set(&err, EINVAL, "this is no text for a terminal: name a file with --file FILE");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    c->download = own ? fopen(path, "we") : stdout;
    if (!c->download) {
        err_sys(&err, errno, "could not write %.200s", path);
        return cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    }
    int status = cloud_run_call(r, c, NULL, NULL);
    if (own && fclose(c->download) && !status) {
        err_sys(&err, errno, "could not write %.200s", path);
        status = cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    }
    return status;
}

/* The operation that shows what a create has made. */
static enum api_op show_op(const struct cloud_run *r)
{
    struct cloud_command c;
    if (strcmp(r->command.verb ? r->command.verb : "", "create") != 0)
        return API_OPS;
    return cloud_command_find(r->command.noun, "show", &c) ? API_OPS : c.op;
}

static int show_answer(struct cloud_run *r, const struct api_route *route, json_t *answer,
                       const char *what)
{
    struct err err = {0};
    if (json_is_null(answer)) {
        cloud_run_tell(r, "%s%s%s: done", r->who, what[0] ? " " : "", what);
        return CLOUD_EXIT_DONE;
    }
    if (route->flags & API_ROUTE_DRY_RUN && json_object_get(answer, "placed")) {
        bool placed = json_is_true(json_object_get(answer, "placed"));
        if (r->form == CLOUD_PRINT_TABLE)
            cloud_problem_placement(answer, stdout);
        else
            cloud_run_print(r, answer);
        return placed ? CLOUD_EXIT_DONE : CLOUD_EXIT_CONFLICT;
    }
    if (route->flags & API_ROUTE_ASYNC) {
        char said[256];
        snprintf(said, sizeof(said), "%s%s%s", r->who, what[0] ? " " : "", what);
        return cloud_run_operation(r, answer, said, show_op(r));
    }
    if (save_secret(r, answer, &err))
        return cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    cloud_run_print(r, answer);
    return CLOUD_EXIT_DONE;
}

/* One operation, as the tables describe it. */
static int run_operation(struct cloud_run *r)
{
    const struct api_route *route = &api_route_table[r->command.op];
    struct cloud_call c = {.op = r->command.op, .query = r->args.query};
    struct err err = {0};
    json_t *body = NULL, *answer = NULL;
    char etag[64] = "";
    int n = take_words(r, route, &c, &err);
    if (n == -ECANCELED)
        return CLOUD_EXIT_SIGN_IN;
    n = n ? n : check_save(r, &err);
    if (!n && route->request)
        n = cloud_run_body(r, route, &body, &err);
    if (n)
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    c.body = body;
    const char *what = c.params[0] ? c.params[0] : "";
    bool asks = r->command.flags & CLOUD_COMMAND_ASK &&
                !json_is_true(json_object_get(r->args.query, "dry_run"));
    int status = CLOUD_EXIT_DONE;
    if (asks && ask_if_meant(r, what, &err))
        status = cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    else if (route->flags & API_ROUTE_LIST)
        status = cloud_run_list(r, &c);
    else if (route->response_media)
        status = run_download(r, &c);
    else {
        status = find_etag(r, route, &c, etag);
        status = status ? status : cloud_run_call(r, &c, &answer, NULL);
        if (answer)
            status =
                status ? (cloud_run_print(r, answer), status) : show_answer(r, route, answer, what);
    }
    json_decref(answer);
    json_decref(body);
    return status;
}

int cloud_run(const struct cloud_command *command, char **argv)
{
    /* Too large for a stack; one command a program. */
    struct cloud_run *r = calloc(1, sizeof(*r));
    struct err err = {0};
    if (!r)
        return CLOUD_EXIT_FAILED;
    r->command = *command;
    snprintf(r->who, sizeof(r->who), "%s%s%s", command->noun, command->verb ? " " : "",
             command->verb ? command->verb : "");
    cloud_flags_build(&r->flags, command->op < API_OPS ? &api_route_table[command->op] : NULL,
                      command->common);
    int status = CLOUD_EXIT_USAGE;
    int n = cloud_args_parse(&r->args, &r->flags, argv, &err);
    if (!n && is_on(r, CLOUD_HELP)) {
        cloud_help_command(command, stdout);
        status = CLOUD_EXIT_DONE;
    } else if (n || read_common(r, &err)) {
        cloud_run_fail(r, status, &err);
    } else {
        status = command->run ? command->run(r) : run_operation(r);
    }
    if (fflush(stdout) && !status) {
        err_sys(&err, errno, "could not write to standard output");
        status = cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    }
    cloud_http_destroy(r->http);
    cloud_args_fini(&r->args);
    json_decref(r->config);
    free(r);
    return status;
}
