/* `virga vm ssh`, `virga vm log` and `virga api`: what is little more than a call. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_text.h"
#include "cli/cloud/cloud_value.h"
#include "cli/cloud/cloud_yaml.h"

#define SSH_WORDS_MAX 64
#define SSH_PORT      22

static int one_vm(struct cloud_run *r)
{
    struct err err = {0};
    if (r->args.n_words == 1)
        return CLOUD_EXIT_DONE;
    err_set(&err, EINVAL, "one word is needed: the VM; virga vm ls");
    return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
}

/* How well an address can be reached from here: floating, then what the guest reports, then what
 * it was given; IPv4 first; not those of a link or of the guest itself. */
static int rank(const json_t *address)
{
    unsigned char bytes[16];
    const char *ip = json_string_value(json_object_get(address, "ip"));
    const char *source = json_string_value(json_object_get(address, "source"));
    if (!ip)
        return 0;
    bool four = inet_pton(AF_INET, ip, bytes) == 1;
    if (!four && inet_pton(AF_INET6, ip, bytes) != 1)
        return 0;
    bool own = four ? bytes[0] == 127 || (bytes[0] == 169 && bytes[1] == 254)
                    : (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) || !strcmp(ip, "::1");
    if (own)
        return 0;
    int by = source && !strcmp(source, "floating") ? 6 : source && !strcmp(source, "guest") ? 4 : 2;
    return by + four;
}

static const char *best_address(const json_t *vm)
{
    const json_t *list = json_object_get(json_object_get(vm, "status"), "addresses");
    const char *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *address = json_array_get(list, i);
        if (rank(address) <= best_rank)
            continue;
        best_rank = rank(address);
        best = json_string_value(json_object_get(address, "ip"));
    }
    return best;
}

/* ---- forwards: how guests behind the NAT of a host are reached ---- */

struct target {
    char address[256], port[16]; /* port "": ssh's own */
};

/* The port of its host that leads to the guest's SSH; 0: none does. */
static int ssh_forward(const json_t *port)
{
    const json_t *list = json_object_get(json_object_get(port, "status"), "forwards");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *f = json_array_get(list, i);
        const char *protocol = json_string_value(json_object_get(f, "protocol"));
        if (json_integer_value(json_object_get(f, "guest_port")) == SSH_PORT &&
            (!protocol || !strcmp(protocol, "tcp")))
            return (int)json_integer_value(json_object_get(f, "host_port"));
    }
    return 0;
}

/* Where we found the server is where a host is that it sees as itself. */
static void server_address(const struct cloud_run *r, struct target *t)
{
    const char *at = r->url ? strstr(r->url, "://") : NULL;
    at = at ? at + 3 : "127.0.0.1";
    bool brackets = *at == '[';
    snprintf(t->address, sizeof(t->address), "%.*s",
             (int)strcspn(at + brackets, brackets ? "]" : ":/"), at + brackets);
}

/* Members may not look at hosts: without an address of it, it is taken to be the server's. */
static void host_address(struct cloud_run *r, const char *host, struct target *t)
{
    json_t *answer = NULL;
    unsigned char bytes[16];
    struct cloud_call c = {.op = API_OP_HOST_GET, .params = {host}, .quiet = true};
    server_address(r, t);
    if (!host || cloud_run_call(r, &c, &answer, NULL))
        return;
    const char *ip =
        json_string_value(json_object_get(json_object_get(answer, "status"), "address"));
    bool four = ip && inet_pton(AF_INET, ip, bytes) == 1;
    if ((four && bytes[0] != 127) ||
        (!four && ip && inet_pton(AF_INET6, ip, bytes) == 1 && strcmp(ip, "::1") != 0))
        snprintf(t->address, sizeof(t->address), "%s", ip);
    json_decref(answer);
}

static bool forwarded(struct cloud_run *r, const json_t *vm, struct target *t)
{
    const json_t *nics = json_object_get(vm, "nics");
    for (size_t i = 0; i < json_array_size(nics); i++) {
        json_t *port = NULL;
        struct cloud_call c = {
            .op = API_OP_PORT_GET,
            .params = {json_string_value(json_object_get(json_array_get(nics, i), "port"))},
            .quiet = true};
        if (!c.params[0] || cloud_run_call(r, &c, &port, NULL))
            continue;
        int found = ssh_forward(port);
        if (found)
            host_address(
                r, json_string_value(json_object_get(json_object_get(port, "status"), "host")), t);
        json_decref(port);
        if (found) {
            snprintf(t->port, sizeof(t->port), "%d", found);
            return true;
        }
    }
    return false;
}

static bool find_target(struct cloud_run *r, const json_t *vm, struct target *t)
{
    if (forwarded(r, vm, t))
        return true;
    const char *address = best_address(vm);
    snprintf(t->address, sizeof(t->address), "%s", address ? address : "");
    return address;
}

/* An address and a forwarded port are another guest's tomorrow: a guest's key is kept under its id,
 * which is not. Returns how many words. */
static size_t put_words(struct cloud_run *r, struct target *to, char *alias, char **words)
{
    static const struct {
        enum cloud_flag_common flag;
        const char *word;
    } flags[] = {{CLOUD_USER, "-l"}, {CLOUD_IDENTITY, "-i"}};
    size_t n = 0;
    words[n++] = (char *)"ssh";
    words[n++] = (char *)"-o";
    words[n++] = alias;
    words[n++] = (char *)"-o";
    words[n++] = (char *)"StrictHostKeyChecking=accept-new";
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (r->args.common[flags[i].flag]) {
            words[n++] = (char *)flags[i].word;
            words[n++] = (char *)r->args.common[flags[i].flag];
        }
    if (to->port[0]) {
        words[n++] = (char *)"-p";
        words[n++] = to->port;
    }
    words[n++] = (char *)"--";
    words[n++] = to->address;
    return n;
}

int cloud_run_ssh(struct cloud_run *r)
{
    struct err err = {0};
    json_t *vm = NULL;
    struct target to = {0};
    char *words[SSH_WORDS_MAX + 16], alias[80];
    size_t n = 0;
    struct cloud_call c = {.op = API_OP_VM_GET};
    int status = one_vm(r);
    c.params[0] = r->args.words[0];
    status = status ? status : cloud_run_call(r, &c, &vm, NULL);
    if (status)
        return status;
    if (!find_target(r, vm, &to)) {
        err_set(
            &err, ENOENT,
            "\"%.64s\" has no address that can be reached yet: see virga vm show, or use virga vm "
            "console",
            c.params[0]);
        status = cloud_run_fail(r, CLOUD_EXIT_CONFLICT, &err);
    } else {
        snprintf(alias, sizeof(alias), "HostKeyAlias=virga-%s",
                 json_string_value(json_object_get(vm, "id")));
        n = put_words(r, &to, alias, words);
        for (char **p = r->args.rest; p && *p && n < SSH_WORDS_MAX; p++)
            words[n++] = *p;
        words[n] = NULL;
        fflush(stdout);
        execvp("ssh", words);
        err_sys(&err, errno, "could not start ssh: install openssh-client");
        status = cloud_run_fail(r, CLOUD_EXIT_FAILED, &err);
    }
    json_decref(vm);
    return status;
}

int cloud_run_console_log(struct cloud_run *r)
{
    json_t *answer = NULL;
    int status = one_vm(r);
    struct cloud_call c = {
        .op = API_OP_VM_CONSOLE_LOG, .params = {r->args.words[0]}, .query = r->args.query};
    status = status ? status : cloud_run_call(r, &c, &answer, NULL);
    const char *text = json_string_value(json_object_get(answer, "text"));
    if (!status && r->form != CLOUD_PRINT_TABLE)
        cloud_run_print(r, answer);
    else if (!status && text && isatty(STDOUT_FILENO))
        cloud_text_put(stdout, text, true); /* a guest does not get to steer the terminal */
    else if (!status && text)
        fputs(text, stdout);
    json_decref(answer);
    return status;
}

static int api_body(struct cloud_run *r, char **body, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes;
    json_t *v = NULL;
    const char *path = r->args.common[CLOUD_FROM];
    if (!path)
        return 0;
    int e = cloud_value_read_file(path, CLOUD_YAML_MAX_BYTES, &text, &bytes, err);
    e = e ? e : cloud_yaml_read(text, bytes, &v, err);
    if (e)
        return err_wrap(err, "--from %.200s", path);
    *body = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(v);
    return 0;
}

int cloud_run_api(struct cloud_run *r)
{
    struct err err = {0};
    struct cloud_http_answer a = {0};
    CLEANUP_FREE char *body = NULL;
    enum api_method method;
    const char *name = r->args.words[0], *path = r->args.words[1];
    if (r->args.n_words != 2 || api_route_method(name, strlen(name), &method) ||
        strncmp(path, "/v1/", 4) != 0 || strpbrk(path, " \r\n")) {
        err_set(&err, EINVAL, "it is: virga api GET|POST|PATCH|PUT|DELETE /v1/PATH");
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    }
    if (api_body(r, &body, &err))
        return cloud_run_fail(r, CLOUD_EXIT_USAGE, &err);
    int status = cloud_run_connect(r);
    if (status)
        return status;
    struct api_route_match m;
    /* A path that this program does not know may be one of a newer server. */
    bool known = !api_route_find(method, path, strcspn(path, "?"), &m);
    unsigned flags = known ? m.route->flags : API_ROUTE_PROJECT;
    struct cloud_http_request q = {
        .method = method,
        .path = path,
        .project = flags & API_ROUTE_PROJECT && !m.project[0] ? r->project : NULL,
        .media = !body                        ? NULL
                 : method == API_METHOD_PATCH ? "application/merge-patch+json"
                                              : "application/json",
        .body = body,
        .body_bytes = body ? strlen(body) : 0,
        .if_match = r->args.common[CLOUD_IF_MATCH],
        .idempotent = flags & API_ROUTE_IDEMPOTENT,
    };
    int n = cloud_http_send(r->http, &q, &a, &err);
    if (n)
        status = cloud_run_fail(r, cloud_problem_of_errno(n), &err);
    else if (a.status >= 300)
        status = cloud_problem_of_answer(&a, r->who, NULL, stderr);
    else if (a.body.bytes)
        printf("%.*s\n", (int)a.body.bytes, a.body.text);
    cloud_http_answer_fini(&a);
    return status;
}
