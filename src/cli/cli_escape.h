/* What a person types at a guest's console: everything is the guest's, but for what follows
 * Ctrl-A. A filter over the bytes with one bit of state, apart from terminals so that it is tested
 * without one. */
#ifndef CLI_CLI_ESCAPE_H
#define CLI_CLI_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_ESCAPE_KEY 0x01 /* Ctrl-A */

struct cli_escape {
    bool pending; /* the last byte was the escape key */
};

enum cli_escape_wish { CLI_ESCAPE_NOTHING, CLI_ESCAPE_QUIT, CLI_ESCAPE_HELP };

/* Copies the guest's bytes from in to out (as large), sets *n_out. Stops behind a key that is a
 * wish; *used says how far it came. Ctrl-A Ctrl-A is one Ctrl-A for the guest; Ctrl-A with a key
 * that means nothing is dropped. */
enum cli_escape_wish cli_escape_feed(struct cli_escape *e, const char *in, size_t n_in,
                                     size_t *used, char *out, size_t *n_out);

#endif
