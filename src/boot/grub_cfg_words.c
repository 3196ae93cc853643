/* GRUB's words: quotes, backslashes, variables, comments. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/grub_cfg_internal.h"

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const char *grub_cfg_variable(const struct grub_cfg *g, const char **at, const char *end)
{
    char name[sizeof(g->variables[0].name)];
    size_t n = 0;
    bool braces = *at < end && **at == '{';
    *at += braces;
    if (*at < end && !is_name(**at) && !braces) {
        if (strchr("?@#*", **at))
            ++*at;
        return "";
    }
    for (; *at < end && is_name(**at); ++*at)
        if (n < sizeof(name) - 1)
            name[n++] = **at;
    name[n] = 0;
    if (braces && *at < end && **at == '}')
        ++*at;
    return grub_cfg_get(g, name);
}

static int put(const struct grub_cfg_lexer *l, struct grub_cfg_command *c, const char *text,
               size_t n, struct err *err)
{
    if (c->used + n + 1 > sizeof(c->text))
        return err_set(err, E2BIG, "line %u: a command of more than %d bytes", l->line,
                       GRUB_CFG_TEXT_BYTES - 1);
    memcpy(c->text + c->used, text, n);
    c->used += n;
    return 0;
}

static int put_variable(struct grub_cfg_lexer *l, const struct grub_cfg *g,
                        struct grub_cfg_command *c, struct err *err)
{
    l->at++;
    const char *value = grub_cfg_variable(g, &l->at, l->end);
    return put(l, c, value, strlen(value), err);
}

/* Between quotes, behind the first; past the second. */
static int quoted(struct grub_cfg_lexer *l, const struct grub_cfg *g, char quote,
                  struct grub_cfg_command *c, struct err *err)
{
    unsigned begin = l->line;
    while (l->at < l->end && *l->at != quote) {
        int ret;
        l->line += *l->at == '\n';
        if (quote == '"' && *l->at == '$') {
            ret = put_variable(l, g, c, err);
        } else {
            if (quote == '"' && *l->at == '\\' && l->at + 1 < l->end && strchr("$\"\\", l->at[1]))
                l->at++;
            ret = put(l, c, l->at++, 1, err);
        }
        if (ret)
            return ret;
    }
    if (l->at == l->end)
        return err_set(err, EINVAL, "line %u: a quote that does not end", begin);
    l->at++;
    return 0;
}

static int one_word(struct grub_cfg_lexer *l, const struct grub_cfg *g, struct grub_cfg_command *c,
                    bool *has_quotes, struct err *err)
{
    int ret = 0;
    *has_quotes = false;
    while (!ret && l->at < l->end && *l->at && !strchr(" \t\r\n;", *l->at)) {
        char ch = *l->at;
        if (ch == '\'' || ch == '"') {
            *has_quotes = true;
            l->at++;
            ret = quoted(l, g, ch, c, err);
        } else if (ch == '$') {
            ret = put_variable(l, g, c, err);
        } else if (ch == '\\' && l->at + 1 < l->end) {
            l->line += l->at[1] == '\n';
            if (l->at[1] != '\n')
                ret = put(l, c, l->at + 1, 1, err);
            l->at += 2;
        } else {
            ret = put(l, c, l->at++, 1, err);
        }
    }
    return ret;
}

/* Past white space and comments; true where a word begins, false where the command ends. */
static bool skip_to_word(struct grub_cfg_lexer *l)
{
    while (l->at < l->end) {
        if (*l->at == '#') {
            while (l->at < l->end && *l->at != '\n')
                l->at++;
        } else if (*l->at == '\n' || *l->at == ';') {
            return false;
        } else if (!*l->at || strchr(" \t\r", *l->at)) {
            l->at++;
        } else {
            return true;
        }
    }
    return false;
}

int grub_cfg_next_command(struct grub_cfg_lexer *l, const struct grub_cfg *g,
                          struct grub_cfg_command *c, struct err *err)
{
    c->n = 0;
    c->used = 0;
    for (;;) {
        while (skip_to_word(l)) {
            size_t begin = c->used;
            bool has_quotes;
            int ret = one_word(l, g, c, &has_quotes, err);
            if (!ret && c->n == GRUB_CFG_WORDS_MAX)
                ret =
                    err_set(err, E2BIG, "line %u: more than %d words", l->line, GRUB_CFG_WORDS_MAX);
            if (!ret)
                ret = put(l, c, "", 1, err); /* its NUL */
            if (ret)
                return ret;
            const char *word = c->text + begin;
            if (!*word && !has_quotes) {
                c->used = begin; /* a variable without a value */
                continue;
            }
            c->quoted[c->n] = has_quotes;
            c->words[c->n++] = word;
            if (!has_quotes && (strcmp(word, "{") == 0 || strcmp(word, "}") == 0))
                return 1;
        }
        if (l->at < l->end)
            l->line += *l->at++ == '\n';
        if (c->n)
            return 1;
        if (l->at == l->end)
            return 0;
    }
}
