#include "boot/bls.h"

#include <errno.h>
#include <string.h>

/* Each word of a value by itself; an option in quotes keeps them, for the kernel to read. */
static int add_words(struct boot_entry *entry, char *value,
                     int (*add)(struct boot_entry *entry, const char *word, struct err *err),
                     struct err *err)
{
    int ret = 0;
    for (char *save = NULL, *w = strtok_r(value, " \t", &save); !ret && w;
         w = strtok_r(NULL, " \t", &save))
        ret = add(entry, w, err);
    return ret;
}

static int take_line(const struct grub_cfg *g, const char *line, struct boot_entry *entry,
                     struct err *err)
{
    char value[BOOT_ENTRY_CMDLINE_BYTES];
    size_t key = strcspn(line, " \t");
    const char *rest = line + key + strspn(line + key, " \t");
    if (key == 5 && strncmp(line, "linux", key) == 0)
        return boot_entry_set_kernel(entry, rest, err);
    bool initrd = key == 6 && strncmp(line, "initrd", key) == 0;
    if (!initrd && (key != 7 || strncmp(line, "options", key) != 0))
        return 0;
    int ret = grub_cfg_expand(g, rest, value, sizeof(value), err);
    return ret ? ret
               : add_words(entry, value, initrd ? boot_entry_add_initrd : boot_entry_add_option,
                           err);
}

int bls_parse(const struct grub_cfg *g, const char *text, size_t bytes, struct boot_entry *entry,
              struct err *err)
{
    const char *end = text + bytes;
    memset(entry, 0, sizeof(*entry));
    while (text < end) {
        char line[BOOT_ENTRY_CMDLINE_BYTES];
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((stop ? stop : end) - text);
        if (n >= sizeof(line))
            return err_set(err, E2BIG, "a line of %zu bytes", n);
        memcpy(line, text, n);
        while (n && strchr(" \t\r", line[n - 1]))
            n--;
        line[n] = 0;
        int ret = take_line(g, line, entry, err);
        if (ret)
            return ret;
        text = stop ? stop + 1 : end;
    }
    return entry->kernel[0] ? 0 : err_set(err, ENOENT, "no line 'linux'");
}
