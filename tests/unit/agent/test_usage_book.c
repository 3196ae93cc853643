/* A server's sums against what guests used, over deaths of everybody. */
#include "agent/usage_book.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/state_file.h"
#include "base/fault.h"
#include "base/util.h"
#include "tap.h"

static const uint8_t HOST[16] = {9};
static char DIR_[40], PATH[64];
static struct usage_book *BOOK;

/* The server's side: adds what a counter has grown by, once. Of a VM's object it knows the newest
 * run; objects are numbered by their first byte. */
static uint64_t epoch, number, run[8], last[8], sum[8];

static void serve(const struct link_usage *u)
{
    uint64_t e = (uint64_t)u->epoch.v, n = (uint64_t)u->number.v;
    if (e < epoch || (e == epoch && n <= number))
        return;
    epoch = e;
    number = n;
    for (uint32_t i = 0; i < u->items.n; i++) {
        const struct link_usage_item *item = &u->items.v[i];
        unsigned o = (unsigned)strtoul(item->object.v, NULL, 16) >> 24;
        uint64_t r = (uint64_t)item->run.v, value = (uint64_t)item->value.v;
        REQUIRE(o < ARRAY_LEN(sum));
        if (r < run[o])
            continue;
        if (r > run[o])
            last[o] = 0;
        CHECK(value >= last[o]);
        run[o] = r;
        sum[o] += value - last[o];
        last[o] = value;
    }
}

static void count(uint8_t vm, uint8_t object, uint64_t of_run, uint64_t raw)
{
    const struct usage_counter c = {.vm = {vm},
                                    .run = of_run,
                                    .object = {object},
                                    .kind = LINK_USAGE_ITEM_KIND_PORT,
                                    .meter = LINK_USAGE_ITEM_METER_EGRESS_BYTES};
    CHECK_EQ(usage_book_count(BOOK, &c, raw), 0);
}

/* A message; `arrives`: the server gets it; `acked`: and the agent hears of it. */
static int message(bool arrives, bool acked)
{
    struct api_arena arena;
    struct link_usage u = {.epoch = {.v = 0}};
    api_arena_init(&arena, 1 << 20);
    int ret = usage_book_message(BOOK, 1000, &arena, &u, NULL);
    if (ret == 1 && arrives)
        serve(&u);
    if (ret == 1 && acked)
        usage_book_ack(BOOK, epoch, number);
    api_arena_fini(&arena);
    return ret;
}

static void open_book(int64_t now_ms)
{
    struct err err = {0};
    BOOK = usage_book_open(PATH, HOST, now_ms, &err);
    if (!BOOK) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
}

static void set_up(void)
{
    strcpy(DIR_, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(PATH, sizeof(PATH), "%s/usage", DIR_);
    epoch = number = 0;
    memset(run, 0, sizeof(run));
    memset(last, 0, sizeof(last));
    memset(sum, 0, sizeof(sum));
    open_book(100);
}

static void tear_down(void)
{
    char command[80];
    usage_book_close(BOOK);
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
}

static void die_and_start_again(void)
{
    usage_book_close(BOOK);
    open_book(5000);
}

static void what_was_used_is_counted_once_however_often_it_is_said(void)
{
    set_up();
    CHECK_EQ(message(true, true), 0);
    count(1, 1, 1, 500);
    CHECK_EQ(message(true, false), 1);
    CHECK_EQ(message(true, false), 1); /* not acknowledged: again */
    CHECK_EQ(sum[1], 500);
    count(1, 1, 1, 700);
    CHECK_EQ(message(false, false), 1); /* lost */
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 700);
    CHECK_EQ(message(true, true), 0);
    count(1, 1, 1, 700);
    CHECK_EQ(message(true, true), 0); /* nothing new */
    tear_down();
}

static void runs_add_up(void)
{
    set_up();
    count(1, 1, 1, 500);
    count(1, 1, 2, 30);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 530);
    count(1, 1, 2, 10); /* its device came anew */
    count(2, 2, 1, 7);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 540);
    count(1, 1, 3, 1);
    count(1, 1, 4, 1); /* nobody looked between the two */
    CHECK_EQ(message(false, false), 1);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 542);
    CHECK_EQ(sum[2], 7);
    tear_down();
}

static uint64_t all_ports(uint64_t of_run)
{
    const uint8_t vm[16] = {1};
    return usage_book_sum(BOOK, vm, of_run, LINK_USAGE_ITEM_KIND_PORT,
                          LINK_USAGE_ITEM_METER_EGRESS_BYTES);
}

static void what_all_ports_of_a_run_have_used_does_not_fall_when_one_leaves(void)
{
    set_up();
    CHECK_EQ(all_ports(1), 0);
    count(1, 1, 1, 500);
    count(1, 2, 1, 70);
    count(2, 3, 1, 9000); /* another VM's */
    CHECK_EQ(all_ports(1), 570);
    count(1, 2, 1, 100);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(all_ports(1), 600); /* the second has left, say */
    count(1, 2, 1, 30);          /* and is back, from zero */
    CHECK_EQ(all_ports(1), 630);
    CHECK_EQ(message(true, true), 1);
    die_and_start_again();
    CHECK_EQ(all_ports(1), 630);
    count(1, 1, 2, 5);
    CHECK_EQ(all_ports(2), 5);
    tear_down();
}

static void an_agent_that_dies_says_no_less_than_before(void)
{
    set_up();
    count(1, 1, 1, 500);
    CHECK_EQ(message(true, false), 1);
    count(1, 1, 1, 600); /* never written down */
    die_and_start_again();
    count(1, 1, 1, 650); /* the monitor knows */
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 650);
    die_and_start_again();
    count(1, 1, 2, 50); /* another run */
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 700);
    CHECK_EQ(epoch, 100);
    tear_down();
}

static void a_book_that_is_lost_loses_nothing_of_what_runs(void)
{
    set_up();
    count(1, 1, 1, 500);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(unlink(PATH), 0);
    die_and_start_again();
    count(1, 1, 1, 600);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 600);
    CHECK_EQ(epoch, 5000);
    tear_down();
}

static void a_book_that_is_not_whole_begins_anew(void)
{
    static const char *const WRONG[] = {"", "virga-usage 1 5", "virga-usage 2 5 5\n",
                                        "virga-usage 1 5 5\nnonsense\n", "virga-usage 1 0 5\n"};
    set_up();
    for (unsigned i = 0; i < ARRAY_LEN(WRONG); i++) {
        CHECK_EQ(state_file_write(PATH, WRONG[i], strlen(WRONG[i]), NULL), 0);
        usage_book_close(BOOK);
        open_book(6000 + i);
        count(1, 1, 1, 1);
        CHECK_EQ(message(true, true), 1);
        CHECK_EQ(epoch, 6000 + i);
    }
    tear_down();
}

static void a_server_that_knows_a_higher_epoch_raises_ours(void)
{
    set_up();
    count(1, 1, 1, 500);
    epoch = 900000;
    number = 3;
    CHECK_EQ(message(true, false), 1); /* it does not count it, and says where it is */
    CHECK_EQ(sum[1], 0);
    usage_book_ack(BOOK, epoch, number);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 500);
    CHECK_EQ(epoch, 900001);
    tear_down();
}

static void counters_of_a_vm_that_is_gone_go_once_they_are_acknowledged(void)
{
    size_t bytes = 0;
    set_up();
    count(1, 1, 1, 500);
    count(2, 2, 1, 600);
    usage_book_end(BOOK, (const uint8_t[16]){1});
    CHECK_EQ(message(false, false), 1);
    die_and_start_again();
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 500);
    count(2, 2, 1, 700);
    CHECK_EQ(message(true, true), 1);
    char *text = state_file_read(PATH, &bytes, NULL);
    REQUIRE(text != NULL);
    CHECK(!strstr(text, "\n01000000"));
    CHECK(strstr(text, "\n02000000") != NULL);
    free(text);
    tear_down();
}

static bool is_here(void *opaque, const uint8_t vm[16])
{
    (void)opaque;
    return vm[0] == 2;
}

static void counters_of_vms_that_went_while_nobody_looked_go_too(void)
{
    set_up();
    count(1, 1, 1, 500);
    count(2, 2, 1, 600);
    CHECK_EQ(message(true, true), 1);
    die_and_start_again();
    usage_book_keep(BOOK, is_here, NULL);
    CHECK_EQ(message(true, true), 1); /* said again, since the agent does not know what was heard */
    count(2, 2, 1, 700);
    CHECK_EQ(message(true, true), 1);
    size_t bytes = 0;
    char *text = state_file_read(PATH, &bytes, NULL);
    CHECK(text && !strstr(text, "\n01000000") && strstr(text, "\n02000000"));
    free(text);
    CHECK_EQ(sum[1], 500);
    CHECK_EQ(sum[2], 700);
    tear_down();
}

static void what_cannot_be_written_is_not_sent(void)
{
    set_up();
    count(1, 1, 1, 500);
    fault_arm("state_file.write.made", 1, FAULT_FAIL);
    CHECK(message(true, true) < 0);
    fault_arm(NULL, 0, FAULT_FAIL);
    CHECK_EQ(message(true, true), 1);
    CHECK_EQ(sum[1], 500);
    tear_down();
}

/* At each step of writing the agent dies; what was sent before is still there after. */
static void a_death_at_any_step_of_writing_loses_nothing(void)
{
    static const char *const POINTS[] = {"state_file.write.made", "state_file.write.done"};
    for (unsigned i = 0; i < ARRAY_LEN(POINTS); i++) {
        int status;
        set_up();
        count(1, 1, 1, 500);
        CHECK_EQ(message(true, true), 1);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            fault_arm(POINTS[i], 1, FAULT_KILL);
            count(1, 1, 1, 600);
            message(true, true);
            _exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        die_and_start_again();
        count(1, 1, 1, 610);
        CHECK_EQ(message(true, true), 1);
        CHECK_EQ(sum[1], 610);
        tear_down();
    }
}

int main(void)
{
    TAP_RUN(what_was_used_is_counted_once_however_often_it_is_said);
    TAP_RUN(runs_add_up);
    TAP_RUN(what_all_ports_of_a_run_have_used_does_not_fall_when_one_leaves);
    TAP_RUN(an_agent_that_dies_says_no_less_than_before);
    TAP_RUN(a_book_that_is_lost_loses_nothing_of_what_runs);
    TAP_RUN(a_book_that_is_not_whole_begins_anew);
    TAP_RUN(a_server_that_knows_a_higher_epoch_raises_ours);
    TAP_RUN(counters_of_a_vm_that_is_gone_go_once_they_are_acknowledged);
    TAP_RUN(counters_of_vms_that_went_while_nobody_looked_go_too);
    TAP_RUN(what_cannot_be_written_is_not_sent);
    TAP_RUN(a_death_at_any_step_of_writing_loses_nothing);
    return tap_done();
}
