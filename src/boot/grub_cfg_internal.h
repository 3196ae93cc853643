/* Between grub_cfg.c (variables, running commands) and grub_cfg_words.c (text to commands). */
#ifndef BOOT_GRUB_CFG_INTERNAL_H
#define BOOT_GRUB_CFG_INTERNAL_H

#include "boot/grub_cfg.h"

#define GRUB_CFG_WORDS_MAX  192
#define GRUB_CFG_TEXT_BYTES 8192

/* One command: up to a newline, a semicolon, or a brace. */
struct grub_cfg_command {
    unsigned n;
    const char *words[GRUB_CFG_WORDS_MAX];
    bool quoted[GRUB_CFG_WORDS_MAX]; /* in part at least: no keyword, no brace */
    char text[GRUB_CFG_TEXT_BYTES];
    size_t used;
};

struct grub_cfg_lexer {
    const char *at, *end;
    unsigned line;
};

/* Cuts the next command off and expands its variables. Returns 1, 0 at the end, or -errno. */
int grub_cfg_next_command(struct grub_cfg_lexer *lexer, const struct grub_cfg *g,
                          struct grub_cfg_command *command, struct err *err);

/* The value of the variable whose name begins at `at` (behind the '$'); moves it on. */
const char *grub_cfg_variable(const struct grub_cfg *g, const char **at, const char *end);

#endif
