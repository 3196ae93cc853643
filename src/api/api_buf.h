/* Text that grows while it is written, for answers. An allocation that fails, or a text that grows
 * over its limit, is remembered: writers need not check, whoever takes the text does. */
#ifndef API_API_BUF_H
#define API_API_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_buf {
    char *text; /* NUL-terminated once anything was written */
    size_t bytes, size, limit_bytes;
    bool failed;
};

void api_buf_init(struct api_buf *b, size_t limit_bytes);
void api_buf_fini(struct api_buf *b);
/* Empties it and keeps its memory. */
void api_buf_reset(struct api_buf *b);
void api_buf_put(struct api_buf *b, const char *text, size_t bytes);
void api_buf_puts(struct api_buf *b, const char *text);
void api_buf_putc(struct api_buf *b, char ch);
void api_buf_printf(struct api_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void api_buf_int(struct api_buf *b, int64_t v);
/* A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD: the answer stays JSON. */
void api_buf_json_text(struct api_buf *b, const char *text);
/* The shortest decimal that reads back as the same double. */
void api_buf_json_number(struct api_buf *b, double v);
/* Takes the text out; the buffer is empty again. Owns: free(). NULL: something had failed. */
char *api_buf_steal(struct api_buf *b);

/* The length in bytes of the UTF-8 character that text begins with; 0: it is none. Source: RFC
 * 3629, section 4 (no surrogates, nothing overlong). */
unsigned api_buf_utf8(const char *text, size_t bytes);

#endif
