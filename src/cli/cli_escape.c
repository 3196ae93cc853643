#include "cli/cli_escape.h"

enum cli_escape_wish cli_escape_feed(struct cli_escape *e, const char *in, size_t n_in,
                                     size_t *used, char *out, size_t *n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_in; i++) {
        if (!e->pending && in[i] == CLI_ESCAPE_KEY) {
            e->pending = true;
        } else if (!e->pending || in[i] == CLI_ESCAPE_KEY) {
            e->pending = false;
            out[n++] = in[i];
        } else {
            e->pending = false;
            bool quit = in[i] == 'x' || in[i] == 'X', help = in[i] == 'h' || in[i] == '?';
            if (quit || help) {
                *used = i + 1;
                *n_out = n;
                return quit ? CLI_ESCAPE_QUIT : CLI_ESCAPE_HELP;
            }
        }
    }
    *used = n_in;
    *n_out = n;
    return CLI_ESCAPE_NOTHING;
}
