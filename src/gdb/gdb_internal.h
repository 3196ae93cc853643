/* Between gdb_server.c (the connection) and gdb_commands.c (what the packets say). */
#ifndef GDB_GDB_INTERNAL_H
#define GDB_GDB_INTERNAL_H

#include "gdb/gdb_packet.h"
#include "gdb/gdb_server.h"

/* Bytes of memory in one packet: two digits each. */
#define GDB_MEMORY_MAX (GDB_PACKET_MAX / 2 - 8)

struct gdb_server {
    struct loop *loop;
    const struct gdb_target_ops *ops;
    void *target;
    struct loop_fd listener, conn; /* conn.loop is NULL: nobody is connected */
    struct gdb_framer in;
    bool no_ack, physical, waits; /* waits: gdb expects a stop reply */
    bool closing;                 /* after what is to be sent */
    unsigned thread;              /* of g, m and their like */
    unsigned step_thread;         /* of s and c */
    struct gdb_stop last;

    char reply[2 * GDB_PACKET_MAX + 1]; /* payload of the answer being made */
    size_t reply_len;
    char out[4 * GDB_PACKET_MAX + 16]; /* encoded: the packet that a NAK asks for again */
    size_t out_len, sent;
};

/* Answers one packet: fills s->reply and returns true, or returns false when no answer is due
 * (yet). */
bool gdb_command(struct gdb_server *s, const char *packet, size_t len);
/* The stop reply of s->last, as an answer. */
void gdb_stop_reply(struct gdb_server *s);
__attribute__((format(printf, 2, 3))) void gdb_reply(struct gdb_server *s, const char *fmt, ...);

#endif
