#include "cli/cloud/cloud_text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api_buf.h"
#include "base/util.h"

#define WORD_MAX 48 /* longer ones are compared as far as this */

void cloud_text_put(FILE *out, const char *text, bool lines)
{
    size_t left = strlen(text);
    while (left) {
        unsigned n = api_buf_utf8(text, left);
        unsigned char ch = (unsigned char)*text;
        bool line = lines && (ch == '\n' || ch == '\t');
        /* U+0080 to U+009F are control characters as well. */
        bool control = ch < 0x20 || ch == 0x7f || (n == 2 && ch == 0xc2 && (text[1] & 0xff) < 0xa0);
        if (!n || (control && !line))
            fputc('?', out);
        else
            fwrite(text, 1, n, out);
        n = n ? n : 1;
        text += n;
        left -= n;
    }
}

size_t cloud_text_width(const char *text)
{
    size_t n = 0;
    for (size_t left = strlen(text); left; n++) {
        unsigned bytes = api_buf_utf8(text, left);
        bytes = bytes ? bytes : 1;
        text += bytes;
        left -= bytes;
    }
    return n;
}

/* Optimal string alignment. Source: Damerau, "A technique for computer detection and correction of
 * spelling errors", 1964. */
unsigned cloud_text_distance(const char *a, const char *b)
{
    unsigned char rows[3][WORD_MAX + 1];
    size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned char *now = rows[i % 3], *one = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = one[j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, one[j] + 1u);
            best = MIN(best, now[j - 1] + 1u);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, two[j - 2] + 1u);
            now[j] = (unsigned char)best;
        }
    }
    return rows[n % 3][m];
}

void cloud_text_guess(struct cloud_text_guess *g, const char *word)
{
    unsigned d = cloud_text_distance(g->typed, word);
    size_t bytes = strlen(g->typed);
    /* A third of the word may be wrong; or it is the beginning of the other. */
    bool begins = bytes >= 2 && !strncmp(g->typed, word, bytes);
    if (begins)
        d = 1;
    if (d > (bytes + 2) / 3 || (g->best && d >= g->distance))
        return;
    g->best = word;
    g->distance = d;
}

bool cloud_text_colours(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}
