/* A frame of the link between server and agents, of either side. What is understood is written and
 * reads back as the same; what is not says why.
 *
 * Shape of an input: 'a' or 's' (who sent it) or 'b' (a binary frame), then the frame. */
#include <stdlib.h>
#include <string.h>

#include "api/api_json.h"
#include "link/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(enum link_side side, const char *text, size_t bytes)
{
    struct api_arena arena;
    struct link_message m, again;
    struct api_buf b;
    struct err err = {0};
    api_arena_init(&arena, LINK_ARENA_BYTES);
    int ret = link_read(side, text, bytes, &arena, &m, &err);
    if (ret) {
        demand(err.code == -ret && err.msg[0]);
    } else {
        const struct api_types_object *o = link_object(m.type);
        api_buf_init(&b, 4 * LINK_MESSAGE_MAX_BYTES);
        demand(!link_check(m.type, m.any, &err));
        link_write(m.type, m.any, &b);
        demand(!b.failed);
        demand(!link_read(side, b.text, b.bytes, &arena, &again, &err));
        demand(again.type == m.type && api_json_equal(o, m.any, again.any));
        api_buf_fini(&b);
    }
    api_arena_fini(&arena);
}

static void check_frame(const char *frame, size_t bytes)
{
    uint32_t stream;
    const char *data;
    size_t data_bytes;
    struct api_buf b;
    if (link_stream_read(frame, bytes, &stream, &data, &data_bytes))
        return;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_stream_write(stream, data, data_bytes, &b);
    demand(b.bytes == bytes && !memcmp(b.text, frame, bytes));
    api_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (!size)
        return 0;
    if (data[0] == 'b')
        check_frame(text + 1, size - 1);
    else
        check_text(data[0] == 's' ? LINK_SERVER : LINK_AGENT, text + 1, size - 1);
    return 0;
}
