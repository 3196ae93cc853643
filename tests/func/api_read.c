/* Reads documents by the tables, for tests that hold the tables to the description: each line of
 * input is the name of a schema, a blank and a JSON document; each line of output is "ok" and the
 * document as we write it, or "no", the pointer and the reason. A line that begins with REQUEST is
 * a method, a target, a Content-Type ("-": none) and a body; the answer is "ok" and the
 * operationId, or "no", the status, the code and the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_json.h"
#include "api/api_request.h"
#include "api/gen/all.h"

static const struct api_types_object *find(const char *name)
{
    for (int i = 0; i < API_TYPES_OBJECTS; i++)
        if (!strcmp(api_types_objects[i]->what, name))
            return api_types_objects[i];
    return NULL;
}

static void answer(const struct api_types_object *o, const char *text)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_buf b;
    void *object;
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_problem_init(&refusal);
    api_buf_init(&b, API_JSON_MAX_BYTES);
    if (api_json_read(o, text, strlen(text), 0, &arena, &object, &refusal)) {
        const char *detail = refusal.n_errors ? refusal.errors[0].detail : refusal.detail;
        printf("no %s %s\n", refusal.n_errors ? refusal.errors[0].pointer : "", detail);
    } else {
        api_json_write(o, object, API_JSON_SECRETS, NULL, &b);
        printf("ok %s\n", b.failed ? "" : b.text);
    }
    api_buf_fini(&b);
    api_arena_fini(&arena);
}

/* The next word of a line, which is cut there. */
static char *word(char **at)
{
    char *begin = *at, *end = begin + strcspn(begin, " ");
    *at = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static void answer_request(char *line)
{
    struct api_arena arena;
    struct api_refusal refusal;
    struct api_request r;
    struct api_request_wire wire = {.method = word(&line), .target = word(&line)};
    wire.method_bytes = strlen(wire.method);
    wire.target_bytes = strlen(wire.target);
    wire.content_type = word(&line);
    wire.content_type = strcmp(wire.content_type, "-") ? wire.content_type : NULL;
    wire.body = line;
    wire.body_bytes = strlen(line);
    api_arena_init(&arena, API_JSON_ARENA_BYTES);
    api_problem_init(&refusal);
    if (api_request_route(&r, &wire, &refusal) || api_request_read(&r, &wire, &arena, &refusal))
        printf("no %d %s %s\n", api_problem_status(refusal.code),
               api_problem_kinds[refusal.code].code, refusal.detail);
    else
        printf("ok %s\n", r.route->id);
    api_arena_fini(&arena);
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        char *blank = strchr(line, ' ');
        if (!blank)
            continue;
        *blank = '\0';
        if (!strcmp(line, "REQUEST")) {
            answer_request(blank + 1);
            continue;
        }
        const struct api_types_object *o = find(line);
        if (o)
            answer(o, blank + 1);
        else
            printf("no  no schema is called %s\n", line);
    }
    free(line);
    return 0;
}
