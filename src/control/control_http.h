/* Reads the head of an HTTP/1.1 request out of a buffer: no state, no allocation, and nothing that
 * two readers could understand differently is accepted. Spec: RFC 9112, RFC 9110. */
#ifndef CONTROL_CONTROL_HTTP_H
#define CONTROL_CONTROL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_HTTP_HEAD_MAX_BYTES 8192
#define CONTROL_HTTP_BODY_MAX_BYTES 65536
#define CONTROL_HTTP_FIELDS_MAX     32

enum control_http_method {
    CONTROL_HTTP_GET,
    CONTROL_HTTP_PUT,
    CONTROL_HTTP_POST,
    CONTROL_HTTP_DELETE,
    CONTROL_HTTP_OTHER,
};

struct control_http_request {
    enum control_http_method method;
    const char *path; /* into the buffer, not terminated; begins with a slash */
    size_t path_len;
    const char *query; /* what follows the "?", or NULL */
    size_t query_len;
    bool keep_alive;
    bool expects_continue;
    bool has_length;
    size_t content_length; /* 0 when absent */
};

/* Returns the length of the head once it is whole, 0 while more is needed, or -status for what must
 * be answered with that status and the connection closed: 400, 411, 413, 414, 417, 431, 501, 505.
 */
int control_http_parse(const char *text, size_t bytes, struct control_http_request *request);

/* "OK" for 200. */
const char *control_http_status_text(int status);

#endif
