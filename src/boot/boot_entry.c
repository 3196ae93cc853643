#include "boot/boot_entry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set_path(char *to, const char *path, struct err *err)
{
    if (path[0] == '(' && strchr(path, ')'))
        path = strchr(path, ')') + 1;
    if (strlen(path) >= BOOT_ENTRY_PATH_BYTES)
        return err_set(err, E2BIG, "a path of %zu bytes is longer than %d", strlen(path),
                       BOOT_ENTRY_PATH_BYTES - 1);
    strcpy(to, path);
    return 0;
}

int boot_entry_set_kernel(struct boot_entry *entry, const char *path, struct err *err)
{
    return set_path(entry->kernel, path, err);
}

int boot_entry_add_initrd(struct boot_entry *entry, const char *path, struct err *err)
{
    if (entry->n_initrds == BOOT_ENTRY_INITRDS_MAX)
        return err_set(err, E2BIG, "more than %d initrds", BOOT_ENTRY_INITRDS_MAX);
    int ret = set_path(entry->initrds[entry->n_initrds], path, err);
    entry->n_initrds += !ret;
    return ret;
}

int boot_entry_add_option(struct boot_entry *entry, const char *option, struct err *err)
{
    size_t have = strlen(entry->cmdline), room = sizeof(entry->cmdline) - have;
    const char *quote = strpbrk(option, " \t") && !strchr(option, '"') ? "\"" : "";
    int n =
        snprintf(entry->cmdline + have, room, "%s%s%s%s", have ? " " : "", quote, option, quote);
    if (n < 0 || (size_t)n >= room)
        return err_set(err, E2BIG, "the command line is longer than %d bytes",
                       BOOT_ENTRY_CMDLINE_BYTES - 1);
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where a name ends a version ends, before any letter; '~' comes before that. */
static int rank(char c)
{
    return c == '~' ? -1 : (unsigned char)c;
}

int boot_entry_compare_versions(const char *a, const char *b)
{
    while (*a || *b) {
        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b)
                return rank(*a) < rank(*b) ? -1 : 1;
            a++, b++;
            continue;
        }
        a += strspn(a, "0");
        b += strspn(b, "0");
        size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
        int order = na != nb ? (na < nb ? -1 : 1) : strncmp(a, b, na);
        if (order)
            return order < 0 ? -1 : 1;
        a += na;
        b += nb;
    }
    return 0;
}
