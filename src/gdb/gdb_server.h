/* A gdb server on a stream socket: one debugger at a time, in the main loop. The protocol is gdb's
 * remote serial protocol
 * ("Debugging with GDB", appendix E); what it debugs is behind gdb_target.h. See
 * docs/arch/12-gdb.md. */
#ifndef GDB_GDB_SERVER_H
#define GDB_GDB_SERVER_H

#include "base/err.h"
#include "gdb/gdb_target.h"
#include "io/loop.h"

struct gdb_server;

/* Serves who connects to `listen_fd` (taken over; -1: nobody, only gdb_server_adopt()). Owns:
 * gdb_server_destroy(). */
struct gdb_server *gdb_server_create(struct loop *loop, int listen_fd,
                                     const struct gdb_target_ops *ops, void *target,
                                     struct err *err);
void gdb_server_destroy(struct gdb_server *s);

/* Serves a connected socket (a socketpair of tests); takes it over. Errors: EBUSY when there is a
 * debugger. */
int gdb_server_adopt(struct gdb_server *s, int fd, struct err *err);

/* The target has stopped after a resume or a step. */
void gdb_server_stopped(struct gdb_server *s, const struct gdb_stop *why);

#endif
