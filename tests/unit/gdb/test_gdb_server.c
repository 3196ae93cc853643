/* The protocol over a target that is not there. */
#include "gdb/gdb_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../tap.h"
#include "gdb/gdb_packet.h"
#include "gdb/gdb_target_null.h"

struct talk {
    struct loop *loop;
    struct gdb_target_null target;
    struct gdb_server *server;
    int fd; /* the debugger's end */
    struct gdb_framer in;
};

static bool begin(struct talk *t)
{
    int fds[2];
    memset(t, 0, sizeof(*t));
    t->loop = loop_create(0, NULL);
    t->target.running = true;
    if (!t->loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return false;
    t->server = gdb_server_create(t->loop, -1, &gdb_target_null_ops, &t->target, NULL);
    t->fd = fds[0];
    return t->server && gdb_server_adopt(t->server, fds[1], NULL) == 0;
}

static void end(struct talk *t)
{
    gdb_server_destroy(t->server);
    loop_destroy(t->loop);
    close(t->fd);
}

/* The next packet from the server, "(none)" when there is none. */
static const char *hear(struct talk *t)
{
    uint8_t byte;
    loop_run_once(t->loop, 0);
    while (read(t->fd, &byte, 1) == 1)
        if (gdb_framer_feed(&t->in, byte) == GDB_PACKET)
            return t->in.data;
    return "(none)";
}

static void say(struct talk *t, const char *data, size_t n)
{
    char out[2 * GDB_PACKET_MAX + 4];
    size_t len = gdb_packet_encode(out, data, n);
    CHECK_EQ(write(t->fd, out, len), (ssize_t)len);
}

static const char *ask(struct talk *t, const char *text)
{
    say(t, text, strlen(text));
    return hear(t);
}

static void a_debugger_stops_the_target_and_lets_it_go_again(void)
{
    struct talk t;
    REQUIRE(begin(&t));
    CHECK(t.target.attached && !t.target.running);
    CHECK_STR(ask(&t, "?"), "T02thread:1;");
    CHECK_STR(ask(&t, "Z0,10,1"), "OK");
    CHECK_STR(ask(&t, "D"), "OK");
    loop_run_once(t.loop, 0);
    CHECK(!t.target.attached && t.target.running && t.target.breaks == 0);
    uint8_t byte;
    CHECK_EQ(read(t.fd, &byte, 1), 0);
    end(&t);
}

static void resumes_end_in_stop_replies(void)
{
    struct talk t;
    REQUIRE(begin(&t));
    CHECK_STR(ask(&t, "vCont;c"), "(none)");
    CHECK(t.target.running);
    CHECK_STR(ask(&t, "g"), "E10"); /* EBUSY */
    t.target.running = false;
    gdb_server_stopped(t.server, &(struct gdb_stop){GDB_STOP_WATCH_WRITE, 1, 0xabc});
    CHECK_STR(hear(&t), "T05watch:abc;thread:2;");
    CHECK_STR(ask(&t, "qC"), "QC2");
    CHECK_STR(ask(&t, "vCont;s:1;c"), "(none)");
    CHECK_EQ(t.target.stepped, 0);
    CHECK_EQ(write(t.fd, "\3", 1), 1);
    CHECK_STR(hear(&t), "T02thread:1;");
    CHECK(!t.target.running);
    /* Nobody waits: nothing is said. */
    gdb_server_stopped(t.server, &(struct gdb_stop){GDB_STOP_STEP, 0, 0});
    CHECK_STR(hear(&t), "(none)");
    end(&t);
}

static void registers_and_memory_are_bytes(void)
{
    struct talk t;
    REQUIRE(begin(&t));
    for (unsigned i = 0; i < sizeof(t.target.regs); i++)
        t.target.regs[i] = (uint8_t)i;
    CHECK_EQ(strlen(ask(&t, "g")), 2 * GDB_REGS_BYTES);
    CHECK(strncmp(t.in.data, "0001020304050607", 16) == 0);
    CHECK_STR(ask(&t, "p1"), "08090a0b0c0d0e0f");
    CHECK_STR(ask(&t, "P1=1122334455667788"), "OK");
    CHECK_EQ(t.target.regs[8], 0x11);
    CHECK_STR(ask(&t, "P1=1122"), "E16");
    CHECK_STR(ask(&t, "p400"), "E16");
    CHECK_STR(ask(&t, "M10,3:616263"), "OK");
    CHECK_STR(ask(&t, "m10,4"), "61626300");
    CHECK_STR(ask(&t, "mff,2"), "E0e");
    CHECK_STR(ask(&t, "M10,3:6162"), "E16");
    say(&t, "X20,3:#}$", 9);
    CHECK_STR(hear(&t), "OK");
    CHECK(memcmp(t.target.memory + 0x20, "#}$", 3) == 0);
    CHECK_STR(ask(&t, "X20,4:abc"), "E16");
    end(&t);
}

static void what_nobody_knows_gets_an_empty_answer(void)
{
    static const char *const unknown[] = {"vMustReplyEmpty", "Z9,0,1",   "Z3,0,4", "!",
                                          "qNothing",        "QNothing", "Z",      "\1"};
    struct talk t;
    REQUIRE(begin(&t));
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CHECK_STR(ask(&t, unknown[i]), "");
    CHECK_STR(ask(&t, "Hg3"), "E03");
    CHECK_STR(ask(&t, "T3"), "E03");
    CHECK_STR(ask(&t, "T2"), "OK");
    CHECK_STR(ask(&t, "Z0,10"), "E16");
    CHECK_STR(ask(&t, "z0,10,1"), "E02");
    end(&t);
}

static void the_description_is_read_in_pieces(void)
{
    struct talk t;
    size_t len, n = 0;
    char got[12000] = "";
    const char *xml = gdb_regs_xml(&len);
    REQUIRE(begin(&t));
    CHECK(len < sizeof(got) && strlen(xml) == len);
    for (const char *piece = "m"; *piece == 'm' && n < len;) {
        char request[80];
        snprintf(request, sizeof(request), "qXfer:features:read:target.xml:%zx,3e8", n);
        piece = ask(&t, request);
        n += strlen(piece + 1);
        strncat(got, piece + 1, sizeof(got) - strlen(got) - 1);
    }
    CHECK(strcmp(got, xml) == 0);
    unsigned offset, bytes, last = 0;
    while (gdb_regs_place(last, &offset, &bytes))
        last++;
    CHECK(gdb_regs_place(last - 1, &offset, &bytes) && offset + bytes == GDB_REGS_BYTES);
    end(&t);
}

static void monitor_commands_work(void)
{
    struct talk t;
    char text[200] = "";
    REQUIRE(begin(&t));
    ask(&t, "qRcmd,7265736574"); /* reset */
    CHECK_EQ(t.target.resets, 1);
    ask(&t, "qRcmd,68656c70"); /* help */
    CHECK(gdb_hex_get(t.in.data, text, t.in.len / 2) && strstr(text, "monitor physical on|off"));
    say(&t, "k", 1);
    hear(&t);
    CHECK(t.target.killed);
    end(&t);
}

static void a_second_debugger_is_refused(void)
{
    struct talk t;
    int fds[2];
    struct err err = {0};
    REQUIRE(begin(&t));
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(gdb_server_adopt(t.server, fds[1], &err) < 0);
    CHECK(strstr(err.msg, "already"));
    CHECK_STR(ask(&t, "?"), "T02thread:1;");
    close(fds[0]);
    end(&t);
}

static void a_lost_answer_is_sent_again(void)
{
    struct talk t;
    REQUIRE(begin(&t));
    CHECK_STR(ask(&t, "qC"), "QC1");
    CHECK_EQ(write(t.fd, "-", 1), 1);
    CHECK_STR(hear(&t), "QC1");
    CHECK_EQ(write(t.fd, "$qC#00", 6), 6); /* a wrong sum */
    char nak = 0;
    loop_run_once(t.loop, 0);
    CHECK_EQ(read(t.fd, &nak, 1), 1);
    CHECK_EQ(nak, '-');
    end(&t);
}

int main(void)
{
    TAP_RUN(a_debugger_stops_the_target_and_lets_it_go_again);
    TAP_RUN(resumes_end_in_stop_replies);
    TAP_RUN(registers_and_memory_are_bytes);
    TAP_RUN(what_nobody_knows_gets_an_empty_answer);
    TAP_RUN(the_description_is_read_in_pieces);
    TAP_RUN(monitor_commands_work);
    TAP_RUN(a_second_debugger_is_refused);
    TAP_RUN(a_lost_answer_is_sent_again);
    return tap_done();
}
