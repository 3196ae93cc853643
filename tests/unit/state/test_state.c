#include "state/state.h"

#include <errno.h>

#include "tap.h"

static void values_come_back_in_order(void)
{
    struct state_writer w;
    state_writer_init(&w);
    state_begin(&w, "uart", 1, 2);
    state_put_u8(&w, 0x12);
    state_put_u16(&w, 0x3456);
    state_put_u32(&w, 0x789abcde);
    state_put_u64(&w, 0x1122334455667788);
    state_end(&w);
    CHECK_EQ(w.error, 0);

    struct state_reader r;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "uart", 1, 2), 2);
    CHECK_EQ(state_get_u8(&r), 0x12);
    CHECK_EQ(state_get_u16(&r), 0x3456);
    CHECK_EQ(state_get_u32(&r), 0x789abcde);
    CHECK_EQ(state_get_u64(&r), 0x1122334455667788);
    CHECK_EQ(state_close(&r), 0);
    state_writer_fini(&w);
}

static void write_one(struct state_writer *w)
{
    state_writer_init(w);
    state_begin(w, "pit", 0, 1);
    state_put_u32(w, 7);
    state_end(w);
}

static void refuses_a_newer_version_by_name(void)
{
    struct state_writer w;
    struct state_reader r;
    write_one(&w);
    w.data[8] = 9;
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "pit", 0, 1), -ENOTSUP);
    CHECK(strstr(r.err.msg, "'pit' has version 9"));
    state_writer_fini(&w);
}

static void refuses_what_is_cut_short_at_every_length(void)
{
    struct state_writer w;
    write_one(&w);
    for (size_t len = 0; len < w.len_bytes; len++) {
        struct state_reader r;
        state_reader_init(&r, w.data, len);
        CHECK(state_open(&r, "pit", 0, 1) < 0);
    }
    state_writer_fini(&w);
}

static void left_over_and_missing_bytes_are_errors(void)
{
    struct state_writer w;
    struct state_reader r;
    write_one(&w);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "pit", 0, 1), 1);
    CHECK_EQ(state_close(&r), -EPROTO);
    state_reader_init(&r, w.data, w.len_bytes);
    CHECK_EQ(state_open(&r, "pit", 0, 1), 1);
    CHECK_EQ(state_get_u64(&r), 0);
    CHECK_EQ(state_close(&r), -EPROTO);
    state_writer_fini(&w);
}

int main(void)
{
    TAP_RUN(values_come_back_in_order);
    TAP_RUN(refuses_a_newer_version_by_name);
    TAP_RUN(refuses_what_is_cut_short_at_every_length);
    TAP_RUN(left_over_and_missing_bytes_are_errors);
    return tap_done();
}
