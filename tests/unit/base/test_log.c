#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "tap.h"

static int pipe_fds[2];
static char text[65536];

static void begin(enum log_level level, const char *context)
{
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
        abort();
    log_setup(pipe_fds[1], level, context);
}

/* What was logged. */
static const char *end(void)
{
    ssize_t n = read(pipe_fds[0], text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    log_setup(STDERR_FILENO, LOG_INFO, NULL);
    return text;
}

static void a_line_names_level_module_and_context(void)
{
    begin(LOG_INFO, "vm=a");
    log_line(LOG_WARN, "blk", "slow disk=%d", 3);
    CHECK_STR(end(), "warn blk: slow disk=3 vm=a\n");
}

static void what_is_too_verbose_is_left_out(void)
{
    begin(LOG_WARN, NULL);
    log_line(LOG_INFO, "m", "no");
    log_line(LOG_DEBUG, "m", "no");
    log_line(LOG_ERROR, "m", "yes");
    CHECK_STR(end(), "error m: yes\n");
}

static void a_long_line_is_cut_and_still_one_line(void)
{
    char longest[4000];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    begin(LOG_INFO, "context");
    log_line(LOG_INFO, "m", "%s", longest);
    log_line(LOG_INFO, "m", "next");
    const char *got = end();
    const char *first = strchr(got, '\n');
    REQUIRE(first);
    CHECK(first - got > 1000 && first - got < 1024);
    CHECK(!strncmp(first - 9, "x context", 9));
    CHECK_STR(first + 1, "info m: next context\n");
}

static void a_name_with_a_newline_does_not_forge_a_line(void)
{
    begin(LOG_INFO, NULL);
    log_line(LOG_WARN, "m", "file '%s'", "a\nerror m: forged\x1b[0m");
    CHECK_STR(end(), "warn m: file 'a?error m: forged?[0m'\n");
}

static void a_flood_is_held_back_and_counted(void)
{
    struct log_limit limit = {0};
    uint32_t held = 0;
    unsigned passed = 0;
    int64_t began = clock_now_ns();
    for (int i = 0; i < 1000; i++)
        passed += log_limit_pass(&limit, &held);
    /* One more for each second that this took. */
    unsigned spare = 1 + (unsigned)((clock_now_ns() - began) / 1000000000);
    CHECK(passed >= 8 && passed <= 8 + spare);
    CHECK_EQ(atomic_load(&limit.held_back), 1000 - passed);
    /* As if the time had gone by: all that was held back is told once. */
    atomic_store(&limit.next_ns, clock_now_ns());
    held = 0;
    CHECK(log_limit_pass(&limit, &held));
    CHECK_EQ(held, 1000 - passed);
    CHECK_EQ(atomic_load(&limit.held_back), 0);
}

static _Atomic unsigned passed_in_threads;
static struct log_limit shared_limit;

static void *flood(void *arg)
{
    uint32_t held;
    for (int i = 0; i < 1000; i++)
        if (log_limit_pass(&shared_limit, &held))
            atomic_fetch_add(&passed_in_threads, 1);
    return NULL;
}

static void threads_share_one_limit(void)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, flood, NULL))
            abort();
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(atomic_load(&passed_in_threads) >= 1 && atomic_load(&passed_in_threads) <= 20);
}

int main(void)
{
    TAP_RUN(a_line_names_level_module_and_context);
    TAP_RUN(what_is_too_verbose_is_left_out);
    TAP_RUN(a_long_line_is_cut_and_still_one_line);
    TAP_RUN(a_name_with_a_newline_does_not_forge_a_line);
    TAP_RUN(a_flood_is_held_back_and_counted);
    TAP_RUN(threads_share_one_limit);
    return tap_done();
}
