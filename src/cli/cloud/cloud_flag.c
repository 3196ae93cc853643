#include "cli/cloud/cloud_flag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define DEPTH_MAX 3

const struct cloud_flag_fact cloud_flag_facts[CLOUD_COMMON_N] = {
    [CLOUD_OUTPUT] = {"output", 'o', "table|json|yaml|name|csv",
                      "How to print it; default: table."},
    [CLOUD_COLUMNS] = {"columns", 0, "FIELD,...",
                       "Which fields a table or CSV shows, such as name,status.state."},
    [CLOUD_FILTER] = {"filter", 0, "EXPRESSION",
                      "Only those for which it holds, such as 'name eq \"web\"'."},
    [CLOUD_SORT] = {"sort", 0, "FIELD,...", "In which order; -FIELD: the other way."},
    [CLOUD_LIMIT] = {"limit", 0, "N", "At most so many."},
    [CLOUD_PROJECT] = {"project", 'p', "PROJECT",
                       "In this project; default: VIRGA_PROJECT, or the "
                       "profile's."},
    [CLOUD_ALL_PROJECTS] = {"all-projects", 0, NULL, "In every project that may be read."},
    [CLOUD_WAIT] = {"wait", 0, NULL,
                    "Wait for the end of the operation; the default. --no-wait: do "
                    "not."},
    [CLOUD_TIMEOUT] = {"timeout", 0, "TIME", "Wait no longer than this, such as 90s or 5m."},
    [CLOUD_FROM] = {"from", 0, "FILE",
                    "Take what is not given by flags from a YAML or JSON file; -: "
                    "standard input."},
    [CLOUD_UNSET] = {"unset", 0, "FIELD", "Put a field back to its default; may be repeated."},
    [CLOUD_IF_MATCH] = {"if-match", 0, "ETAG", "Change it only if it is still this one."},
    [CLOUD_SAVE] = {"save", 0, "FILE",
                    "Write the secret to a new file (mode 0600) instead of showing "
                    "it."},
    [CLOUD_FILE] = {"file", 0, "FILE",
                    "The file to send or to write; -: standard input or output."},
    [CLOUD_YES] = {"yes", 'y', NULL, "Do not ask whether it is meant."},
    [CLOUD_USER] = {"user", 'u', "USER", "Who."},
    [CLOUD_IDENTITY] = {"identity", 'i', "FILE", "The private key, as of keypair create --save."},
    [CLOUD_PASSWORD_STDIN] = {"password-stdin", 0, NULL, "Read the password from standard input."},
    [CLOUD_CA_FILE] = {"ca-file", 0, "FILE",
                       "Trust servers that these certificates (PEM) signed, and "
                       "no others."},
    [CLOUD_FINGERPRINT] = {"fingerprint", 0, "SHA256",
                           "Trust the server whose certificate, or whose "
                           "authority's, has this SHA-256."},
    [CLOUD_PROFILE] = {"profile", 0, "NAME",
                       "The profile to use; default: VIRGA_PROFILE, or the one "
                       "chosen by virga profile use."},
    [CLOUD_URL] = {"url", 0, "URL", "The server; default: VIRGA_URL, or the profile's."},
    [CLOUD_STATE] = {"state", 0, "DIR",
                     "Where it is kept; default: /var/lib/virga, or of others than root "
                     "~/.local/share/virga."},
    [CLOUD_PORT] = {"port", 0, "N",
                    "Where the API is served on this machine, agents at N + 1; default: 8440."},
    [CLOUD_DEBUG] = {"debug", 0, NULL, "Print the calls on standard error, without secrets."},
    [CLOUD_HELP] = {"help", 'h', NULL, "What this takes."},
};

enum cloud_unit cloud_flag_unit(const char *name, size_t *stem_bytes)
{
    static const struct {
        const char *end;
        enum cloud_unit unit;
    } units[] = {{"_bytes", CLOUD_UNIT_BYTES},
                 {"_kib", CLOUD_UNIT_KIB},
                 {"_mib", CLOUD_UNIT_MIB},
                 {"_gib", CLOUD_UNIT_GIB},
                 {"_s", CLOUD_UNIT_SECONDS}};
    size_t n = strlen(name);
    *stem_bytes = n;
    if (n > 6 && !strcmp(name + n - 6, "_per_s"))
        return CLOUD_UNIT_NONE;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t end = strlen(units[i].end);
        if (n > end && !strcmp(name + n - end, units[i].end)) {
            *stem_bytes = n - end;
            return units[i].unit;
        }
    }
    return CLOUD_UNIT_NONE;
}

bool cloud_flag_is_secret(const struct api_types_field *f)
{
    return f->kind == API_KIND_TEXT && f->flags & API_FIELD_WRITE_ONLY &&
           f->format != API_FORMAT_BASE64;
}

/* Compares names as people type them: dashes for underscores. */
static bool same(const char *text, size_t bytes, const char *name)
{
    if (strlen(name) != bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (text[i] != name[i] && !(text[i] == '_' && name[i] == '-') &&
            !(text[i] == '-' && name[i] == '_'))
            return false;
    return true;
}

static bool ends(const char *text, size_t n, const char *end)
{
    size_t e = strlen(end);
    return n > e && !memcmp(text + n - e, end, e);
}

/* What one item of a list is called. */
static size_t singular(const char *name, size_t n)
{
    if (ends(name, n, "sses") || ends(name, n, "xes"))
        return n - 2;
    return ends(name, n, "s") && !ends(name, n, "ss") ? n - 1 : n;
}

/* Beside "volumes" volume_gib keeps its unit: --volume would be read as one of them. */
static bool is_counted(const struct api_types_object *o, const char *name, size_t stem)
{
    for (uint32_t i = 0; i < o->n_fields; i++)
        if (strlen(o->fields[i].name) == stem + 1 && !strncmp(o->fields[i].name, name, stem) &&
            o->fields[i].name[stem] == 's')
            return true;
    return false;
}

/* The name that a field goes by within its object. */
static void short_name(const struct cloud_flag *flag, char out[CLOUD_FLAG_NAME_BYTES])
{
    const struct api_types_field *f = flag->field;
    size_t n = strlen(f->name), stem;
    if (f->kind == API_KIND_LIST || f->kind == API_KIND_MAP)
        n = singular(f->name, n);
    else if (f->kind == API_KIND_INT && cloud_flag_unit(f->name, &stem) != CLOUD_UNIT_NONE &&
             !is_counted(flag->owner, f->name, stem))
        n = stem;
    snprintf(out, CLOUD_FLAG_NAME_BYTES, "%.*s", (int)n, f->name);
    for (char *p = out; *p; p++)
        *p = *p == '_' ? '-' : *p;
}

static void add_fields(struct cloud_flags *flags, const struct api_types_object *o,
                       enum cloud_flag_place place, const char *prefix, unsigned depth)
{
    for (uint32_t i = 0; i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        if (flags->n == CLOUD_FLAGS_MAX)
            abort(); /* a unit test builds the flags of every operation */
        struct cloud_flag *flag = &flags->v[flags->n++];
        *flag = (struct cloud_flag){.place = place, .field = f, .owner = o};
        int n = snprintf(flag->path, sizeof(flag->path), "%s%s", prefix, f->name);
        if (n >= (int)sizeof(flag->path) - 1)
            abort();
        if (f->kind == API_KIND_OBJECT && depth < DEPTH_MAX) {
            char inside[CLOUD_FLAG_NAME_BYTES + 1];
            snprintf(inside, sizeof(inside), "%s.", flag->path);
            add_fields(flags, f->object, place, inside, depth + 1);
        }
    }
}

static bool taken(const struct cloud_flags *flags, const struct cloud_flag *self, const char *name)
{
    for (size_t i = 0; i < flags->n; i++)
        if (&flags->v[i] != self && !strcmp(flags->v[i].name, name))
            return true;
    return false;
}

/* The names of one depth, which give way to those before. A name that two of them want is nobody's:
 * both keep the long form. */
static void name_depth(struct cloud_flags *flags, unsigned depth)
{
    char wanted[CLOUD_FLAG_NAME_BYTES], other[CLOUD_FLAG_NAME_BYTES];
    for (size_t i = 0; i < flags->n; i++) {
        struct cloud_flag *flag = &flags->v[i];
        unsigned dots = 0;
        for (const char *p = flag->path; *p; p++)
            dots += *p == '.';
        if (flag->place == CLOUD_FLAG_COMMON || dots != depth)
            continue;
        short_name(flag, wanted);
        bool clash = taken(flags, flag, wanted);
        for (size_t j = 0; j < flags->n && !clash && depth; j++) {
            const struct cloud_flag *f = &flags->v[j];
            if (f == flag || f->place == CLOUD_FLAG_COMMON || !strchr(f->path, '.'))
                continue;
            short_name(f, other);
            clash = !strcmp(other, wanted);
        }
        snprintf(flag->name, sizeof(flag->name), "%s", clash ? flag->path : wanted);
        for (char *p = flag->name; *p; p++)
            *p = *p == '_' ? '-' : *p;
    }
}

unsigned cloud_flag_set_of(const struct api_route *route)
{
    unsigned set = CLOUD_FLAG_ALWAYS;
    if (route->flags & API_ROUTE_PROJECT ||
        (route->n_params && !strcmp(route->params[0], "project")))
        set |= CLOUD_FLAG_BIT(CLOUD_PROJECT);
    if (route->flags & API_ROUTE_LIST)
        set |=
            CLOUD_FLAG_BIT(CLOUD_FILTER) | CLOUD_FLAG_BIT(CLOUD_SORT) | CLOUD_FLAG_BIT(CLOUD_LIMIT);
    if (route->flags & API_ROUTE_LIST && route->flags & API_ROUTE_PROJECT)
        set |= CLOUD_FLAG_BIT(CLOUD_ALL_PROJECTS);
    if (route->flags & API_ROUTE_ASYNC)
        set |= CLOUD_FLAG_BIT(CLOUD_WAIT) | CLOUD_FLAG_BIT(CLOUD_TIMEOUT);
    if (route->request)
        set |= CLOUD_FLAG_BIT(CLOUD_FROM);
    if (route->method == API_METHOD_PATCH)
        set |= CLOUD_FLAG_BIT(CLOUD_UNSET);
    if (route->flags & API_ROUTE_IF_MATCH)
        set |= CLOUD_FLAG_BIT(CLOUD_IF_MATCH);
    if (route->method == API_METHOD_DELETE)
        set |= CLOUD_FLAG_BIT(CLOUD_YES);
    if (route->request_media || route->response_media)
        set |= CLOUD_FLAG_BIT(CLOUD_FILE);
    const struct api_types_object *r = route->response;
    if (r && (api_types_find(r, "secret", 6) || api_types_find(r, "private_key", 11)))
        set |= CLOUD_FLAG_BIT(CLOUD_SAVE);
    return set;
}

void cloud_flags_build(struct cloud_flags *flags, const struct api_route *route, unsigned common)
{
    flags->n = 0;
    for (unsigned c = 0; c < CLOUD_COMMON_N; c++) {
        /* A query of that name is the same flag to a person, such as the limit of events. */
        if (!(common & CLOUD_FLAG_BIT(c)))
            continue;
        struct cloud_flag *flag = &flags->v[flags->n++];
        *flag = (struct cloud_flag){.place = CLOUD_FLAG_COMMON, .common = c};
        snprintf(flag->name, sizeof(flag->name), "%s", cloud_flag_facts[c].name);
    }
    if (!route)
        return;
    if (route->request)
        add_fields(flags, route->request, CLOUD_FLAG_BODY, "", 0);
    if (route->query)
        add_fields(flags, route->query, CLOUD_FLAG_QUERY, "", 0);
    for (unsigned depth = 0; depth <= DEPTH_MAX; depth++)
        name_depth(flags, depth);
}

static const struct cloud_flag *find_exact(const struct cloud_flags *flags, const char *text,
                                           size_t bytes)
{
    for (size_t i = 0; i < flags->n; i++)
        if (same(text, bytes, flags->v[i].name))
            return &flags->v[i];
    /* The field's own name, as the API has it. */
    for (size_t i = 0; i < flags->n; i++)
        if (flags->v[i].place != CLOUD_FLAG_COMMON && same(text, bytes, flags->v[i].path))
            return &flags->v[i];
    /* The objects on the way, and the short name within. */
    for (size_t i = 0; i < flags->n; i++) {
        const char *dot = strrchr(flags->v[i].path, '.');
        size_t before = dot ? (size_t)(dot - flags->v[i].path) + 1 : 0;
        if (!before || before >= bytes || strncmp(text, flags->v[i].path, before) != 0)
            continue;
        char name[CLOUD_FLAG_NAME_BYTES];
        short_name(&flags->v[i], name);
        if (same(text + before, bytes - before, name))
            return &flags->v[i];
    }
    return NULL;
}

const struct cloud_flag *cloud_flags_find(const struct cloud_flags *flags, const char *text,
                                          size_t bytes, bool *negated)
{
    *negated = false;
    const struct cloud_flag *flag = find_exact(flags, text, bytes);
    if (flag || bytes < 4 || strncmp(text, "no-", 3) != 0)
        return flag;
    flag = find_exact(flags, text + 3, bytes - 3);
    if (!flag)
        return NULL;
    bool is_switch = flag->place == CLOUD_FLAG_COMMON ? !cloud_flag_facts[flag->common].value
                                                      : flag->field->kind == API_KIND_BOOL;
    *negated = is_switch;
    return is_switch ? flag : NULL;
}

const struct cloud_flag *cloud_flags_letter(const struct cloud_flags *flags, char letter)
{
    for (size_t i = 0; i < flags->n; i++)
        if (flags->v[i].place == CLOUD_FLAG_COMMON &&
            cloud_flag_facts[flags->v[i].common].letter == letter)
            return &flags->v[i];
    return NULL;
}

static const char *ordinal_end(unsigned n)
{
    if (n % 100 >= 11 && n % 100 <= 13)
        return "th";
    return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* The longest flag whose path the pointer begins with. */
static const struct cloud_flag *longest(const struct cloud_flags *flags, const char *pointer,
                                        size_t *used)
{
    const struct cloud_flag *best = NULL;
    size_t best_bytes = 0, skip = pointer[0] == '/';
    for (size_t i = 0; i < flags->n; i++) {
        const struct cloud_flag *f = &flags->v[i];
        size_t n = strlen(f->path), k = 0;
        while (k < n &&
               (pointer[skip + k] == f->path[k] || (f->path[k] == '.' && pointer[skip + k] == '/')))
            k++;
        char next = n ? pointer[skip + MIN(k, n)] : 'x';
        if (n && k == n && (next == '/' || !next) && n > best_bytes) {
            best = f;
            best_bytes = n;
        }
    }
    *used = skip + best_bytes;
    return best;
}

void cloud_flags_of_pointer(const struct cloud_flags *flags, const char *pointer, char *out,
                            size_t out_bytes)
{
    size_t used;
    const struct cloud_flag *flag = flags ? longest(flags, pointer, &used) : NULL;
    if (!flag) {
        snprintf(out, out_bytes, "%s", pointer);
        return;
    }
    int n = snprintf(out, out_bytes, "--%s", flag->name);
    const char *p = pointer + used;
    while (*p == '/' && n > 0 && (size_t)n < out_bytes) {
        char *end;
        unsigned long index = strtoul(p + 1, &end, 10);
        if (end > p + 1 && (*end == '/' || !*end) && index < 100000) {
            unsigned nth = (unsigned)index + 1;
            n += snprintf(out + n, out_bytes - (size_t)n, " (%u%s)", nth, ordinal_end(nth));
        } else {
            end = (char *)strchr(p + 1, '/');
            end = end ? end : (char *)strchr(p, '\0');
            n += snprintf(out + n, out_bytes - (size_t)n, " %.*s", (int)(end - p - 1), p + 1);
        }
        p = end;
    }
}
