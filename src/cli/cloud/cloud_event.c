/* Events: those that were, and those that come. Watching asks again and again from the last number
 * that is known, each question being kept by the server until there is something: nothing is missed
 * when a connection is lost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api_format.h"
#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_text.h"

#define WAIT_S       30
#define ANSWER_MS    60000
#define FAILURES_MAX 60 /* one after the other, a second apart */

static const char *text_of(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? text : "-";
}

/* "vm/web" becomes "vm/ID": events name things by their ids only. */
static int resolve_subject(struct cloud_run *r)
{
    char noun[64];
    struct cloud_command show;
    json_t *answer = NULL;
    const char *subject = json_string_value(json_object_get(r->args.query, "subject"));
    const char *slash = subject ? strchr(subject, '/') : NULL;
    if (!slash || !slash[1] || strlen(slash + 1) == 36)
        return CLOUD_EXIT_DONE;
    snprintf(noun, sizeof(noun), "%.*s", (int)(slash - subject), subject);
    for (char *p = noun; *p; p++)
        *p = *p == '_' ? '-' : *p;
    if (cloud_command_find(noun, "show", &show) || show.op >= API_OPS)
        return CLOUD_EXIT_DONE;
    struct cloud_call c = {.op = show.op, .params = {slash + 1}};
    int status = cloud_run_call(r, &c, &answer, NULL);
    const char *id = json_string_value(json_object_get(answer, "id"));
    if (!status && id)
        json_object_set_new(r->args.query, "subject",
                            json_sprintf("%.*s/%s", (int)(slash - subject), subject, id));
    json_decref(answer);
    return status;
}

int cloud_run_event_list(struct cloud_run *r)
{
    json_t *answer = NULL;
    struct err err = {0};
    if (r->args.n_words) {
        err_set(&err, EINVAL, "it is: virga event ls [FLAGS]");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    /* Without a number the API means "what comes from now on"; a person means "what was". */
    if (!json_object_get(r->args.query, "after"))
        json_object_set_new(r->args.query, "after", json_string("0"));
    int status = resolve_subject(r);
    struct cloud_call c = {
        .op = API_OP_EVENT_LIST, .query = r->args.query, .timeout_ms = ANSWER_MS * 2};
    status = status ? status : cloud_run_call(r, &c, &answer, NULL);
    const char *columns = r->args.common[CLOUD_COLUMNS];
    if (!status)
        cloud_print_list(json_object_get(answer, "items"), r->form,
                         columns ? columns : cloud_command_noun("event").columns, stdout);
    json_decref(answer);
    return status;
}

static void print_event(const struct cloud_run *r, const json_t *event)
{
    if (r->form == CLOUD_PRINT_TABLE) {
        static const char *const keys[] = {"time", "type", "subject"};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            cloud_text_put(stdout, text_of(event, keys[i]), false);
            putchar(i + 1 < ARRAY_LEN(keys) ? ' ' : '\n');
        }
    } else if (r->form == CLOUD_PRINT_JSON) {
        json_dumpf(event, stdout, JSON_COMPACT); /* a line an event */
        putchar('\n');
    } else {
        cloud_run_print(r, event);
    }
    fflush(stdout);
}

int cloud_run_event_watch(struct cloud_run *r)
{
    uint64_t left = UINT64_MAX;
    struct err err = {0};
    if (cloud_run_limit(r, &left, &err))
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    unsigned failures = 0;
    bool began = json_object_get(r->args.query, "after");
    int status = resolve_subject(r);
    while (!status && left) {
        json_t *answer = NULL;
        json_object_set_new(r->args.query, "wait_s", json_integer(began ? WAIT_S : 0));
        struct cloud_call c = {.op = API_OP_EVENT_LIST,
                               .query = r->args.query,
                               .timeout_ms = ANSWER_MS + WAIT_S * 1000};
        status = cloud_run_call(r, &c, &answer, NULL);
        bool passing = status == CLOUD_EXIT_UNREACHABLE || status == CLOUD_EXIT_BUSY;
        if (passing && began && ++failures < FAILURES_MAX) {
            status = CLOUD_EXIT_DONE;
            sleep(1);
            continue;
        }
        if (status)
            break;
        failures = 0;
        began = true;
        const json_t *items = json_object_get(answer, "items");
        for (size_t i = 0; i < json_array_size(items) && left; i++, left--)
            print_event(r, json_array_get(items, i));
        json_t *next = json_object_get(answer, "next_after");
        if (json_is_string(next))
            json_object_set(r->args.query, "after", next);
        json_decref(answer);
    }
    return status;
}
