#include "cli/cloud/cloud_complete.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_command.h"
#include "cli/cloud/cloud_config.h"
#include "cli/cloud/cloud_flag.h"
#include "cli/cloud/cloud_help.h"
#include "cli/cloud/cloud_http.h"
#include "cli/cloud/cloud_print.h"
#include "cli/cloud/cloud_text.h"

#define SERVER_MS 1500

static void offer(FILE *out, const char *typed, const char *before, const char *word,
                  const char *means)
{
    size_t n = strlen(typed), skip = strlen(before);
    if (strncmp(typed, before, MIN(n, skip)) || (n > skip && strncmp(typed + skip, word, n - skip)))
        return;
    fputs(before, out);
    cloud_text_put(out, word, false);
    fputc('\t', out);
    cloud_text_put(out, means, false);
    fputc('\n', out);
}

static void complete_nouns(const char *typed, FILE *out)
{
    const char *name;
    for (unsigned i = 0; (name = cloud_command_noun_name(i)); i++)
        offer(out, typed, "", name, cloud_command_noun(name).summary);
}

static void complete_verbs(const char *noun, const char *typed, FILE *out)
{
    struct cloud_command c;
    unsigned cursor = 0;
    while (cloud_command_next(&cursor, &c))
        if (!strcmp(c.noun, noun) && c.verb)
            offer(out, typed, "", c.verb, c.summary);
}

/* The names of one kind of thing, from the server that is used otherwise. */
static void complete_names(const char *noun, const char *typed, const char *before, FILE *out)
{
    struct cloud_command ls;
    json_t *config = NULL, *profile, *page = NULL;
    const char *name, *url = getenv("VIRGA_URL"), *token = getenv("VIRGA_TOKEN");
    const char *project = getenv("VIRGA_PROJECT"), *ca = getenv("VIRGA_CA_FILE");
    if (cloud_command_find(noun, "ls", &ls) || ls.op >= API_OPS ||
        !(api_route_table[ls.op].flags & API_ROUTE_LIST) || cloud_config_read(&config, NULL))
        return;
    profile = cloud_config_profile(config, NULL, 0, &name);
    struct cloud_http_config c = {
        .url = url ? url : json_string_value(json_object_get(profile, "url")),
        .token = token ? token
                 : url ? NULL
                       : json_string_value(json_object_get(profile, "token")),
        .ca_file = ca ? ca : json_string_value(json_object_get(profile, "ca_file"))};
    struct cloud_http *h = c.url ? cloud_http_create(&c, NULL) : NULL;
    char path[128];
    snprintf(path, sizeof(path), "/v1%s?fields=id,name&limit=200", api_route_table[ls.op].path);
    struct cloud_http_request q = {.path = path, .timeout_ms = SERVER_MS};
    if (api_route_table[ls.op].flags & API_ROUTE_PROJECT)
        q.project = project ? project : json_string_value(json_object_get(profile, "project"));
    struct cloud_http_answer a = {0};
    if (h && !cloud_http_send(h, &q, &a, NULL) && a.status == 200 && a.body.bytes)
        page = json_loadb(a.body.text, a.body.bytes, 0, NULL);
    const json_t *items = json_object_get(page, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *v = json_object_get(json_array_get(items, i), "name");
        if (!v)
            v = json_object_get(json_array_get(items, i), "id");
        offer(out, typed, before, json_string_value(v) ? json_string_value(v) : "", "");
    }
    cloud_http_answer_fini(&a);
    cloud_http_destroy(h);
    json_decref(page);
    json_decref(config);
}

/* The noun that a field or a path's parameter names: "security_groups" is security-group. */
static void complete_of(const char *field, const char *typed, const char *before, FILE *out)
{
    char noun[64];
    snprintf(noun, sizeof(noun), "%s", field);
    for (char *p = noun; *p; p++)
        *p = *p == '_' ? '-' : *p;
    size_t n = strlen(noun);
    struct cloud_command c;
    if (cloud_command_find(noun, "ls", &c) && n && noun[n - 1] == 's')
        noun[n - 1] = '\0';
    complete_names(noun, typed, before, out);
}

static void complete_value(const struct cloud_flag *f, const char *typed, const char *before,
                           FILE *out)
{
    if (f->place == CLOUD_FLAG_COMMON) {
        for (unsigned i = 0; f->common == CLOUD_OUTPUT && i < CLOUD_PRINT_FORMS; i++)
            offer(out, typed, before, cloud_print_forms[i], "");
        if (f->common == CLOUD_PROJECT)
            complete_names("project", typed, before, out);
        return;
    }
    const struct api_types_field *field = f->field;
    if (field->words)
        for (uint32_t i = 0; i < field->words->n; i++)
            offer(out, typed, before, field->words->names[i], "");
    else if (field->format == API_FORMAT_NAME)
        complete_of(field->name, typed, before, out);
}

static void complete_flags(const struct cloud_flags *flags, const char *typed, FILE *out)
{
    for (size_t i = 0; i < flags->n; i++) {
        const struct cloud_flag *f = &flags->v[i];
        char name[CLOUD_FLAG_NAME_BYTES + 8];
        snprintf(name, sizeof(name), "--%s", f->name);
        offer(out, typed, "", name,
              f->place == CLOUD_FLAG_COMMON ? cloud_flag_facts[f->common].text
                                            : cloud_help_field(f->owner, f->field));
    }
}

/* The flag whose value is being typed: "--flag=VAL" (then *before is "--flag=") or "--flag VAL". */
static const struct cloud_flag *flag_before(const struct cloud_flags *flags, const char *last,
                                            const char *previous, char *before, size_t before_bytes)
{
    bool negated;
    const char *eq = strchr(last, '=');
    const struct cloud_flag *f = NULL;
    before[0] = '\0';
    if (!strncmp(last, "--", 2) && eq && (size_t)(eq - last) + 2 < before_bytes) {
        snprintf(before, before_bytes, "%.*s", (int)(eq - last + 1), last);
        return cloud_flags_find(flags, last + 2, (size_t)(eq - last) - 2, &negated);
    }
    if (!strncmp(previous, "--", 2) && !strchr(previous, '='))
        f = cloud_flags_find(flags, previous + 2, strlen(previous) - 2, &negated);
    else if (previous[0] == '-' && previous[1] && !previous[2])
        f = cloud_flags_letter(flags, previous[1]);
    if (!f)
        return NULL;
    bool is_switch = f->place == CLOUD_FLAG_COMMON ? !cloud_flag_facts[f->common].value
                                                   : f->field->kind == API_KIND_BOOL;
    return is_switch ? NULL : f;
}

static void complete_command(const struct cloud_command *c, char **words, size_t n, FILE *out)
{
    static struct cloud_flags flags; /* large; this program completes once */
    const char *last = words[n - 1], *previous = n > 1 ? words[n - 2] : "";
    char before[CLOUD_FLAG_NAME_BYTES + 8];
    const struct api_route *route = c->op < API_OPS ? &api_route_table[c->op] : NULL;
    cloud_flags_build(&flags, route, c->common);
    const struct cloud_flag *f = flag_before(&flags, last, previous, before, sizeof(before));
    if (f)
        complete_value(f, last, before, out);
    else if (*last == '-')
        complete_flags(&flags, last, out);
    else if (n == 1 && route && route->n_params)
        complete_of(route->params[0], last, "", out);
    else if (n == 1 && c->words && !strncmp(c->words, "VM", 2))
        complete_names("vm", last, "", out);
    else if (n == 2 && route && route->n_params > 1 && words[0][0] != '-')
        complete_of(route->params[1], last, "", out);
}

int cloud_complete(char **words, FILE *out)
{
    struct cloud_command c;
    size_t n = 0;
    while (words[n])
        n++;
    if (n <= 1) {
        complete_nouns(n ? words[0] : "", out);
        return CLOUD_EXIT_DONE;
    }
    if (!cloud_command_find(words[0], NULL, &c))
        complete_command(&c, words + 1, n - 1, out);
    else if (n == 2)
        complete_verbs(words[0], words[1], out);
    else if (!cloud_command_find(words[0], words[1], &c))
        complete_command(&c, words + 2, n - 2, out);
    return CLOUD_EXIT_DONE;
}

int cloud_complete_table(FILE *out)
{
    struct cloud_command c;
    unsigned cursor = 0;
    while (cloud_command_next(&cursor, &c))
        fprintf(out, "%s %s %s\n", c.op < API_OPS ? api_route_table[c.op].id : "-", c.noun,
                c.verb ? c.verb : "-");
    return CLOUD_EXIT_DONE;
}
