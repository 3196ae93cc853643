#include "link/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/api_format.h"
#include "api/api_json.h"
#include "base/util.h"

#define BY_AGENT  (1u << LINK_AGENT)
#define BY_SERVER (1u << LINK_SERVER)

/* A message begins so, which tells its type before its members are read. */
static const char HEAD[] = "{\"type\":\"";
#define HEAD_BYTES (sizeof(HEAD) - 1)

static const struct {
    const struct api_types_object *object;
    unsigned senders;
} MESSAGES[LINK_TYPE_N] = {
    [LINK_TYPE_HELLO] = {&link_types_hello, BY_AGENT},
    [LINK_TYPE_INVENTORY] = {&link_types_inventory, BY_AGENT},
    [LINK_TYPE_HEARTBEAT] = {&link_types_heartbeat, BY_AGENT},
    [LINK_TYPE_SEEN] = {&link_types_seen, BY_AGENT},
    [LINK_TYPE_USAGE] = {&link_types_usage, BY_AGENT},
    [LINK_TYPE_RESULT] = {&link_types_result, BY_AGENT},
    [LINK_TYPE_BYE] = {&link_types_bye, BY_AGENT},
    [LINK_TYPE_WELCOME] = {&link_types_welcome, BY_SERVER},
    [LINK_TYPE_REFUSE] = {&link_types_refuse, BY_SERVER},
    [LINK_TYPE_DESIRED] = {&link_types_desired, BY_SERVER},
    [LINK_TYPE_GONE] = {&link_types_gone, BY_SERVER},
    [LINK_TYPE_USAGE_ACK] = {&link_types_usage_ack, BY_SERVER},
    [LINK_TYPE_COMMAND] = {&link_types_command, BY_SERVER},
    [LINK_TYPE_STREAM_END] = {&link_types_stream_end, BY_AGENT | BY_SERVER},
    [LINK_TYPE_RENEW] = {&link_types_renew, BY_AGENT},
    [LINK_TYPE_CERTIFICATE] = {&link_types_certificate, BY_SERVER},
};

const struct api_types_object *link_object(enum link_type type)
{
    return MESSAGES[type].object;
}

const char *link_type_name(enum link_type type)
{
    return (unsigned)type < LINK_TYPE_N ? link_types_type.names[type] : "?";
}

bool link_may_send(enum link_side side, enum link_type type)
{
    return MESSAGES[type].senders & 1u << side;
}

static int refused(const struct api_refusal *r, int code, enum link_type type, struct err *err)
{
    if (r->n_errors)
        return err_set(err, -code, "%s: %s: %s", link_type_name(type), r->errors[0].pointer,
                       r->errors[0].detail);
    return err_set(err, -code, "%s: %s", link_type_name(type), r->detail);
}

/* The type, by the first bytes. */
static int read_type(const char *text, size_t bytes, enum link_type *type)
{
    if (bytes < HEAD_BYTES || memcmp(text, HEAD, HEAD_BYTES) != 0)
        return -EINVAL;
    const char *word = text + HEAD_BYTES;
    const char *end = memchr(word, '"', MIN(bytes - HEAD_BYTES, 32));
    for (unsigned i = 0; end && i < LINK_TYPE_N; i++)
        if (strlen(link_types_type.names[i]) == (size_t)(end - word) &&
            !memcmp(link_types_type.names[i], word, (size_t)(end - word))) {
            *type = (enum link_type)i;
            return 0;
        }
    return -EINVAL;
}

int link_read(enum link_side sender, const char *text, size_t bytes, struct api_arena *arena,
              struct link_message *message, struct err *err)
{
    struct link_message m = {0};
    struct api_refusal refusal;
    if (bytes > LINK_MESSAGE_MAX_BYTES)
        return err_set(err, E2BIG, "a message of %zu bytes: at most %u are taken", bytes,
                       LINK_MESSAGE_MAX_BYTES);
    if (read_type(text, bytes, &m.type))
        return err_set(err, EINVAL, "a message begins with %s and a type that is known", HEAD);
    if (!link_may_send(sender, m.type))
        return err_set(err, EPERM, "%s is not for %s to say", link_type_name(m.type),
                       sender == LINK_AGENT ? "an agent" : "a server");
    api_problem_init(&refusal);
    int ret =
        api_json_read(link_object(m.type), text, bytes, API_JSON_NEWER, arena, &m.any, &refusal);
    if (ret)
        return refused(&refusal, ret, m.type, err);
    ret = api_json_fill(link_object(m.type), m.any, arena);
    if (ret)
        return err_set(err, -ret, "%s: no memory for its defaults", link_type_name(m.type));
    *message = m;
    return 0;
}

/* Every message's struct begins with it: the generator sees to that. */
static void set_type(enum link_type type, void *body)
{
    struct api_enum member = {API_VALUE, (int)type};
    memcpy(api_types_at(body, &link_object(type)->fields[0]), &member, sizeof(member));
}

void link_write(enum link_type type, void *body, struct api_buf *out)
{
    set_type(type, body);
    api_json_write(link_object(type), body, API_JSON_SECRETS, NULL, out);
}

int link_check(enum link_type type, const void *body, struct err *err)
{
    struct api_refusal refusal;
    api_problem_init(&refusal);
    int ret = api_json_check(link_object(type), body, &refusal);
    return ret ? refused(&refusal, ret, type, err) : 0;
}

void link_stream_write(uint32_t stream, const void *data, size_t bytes, struct api_buf *out)
{
    const char head[LINK_STREAM_HEAD_BYTES] = {(char)(stream >> 24), (char)(stream >> 16),
                                               (char)(stream >> 8), (char)stream};
    api_buf_put(out, head, sizeof(head));
    api_buf_put(out, data, bytes);
}

int link_stream_read(const char *frame, size_t frame_bytes, uint32_t *stream, const char **data,
                     size_t *data_bytes)
{
    uint32_t number = 0;
    if (frame_bytes < LINK_STREAM_HEAD_BYTES ||
        frame_bytes > LINK_STREAM_HEAD_BYTES + LINK_STREAM_DATA_MAX_BYTES)
        return -EINVAL;
    for (unsigned i = 0; i < LINK_STREAM_HEAD_BYTES; i++)
        number = number << 8 | (uint8_t)frame[i];
    if (!number || number > INT32_MAX)
        return -EINVAL;
    *stream = number;
    *data = frame + LINK_STREAM_HEAD_BYTES;
    *data_bytes = frame_bytes - LINK_STREAM_HEAD_BYTES;
    return 0;
}

void link_uuid(const struct api_text *text, uint8_t uuid[16])
{
    memset(uuid, 0, 16);
    if (text->is == API_VALUE)
        (void)api_format_uuid(text->v, uuid);
}
