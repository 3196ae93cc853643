#include "boot/grub_cfg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "boot/grub_cfg_internal.h"

#define NESTING_MAX   24
#define DEFAULT_BYTES 512
#define ANY_ENTRY     "*"

/* ---- variables ---- */

static void set(struct grub_cfg *g, const char *name, size_t name_len, const char *value)
{
    struct grub_cfg_variable *v = NULL;
    if (name_len >= sizeof(v->name) || strlen(value) >= sizeof(v->value))
        return; /* nothing that names a kernel is that long */
    for (unsigned i = 0; i < g->n && !v; i++)
        if (strncmp(g->variables[i].name, name, name_len) == 0 && !g->variables[i].name[name_len])
            v = &g->variables[i];
    if (!v && g->n < GRUB_CFG_VARIABLES_MAX)
        v = &g->variables[g->n++];
    if (!v)
        return;
    memcpy(v->name, name, name_len);
    v->name[name_len] = 0;
    memmove(v->value, value, strlen(value) + 1);
}

const char *grub_cfg_get(const struct grub_cfg *g, const char *name)
{
    for (unsigned i = 0; i < g->n; i++)
        if (strcmp(g->variables[i].name, name) == 0)
            return g->variables[i].value;
    return "";
}

void grub_cfg_load_env(struct grub_cfg *g, const char *text, size_t bytes)
{
    const char *end = text + bytes;
    g->has_env = true;
    for (const char *line = text; line < end;) {
        char copy[sizeof(g->variables[0].name) + sizeof(g->variables[0].value)];
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        if (n && n < sizeof(copy) && *line != '#' && !memchr(line, 0, n)) {
            memcpy(copy, line, n);
            copy[n] = 0;
            char *equals = strchr(copy, '=');
            if (equals && strncmp(copy, "next_entry=", 11) != 0)
                set(g, copy, (size_t)(equals - copy), equals + 1);
        }
        line += n + 1;
        if (!stop)
            break;
    }
}

int grub_cfg_expand(const struct grub_cfg *g, const char *text, char *out, size_t room,
                    struct err *err)
{
    const char *end = text + strlen(text);
    size_t used = 0;
    while (text < end) {
        const char *piece = text;
        size_t n = 1;
        if (*text++ == '$') {
            piece = grub_cfg_variable(g, &text, end);
            n = strlen(piece);
        }
        if (used + n >= room)
            return err_set(err, E2BIG, "more than %zu bytes with its variables", room - 1);
        memcpy(out + used, piece, n);
        used += n;
    }
    out[used] = 0;
    return 0;
}

/* ---- conditions ---- */

static bool primary(const struct grub_cfg *g, const char *const *w, unsigned n)
{
    bool negate = n > 1 && strcmp(w[0], "!") == 0, value = false;
    w += negate;
    n -= negate;
    if (n == 1) {
        value = *w[0];
    } else if (n == 2 && strcmp(w[0], "-n") == 0) {
        value = *w[1];
    } else if (n == 2 && strcmp(w[0], "-z") == 0) {
        value = !*w[1];
    } else if (n == 2) { /* -f, -s, -e: of all files only this one is known here */
        const char *file = strstr(w[1], "grubenv");
        value = g->has_env && file && strcmp(file, "grubenv") == 0;
    } else if (n == 3) {
        bool numbers = w[1][0] == '-';
        int order = numbers ? (strtol(w[0], NULL, 10) > strtol(w[2], NULL, 10)) -
                                  (strtol(w[0], NULL, 10) < strtol(w[2], NULL, 10))
                            : strcmp(w[0], w[2]);
        if (strcmp(w[1], "=") == 0 || strcmp(w[1], "==") == 0 || strcmp(w[1], "-eq") == 0)
            value = order == 0;
        else if (strcmp(w[1], "!=") == 0 || strcmp(w[1], "-ne") == 0)
            value = order != 0;
        else if (strcmp(w[1], "-lt") == 0)
            value = order < 0;
        else if (strcmp(w[1], "-gt") == 0)
            value = order > 0;
        else if (strcmp(w[1], "-le") == 0)
            value = order <= 0;
        else if (strcmp(w[1], "-ge") == 0)
            value = order >= 0;
    }
    return value != negate;
}

/* The words between the brackets: an "or" of "and"s. */
static bool test(const struct grub_cfg *g, const char *const *w, unsigned n)
{
    bool any = false, all = true;
    unsigned begin = 0;
    for (unsigned i = 0; i <= n; i++) {
        bool is_or = i < n && strcmp(w[i], "-o") == 0, is_and = i < n && strcmp(w[i], "-a") == 0;
        if (i < n && !is_or && !is_and)
            continue;
        all = all && primary(g, w + begin, i - begin);
        if (!is_and) {
            any = any || all;
            all = true;
        }
        begin = i + 1;
    }
    return any;
}

/* What follows `if`. A command that is not known here failed. */
static bool condition(const struct grub_cfg *g, const char *const *w, unsigned n)
{
    bool negate = n && strcmp(w[0], "!") == 0;
    w += negate;
    n -= negate;
    if (n && strcmp(w[0], "[") == 0)
        return test(g, w + 1, n - 1 - (strcmp(w[n - 1], "]") == 0)) != negate;
    if (n && strcmp(w[0], "test") == 0)
        return test(g, w + 1, n - 1) != negate;
    return (n && strcmp(w[0], "true") == 0) != negate;
}

/* ---- running ---- */

enum frame_kind { FRAME_IF, FRAME_LOOP, FRAME_MENU, FRAME_ENTRY, FRAME_OTHER };

struct frame {
    enum frame_kind kind;
    bool live;          /* its commands are run */
    bool taken;         /* FRAME_IF: a branch was live */
    unsigned n_entries; /* FRAME_MENU: seen so far */
    const char *want;   /* FRAME_MENU: which of them, what is left of `default` */
};

struct script {
    struct grub_cfg *g;
    struct boot_entry *entry;
    struct grub_cfg_lexer lexer;
    struct grub_cfg_command command;
    bool by_default; /* the entry that `default` names, not the first */
    bool found;
    char wanted[DEFAULT_BYTES];
    unsigned depth;
    struct frame frames[NESTING_MAX];
};

static int push(struct script *s, struct frame f, struct err *err)
{
    if (s->depth == NESTING_MAX)
        return err_set(err, EINVAL, "line %u: nested more than %d deep", s->lexer.line,
                       NESTING_MAX);
    f.live = f.live && s->frames[s->depth - 1].live;
    s->frames[s->depth++] = f;
    return 0;
}

static int pop(struct script *s, bool by_brace, const char *word, struct err *err)
{
    const struct frame *f = &s->frames[s->depth - 1];
    bool braces = f->kind != FRAME_IF && f->kind != FRAME_LOOP;
    if (s->depth == 1 || braces != by_brace)
        return err_set(err, EINVAL, "line %u: '%s' ends nothing", s->lexer.line, word);
    s->found = s->found || (f->kind == FRAME_ENTRY && f->live && s->entry->kernel[0]);
    s->depth--;
    return 0;
}

/* Whether a menu's want names the entry; the rest of it, behind ">", goes to the submenu. */
static bool wanted(const char *want, unsigned index, const char *title, const char *id,
                   const char **rest)
{
    char number[12];
    const char *const names[] = {number, title, id};
    snprintf(number, sizeof(number), "%u", index);
    *rest = ANY_ENTRY;
    if (strcmp(want, ANY_ENTRY) == 0)
        return true;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (!n || strncmp(want, names[i], n) != 0 || (want[n] && want[n] != '>'))
            continue;
        if (want[n])
            *rest = want + n + 1;
        return true;
    }
    return false;
}

static int begin_entry(struct script *s, enum frame_kind kind, struct err *err)
{
    static const char *const with_value[] = {"--class", "--users", "--hotkey", "--source"};
    const struct grub_cfg_command *c = &s->command;
    const char *title = "", *id = "", *rest = "";
    if (strcmp(c->words[c->n - 1], "{") != 0)
        return err_set(err, EINVAL, "line %u: %s without '{'", s->lexer.line, c->words[0]);
    for (unsigned i = 1; i + 1 < c->n; i++) {
        bool value = false;
        for (unsigned k = 0; k < ARRAY_LEN(with_value); k++)
            value = value || strcmp(c->words[i], with_value[k]) == 0;
        if (strcmp(c->words[i], "--id") == 0 && i + 2 < c->n)
            id = c->words[++i];
        else if (strncmp(c->words[i], "--id=", 5) == 0)
            id = c->words[i] + 5;
        else if (value)
            i++;
        else if (!*title && c->words[i][0] != '-')
            title = c->words[i];
    }
    struct frame *menu = NULL;
    for (unsigned i = 0; i < s->depth; i++)
        if (s->frames[i].kind == FRAME_MENU)
            menu = &s->frames[i];
    bool live = s->frames[s->depth - 1].live;
    if (live && menu == &s->frames[0] && s->by_default && !menu->n_entries) {
        /* `default` is read when the first entry comes: before it, the script may have set it. */
        snprintf(s->wanted, sizeof(s->wanted), "%s", grub_cfg_get(s->g, "default"));
        menu->want = s->wanted[0] ? s->wanted : "0";
    }
    unsigned index = live ? menu->n_entries++ : 0;
    bool match = live && wanted(menu->want, index, title, id, &rest);
    return push(s, (struct frame){.kind = kind, .live = match, .want = rest}, err);
}

static int end_entry_commands(struct script *s, struct err *err)
{
    const struct grub_cfg_command *c = &s->command;
    static const char *const linux_names[] = {"linux", "linux16", "linuxefi"};
    static const char *const initrd_names[] = {"initrd", "initrd16", "initrdefi"};
    int ret = 0;
    for (unsigned k = 0; k < ARRAY_LEN(linux_names); k++) {
        if (strcmp(c->words[0], linux_names[k]) == 0 && c->n > 1) {
            memset(s->entry, 0, sizeof(*s->entry));
            ret = boot_entry_set_kernel(s->entry, c->words[1], err);
            for (unsigned i = 2; !ret && i < c->n; i++)
                ret = boot_entry_add_option(s->entry, c->words[i], err);
        }
        if (strcmp(c->words[0], initrd_names[k]) == 0)
            for (unsigned i = 1; !ret && i < c->n; i++)
                ret = boot_entry_add_initrd(s->entry, c->words[i], err);
    }
    return ret ? err_wrap(err, "line %u", s->lexer.line) : 0;
}

static int plain_command(struct script *s, struct err *err)
{
    const struct grub_cfg_command *c = &s->command;
    const char *word = c->words[0];
    if (!s->frames[s->depth - 1].live)
        return 0;
    if (strcmp(word, "blscfg") == 0)
        s->g->uses_bls = true;
    const char *assignment = strcmp(word, "set") == 0 ? (c->n > 1 ? c->words[1] : "") : word;
    const char *equals = strchr(assignment, '=');
    if (equals && equals != assignment) {
        set(s->g, assignment, (size_t)(equals - assignment), equals + 1);
        return 0;
    }
    bool in_entry = false;
    for (unsigned i = 0; i < s->depth; i++)
        in_entry = in_entry || s->frames[i].kind == FRAME_ENTRY;
    return in_entry ? end_entry_commands(s, err) : 0;
}

/* `if`, `elif`, `else`, `fi`, which may share their line with a command. */
static int branch(struct script *s, struct err *err)
{
    const struct grub_cfg_command *c = &s->command;
    const char *word = c->words[0];
    struct frame *f = &s->frames[s->depth - 1];
    if (strcmp(word, "if") == 0) {
        bool is = condition(s->g, c->words + 1, c->n - 1);
        return push(s, (struct frame){.kind = FRAME_IF, .live = is, .taken = is}, err);
    }
    if (strcmp(word, "fi") == 0)
        return pop(s, false, word, err);
    if (f->kind != FRAME_IF)
        return err_set(err, EINVAL, "line %u: '%s' without 'if'", s->lexer.line, word);
    bool is = strcmp(word, "else") == 0 || condition(s->g, c->words + 1, c->n - 1);
    f->live = is && !f->taken && s->frames[s->depth - 2].live;
    f->taken = f->taken || is;
    return 0;
}

static bool one_of(const char *word, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(word, *names) == 0)
            return true;
    return false;
}

static void drop_first_word(struct grub_cfg_command *c)
{
    c->n--;
    memmove(c->words, c->words + 1, c->n * sizeof(c->words[0]));
    memmove(c->quoted, c->quoted + 1, c->n * sizeof(c->quoted[0]));
}

static int run_command(struct script *s, struct err *err)
{
    static const char *const branches[] = {"if", "elif", "else", "fi", NULL};
    static const char *const loops[] = {"for", "while", "until", NULL};
    struct grub_cfg_command *c = &s->command;
    while (c->n && !c->quoted[0]) {
        const char *word = c->words[0];
        if (strcmp(word, "then") == 0 || strcmp(word, "do") == 0) {
            drop_first_word(c);
            continue;
        }
        if (one_of(word, branches)) {
            int ret = branch(s, err);
            if (ret || strcmp(word, "else") != 0)
                return ret;
            drop_first_word(c);
            continue;
        }
        if (one_of(word, loops))
            return push(s, (struct frame){.kind = FRAME_LOOP}, err);
        if (strcmp(word, "done") == 0)
            return pop(s, false, word, err);
        if (strcmp(word, "}") == 0)
            return pop(s, true, word, err);
        if (strcmp(word, "menuentry") == 0)
            return begin_entry(s, FRAME_ENTRY, err);
        if (strcmp(word, "submenu") == 0)
            return begin_entry(s, FRAME_MENU, err);
        break;
    }
    if (!c->n)
        return 0;
    const unsigned last = c->n - 1;
    if (!c->quoted[last] && strcmp(c->words[last], "{") == 0) /* a function, a group */
        return push(s, (struct frame){.kind = FRAME_OTHER, .live = last == 0}, err);
    return plain_command(s, err);
}

static int run(struct script *s, const char *text, size_t bytes, struct err *err)
{
    s->lexer = (struct grub_cfg_lexer){text, text + bytes, 1};
    s->frames[0] = (struct frame){.kind = FRAME_MENU, .live = true, .want = ANY_ENTRY};
    s->depth = 1;
    memset(s->entry, 0, sizeof(*s->entry));
    int ret = 0;
    while (!s->found) {
        ret = grub_cfg_next_command(&s->lexer, s->g, &s->command, err);
        if (ret <= 0)
            break;
        ret = run_command(s, err);
        if (ret)
            break;
    }
    return ret;
}

int grub_cfg_run(struct grub_cfg *g, const char *text, size_t bytes, struct boot_entry *entry,
                 struct err *err)
{
    struct script *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ENOMEM, "no memory for a grub.cfg");
    s->g = g;
    s->entry = entry;
    int ret = 0;
    for (int pass = 0; !ret && !s->found && pass < 2; pass++) {
        s->by_default = pass == 0;
        ret = run(s, text, bytes, err);
    }
    if (!ret && !s->found)
        ret = err_set(err, ENOENT, "no menu entry with a 'linux' command");
    free(s);
    return ret;
}
