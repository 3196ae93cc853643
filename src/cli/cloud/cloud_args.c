#include "cli/cloud/cloud_args.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud_text.h"
#include "cli/cloud/cloud_value.h"

static int unknown(const struct cloud_flags *flags, const char *text, size_t bytes, struct err *err)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)bytes, text);
    struct cloud_text_guess guess = {.typed = name};
    for (size_t i = 0; i < flags->n; i++)
        cloud_text_guess(&guess, flags->v[i].name);
    if (guess.best)
        return err_set(err, EINVAL,
                       "there is no flag --%s here: --%s, perhaps? (--help lists them)", name,
                       guess.best);
    return err_set(err, EINVAL, "there is no flag --%s here: --help lists them", name);
}

static int set_common(struct cloud_args *a, const struct cloud_flag *flag, const char *value,
                      bool negated, struct err *err)
{
    const struct cloud_flag_fact *fact = &cloud_flag_facts[flag->common];
    if (!fact->value && value)
        return err_set(err, EINVAL, "--%s takes no value", fact->name);
    if (flag->common == CLOUD_UNSET) {
        size_t n = strlen(value);
        if (!n || n >= CLOUD_FLAG_NAME_BYTES)
            return err_set(err, EINVAL, "--unset: \"%.64s\" is no field", value);
        json_array_append_new(a->unset, json_string(value));
    }
    a->common[flag->common] = fact->value ? value : negated ? "false" : "true";
    return 0;
}

static bool is_switch(const struct cloud_flag *flag)
{
    return flag->place == CLOUD_FLAG_COMMON ? !cloud_flag_facts[flag->common].value
                                            : flag->field->kind == API_KIND_BOOL;
}

static int set(struct cloud_args *a, const struct cloud_flag *flag, const char *value, bool negated,
               struct err *err)
{
    if (flag->place == CLOUD_FLAG_COMMON)
        return set_common(a, flag, value, negated, err);
    if (negated && value)
        return err_set(err, EINVAL, "--no-%s takes no value", flag->name);
    return cloud_value_set(flag->place == CLOUD_FLAG_BODY ? a->body : a->query, flag, value,
                           negated, err);
}

/* "--name", "--name=value" or "--name value". Returns how many words it took, or an error. */
static int long_flag(struct cloud_args *a, const struct cloud_flags *flags, char **argv,
                     struct err *err)
{
    const char *text = argv[0] + 2, *eq = strchr(text, '=');
    size_t bytes = eq ? (size_t)(eq - text) : strlen(text);
    bool negated;
    const struct cloud_flag *flag = cloud_flags_find(flags, text, bytes, &negated);
    if (!flag)
        return unknown(flags, text, bytes, err);
    const char *value = eq ? eq + 1 : NULL;
    int words = 1;
    if (!value && !is_switch(flag)) {
        value = argv[1];
        words = 2;
        if (!value)
            return err_set(err, EINVAL, "--%s needs a value: --help says which", flag->name);
    }
    int r = set(a, flag, value, negated, err);
    return r ? r : words;
}

/* "-o json" or "-ojson"; switches may stand together. */
static int short_flag(struct cloud_args *a, const struct cloud_flags *flags, char **argv,
                      struct err *err)
{
    for (const char *p = argv[0] + 1; *p; p++) {
        const struct cloud_flag *flag = cloud_flags_letter(flags, *p);
        if (!flag)
            return err_set(err, EINVAL, "there is no flag -%c here: --help lists them", *p);
        const char *value = NULL;
        if (!is_switch(flag)) {
            value = p[1] ? p + 1 + (p[1] == '=') : argv[1];
            if (!value)
                return err_set(err, EINVAL, "-%c needs a value: --help says which", *p);
        }
        int r = set(a, flag, value, false, err);
        if (r || value)
            return r ? r : p[1] ? 1 : 2;
    }
    return 1;
}

int cloud_args_parse(struct cloud_args *a, const struct cloud_flags *flags, char **argv,
                     struct err *err)
{
    *a = (struct cloud_args){.body = json_object(), .query = json_object(), .unset = json_array()};
    while (*argv) {
        int n = 1;
        if (!strcmp(*argv, "--")) {
            a->rest = argv + 1;
            break;
        }
        if (!strncmp(*argv, "--", 2))
            n = long_flag(a, flags, argv, err);
        else if (**argv == '-' && argv[0][1])
            n = short_flag(a, flags, argv, err);
        else if (a->n_words == CLOUD_ARGS_WORDS_MAX)
            n = err_set(err, EINVAL, "more than %d words", CLOUD_ARGS_WORDS_MAX);
        else
            a->words[a->n_words++] = *argv;
        if (n < 0)
            return n;
        argv += n;
    }
    return 0;
}

void cloud_args_fini(struct cloud_args *a)
{
    json_decref(a->body);
    json_decref(a->query);
    json_decref(a->unset);
}
