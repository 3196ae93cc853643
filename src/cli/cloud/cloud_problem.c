#include "cli/cloud/cloud_problem.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud_text.h"

static const struct {
    const char *code; /* a code, or the part before its dot */
    const char *next;
} remedies[] = {
    {"auth.forbidden", "ask an admin for a role: virga role ls; virga whoami shows yours"},
    {"auth.scope", "make a token with that scope: virga token create NAME --scope SCOPE"},
    {"auth.expired", "sign in again: virga login"},
    {"auth.failed", "try again; a forgotten password is set by an admin: virga user password USER"},
    {"auth", "sign in: virga login URL, or set VIRGA_TOKEN"},
    {"project.required", "name the project: --project NAME, or VIRGA_PROJECT; virga project ls"},
    {"project.disabled", "an admin enables it: virga project set NAME --enabled"},
    {"resource.not_found", "see what there is with ls; in another project with --project NAME"},
    {"resource.gone", "it cannot be had back"},
    {"resource.name_taken", "choose another name, or see it with show"},
    {"resource.in_use", "remove what uses it first"},
    {"resource.wrong_state", "see its state with show"},
    {"resource.protected", "take the protection away: set NAME --no-delete-protection"},
    {"resource.busy", "wait for it: virga operation ls --filter 'state eq \"running\"'"},
    {"resource.generation", "look at it with show, and try again"},
    {"quota", "see the limits: virga quota show; an admin raises them: virga quota set PROJECT"},
    {"placement.no_host", "see each host: the same with --dry-run --explain"},
    {"placement.conflict", "try again"},
    {"feature.no_driver", "see what this cloud offers: virga server version"},
    {"reference.not_found", "see what there is with ls of that noun"},
    {"image.not_ready", "see how far it is: virga image show NAME"},
    {"image.checksum", "fetch the file again, or correct the checksum"},
    {"operation.not_cancellable", "wait for its end: virga operation wait ID"},
    {"events.too_old", "begin anew: virga event watch"},
    {"query.filter_invalid", "a filter is such as: --filter 'name eq \"web\" and status.state ne "
                             "\"error\"'"},
    {"query.cursor_invalid", "begin the list anew"},
    {"request.too_large", "send less at once"},
    {"rate.limited", "wait a little; an admin raises a token's limit: virga token set NAME "
                     "--rate-limit-per-min N"},
    {"route",
     "this server is older than this program, or the URL is another service's: virga server "
     "version"},
    {"server.store",
     "the server's store is full, slow or gone; its operator must look: virga server "
     "health"},
    {"server.internal", "its operator finds the request in the log by its id"},
    {"host.failed", "look at what the host says (virga host show, its agent's log), and try again"},
    {"server", "try again in a little while"},
    {"idempotency", "try again"},
    {"request", "see what it takes with --help"},
    {"query", "see what it takes with --help"},
};

static const char *remedy_of(const char *code)
{
    size_t noun = strcspn(code, ".");
    for (size_t i = 0; i < ARRAY_LEN(remedies); i++)
        if (!strcmp(remedies[i].code, code) ||
            (strlen(remedies[i].code) == noun && !strncmp(remedies[i].code, code, noun)))
            return remedies[i].next;
    return NULL;
}

static enum cloud_exit exit_of(int status, const char *code)
{
    if (!strncmp(code, "route.", 6) || !strcmp(code, "feature.no_driver"))
        return CLOUD_EXIT_NOT_OFFERED;
    switch (status) {
    case 401:
        return CLOUD_EXIT_SIGN_IN;
    case 403:
        return CLOUD_EXIT_FORBIDDEN;
    case 404:
    case 410:
        return CLOUD_EXIT_NOT_FOUND;
    case 405:
    case 501:
        return CLOUD_EXIT_NOT_OFFERED;
    case 409:
    case 412:
        return CLOUD_EXIT_CONFLICT;
    case 429:
    case 503:
        return CLOUD_EXIT_BUSY;
    default:
        return status >= 400 && status < 500 ? CLOUD_EXIT_REFUSED : CLOUD_EXIT_FAILED;
    }
}

enum cloud_exit cloud_problem_of_errno(int r)
{
    switch (-r) {
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EPROTO:
    case EIO:
        return CLOUD_EXIT_UNREACHABLE;
    case EINVAL:
        return CLOUD_EXIT_USAGE;
    default:
        return CLOUD_EXIT_FAILED;
    }
}

void cloud_problem_say(const char *who, const char *what)
{
    bool colours = cloud_text_colours(stderr);
    fprintf(stderr, "%svirga%s%s:%s ", colours ? "\033[31m" : "", who[0] ? " " : "", who,
            colours ? "\033[0m" : "");
    cloud_text_put(stderr, what, false);
    fputc('\n', stderr);
}

static const char *text_of(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? text : "";
}

static void put_line(FILE *out, const char *before, const char *text, const char *after)
{
    fputs(before, out);
    cloud_text_put(out, text, false);
    fputs(after, out);
}

static void show_errors(const json_t *errors, const struct cloud_flags *flags, FILE *out)
{
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *e = json_array_get(errors, i);
        char where[320];
        cloud_flags_of_pointer(flags, text_of(e, "pointer"), where, sizeof(where));
        put_line(out, "  ", where, ": ");
        put_line(out, "", text_of(e, "detail"), "\n");
    }
}

enum cloud_exit cloud_problem_show(const json_t *problem, const char *who,
                                   const struct cloud_flags *flags, FILE *out)
{
    const char *code = text_of(problem, "code"), *title = text_of(problem, "title");
    const char *detail = text_of(problem, "detail"), *id = text_of(problem, "request_id");
    json_int_t status = json_integer_value(json_object_get(problem, "status"));
    json_int_t wait_s = json_integer_value(json_object_get(problem, "retry_after_s"));
    enum cloud_exit result = exit_of((int)status, code);
    bool colours = cloud_text_colours(out);
    fprintf(out, "%svirga %s:%s ", colours ? "\033[31m" : "", who, colours ? "\033[0m" : "");
    if (!strncmp(code, "route.", 6))
        fputs("this server does not have this command: ", out);
    put_line(out, "", title[0] ? title : code, "");
    if (detail[0] && strcmp(detail, title) != 0)
        put_line(out, ": ", detail, "");
    fputc('\n', out);
    show_errors(json_object_get(problem, "errors"), flags, out);
    if (json_is_object(json_object_get(problem, "explanation")))
        cloud_problem_placement(json_object_get(problem, "explanation"), out);
    const char *next = remedy_of(code);
    if (next)
        fprintf(out, "what to do: %s", next);
    if (wait_s)
        fprintf(out, "%s (in %lld s)", next ? "" : "what to do: try again", (long long)wait_s);
    if (next || wait_s)
        fputc('\n', out);
    if (status >= 500 && id[0])
        put_line(out, "request id: ", id, "\n");
    return result;
}

enum cloud_exit cloud_problem_of_answer(const struct cloud_http_answer *a, const char *who,
                                        const struct cloud_flags *flags, FILE *out)
{
    json_t *problem = NULL;
    enum cloud_exit result = CLOUD_EXIT_UNREACHABLE;
    if (!strcmp(a->media, "application/problem+json") && a->body.bytes)
        problem = json_loadb(a->body.text, a->body.bytes, 0, NULL);
    if (json_is_string(json_object_get(problem, "code"))) {
        if (!json_is_integer(json_object_get(problem, "status")))
            json_object_set_new(problem, "status", json_integer(a->status));
        if (a->retry_after_s > 0 && !json_object_get(problem, "retry_after_s"))
            json_object_set_new(problem, "retry_after_s", json_integer(a->retry_after_s));
        result = cloud_problem_show(problem, who, flags, out);
    } else {
        fprintf(out, "virga %s: what answers is no server of virga: status %d, type \"", who,
                a->status);
        cloud_text_put(out, a->media, false);
        fputs("\", nothing that can be read\nwhat to do: check the URL (--url, VIRGA_URL, virga "
              "profile ls), and whether a proxy stands in between\n",
              out);
    }
    json_decref(problem);
    return result;
}

static void show_filters(const json_t *filters, FILE *out)
{
    for (size_t i = 0; i < json_array_size(filters); i++) {
        const json_t *f = json_array_get(filters, i);
        fprintf(out, "    %6lld turned away by ",
                (long long)json_integer_value(json_object_get(f, "hosts")));
        put_line(out, "", text_of(f, "filter"), text_of(f, "detail")[0] ? ": " : "\n");
        if (text_of(f, "detail")[0])
            put_line(out, "", text_of(f, "detail"), "\n");
    }
}

static void show_hosts(const json_t *hosts, FILE *out)
{
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *h = json_array_get(hosts, i);
        const json_t *score = json_object_get(h, "score");
        put_line(out, "    ", text_of(h, "name"), ": ");
        if (json_is_number(score))
            fprintf(out, "score %.6g", json_number_value(score));
        if (text_of(h, "turned_away_by")[0])
            put_line(out, "turned away by ", text_of(h, "turned_away_by"), "");
        if (text_of(h, "detail")[0])
            put_line(out, ": ", text_of(h, "detail"), "");
        fputc('\n', out);
    }
}

void cloud_problem_placement(const json_t *placement, FILE *out)
{
    const json_t *vms = json_object_get(placement, "vms");
    const json_t *n = json_object_get(placement, "hosts_considered");
    if (n)
        fprintf(out, "  %lld hosts were looked at\n", (long long)json_integer_value(n));
    for (size_t i = 0; i < json_array_size(vms); i++) {
        const json_t *vm = json_array_get(vms, i);
        const char *host = text_of(vm, "host_name");
        host = host[0] ? host : text_of(vm, "host");
        put_line(out, "  ", text_of(vm, "vm"), "");
        if (host[0])
            put_line(out, " would go to ", host, "\n");
        else
            fputs(" can go nowhere\n", out);
        show_filters(json_object_get(vm, "filters"), out);
        show_hosts(json_object_get(vm, "hosts"), out);
    }
}
