/* The default entry of a grub.cfg: enough of GRUB's script language for what grub-mkconfig and
 * people write. Variables, quotes, `if` with `test`, menu entries in submenus; loops and functions
 * are skipped, commands that set up hardware or search for devices do nothing, since files are
 * looked for on every partition.
 *
 * Text of the guest: bounded in nesting, words, variables; whatever does not parse is refused with
 * the number of its line. Spec: GNU GRUB manual 2.06, 6 "Configuration" and 16 "Commands". */
#ifndef BOOT_GRUB_CFG_H
#define BOOT_GRUB_CFG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "boot/boot_entry.h"

#define GRUB_CFG_VARIABLES_MAX 128

struct grub_cfg_variable {
    char name[40];
    char value[1024];
};

/* About 140 KiB: for the heap. Begins as all zero. */
struct grub_cfg {
    unsigned n;
    struct grub_cfg_variable variables[GRUB_CFG_VARIABLES_MAX];
    bool has_env;  /* a grubenv was loaded */
    bool uses_bls; /* the script said `blscfg`: entries are in files, see boot/bls.h */
};

/* Takes the variables of an environment block (grubenv). `next_entry`, which GRUB erases when it
 * has used it, is left out: nothing is written here, and it would count at every boot. */
void grub_cfg_load_env(struct grub_cfg *g, const char *text, size_t bytes);

/* Runs the script and takes the entry that its variable `default` names by number, title or id,
 * with ">" into submenus; the first with a `linux` command where that names none that has one.
 * Errors: ENOENT (no entry with a `linux` command), EINVAL (the line and what is wrong), E2BIG. */
int grub_cfg_run(struct grub_cfg *g, const char *text, size_t bytes, struct boot_entry *entry,
                 struct err *err);

/* The value, or "". */
const char *grub_cfg_get(const struct grub_cfg *g, const char *name);

/* Copies text with $name and ${name} replaced. Errors: E2BIG. */
int grub_cfg_expand(const struct grub_cfg *g, const char *text, char *out, size_t room,
                    struct err *err);

#endif
