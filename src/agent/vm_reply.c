#include "agent/vm_reply.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

/* A chunk's end is read with it. */
#define CRLF_BYTES 2
/* Longer than any document of a monitor, and far from overflowing. */
#define BODY_MAX_BYTES (UINT64_C(1) << 30)

void vm_reply_init(struct vm_reply *r)
{
    r->part = VM_REPLY_HEAD;
    r->status = 0;
    r->chunked = r->last_chunk = r->closes = false;
    r->left_bytes = 0;
    r->head_bytes = 0;
}

/* Digits of `base` up to the end of the text, nothing else. */
static int parse_number(const char *text, unsigned base, uint64_t *value)
{
    uint64_t v = 0;
    if (!*text)
        return -EBADMSG;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9'   ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a' + 10)
                         : *text >= 'A' && *text <= 'F' ? (unsigned)(*text - 'A' + 10)
                                                        : 16;
        if (digit >= base)
            return -EBADMSG;
        v = v * base + digit;
        if (v > BODY_MAX_BYTES)
            return -EBADMSG;
    }
    *value = v;
    return 0;
}

static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    return line + n + 1 + strspn(line + n + 1, " \t");
}

static int parse_field(struct vm_reply *r, const char *line, bool *has_length)
{
    const char *value;
    if ((value = value_of(line, "content-length"))) {
        if (*has_length || parse_number(value, 10, &r->left_bytes))
            return -EBADMSG;
        *has_length = true;
    } else if ((value = value_of(line, "transfer-encoding"))) {
        if (strcasecmp(value, "chunked") != 0)
            return -EBADMSG;
        r->chunked = true;
    } else if ((value = value_of(line, "connection")) && !strcasecmp(value, "close")) {
        r->closes = true;
    }
    return 0;
}

/* "HTTP/1.1 200 OK" */
static int parse_status(struct vm_reply *r, const char *line)
{
    if (strncmp(line, "HTTP/1.1 ", 9) != 0 || strspn(line + 9, "0123456789") != 3 ||
        (line[12] != ' ' && line[12] != 0))
        return -EBADMSG;
    r->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
    return r->status >= 100 && r->status < 600 ? 0 : -EBADMSG;
}

static int parse_head(struct vm_reply *r)
{
    bool has_length = false, first = true;
    if (strlen(r->head) != r->head_bytes)
        return -EBADMSG;
    for (char *line = r->head; *line;) {
        char *end = strstr(line, "\r\n");
        *end = 0;
        if (first ? parse_status(r, line) : parse_field(r, line, &has_length))
            return -EBADMSG;
        first = false;
        line = end + CRLF_BYTES;
    }
    if (r->chunked == has_length) { /* both or neither */
        if (r->chunked || (r->status != 204 && r->status != 304))
            return -EBADMSG;
    }
    r->head_bytes = 0;
    r->part = r->chunked ? VM_REPLY_SIZE : r->left_bytes ? VM_REPLY_BODY : VM_REPLY_DONE;
    return 0;
}

static int parse_size(struct vm_reply *r)
{
    r->head[r->head_bytes - CRLF_BYTES] = 0;
    r->head_bytes = 0;
    if (parse_number(r->head, 16, &r->left_bytes))
        return -EBADMSG;
    /* The last chunk is empty, and the CRLF behind it ends the (empty) trailers. */
    r->last_chunk = !r->left_bytes;
    r->left_bytes += CRLF_BYTES;
    r->part = VM_REPLY_CHUNK;
    return 0;
}

/* Collects up to `end`; 1 when it is there. */
static int collect(struct vm_reply *r, char c, const char *end)
{
    if (r->head_bytes == VM_REPLY_HEAD_MAX_BYTES)
        return -EBADMSG;
    r->head[r->head_bytes++] = c;
    r->head[r->head_bytes] = 0;
    size_t n = strlen(end);
    return r->head_bytes >= n && !memcmp(r->head + r->head_bytes - n, end, n);
}

static int feed_line(struct vm_reply *r, char c)
{
    bool head = r->part == VM_REPLY_HEAD;
    int ret = collect(r, c, head ? "\r\n\r\n" : "\r\n");
    if (ret <= 0)
        return ret;
    if (!head)
        return parse_size(r);
    r->head_bytes -= CRLF_BYTES; /* the empty line */
    r->head[r->head_bytes] = 0;
    return parse_head(r);
}

/* The two bytes that end a chunk: they must be what they should. */
static int feed_chunk_end(struct vm_reply *r, char c)
{
    if (c != (r->left_bytes == CRLF_BYTES ? '\r' : '\n'))
        return -EBADMSG;
    if (--r->left_bytes == 0)
        r->part = r->last_chunk ? VM_REPLY_DONE : VM_REPLY_SIZE;
    return 0;
}

int vm_reply_feed(struct vm_reply *r, const char *data, size_t bytes,
                  void (*body)(void *opaque, const char *data, size_t bytes), void *opaque,
                  size_t *used)
{
    size_t i = 0;
    int ret = 0;
    while (i < bytes && r->part != VM_REPLY_DONE && !ret) {
        uint64_t reserved = r->part == VM_REPLY_CHUNK ? CRLF_BYTES : 0;
        if (r->part == VM_REPLY_HEAD || r->part == VM_REPLY_SIZE) {
            ret = feed_line(r, data[i++]);
        } else if (r->left_bytes > reserved) {
            size_t n = (size_t)MIN(r->left_bytes - reserved, (uint64_t)(bytes - i));
            body(opaque, data + i, n);
            r->left_bytes -= n;
            i += n;
            if (r->part == VM_REPLY_BODY && !r->left_bytes)
                r->part = VM_REPLY_DONE;
        } else {
            ret = feed_chunk_end(r, data[i++]);
        }
    }
    *used = i;
    return ret;
}
