/* A saved VM's file: what goes in comes out, holes stay holes, and nothing broken is believed. */
#include "migrate/saved_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tap.h"
#include "base/util.h"
#include "migrate/save_task.h"

#define RAM   (UINT64_C(8) << 20)
#define STATE "a state of some bytes"

static const uint8_t uuid[16] = {1, 2, 3};
static const _Atomic bool never;

/* A file without a name. */
static int make_file(void)
{
    char path[] = "/tmp/virga-saved-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    unlink(path);
    return fd;
}

static void fill(struct guest_mem *m)
{
    memcpy(guest_mem_ptr(m, 0x3000, 4), "\1\2\3\4", 4);
    memset(guest_mem_ptr(m, 0x200000, 0x5001), 0xa5, 0x5001);
    *(uint8_t *)guest_mem_ptr(m, RAM - 1, 1) = 7;
}

static bool is_filled(const struct guest_mem *m)
{
    static const uint8_t zero[4096];
    const uint8_t *a5 = guest_mem_ptr(m, 0x200000, 0x5002);
    for (unsigned i = 0; i < 0x5001; i++)
        if (a5[i] != 0xa5)
            return false;
    return memcmp(guest_mem_ptr(m, 0x3000, 4), "\1\2\3\4", 4) == 0 && a5[0x5001] == 0 &&
           *(uint8_t *)guest_mem_ptr(m, RAM - 1, 1) == 7 &&
           memcmp(guest_mem_ptr(m, 0x100000, 4096), zero, 4096) == 0;
}

static int save(unsigned flags)
{
    struct guest_mem m;
    struct err err = {0};
    int fd = make_file();
    if (guest_mem_init(&m, RAM, flags, NULL))
        return -1;
    fill(&m);
    CHECK_EQ(saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &never, &err), 0);
    CHECK_STR(err.msg, "");
    guest_mem_fini(&m);
    return fd;
}

static int load(int fd, uint64_t ram_bytes, struct err *err, bool *good)
{
    struct guest_mem m;
    void *state = NULL;
    size_t n = 0;
    *good = false;
    if (guest_mem_init(&m, ram_bytes, 0, err))
        return -1;
    int ret = saved_vm_read(fd, "f", &m, &state, &n, err);
    if (!ret)
        *good = n == sizeof(STATE) && memcmp(state, STATE, n) == 0 && is_filled(&m);
    free(state);
    guest_mem_fini(&m);
    return ret;
}

static void ram_and_state_come_out_as_they_went_in(void)
{
    static const unsigned kinds[] = {0, GUEST_MEM_SHARED};
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err = {0};
        struct stat st;
        bool good;
        int fd = save(kinds[i]);
        REQUIRE(fd >= 0);
        CHECK_EQ(load(fd, RAM, &err, &good), 0);
        CHECK_STR(err.msg, "");
        CHECK(good);
        fstat(fd, &st);
        CHECK(st.st_size > (off_t)RAM && st.st_blocks * 512 < 1 << 20);
        close(fd);
    }
}

static void shared_ram_that_was_never_touched_stays_untouched(void)
{
    struct guest_mem m;
    struct stat before, after;
    int fd = make_file();
    REQUIRE(guest_mem_init(&m, RAM, GUEST_MEM_SHARED, NULL) == 0);
    fill(&m);
    fstat(m.fd, &before);
    CHECK_EQ(saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &never, NULL), 0);
    fstat(m.fd, &after);
    CHECK_EQ(after.st_blocks, before.st_blocks);
    guest_mem_fini(&m);
    close(fd);
}

static void every_broken_field_is_refused_by_name(void)
{
    static const struct {
        off_t at;
        uint8_t value;
        const char *says;
    } cases[] = {
        {0, 'v', "is not a saved VM"}, {8, 3, "version 3"},
        {16, 0xff, "it is corrupt"},   {23, 0xff, "it is corrupt"},
        {24, 1, "it is corrupt"},      {31, 0xff, "it is corrupt"},
        {34, 1, "give it the same"},   {39, 0xff, "give it the same"},
        {40, 0, "checksum"},           {64 + 3, 'X', "checksum"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        bool good;
        int fd = save(0);
        REQUIRE(fd >= 0);
        CHECK_EQ(pwrite(fd, &cases[i].value, 1, cases[i].at), 1);
        CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
        if (!strstr(err.msg, cases[i].says) || !strstr(err.msg, "'f'"))
            CHECK_STR(err.msg, cases[i].says);
        close(fd);
    }
}

static void ram_that_changed_is_refused_and_holes_may_become_zeroes(void)
{
    static const uint8_t zeroes[3 * 4096];
    const off_t ram = 4096; /* where it begins, behind header and state */
    struct err err = {0};
    bool good;
    int fd = save(0);
    REQUIRE(fd >= 0);
    CHECK_EQ(pwrite(fd, zeroes, sizeof(zeroes), ram + 0x100000), (ssize_t)sizeof(zeroes));
    CHECK_EQ(load(fd, RAM, &err, &good), 0);
    CHECK(good);
    CHECK_EQ(pwrite(fd, "x", 1, ram + 0x3002), 1);
    CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
    CHECK(strstr(err.msg, "the RAM of saved VM 'f' has checksum 0x"));
    CHECK_EQ(pwrite(fd, "\3", 1, ram + 0x3002), 1);
    CHECK_EQ(load(fd, RAM, &err, &good), 0);
    CHECK_EQ(pwrite(fd, zeroes, 4096, ram + 0x3000), 4096); /* a page that is lost */
    CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
    close(fd);
}

static void the_header_alone_says_whose_it_is(void)
{
    struct err err = {0};
    uint8_t found[16] = {0};
    int fd = save(0);
    REQUIRE(fd >= 0);
    CHECK_EQ(saved_vm_read_uuid(fd, "f", found, &err), 0);
    CHECK(memcmp(found, uuid, sizeof(found)) == 0);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(saved_vm_read_uuid(fd, "f", found, &err), -EINVAL);
    close(fd);
}

static void every_shorter_file_is_refused(void)
{
    struct stat st;
    int fd = save(0);
    REQUIRE(fd >= 0);
    fstat(fd, &st);
    for (off_t size = st.st_size - 1; size >= 0; size = size > 300 ? size / 2 : size - 1) {
        struct err err = {0};
        bool good;
        CHECK_EQ(ftruncate(fd, size), 0);
        CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
        CHECK(strstr(err.msg, "cut off"));
    }
    close(fd);
}

static void only_an_empty_regular_file_is_written(void)
{
    struct guest_mem m;
    struct err err = {0};
    char byte = 0;
    REQUIRE(guest_mem_init(&m, RAM, 0, NULL) == 0);
    int fd = save(0);
    CHECK_EQ(saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &never, &err), -EINVAL);
    CHECK(strstr(err.msg, "has content"));
    CHECK_EQ(pread(fd, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'V');
    close(fd);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_EQ(saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &never, &err), -EINVAL);
    close(fd);
    guest_mem_fini(&m);
}

/* A writer that is stopped at any point leaves a file that says so: here by the file size limit,
 * which makes each write beyond it fail as a full disk would. */
static void a_file_whose_writer_failed_is_never_taken_for_whole(void)
{
    struct guest_mem m;
    struct rlimit old, limit;
    REQUIRE(guest_mem_init(&m, RAM, 0, NULL) == 0);
    fill(&m);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    const rlim_t sizes[] = {0, 10, 64, 80, 4096, 0x200000, RAM};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        struct err err = {0};
        bool good;
        int fd = make_file();
        limit = (struct rlimit){.rlim_cur = sizes[i], .rlim_max = old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        int ret = saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &never, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        CHECK_EQ(ret, -EFBIG);
        CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
        close(fd);
    }
    guest_mem_fini(&m);
}

static void a_cancelled_save_is_not_complete(void)
{
    static const _Atomic bool now = true;
    struct guest_mem m;
    struct err err = {0};
    bool good;
    int fd = make_file();
    REQUIRE(guest_mem_init(&m, RAM, 0, NULL) == 0);
    fill(&m);
    CHECK_EQ(saved_vm_write(fd, &m, uuid, STATE, sizeof(STATE), &now, &err), -ECANCELED);
    CHECK_EQ(load(fd, RAM, &err, &good), -EINVAL);
    CHECK(strstr(err.msg, "not complete"));
    guest_mem_fini(&m);
    close(fd);
}

/* ---- in the background ---- */

struct outcome {
    struct loop *loop;
    struct save_task *task;
    int calls, code;
};

static void done(void *opaque, const struct err *err)
{
    struct outcome *o = opaque;
    o->calls++;
    o->code = err->code;
    save_task_destroy(o->task);
    o->task = NULL;
    loop_stop(o->loop);
}

static struct save_task *start(struct outcome *o, struct guest_mem *m, int fd)
{
    const struct save_task_config config = {.mem = m, .loop = o->loop, .done = done, .opaque = o};
    struct state_writer w;
    state_writer_init(&w);
    state_begin(&w, "test", 0, 1);
    state_put_u32(&w, 1);
    state_end(&w);
    return save_task_start(&config, &w, fd, NULL);
}

static void a_task_tells_the_loop_when_the_file_is_whole(void)
{
    struct guest_mem m;
    struct outcome o = {.loop = loop_create(0, NULL)};
    void *state;
    size_t n;
    int fd = make_file();
    REQUIRE(o.loop && guest_mem_init(&m, RAM, 0, NULL) == 0);
    o.task = start(&o, &m, dup(fd));
    REQUIRE(o.task);
    loop_run(o.loop);
    CHECK_EQ(o.calls, 1);
    CHECK_EQ(o.code, 0);
    REQUIRE(saved_vm_read(fd, "f", &m, &state, &n, NULL) == 0);
    CHECK_EQ(n, 36);
    free(state);
    o.task = start(&o, &m, dup(fd)); /* not empty any more */
    REQUIRE(o.task);
    loop_run(o.loop);
    CHECK_EQ(o.calls, 2);
    CHECK_EQ(o.code, EINVAL);
    guest_mem_fini(&m);
    loop_destroy(o.loop);
    close(fd);
}

static void a_task_that_is_destroyed_says_nothing(void)
{
    struct guest_mem m;
    struct outcome o = {.loop = loop_create(0, NULL)};
    REQUIRE(o.loop && guest_mem_init(&m, RAM, 0, NULL) == 0);
    memset(guest_mem_ptr(&m, 0, RAM), 1, RAM);
    for (unsigned i = 0; i < 20; i++) {
        o.task = start(&o, &m, make_file());
        REQUIRE(o.task);
        usleep(i * 100);
        save_task_destroy(o.task);
        loop_run_once(o.loop, 0);
    }
    CHECK_EQ(o.calls, 0);
    guest_mem_fini(&m);
    loop_destroy(o.loop);
}

int main(void)
{
    TAP_RUN(ram_and_state_come_out_as_they_went_in);
    TAP_RUN(shared_ram_that_was_never_touched_stays_untouched);
    TAP_RUN(every_broken_field_is_refused_by_name);
    TAP_RUN(ram_that_changed_is_refused_and_holes_may_become_zeroes);
    TAP_RUN(the_header_alone_says_whose_it_is);
    TAP_RUN(every_shorter_file_is_refused);
    TAP_RUN(only_an_empty_regular_file_is_written);
    TAP_RUN(a_file_whose_writer_failed_is_never_taken_for_whole);
    TAP_RUN(a_cancelled_save_is_not_complete);
    TAP_RUN(a_task_tells_the_loop_when_the_file_is_whole);
    TAP_RUN(a_task_that_is_destroyed_says_nothing);
    return tap_done();
}
