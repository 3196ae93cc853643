/* A VM's serial console: read all the time, so that its end can be shown, and passed on to those
 * who have a stream of it. The monitor serves one client; this is it. */
#ifndef AGENT_VM_CONSOLE_H
#define AGENT_VM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"

#define VM_CONSOLE_LOG_BYTES   (256u << 10)
#define VM_CONSOLE_STREAMS_MAX 8
#define VM_CONSOLE_INPUT_BYTES (64u << 10) /* that wait for the guest; more is thrown away */

struct vm_console;

struct vm_console_ops {
    /* What the guest said, for one stream. */
    void (*output)(void *opaque, uint32_t stream, const char *data, size_t bytes);
    /* A stream is over, and forgotten. */
    void (*end)(void *opaque, uint32_t stream, const char *why);
};

/* `path` is borrowed. Connects when vm_console_follow() says that there is somebody.
 * NULL: no memory. */
struct vm_console *vm_console_create(struct loop *loop, const char *path,
                                     const struct vm_console_ops *ops, void *opaque);
/* Streams end. NULL is allowed. Not from within its callbacks. */
void vm_console_destroy(struct vm_console *c);

/* Whether there is a monitor: then it is connected to, again and again if need be. */
void vm_console_follow(struct vm_console *c, bool runs);
/* Errors: EEXIST, EMFILE: too many; ENOTCONN: there is no monitor. */
int vm_console_open(struct vm_console *c, uint32_t stream);
bool vm_console_has(const struct vm_console *c, uint32_t stream);
/* The other end has closed it. */
void vm_console_close(struct vm_console *c, uint32_t stream);
/* All that are open. */
void vm_console_close_all(struct vm_console *c);
void vm_console_input(struct vm_console *c, const char *data, size_t bytes);

/* The last bytes that the guest said, at most `max`, terminated. Owns: free(). *truncated: there
 * was more. NULL: no memory. */
char *vm_console_log(const struct vm_console *c, size_t max, size_t *bytes, bool *truncated);

#endif
