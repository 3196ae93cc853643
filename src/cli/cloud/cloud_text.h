/* Text for people: nothing that a server sends reaches the terminal as a control sequence; widths;
 * what somebody may have meant. */
#ifndef CLI_CLOUD_CLOUD_TEXT_H
#define CLI_CLOUD_CLOUD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Prints with control characters (and what is no UTF-8) as '?'. Tabs and newlines too, unless
 * `lines`. */
void cloud_text_put(FILE *out, const char *text, bool lines);
/* How many columns it takes: one a character. */
size_t cloud_text_width(const char *text);

/* Changes (insert, drop, replace, swap neighbours) that make one word of the other; at most 255. */
unsigned cloud_text_distance(const char *a, const char *b);

/* The word most like the one that was typed. Feed it all; `best` is NULL where none is near. */
struct cloud_text_guess {
    const char *typed;
    const char *best;
    unsigned distance;
};
void cloud_text_guess(struct cloud_text_guess *g, const char *word);

/* Whether colours may be used on a stream: a terminal, no NO_COLOR, TERM is not dumb. */
bool cloud_text_colours(FILE *out);

#endif
