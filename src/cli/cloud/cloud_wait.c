/* Operations: waiting for their end, the bar on the terminal, and what is said of it. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_text.h"

#define BAR_WIDTH      24
#define ASK_S          25 /* how long the server keeps one question */
#define ASK_TERMINAL_S 1  /* with a bar that should move */
#define ANSWER_MS      30000

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool shows_progress(void)
{
    return isatty(STDERR_FILENO);
}

void cloud_run_progress(const char *what, int percent, const char *step)
{
    if (!shows_progress())
        return;
    fputs("\r\033[K", stderr);
    cloud_text_put(stderr, what, false);
    if (percent >= 0) {
        fputs(" [", stderr);
        for (int i = 0; i < BAR_WIDTH; i++)
            fputc(i * 100 < percent * BAR_WIDTH ? '#' : '.', stderr);
        fprintf(stderr, "] %d%%", percent);
    }
    fputs(step[0] ? " " : "", stderr);
    cloud_text_put(stderr, step, false);
    fflush(stderr);
}

void cloud_run_progress_end(void)
{
    if (shows_progress())
        fputs("\r\033[K", stderr);
}

static const char *text_of(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? text : "";
}

static bool has_ended(const json_t *operation)
{
    const char *state = text_of(operation, "state");
    return !strcmp(state, "done") || !strcmp(state, "failed") || !strcmp(state, "cancelled");
}

static void show_progress(const json_t *operation)
{
    const json_t *percent = json_object_get(operation, "progress_percent");
    const char *step = text_of(operation, "step");
    cloud_run_progress(text_of(operation, "kind"), percent ? (int)json_integer_value(percent) : -1,
                       step[0] ? step : text_of(operation, "state"));
}

static int end_status(const struct cloud_run *r, const json_t *operation)
{
    const char *state = text_of(operation, "state"), *id = text_of(operation, "id");
    struct err err = {0};
    if (!strcmp(state, "done"))
        return CLOUD_EXIT_DONE;
    if (!has_ended(operation)) {
        err_set(&err, ETIMEDOUT,
                "the time is over and the operation goes on: virga operation wait %s", id);
        return cloud_run_fail(r, CLOUD_EXIT_TIME_OUT, &err);
    }
    const json_t *problem = json_object_get(operation, "problem");
    if (json_is_object(problem)) {
        cloud_problem_show(problem, r->who, &r->flags, stderr);
    } else {
        err_set(&err, ECANCELED, "the operation %s was %s: virga operation show %s", id, state, id);
        cloud_run_fail(r, CLOUD_EXIT_OPERATION, &err);
    }
    return CLOUD_EXIT_OPERATION;
}

int cloud_run_follow(struct cloud_run *r, const json_t *operation, json_t **end)
{
    json_t *now = json_deep_copy(operation);
    const char *project = r->project;
    int64_t limit = r->wait_limit_ms < 0 ? INT64_MAX : now_ms() + r->wait_limit_ms;
    int status = CLOUD_EXIT_DONE;
    while (!status && !has_ended(now) && now_ms() < limit) {
        show_progress(now);
        /* Where it belongs, which for work on hosts is no project. */
        r->project = json_string_value(json_object_get(now, "project"));
        int64_t left_s = (limit - now_ms() + 999) / 1000;
        int64_t ask_s = MIN(left_s, shows_progress() ? ASK_TERMINAL_S : ASK_S);
        json_t *query = json_pack("{s:I}", "timeout_s", (json_int_t)ask_s);
        struct cloud_call c = {.op = API_OP_OPERATION_WAIT,
                               .params = {text_of(now, "id")},
                               .query = query,
                               .timeout_ms = ask_s * 1000 + ANSWER_MS};
        json_t *next = NULL;
        status = cloud_run_call(r, &c, &next, NULL);
        json_decref(query);
        if (!status) {
            json_decref(now);
            now = next;
        }
    }
    r->project = project;
    cloud_run_progress_end();
    if (status)
        fprintf(stderr, "the operation goes on: virga operation wait %s\n", text_of(now, "id"));
    else
        status = end_status(r, now);
    if (end)
        *end = json_incref(now);
    json_decref(now);
    return status;
}

int cloud_run_operation(struct cloud_run *r, const json_t *operation, const char *what,
                        enum api_op show)
{
    json_t *end = NULL, *made = NULL;
    if (!r->wait) {
        cloud_run_print(r, operation);
        return CLOUD_EXIT_DONE;
    }
    int status = cloud_run_follow(r, operation, &end);
    const char *resource = text_of(end, "resource");
    if (!status && show < API_OPS && resource[0]) {
        struct cloud_call c = {.op = show, .params = {resource}};
        status = cloud_run_call(r, &c, &made, NULL);
    }
    if (!status && made)
        cloud_run_print(r, made);
    else if (!status && r->form == CLOUD_PRINT_TABLE)
        cloud_run_tell(r, "%s: done", what);
    else if (!status)
        cloud_run_print(r, end);
    json_decref(made);
    json_decref(end);
    return status;
}

int cloud_run_operation_wait(struct cloud_run *r)
{
    json_t *operation = NULL, *end = NULL;
    struct err err = {0};
    if (r->args.n_words != 1) {
        err_set(&err, EINVAL, "one word is needed: the operation's id; virga operation ls");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    /* --timeout-s is the API's word for the same. */
    const json_t *timeout = json_object_get(r->args.query, "timeout_s");
    if (timeout)
        r->wait_limit_ms = json_integer_value(timeout) * 1000;
    struct cloud_call c = {.op = API_OP_OPERATION_GET, .params = {r->args.words[0]}};
    int status = cloud_run_call(r, &c, &operation, NULL);
    if (status)
        return status;
    status = cloud_run_follow(r, operation, &end);
    if (!status || r->form == CLOUD_PRINT_JSON || r->form == CLOUD_PRINT_YAML)
        cloud_run_print(r, end);
    json_decref(operation);
    json_decref(end);
    return status;
}
