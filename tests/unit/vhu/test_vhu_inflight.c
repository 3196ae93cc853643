#include "vhu/vhu_inflight.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

#define N_QUEUES 3
#define SIZE     16

static struct vhu_inflight in;
static struct vhu_inflight_queue q;
static struct err err;

static void map(int fd)
{
    struct vhu_inflight_desc d = {
        .mmap_size = vhu_inflight_bytes(N_QUEUES, SIZE), .n_queues = N_QUEUES, .queue_size = SIZE};
    if (vhu_inflight_map(&in, fd, &d, &err))
        abort();
}

static int create(void)
{
    int fd = -1;
    if (vhu_inflight_create(N_QUEUES, SIZE, &fd, &err))
        abort();
    map(fd);
    return fd;
}

/* As if the process had died and another had got the area. */
static void die_and_return(int fd)
{
    vhu_inflight_unmap(&in);
    memset(&q, 0xee, sizeof(q));
    map(fd);
}

static void a_new_area_has_nothing_to_replay(void)
{
    int fd = create();
    for (unsigned i = 0; i < N_QUEUES; i++) {
        CHECK_EQ(vhu_inflight_attach(&in, i, SIZE, 7, &q, &err), 0);
        CHECK_EQ(q.n_replay, 0);
    }
    vhu_inflight_unmap(&in);
    close(fd);
}

static void what_was_taken_is_replayed_in_the_order_of_taking(void)
{
    int fd = create();
    REQUIRE(vhu_inflight_attach(&in, 1, SIZE, 100, &q, &err) == 0);
    const uint16_t heads[] = {5, 0, 9, 2};
    for (unsigned i = 0; i < 4; i++)
        vhu_inflight_taken(&q, heads[i]);
    vhu_inflight_completed(&q, 0);
    vhu_inflight_published(&q, 101);
    die_and_return(fd);
    CHECK_EQ(vhu_inflight_attach(&in, 1, SIZE, 101, &q, &err), 0);
    REQUIRE(q.n_replay == 3);
    CHECK_EQ(q.replay[0], 5);
    CHECK_EQ(q.replay[1], 9);
    CHECK_EQ(q.replay[2], 2);
    /* The other queues know nothing of it. */
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, 0, &q, &err), 0);
    CHECK_EQ(q.n_replay, 0);
    vhu_inflight_unmap(&in);
    close(fd);
}

static void death_before_the_used_index_moved_replays_the_batch(void)
{
    int fd = create();
    REQUIRE(vhu_inflight_attach(&in, 0, SIZE, 0xffff, &q, &err) == 0);
    vhu_inflight_taken(&q, 1);
    vhu_inflight_taken(&q, 2);
    vhu_inflight_completed(&q, 2);
    vhu_inflight_completed(&q, 1);
    die_and_return(fd);
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, 0xffff, &q, &err), 0);
    CHECK_EQ(q.n_replay, 2);
    vhu_inflight_unmap(&in);
    close(fd);
}

static void death_after_the_used_index_moved_replays_none_of_the_batch(void)
{
    int fd = create();
    REQUIRE(vhu_inflight_attach(&in, 0, SIZE, 0xffff, &q, &err) == 0);
    for (uint16_t i = 1; i <= 3; i++)
        vhu_inflight_taken(&q, i);
    vhu_inflight_completed(&q, 3);
    vhu_inflight_completed(&q, 1);
    die_and_return(fd);
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, 1, &q, &err), 0);
    REQUIRE(q.n_replay == 1);
    CHECK_EQ(q.replay[0], 2);
    vhu_inflight_unmap(&in);
    close(fd);
}

static void an_area_that_makes_no_sense_is_refused(void)
{
    int fd = create();
    REQUIRE(vhu_inflight_attach(&in, 0, SIZE, 0, &q, &err) == 0);
    struct vhu_inflight_region *r = q.region;
    vhu_inflight_taken(&q, 1);
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, SIZE + 1, &q, &err), -EPROTO);
    CHECK(strstr(err.msg, "used index 0 where its ring has 17"));
    r->last_batch_head = 99;
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, 1, &q, &err), -EPROTO);
    CHECK(strstr(err.msg, "links to entry 99 of 16"));
    r->version = 9;
    CHECK_EQ(vhu_inflight_attach(&in, 0, SIZE, 0, &q, &err), -EPROTO);
    CHECK_EQ(vhu_inflight_attach(&in, N_QUEUES, SIZE, 0, &q, &err), -EPROTO);
    CHECK_EQ(vhu_inflight_attach(&in, 1, 2 * SIZE, 0, &q, &err), -EPROTO);
    vhu_inflight_unmap(&in);

    struct vhu_inflight_desc d = {.mmap_size = 1 << 20, .n_queues = N_QUEUES, .queue_size = SIZE};
    d.mmap_offset = 64;
    CHECK_EQ(vhu_inflight_map(&in, fd, &d, &err), -EINVAL);
    d.mmap_offset = 0;
    d.queue_size = 1024;
    CHECK_EQ(vhu_inflight_map(&in, fd, &d, &err), -EINVAL);
    d.queue_size = 15;
    CHECK_EQ(vhu_inflight_map(&in, fd, &d, &err), -EINVAL);
    CHECK_EQ(vhu_inflight_create(1, 4096, &fd, &err), -EINVAL);
    close(fd);
}

int main(void)
{
    TAP_RUN(a_new_area_has_nothing_to_replay);
    TAP_RUN(what_was_taken_is_replayed_in_the_order_of_taking);
    TAP_RUN(death_before_the_used_index_moved_replays_the_batch);
    TAP_RUN(death_after_the_used_index_moved_replays_none_of_the_batch);
    TAP_RUN(an_area_that_makes_no_sense_is_refused);
    return tap_done();
}
