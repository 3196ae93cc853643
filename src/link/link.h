/* The messages between a server (virgad) and its agents, both ways, over a WebSocket: what is said,
 * by whom, and its form. Design: docs/arch/19-link.md. The messages are described in link/,
 * from which src/link/gen/ is made.
 *
 * A message is a text frame: a JSON object whose first member is its type. A binary frame is bytes
 * of a stream (a console), behind the stream's number.
 *
 * What comes from the other end is checked whole before anybody looks at it: bounds, formats, and
 * that the sender may say such a thing at all. Members that this version does not know are skipped;
 * words that it does not know are refused. */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "api/api_arena.h"
#include "api/api_buf.h"
#include "base/err.h"
#include "link/gen/agent.h"
#include "link/gen/server.h"
#include "link/gen/types.h"

#define LINK_PROTOCOL 1 /* the version that this code speaks */
#define LINK_PATH     "/v1/agent"
/* For web_config.message_max_bytes and web_client_config's; also of binary frames. */
#define LINK_MESSAGE_MAX_BYTES (4u << 20)
/* What an arena should allow for a message: its lists' bounds hold below that. */
#define LINK_ARENA_BYTES       (32u << 20)
#define LINK_STREAM_HEAD_BYTES 4
/* Of one binary frame; a longer piece is sent as several. */
#define LINK_STREAM_DATA_MAX_BYTES (64u << 10)

enum link_side { LINK_AGENT, LINK_SERVER };

/* A message that was read. `type` says which of the pointers is meant. Defaults are filled in. */
struct link_message {
    enum link_type type;
    union {
        void *any;
        const struct link_hello *hello;
        const struct link_inventory *inventory;
        const struct link_heartbeat *heartbeat;
        const struct link_seen *seen;
        const struct link_usage *usage;
        const struct link_result *result;
        const struct link_bye *bye;
        const struct link_welcome *welcome;
        const struct link_refuse *refuse;
        const struct link_desired *desired;
        const struct link_gone *gone;
        const struct link_usage_ack *usage_ack;
        const struct link_command *command;
        const struct link_stream_end *stream_end;
        const struct link_renew *renew;
        const struct link_certificate *certificate;
    };
};

/* The table of a type's struct. */
const struct api_types_object *link_object(enum link_type type);
/* "hello". */
const char *link_type_name(enum link_type type);
/* Whether that side may send messages of the type. */
bool link_may_send(enum link_side side, enum link_type type);

/* A text frame that `sender` sent. What the message points to is the arena's.
 * Errors: EINVAL (not JSON, no type, not allowed; err says where), EPERM (not the sender's to say),
 * E2BIG, ENOMEM (the arena is full). */
int link_read(enum link_side sender, const char *text, size_t bytes, struct api_arena *arena,
              struct link_message *message, struct err *err);

/* Appends the message to `out`; `body` is the type's struct, whose member `type` is set here.
 * It is not checked: link_check() does that. */
void link_write(enum link_type type, void *body, struct api_buf *out);

/* Whether the other end would take what link_write() makes of it. Errors: EINVAL, naming the place.
 */
int link_check(enum link_type type, const void *body, struct err *err);

/* A binary frame of a stream, 1 to 2^31 - 1. */
void link_stream_write(uint32_t stream, const void *data, size_t bytes, struct api_buf *out);
/* *data points into the frame. Errors: EINVAL: too short, too long, or no such number. */
int link_stream_read(const char *frame, size_t frame_bytes, uint32_t *stream, const char **data,
                     size_t *data_bytes);

/* A UUID member as bytes; all zero where it is absent. */
void link_uuid(const struct api_text *text, uint8_t uuid[16]);

#endif
