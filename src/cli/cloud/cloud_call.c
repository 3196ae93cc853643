/* Calls of operations by their routes: path, query, project; and the connection that they share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_config.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_run.h"

#define PATH_BYTES 16384

int cloud_run_fail(const struct cloud_run *r, int status, const struct err *err)
{
    cloud_problem_say(r->who, err->msg);
    return status;
}

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static const char *of_profile(const struct cloud_run *r, const char *key)
{
    return json_string_value(json_object_get(r->profile, key));
}

int cloud_run_profile(struct cloud_run *r, bool make)
{
    struct err err = {0};
    if (!r->config && cloud_config_read(&r->config, &err))
        return cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    const char *wanted = r->args.common[CLOUD_PROFILE];
    r->profile = cloud_config_profile(r->config, wanted, make, &r->profile_name);
    if (!r->profile && !make && (wanted || env("VIRGA_PROFILE"))) {
        err_set(&err, ENOENT,
                "there is no profile \"%.64s\": virga profile ls; virga login makes one",
                r->profile_name);
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    return CLOUD_EXIT_DONE;
}

int cloud_run_connect(struct cloud_run *r)
{
    struct err err = {0};
    int status = r->http ? CLOUD_EXIT_DONE : cloud_run_profile(r, false);
    if (r->http || status)
        return status;
    const char *own = of_profile(r, "url");
    r->url = r->args.common[CLOUD_URL] ? r->args.common[CLOUD_URL] : env("VIRGA_URL");
    /* A profile's session is for its own server and goes to no other. */
    bool same = !r->url || (own && !strcmp(own, r->url));
    r->url = r->url ? r->url : own;
    if (!r->url) {
        err_set(&err, EINVAL, "no server is known: virga login URL, or set VIRGA_URL");
        return cloud_run_fail(r, CLOUD_EXIT_SIGN_IN, &err);
    }
    r->project =
        r->args.common[CLOUD_PROJECT] ? r->args.common[CLOUD_PROJECT] : env("VIRGA_PROJECT");
    if (!r->project && same)
        r->project = of_profile(r, "project");
    const char *token = env("VIRGA_TOKEN"), *ca = env("VIRGA_CA_FILE");
    struct cloud_http_config config = {
        .url = r->url,
        .token = token  ? token
                 : same ? of_profile(r, "token")
                        : NULL,
        .ca_file = ca     ? ca
                   : same ? of_profile(r, "ca_file")
                          : NULL,
        .debug = r->args.common[CLOUD_DEBUG] && !strcmp(r->args.common[CLOUD_DEBUG], "true"),
    };
    r->http = cloud_http_create(&config, &err);
    return r->http ? CLOUD_EXIT_DONE : cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
}

void cloud_run_escape(struct api_buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
            strchr("-._~", ch))
            api_buf_putc(b, (char)ch);
        else
            api_buf_printf(b, "%%%02X", ch);
    }
}

static void put_query_value(struct api_buf *b, const json_t *v)
{
    if (json_is_string(v)) {
        cloud_run_escape(b, json_string_value(v));
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            api_buf_puts(b, i ? "," : "");
            put_query_value(b, json_array_get(v, i));
        }
    } else {
        CLEANUP_FREE char *text = json_dumps(v, JSON_ENCODE_ANY);
        cloud_run_escape(b, text ? text : "");
    }
}

static void put_path(struct api_buf *b, const struct api_route *route, const struct cloud_call *c)
{
    unsigned n = 0;
    api_buf_puts(b, "/v1");
    for (const char *p = route->path; *p;) {
        if (*p != '{') {
            api_buf_putc(b, *p++);
            continue;
        }
        cloud_run_escape(b, c->params[n++]);
        p = strchr(p, '}') + 1;
    }
    const char *key;
    json_t *v;
    char mark = '?';
    json_object_foreach((json_t *)(uintptr_t)c->query, key, v)
    {
        api_buf_printf(b, "%c%s=", mark, key);
        put_query_value(b, v);
        mark = '&';
    }
}

static const char *project_of(const struct cloud_run *r, const struct api_route *route)
{
    const char *all = r->args.common[CLOUD_ALL_PROJECTS];
    if (!(route->flags & API_ROUTE_PROJECT))
        return NULL;
    return all && !strcmp(all, "true") && route->flags & API_ROUTE_LIST ? "*" : r->project;
}

static int read_answer(struct cloud_run *r, const struct cloud_call *c,
                       const struct cloud_http_answer *a, json_t **answer)
{
    const struct api_route *route = &api_route_table[c->op];
    /* A server that is not well says so in the body that one that is has. */
    bool unwell =
        c->op == API_OP_HEALTH_GET && a->status == 503 && !strcmp(a->media, "application/json");
    if ((a->status < 200 || a->status > 299) && !unwell)
        return cloud_problem_of_answer(a, r->who, &r->flags, stderr);
    json_t *v = NULL;
    if (a->status == 204 || c->download)
        v = json_null();
    else if (a->body.bytes && !strcmp(a->media, "application/json"))
        v = json_loadb(a->body.text, a->body.bytes, JSON_DECODE_ANY, NULL);
    if (!v || (route->response && a->status != 204 && !json_is_object(v))) {
        json_decref(v);
        return cloud_problem_of_answer(a, r->who, &r->flags, stderr);
    }
    if (answer)
        *answer = v;
    else
        json_decref(v);
    return unwell ? CLOUD_EXIT_BUSY : CLOUD_EXIT_DONE;
}

int cloud_run_call(struct cloud_run *r, const struct cloud_call *c, json_t **answer, char *etag)
{
    const struct api_route *route = &api_route_table[c->op];
    struct api_buf path;
    struct cloud_http_answer a = {0};
    struct err err = {0};
    int status = cloud_run_connect(r);
    if (status)
        return status;
    api_buf_init(&path, PATH_BYTES);
    put_path(&path, route, c);
    CLEANUP_FREE char *body = c->body ? json_dumps(c->body, JSON_COMPACT) : NULL;
    struct cloud_http_request q = {
        .method = route->method,
        .path = path.text,
        .project = project_of(r, route),
        .media = c->upload                           ? route->request_media
                 : !body                             ? NULL
                 : route->method == API_METHOD_PATCH ? "application/merge-patch+json"
                                                     : "application/json",
        .body = body,
        .body_bytes = body ? strlen(body) : 0,
        .upload = c->upload,
        .upload_bytes = c->upload_bytes,
        .upload_first = c->upload_first,
        .upload_total = c->upload_total,
        .download = c->download,
        .if_match = c->if_match,
        .idempotent = route->flags & API_ROUTE_IDEMPOTENT,
        .timeout_ms = c->timeout_ms,
        .progress = c->progress,
        .progress_ctx = c->progress_ctx,
    };
    int n = path.failed ? err_set(&err, EINVAL, "what was given is too long for a path")
                        : cloud_http_send(r->http, &q, &a, &err);
    if (c->quiet && (n || a.status >= 300))
        status = CLOUD_EXIT_FAILED;
    else if (n)
        status = cloud_run_fail(r, cloud_problem_of_errno(n), &err);
    else
        status = read_answer(r, c, &a, answer);
    if (etag)
        snprintf(etag, sizeof(a.etag), "%s", a.etag);
    if (body)
        explicit_bzero(body, strlen(body));
    cloud_http_answer_fini(&a);
    api_buf_fini(&path);
    return status;
}
