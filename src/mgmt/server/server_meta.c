/* The fields that every object has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mgmt/server/server_internal.h"

int64_t server_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void server_meta_time(int64_t ms, char text[SERVER_TIME_BYTES])
{
    /* Of the second that was asked for last: mostly it is now, again and again. */
    static _Thread_local time_t last = -1;
    static _Thread_local char second[SERVER_TIME_BYTES];
    static _Thread_local size_t n;
    time_t s = (time_t)(ms / 1000);
    unsigned part = (unsigned)(ms % 1000) % 1000;
    if (s != last) {
        struct tm tm;
        gmtime_r(&s, &tm);
        n = strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm);
        last = s;
    }
    memcpy(text, second, n);
    const char tail[] = {
        '.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10), 'Z',
        0};
    memcpy(text + n, tail, sizeof(tail));
}

int server_meta_parse_time(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return -EINVAL;
    int64_t fraction = 0;
    if (*rest == '.') {
        int64_t scale = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            fraction += (*rest - '0') * scale;
    }
    if (strcmp(rest, "Z") != 0)
        return -EINVAL;
    *ms = (int64_t)timegm(&tm) * 1000 + fraction;
    return 0;
}

static void *member(const struct catalog_object *v, const char *name)
{
    const struct api_types_field *f =
        api_types_find(catalog_kinds[v->kind].type, name, strlen(name));
    return f ? api_types_at(v->doc, f) : NULL;
}

int server_meta_text(struct catalog_object *v, struct api_text *field, const char *text)
{
    if (!field)
        return 0;
    const char *copy = api_arena_text(&v->arena, text, strlen(text));
    if (!copy)
        return -ENOMEM;
    *field = (struct api_text){API_VALUE, copy};
    return 0;
}

static int set_time(struct catalog_object *v, const char *name, int64_t now_ms)
{
    char text[SERVER_TIME_BYTES];
    server_meta_time(now_ms, text);
    return server_meta_text(v, member(v, name), text);
}

int server_meta_init(struct catalog_object *v, int64_t now_ms)
{
    char project[UUID_TEXT_BYTES];
    struct api_int *generation = member(v, "generation");
    uuid_format(v->project.bytes, project);
    if (generation)
        *generation = (struct api_int){API_VALUE, 1};
    int r = server_meta_text(v, member(v, "id"), v->id_text);
    if (!r && !catalog_id_is_zero(&v->project))
        r = server_meta_text(v, member(v, "project"), project);
    if (!r)
        r = set_time(v, "created_at", now_ms);
    return r ? r : set_time(v, "updated_at", now_ms);
}

int server_meta_touch(struct catalog_object *v, int64_t now_ms, bool by_user)
{
    struct api_int *generation = member(v, "generation");
    if (by_user && generation)
        *generation = (struct api_int){API_VALUE, generation->v + 1};
    return set_time(v, "updated_at", now_ms);
}

uint64_t server_meta_generation(const struct catalog_object *v)
{
    const struct api_int *generation = member(v, "generation");
    return generation && generation->is == API_VALUE ? (uint64_t)generation->v : 0;
}
