/* What is on the other end of a serial line: a terminal, a pty, a file that never outgrows its
 * bound, or a unix socket that takes one client at a time. Bytes for a reader that does not keep
 * up wait in a bounded buffer, and the oldest are dropped beyond it: a guest is never held up by
 * its console. */
#ifndef MACHINE_SERIAL_PORT_H
#define MACHINE_SERIAL_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/loop.h"

struct serial_port;

struct serial_port_config {
    struct loop *loop;
    int in_fd, out_fd;  /* may be the same; -1: none. Taken over */
    int listen_fd;      /* -1, or a listening socket in place of both. Taken over */
    uint64_t max_bytes; /* bound of a regular file as out_fd; 0: none */
    /* Offers input from the loop's thread; returns how many bytes were taken. The rest is offered
     * again after serial_port_input_ready(). */
    size_t (*input)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
};

/* Owns: serial_port_destroy(). */
struct serial_port *serial_port_create(const struct serial_port_config *config, struct err *err);
/* Writes out what can be written at once. NULL is allowed. Loop's thread. */
void serial_port_destroy(struct serial_port *s);

/* Sends bytes. Threads: any, one at a time (the device lock serialises them). Never blocks but for
 * a regular file. */
void serial_port_output(struct serial_port *s, const uint8_t *data, size_t len);
/* The receiver has room again. Threads: any. */
void serial_port_input_ready(struct serial_port *s);

/* Bytes that nobody took in time. */
uint64_t serial_port_dropped_bytes(const struct serial_port *s);

#endif
