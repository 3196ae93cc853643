#include "cli/cloud/cloud_help.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud_command.h"
#include "cli/cloud/cloud_flag.h"

#define WIDTH  96
#define INDENT 26

const char *cloud_help_field(const struct api_types_object *o, const struct api_types_field *f)
{
    for (const struct cloud_help_object *h = cloud_help_objects; h->object; h++)
        if (h->object == o)
            return h->fields[f - o->fields];
    return "";
}

/* Wraps at blanks; the first line begins where it stands. */
static void wrap(const char *text, size_t indent, size_t at, FILE *out)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        if (at + n > WIDTH && at > indent) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        fprintf(out, "%.*s", (int)n, text);
        at += n;
        text += n;
        if (*text) {
            text++;
            fputc(' ', out);
            at++;
        }
    }
    fputc('\n', out);
}

void cloud_help_value(const struct api_types_field *f, char *out, size_t out_bytes)
{
    size_t stem, n = 0;
    unsigned kind = f->kind == API_KIND_LIST ? f->item_kind : f->kind;
    const char *word = "";
    switch (kind) {
    case API_KIND_ENUM:
        for (uint32_t i = 0; i < f->words->n && n < out_bytes; i++)
            n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", i ? "|" : "", f->words->names[i]);
        return;
    case API_KIND_INT:
    case API_KIND_NUMBER: {
        enum cloud_unit unit = cloud_flag_unit(f->name, &stem);
        word = unit == CLOUD_UNIT_SECONDS ? "TIME" : unit != CLOUD_UNIT_NONE ? "SIZE" : "N";
        break;
    }
    case API_KIND_BOOL:
        break;
    case API_KIND_MAP:
        word = "KEY=VALUE";
        break;
    case API_KIND_OBJECT:
        word = "KEY=VALUE,...";
        break;
    case API_KIND_ANY:
        word = "JSON";
        break;
    default:
        word = cloud_flag_is_secret(f)             ? "@FILE|-"
               : f->format == API_FORMAT_BASE64    ? "TEXT|@FILE"
               : f->format == API_FORMAT_NAME      ? "NAME"
               : f->format == API_FORMAT_CIDR      ? "PREFIX"
               : f->format == API_FORMAT_IP        ? "ADDRESS"
               : f->format == API_FORMAT_TIMESTAMP ? "TIMESTAMP"
               : f->format == API_FORMAT_NONE      ? "TEXT"
                                                   : "VALUE";
    }
    snprintf(out, out_bytes, "%s", word);
}

void cloud_help_words(const struct cloud_command *c, char *out, size_t out_bytes)
{
    size_t n = 0;
    out[0] = '\0';
    if (c->words) {
        snprintf(out, out_bytes, "%s", c->words);
        return;
    }
    if (c->op >= API_OPS)
        return;
    const struct api_route *route = &api_route_table[c->op];
    if (c->flags & CLOUD_COMMAND_PROJECT_WORD)
        n += (size_t)snprintf(out, out_bytes, "[PROJECT]");
    for (unsigned i = 0; i < route->n_params; i++) {
        bool project = !strcmp(route->params[i], "project") && strcmp(c->noun, "project") != 0;
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s%s%s", n ? " " : "", project ? "[" : "",
                              route->params[i], project ? "]" : "");
    }
    const struct api_types_object *o = route->method == API_METHOD_PATCH ? NULL : route->request;
    for (uint32_t i = 0; o && i < o->n_fields; i++) {
        const struct api_types_field *f = &o->fields[i];
        bool name = !strcmp(f->name, "name"), needed = f->flags & API_FIELD_REQUIRED;
        bool scalar = f->kind <= API_KIND_ENUM && f->kind != API_KIND_BOOL;
        if (!scalar || cloud_flag_is_secret(f) || !(needed || name) || (!route->n_params && !name))
            continue;
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s%s%s", n ? " " : "", needed ? "" : "[",
                              f->name, needed ? "" : "]");
    }
    for (char *p = out; *p; p++)
        *p = *p == '_' ? '-' : (char)toupper((unsigned char)*p);
}

static void help_flag(const struct cloud_flag *f, FILE *out)
{
    char value[200] = "", text[1200], left[320];
    const char *said;
    if (f->place == CLOUD_FLAG_COMMON) {
        const struct cloud_flag_fact *fact = &cloud_flag_facts[f->common];
        snprintf(value, sizeof(value), "%s", fact->value ? fact->value : "");
        snprintf(text, sizeof(text), "%s", fact->text);
    } else {
        cloud_help_value(f->field, value, sizeof(value));
        said = cloud_help_field(f->owner, f->field);
        bool list = f->field->kind == API_KIND_LIST || f->field->kind == API_KIND_MAP;
        snprintf(text, sizeof(text), "%s%s%s%s%s", said,
                 f->field->flags & API_FIELD_REQUIRED && !strchr(f->path, '.') ? " Needed." : "",
                 f->field->fallback ? " Default: " : "",
                 f->field->fallback ? f->field->fallback : "",
                 list ? (f->field->fallback ? "; may be repeated." : " May be repeated.")
                      : (f->field->fallback ? "." : ""));
    }
    char letter = f->place == CLOUD_FLAG_COMMON ? cloud_flag_facts[f->common].letter : 0;
    bool negative = f->place != CLOUD_FLAG_COMMON && f->field->kind == API_KIND_BOOL;
    int n = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s%s", letter ? '-' : ' ',
                     letter ? letter : ' ', letter ? ", " : "  ", negative ? "[no-]" : "", f->name,
                     value[0] ? " " : "", value);
    fputs(left, out);
    if (n >= INDENT - 1)
        fprintf(out, "\n%*s", INDENT, "");
    else
        fprintf(out, "%*s", INDENT - n, "");
    wrap(text, INDENT, INDENT, out);
    if (f->place != CLOUD_FLAG_COMMON &&
        (f->field->kind == API_KIND_OBJECT || f->field->item_kind == API_KIND_OBJECT) &&
        f->field->object) {
        fprintf(out, "%*s", INDENT, "");
        char keys[600] = "Keys: ";
        size_t k = strlen(keys);
        for (uint32_t i = 0; i < f->field->object->n_fields && k < sizeof(keys); i++)
            k += (size_t)snprintf(keys + k, sizeof(keys) - k, "%s%s", i ? ", " : "",
                                  f->field->object->fields[i].name);
        wrap(keys, INDENT, INDENT, out);
    }
}

void cloud_help_command(const struct cloud_command *c, FILE *out)
{
    char words[160];
    static struct cloud_flags flags;
    cloud_help_words(c, words, sizeof(words));
    fprintf(out, "usage: virga %s%s%s%s%s [FLAGS]\n\n", c->noun, c->verb ? " " : "",
            c->verb ? c->verb : "", words[0] ? " " : "", words);
    fputs(c->summary, out);
    fputs(".\n", out);
    if (c->description && *c->description)
        wrap(c->description, 0, 0, out);
    cloud_flags_build(&flags, c->op < API_OPS ? &api_route_table[c->op] : NULL, c->common);
    bool own = false;
    for (size_t i = 0; i < flags.n; i++) {
        if (flags.v[i].place == CLOUD_FLAG_COMMON)
            continue;
        fputs(own ? "" : "\nflags:\n", out);
        own = true;
        help_flag(&flags.v[i], out);
    }
    fputs(own ? "\ncommon flags:\n" : "\nflags:\n", out);
    for (size_t i = 0; i < flags.n; i++)
        if (flags.v[i].place == CLOUD_FLAG_COMMON)
            help_flag(&flags.v[i], out);
}

void cloud_help_noun(const char *noun, FILE *out)
{
    struct cloud_command c;
    unsigned cursor = 0;
    struct cloud_noun n = cloud_command_noun(noun);
    fprintf(out, "usage: virga %s VERB [FLAGS]\n\n%s%s", noun, n.summary,
            n.summary[0] ? ".\n\n" : "");
    while (cloud_command_next(&cursor, &c)) {
        char words[160];
        if (strcmp(c.noun, noun) != 0 || !c.verb)
            continue;
        cloud_help_words(&c, words, sizeof(words));
        int k = fprintf(out, "  %s%s%s", c.verb, words[0] ? " " : "", words);
        fprintf(out, "%*s", k < 30 ? 30 - k : 2, "");
        wrap(c.summary, 30, 30, out);
    }
    fprintf(out, "\nvirga %s VERB --help says what a verb takes.\n", noun);
}

void cloud_help_nouns(FILE *out)
{
    const char *name;
    fputs("the cloud: virga NOUN VERB [FLAGS]\n", out);
    for (unsigned i = 0; (name = cloud_command_noun_name(i)); i++)
        fprintf(out, "  %-17s%s\n", name, cloud_command_noun(name).summary);
    fputs("\nStart with: virga login URL; virga NOUN lists its verbs. See virga-cloud(7).\n", out);
}
