/* The resources of the API: which path and method calls which slot of the VM. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/uuid.h"
#include "control/control_internal.h"

struct call {
    struct control *c;
    const struct control_http_request *request;
    const char *id; /* what follows the route's path, "" without */
    const char *body;
    size_t body_bytes;
    struct control_fds *fds;
    struct control_answer *answer;
};

static void answer_json(struct control_answer *a, int status, json_t *json)
{
    a->status = status;
    a->body = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!a->body) {
        a->status = 507;
        a->code = "no-memory";
        err_set(&a->err, ENOMEM, "no memory for the answer");
    }
}

static void answer_error(struct control_answer *a, int r)
{
    a->code = vm_api_problem_code(-r, &a->status);
    if (!a->err.code)
        err_sys(&a->err, -r, "the request failed");
}

static void answer_problem(struct control_answer *a, int status, const char *code, const char *text)
{
    a->status = status;
    a->code = code;
    err_set(&a->err, EINVAL, "%s", text);
}

static void missing(struct control_answer *a, const char *what)
{
    a->code = vm_api_problem_code(ENOTSUP, &a->status);
    err_set(&a->err, ENOTSUP, "this VM has no %s", what);
}

static void answer_state(struct call *call, int status, int r)
{
    if (r) {
        answer_error(call->answer, r);
        return;
    }
    struct control_status s = {0};
    call->c->ops->status(call->c->vm, &s);
    answer_json(call->answer, status, json_pack("{ss}", "state", vm_api_state_name(s.state)));
}

static void get_version(struct call *call)
{
    answer_json(call->answer, 200,
                json_pack("{sssi}", "version", VIRGA_VERSION, "api", VM_API_VERSION));
}

static void add_address(void *arg, const char *nic, const char *ip)
{
    json_array_append_new(arg, json_pack("{ssss}", "nic", nic, "ip", ip));
}

/* The ids of its disks and NICs, as they are just now. */
static json_t *device_ids(const char *first, size_t step_bytes, unsigned n)
{
    json_t *list = json_array();
    for (unsigned i = 0; list && i < n; i++)
        json_array_append_new(list, json_string(first + i * step_bytes));
    return list;
}

static void get_vm(struct call *call)
{
    struct control_status s = {0};
    char uuid[UUID_TEXT_BYTES];
    call->c->ops->status(call->c->vm, &s);
    const struct vm_config *config = call->c->ops->config(call->c->vm);
    uuid_format(config->uuid, uuid);
    json_t *json =
        json_pack("{ssssssss*ss*sIsIsi}", "name", config->name, "uuid", uuid, "state",
                  vm_api_state_name(s.state), "reason", s.reason, "engine", s.engine, "uptime_ms",
                  (json_int_t)s.uptime_ms, "memory_bytes", (json_int_t)config->memory.size_bytes,
                  "cpus", (int)config->cpus.count);
    json_object_set_new(json, "disks",
                        device_ids(config->disks[0].id, sizeof(config->disks[0]), config->n_disks));
    json_object_set_new(json, "nics",
                        device_ids(config->nics[0].id, sizeof(config->nics[0]), config->n_nics));
    json_t *addresses = json && call->c->ops->addresses ? json_array() : NULL;
    if (addresses) {
        call->c->ops->addresses(call->c->vm, add_address, addresses);
        json_object_set_new(json, "addresses", addresses);
    }
    answer_json(call->answer, 200, json);
}

static void get_config(struct call *call)
{
    call->answer->status = 200;
    call->answer->body = vm_config_to_json(call->c->ops->config(call->c->vm));
    if (!call->answer->body)
        answer_json(call->answer, 200, NULL);
}

static void add_counter(void *arg, const char *device, const char *counter, uint64_t value)
{
    json_t *all = arg, *of_device = json_object_get(all, device);
    if (!of_device) {
        of_device = json_object();
        json_object_set_new(all, device, of_device);
    }
    json_object_set_new(of_device, counter, json_integer((json_int_t)value));
}

static void get_counters(struct call *call)
{
    json_t *all = json_object();
    if (call->c->ops->counters && all)
        call->c->ops->counters(call->c->vm, add_counter, all);
    answer_json(call->answer, 200, all);
}

/* Reads "key=NUMBER" off a query; false when it is there and wrong. */
static bool query_number(const struct control_http_request *r, const char *key, uint64_t *value)
{
    size_t key_len = strlen(key), at = 0;
    while (at < r->query_len) {
        const char *item = r->query + at;
        const char *amp = memchr(item, '&', r->query_len - at);
        size_t n = amp ? (size_t)(amp - item) : r->query_len - at;
        at += n + 1;
        if (n <= key_len || memcmp(item, key, key_len) != 0 || item[key_len] != '=')
            continue;
        uint64_t v = 0;
        for (size_t i = key_len + 1; i < n; i++) {
            if (item[i] < '0' || item[i] > '9' || n - key_len > 19)
                return false;
            v = v * 10 + (uint64_t)(item[i] - '0');
        }
        *value = v;
        return n > key_len + 1;
    }
    return true;
}

static void get_events(struct call *call)
{
    uint64_t follow = 1, since = 0;
    if (!query_number(call->request, "since", &since) ||
        !query_number(call->request, "follow", &follow)) {
        answer_problem(call->answer, 400, "invalid", "since and follow are numbers");
        return;
    }
    call->answer->status = 200;
    call->answer->since = MIN(since, call->c->last_event);
    if (follow) {
        call->answer->stream = true;
        return;
    }
    size_t n = 0;
    char *text = control_events_text(call->c, &call->answer->since, &n);
    call->answer->body = text ? strndup(text, n) : NULL;
    free(text);
    call->answer->lines = true;
    if (!call->answer->body)
        answer_json(call->answer, 200, NULL);
}

/* The slots that take nothing, by what ends their path. */
static void put_action(struct call *call, int (*slot)(void *vm, struct err *err), int status)
{
    if (!slot)
        missing(call->answer, "such action");
    else
        answer_state(call, status, slot(call->c->vm, &call->answer->err));
}

static void put_boot(struct call *call)
{
    put_action(call, call->c->ops->boot, 200);
}

static void put_pause(struct call *call)
{
    put_action(call, call->c->ops->pause, 200);
}

static void put_resume(struct call *call)
{
    put_action(call, call->c->ops->resume, 200);
}

static void put_reset(struct call *call)
{
    put_action(call, call->c->ops->reset, 200);
}

static void put_power_button(struct call *call)
{
    put_action(call, call->c->ops->power_button, 202);
}

static void put_stop(struct call *call)
{
    put_action(call, call->c->ops->stop, 200);
    call->answer->stop = call->answer->status == 200;
}

static void put_save(struct call *call)
{
    struct control_answer *a = call->answer;
    if (!call->c->ops->save) {
        missing(a, "such action");
        return;
    }
    int r = 0;
    if (call->fds->n != 1)
        r = err_set(&a->err, EINVAL,
                    "%u descriptors came with the request: send one, of an empty file open for "
                    "writing (SCM_RIGHTS), the monitor opens nothing by path",
                    call->fds->n);
    if (!r)
        r = call->c->ops->save(call->c->vm, call->fds, &a->err);
    answer_state(call, 202, r);
}

static void post_disk(struct call *call)
{
    struct control_answer *a = call->answer;
    struct vm_config_disk disk;
    if (!call->c->ops->attach_disk) {
        missing(a, "hot plug of disks");
        return;
    }
    int r = vm_config_disk_from_json(&disk, call->body, call->body_bytes, &a->err);
    if (!r && !call->fds->n)
        r = err_set(&a->err, EINVAL,
                    "no descriptor came with the request: send the open image or socket along "
                    "(SCM_RIGHTS), the monitor opens nothing by path");
    if (!r)
        r = call->c->ops->attach_disk(call->c->vm, &disk, call->fds, &a->err);
    if (r)
        answer_error(a, r);
    else
        answer_json(a, 201, json_pack("{ss}", "id", disk.id));
    vm_config_disk_fini(&disk);
}

static void post_nic(struct call *call)
{
    struct control_answer *a = call->answer;
    struct vm_config_nic nic;
    if (!call->c->ops->attach_nic) {
        missing(a, "hot plug of NICs");
        return;
    }
    int r = vm_config_nic_from_json(&nic, call->body, call->body_bytes, &a->err);
    if (!r && !call->fds->n && nic.kind != VM_CONFIG_NIC_NONE)
        r = err_set(&a->err, EINVAL,
                    "no descriptor came with the request: send the TAP's queues or the connected "
                    "socket along (SCM_RIGHTS), the monitor opens nothing by name");
    if (!r)
        r = call->c->ops->attach_nic(call->c->vm, &nic, call->fds, &a->err);
    if (r)
        answer_error(a, r);
    else
        answer_json(a, 201, json_pack("{ss}", "id", nic.id));
    vm_config_nic_fini(&nic);
}

static void delete_device(struct call *call, int (*slot)(void *, const char *, struct err *))
{
    struct control_answer *a = call->answer;
    if (!slot) {
        missing(a, "hot unplug");
        return;
    }
    int r = slot(call->c->vm, call->id, &a->err);
    if (r)
        answer_error(a, r);
    else
        answer_json(a, 202, json_pack("{ss}", "id", call->id));
}

static void delete_disk(struct call *call)
{
    delete_device(call, call->c->ops->detach_disk);
}

static void delete_nic(struct call *call)
{
    delete_device(call, call->c->ops->detach_nic);
}

static json_t *read_body(struct call *call, const char *shape)
{
    json_error_t je;
    json_t *json = json_loadb(call->body, call->body_bytes, JSON_REJECT_DUPLICATES, &je);
    if (json_is_object(json))
        return json;
    json_decref(json);
    char text[160];
    snprintf(text, sizeof(text), "the body is not a JSON object: send %s", shape);
    answer_problem(call->answer, 400, "invalid", text);
    return NULL;
}

static void answer_balloon(struct call *call)
{
    struct control_answer *a = call->answer;
    struct control_balloon b = {0};
    int r = call->c->ops->balloon_get(call->c->vm, &b, &a->err);
    if (r) {
        answer_error(a, r);
        return;
    }
    json_t *json = json_pack("{sIsI}", "target_bytes", (json_int_t)b.target_bytes, "actual_bytes",
                             (json_int_t)b.actual_bytes);
    if (json && b.has_stats)
        json_object_set_new(json, "guest",
                            json_pack("{sIsIsI}", "free_bytes", (json_int_t)b.free_bytes,
                                      "available_bytes", (json_int_t)b.available_bytes,
                                      "total_bytes", (json_int_t)b.total_bytes));
    answer_json(a, 200, json);
}

static void get_balloon(struct call *call)
{
    if (!call->c->ops->balloon_get)
        missing(call->answer, "balloon");
    else
        answer_balloon(call);
}

static void put_balloon(struct call *call)
{
    struct control_answer *a = call->answer;
    if (!call->c->ops->balloon_set || !call->c->ops->balloon_get) {
        missing(a, "balloon");
        return;
    }
    json_t *json = read_body(call, "{\"target_bytes\": N}");
    if (!json)
        return;
    const json_t *target = json_object_get(json, "target_bytes");
    bool good =
        json_is_integer(target) && json_integer_value(target) >= 0 && json_object_size(json) == 1;
    uint64_t bytes = good ? (uint64_t)json_integer_value(target) : 0;
    json_decref(json);
    if (!good) {
        answer_problem(a, 400, "invalid", "send {\"target_bytes\": N} with N from 0 up");
        return;
    }
    int r = call->c->ops->balloon_set(call->c->vm, bytes, &a->err);
    if (r)
        answer_error(a, r);
    else
        answer_balloon(call);
}

static void put_console(struct call *call)
{
    struct control_answer *a = call->answer;
    if (!call->c->ops->console_resize) {
        missing(a, "virtio console");
        return;
    }
    json_t *json = read_body(call, "{\"columns\": N, \"rows\": N}");
    if (!json)
        return;
    json_int_t columns = json_integer_value(json_object_get(json, "columns"));
    json_int_t rows = json_integer_value(json_object_get(json, "rows"));
    bool good = columns > 0 && columns <= UINT16_MAX && rows > 0 && rows <= UINT16_MAX &&
                json_object_size(json) == 2;
    json_decref(json);
    if (!good) {
        answer_problem(a, 400, "invalid",
                       "send {\"columns\": N, \"rows\": N} with numbers from 1 to 65535");
        return;
    }
    answer_state(
        call, 200,
        call->c->ops->console_resize(call->c->vm, (uint16_t)columns, (uint16_t)rows, &a->err));
}

enum body_need { NO_BODY, NEEDS_BODY };

static const struct route {
    enum control_http_method method;
    const char *path; /* a final slash: an id follows */
    enum body_need body;
    void (*run)(struct call *call);
} routes[] = {
    {CONTROL_HTTP_GET, VM_API_PATH_VERSION, NO_BODY, get_version},
    {CONTROL_HTTP_GET, VM_API_PATH_VM, NO_BODY, get_vm},
    {CONTROL_HTTP_GET, VM_API_PATH_CONFIG, NO_BODY, get_config},
    {CONTROL_HTTP_GET, VM_API_PATH_COUNTERS, NO_BODY, get_counters},
    {CONTROL_HTTP_GET, VM_API_PATH_EVENTS, NO_BODY, get_events},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/boot", NO_BODY, put_boot},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/pause", NO_BODY, put_pause},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/resume", NO_BODY, put_resume},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/reset", NO_BODY, put_reset},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/power-button", NO_BODY, put_power_button},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/stop", NO_BODY, put_stop},
    {CONTROL_HTTP_PUT, VM_API_PATH_VM "/save", NO_BODY, put_save},
    {CONTROL_HTTP_POST, VM_API_PATH_DISKS, NEEDS_BODY, post_disk},
    {CONTROL_HTTP_DELETE, VM_API_PATH_DISKS "/", NO_BODY, delete_disk},
    {CONTROL_HTTP_POST, VM_API_PATH_NICS, NEEDS_BODY, post_nic},
    {CONTROL_HTTP_DELETE, VM_API_PATH_NICS "/", NO_BODY, delete_nic},
    {CONTROL_HTTP_GET, VM_API_PATH_BALLOON, NO_BODY, get_balloon},
    {CONTROL_HTTP_PUT, VM_API_PATH_BALLOON, NEEDS_BODY, put_balloon},
    {CONTROL_HTTP_PUT, VM_API_PATH_CONSOLE, NEEDS_BODY, put_console},
};

/* Whether the route's path is the request's; *id receives what follows a final slash. */
static bool path_matches(const struct route *route, const struct control_http_request *r, char *id,
                         size_t id_bytes)
{
    size_t n = strlen(route->path);
    id[0] = '\0';
    if (route->path[n - 1] != '/')
        return r->path_len == n && !memcmp(r->path, route->path, n);
    size_t id_len = r->path_len - n;
    if (r->path_len <= n || memcmp(r->path, route->path, n) != 0 || id_len >= id_bytes ||
        memchr(r->path + n, '/', id_len))
        return false;
    memcpy(id, r->path + n, id_len);
    id[id_len] = '\0';
    return true;
}

static const char *const method_names[] = {"GET", "PUT", "POST", "DELETE"};

static void answer_no_route(struct control_answer *a, const struct control_http_request *r)
{
    if (a->allow[0]) {
        answer_problem(a, 405, "method-not-allowed", "this resource does not take this method");
        return;
    }
    a->status = 404;
    a->code = "not-found";
    err_set(&a->err, ENOENT, "there is no resource \"%.*s\": see virga-vmm(8)",
            (int)MIN(r->path_len, 64), r->path);
}

void control_route(struct control *c, const struct control_http_request *request, const char *body,
                   size_t body_bytes, struct control_fds *fds, struct control_answer *answer)
{
    char id[VM_CONFIG_ID_BYTES];
    size_t n_allow = 0;
    struct call call = {c, request, id, body, body_bytes, fds, answer};
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!path_matches(&routes[i], request, id, sizeof(id)))
            continue;
        if (routes[i].method != request->method) {
            n_allow +=
                (size_t)snprintf(answer->allow + n_allow, sizeof(answer->allow) - n_allow, "%s%s",
                                 n_allow ? ", " : "", method_names[routes[i].method]);
            n_allow = MIN(n_allow, sizeof(answer->allow) - 1);
            continue;
        }
        if (routes[i].body == NEEDS_BODY && !request->has_length) {
            answer_problem(answer, 411, "length-required", "send a body with a Content-Length");
            return;
        }
        routes[i].run(&call);
        return;
    }
    answer_no_route(answer, request);
}

char *control_problem(int status, const char *code, const char *detail)
{
    char type[64], shown[ERR_MSG_BYTES];
    snprintf(type, sizeof(type), "urn:virga:problem:%s", code);
    snprintf(shown, sizeof(shown), "%s", detail);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    json_t *json =
        json_pack("{sssssissss}", "type", type, "title", control_http_status_text(status), "status",
                  status, "code", code, "detail", shown);
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    return text;
}
