/* An HTTP/1.1 answer as it comes in, in pieces: status, then a body by length or in chunks. The
 * peer is a monitor, which a guest may have taken over: every length is bounded, and what is not
 * exactly what our server sends is an error. */
#ifndef AGENT_VM_REPLY_H
#define AGENT_VM_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_REPLY_HEAD_MAX_BYTES 4096

enum vm_reply_part { VM_REPLY_HEAD, VM_REPLY_BODY, VM_REPLY_SIZE, VM_REPLY_CHUNK, VM_REPLY_DONE };

struct vm_reply {
    enum vm_reply_part part;
    int status; /* from VM_REPLY_BODY on */
    bool chunked;
    bool last_chunk;
    bool closes;                            /* the peer ends the connection after it */
    uint64_t left_bytes;                    /* of the body, or of the chunk with its CRLF */
    char head[VM_REPLY_HEAD_MAX_BYTES + 1]; /* the head, or the line of a chunk's size */
    size_t head_bytes;
};

/* For the next answer of a connection. */
void vm_reply_init(struct vm_reply *r);

/* Takes bytes and gives those of the body to `body` (not called for none). Stops behind the answer:
 * `*used` is how many were taken. Errors: EBADMSG; the answer is of no use then. */
int vm_reply_feed(struct vm_reply *r, const char *data, size_t bytes,
                  void (*body)(void *opaque, const char *data, size_t bytes), void *opaque,
                  size_t *used);

#endif
