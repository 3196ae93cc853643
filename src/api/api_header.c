#include "api/api_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"

/* An ETag as it stands in a list. */
struct etag {
    bool weak, any;
    const char *text; /* between the quotes */
    size_t bytes;
};

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* Takes the next ETag of a list. 1: there was one; 0: the list is at its end; -1: this is no list.
 */
static int next_etag(const char **at, bool first, struct etag *e)
{
    const char *p = skip_blanks(*at);
    if (!*p && !first)
        return 0;
    if (!first) {
        if (*p != ',')
            return -1;
        p = skip_blanks(p + 1);
    }
    *e = (struct etag){.any = first && *p == '*'};
    if (e->any) {
        *at = skip_blanks(p + 1);
        return **at ? -1 : 1;
    }
    if (!strncmp(p, "W/", 2)) {
        e->weak = true;
        p += 2;
    }
    const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
    if (!end)
        return -1;
    e->text = p + 1;
    e->bytes = (size_t)(end - e->text);
    *at = end + 1;
    return 1;
}

void api_header_etag(uint64_t generation, char text[API_HEADER_ETAG_BYTES])
{
    snprintf(text, API_HEADER_ETAG_BYTES, "\"%" PRIu64 "\"", generation);
}

/* 1: one of the list is this generation; 0: none is; -1: it is no list. */
static int in_list(const char *value, uint64_t generation, bool weak)
{
    char own[API_HEADER_ETAG_BYTES];
    struct etag e;
    int found = 0, r;
    api_header_etag(generation, own);
    size_t bytes = strlen(own) - 2;
    for (bool first = true; (r = next_etag(&value, first, &e)) > 0; first = false) {
        bool same = e.bytes == bytes && !memcmp(e.text, own + 1, bytes);
        if (e.any || (same && (weak || !e.weak)))
            found = 1;
    }
    return r < 0 ? -1 : found;
}

int api_header_if_match(const char *value, uint64_t generation, struct api_refusal *refusal)
{
    int r = value ? in_list(value, generation, false) : 1;
    if (r < 0)
        return api_problem_add(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID, "If-Match",
                               "\"%.64s\": use the ETag of an answer, with its quotes", value);
    if (!r)
        return api_problem_set(refusal, API_PROBLEM_CODE_RESOURCE_GENERATION,
                               "its ETag is \"%" PRIu64 "\" and not %.64s: read it again",
                               generation, value);
    return 0;
}

bool api_header_none_match(const char *value, uint64_t generation)
{
    return value && in_list(value, generation, true) > 0;
}

static bool is_ref(const char *value)
{
    size_t bytes = strlen(value);
    return bytes <= API_HEADER_REF_MAX && api_format_holds(API_FORMAT_NAME, value, bytes);
}

int api_header_project(const char *value, bool may_be_all, bool *all, struct api_refusal *refusal)
{
    bool star = !strcmp(value, "*");
    if (star ? !may_be_all : !is_ref(value))
        return api_problem_add(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID, "Virga-Project",
                               "\"%.64s\": use the id or the name of a project%s", value,
                               star ? "; * is for lists" : "");
    *all = star;
    return 0;
}

int api_header_idempotency_key(const char *value, struct api_refusal *refusal)
{
    size_t bytes = strlen(value);
    bool good = bytes >= 1 && bytes <= API_HEADER_KEY_MAX;
    for (size_t i = 0; good && i < bytes; i++)
        good = value[i] > ' ' && value[i] <= '~';
    if (good)
        return 0;
    return api_problem_add(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID, "Idempotency-Key",
                           "use 1 to %d visible ASCII characters", API_HEADER_KEY_MAX);
}

int api_header_request_id(const char *value, struct api_refusal *refusal)
{
    if (is_ref(value))
        return 0;
    return api_problem_add(refusal, API_PROBLEM_CODE_REQUEST_HEADER_INVALID, "Virga-Request-Id",
                           "use 1 to %d letters, digits and . _ - after the first",
                           API_HEADER_REF_MAX);
}
