/* What the packets say. An empty answer means "not supported" to gdb; "E" and two digits is an
 * error, whose number gdb only shows. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "gdb/gdb_internal.h"
#include "gdb/gdb_regs.h"

void gdb_reply(struct gdb_server *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(s->reply, sizeof(s->reply), fmt, args);
    va_end(args);
    s->reply_len = MIN((size_t)MAX(n, 0), sizeof(s->reply) - 1);
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void reply_result(struct gdb_server *s, int ret)
{
    if (ret == -ENOTSUP)
        gdb_reply(s, "%s", "");
    else if (ret)
        gdb_reply(s, "E%02x", (unsigned)-ret & 0xff);
    else
        gdb_reply(s, "OK");
}

/* ---- stops ---- */

void gdb_stop_reply(struct gdb_server *s)
{
    unsigned id = s->last.thread + 1;
    unsigned long long at = s->last.address;
    switch (s->last.kind) {
    case GDB_STOP_PAUSED:
        gdb_reply(s, "T02thread:%x;", id);
        break;
    case GDB_STOP_STEP:
        gdb_reply(s, "T05thread:%x;", id);
        break;
    case GDB_STOP_BREAK_SOFT:
        gdb_reply(s, "T05swbreak:;thread:%x;", id);
        break;
    case GDB_STOP_BREAK_HARD:
        gdb_reply(s, "T05hwbreak:;thread:%x;", id);
        break;
    case GDB_STOP_WATCH_WRITE:
        gdb_reply(s, "T05watch:%llx;thread:%x;", at, id);
        break;
    case GDB_STOP_WATCH_ACCESS:
        gdb_reply(s, "T05awatch:%llx;thread:%x;", at, id);
        break;
    case GDB_STOP_GONE:
        gdb_reply(s, "W00");
        break;
    }
}

static bool go(struct gdb_server *s, bool step)
{
    int ret = step ? s->ops->step(s->target, s->step_thread) : s->ops->resume(s->target);
    if (ret) {
        reply_result(s, ret);
        return true;
    }
    s->waits = true;
    return false;
}

/* ---- threads ---- */

/* "p1.2", "2", "-1" and "0" (any): the index, or the one it was. False: no such thread. */
static bool read_thread(struct gdb_server *s, const char *text, unsigned *thread)
{
    uint64_t id;
    if (*text == '-' || !gdb_hex_number(&text, &id))
        return *text == '-';
    if (id > s->ops->n_threads(s->target))
        return false;
    if (id)
        *thread = (unsigned)id - 1;
    return true;
}

static bool set_thread(struct gdb_server *s, const char *packet)
{
    unsigned *which = packet[1] == 'c' ? &s->step_thread : &s->thread;
    reply_result(s, read_thread(s, packet + 2, which) ? 0 : -ESRCH);
    return true;
}

static bool thread_alive(struct gdb_server *s, const char *packet)
{
    unsigned thread = 0;
    reply_result(s, read_thread(s, packet + 1, &thread) ? 0 : -ESRCH);
    return true;
}

static void list_threads(struct gdb_server *s)
{
    char *p = s->reply;
    unsigned n = s->ops->n_threads(s->target);
    for (unsigned i = 0; i < n; i++)
        p += sprintf(p, "%c%x", i ? ',' : 'm', i + 1);
    s->reply_len = (size_t)(p - s->reply);
}

static void thread_info(struct gdb_server *s, const char *id)
{
    unsigned thread = 0;
    char text[32];
    if (!read_thread(s, id, &thread)) {
        reply_result(s, -ESRCH);
        return;
    }
    int n = snprintf(text, sizeof(text), "vCPU %u", thread);
    s->reply_len = (size_t)(gdb_hex_put(s->reply, text, (size_t)n) - s->reply);
}

/* ---- registers ---- */

static bool read_regs(struct gdb_server *s, const char *packet)
{
    uint8_t block[GDB_REGS_BYTES];
    unsigned at = 0, n = sizeof(block);
    uint64_t number;
    packet++;
    int ret = s->ops->read_regs(s->target, s->thread, block);
    if (!ret && packet[-1] == 'p' &&
        (!gdb_hex_number(&packet, &number) || number > 1000 ||
         !gdb_regs_place((unsigned)number, &at, &n)))
        ret = -EINVAL;
    if (ret)
        reply_result(s, ret);
    else
        s->reply_len = (size_t)(gdb_hex_put(s->reply, block + at, n) - s->reply);
    return true;
}

static bool write_regs(struct gdb_server *s, const char *packet)
{
    uint8_t block[GDB_REGS_BYTES];
    unsigned at = 0, n = sizeof(block);
    uint64_t number;
    bool one = *packet++ == 'P';
    int ret = s->ops->read_regs(s->target, s->thread, block);
    if (!ret && one &&
        (!gdb_hex_number(&packet, &number) || number > 1000 ||
         !gdb_regs_place((unsigned)number, &at, &n) || *packet++ != '='))
        ret = -EINVAL;
    if (!ret && !gdb_hex_get(packet, block + at, n))
        ret = -EINVAL;
    if (!ret)
        ret = s->ops->write_regs(s->target, s->thread, block);
    reply_result(s, ret);
    return true;
}

/* ---- memory ---- */

/* "ADDRESS,LENGTH" */
static bool read_range(const char **text, uint64_t *at, uint64_t *n)
{
    if (!gdb_hex_number(text, at) || **text != ',')
        return false;
    (*text)++;
    return gdb_hex_number(text, n);
}

static bool read_memory(struct gdb_server *s, const char *packet)
{
    uint8_t bytes[GDB_MEMORY_MAX];
    uint64_t at, n;
    packet++;
    if (!read_range(&packet, &at, &n)) {
        reply_result(s, -EINVAL);
        return true;
    }
    n = MIN(n, sizeof(bytes)); /* gdb asks again for the rest */
    int ret = s->ops->read_memory(s->target, s->thread, s->physical, at, bytes, n);
    if (ret)
        reply_result(s, ret);
    else
        s->reply_len = (size_t)(gdb_hex_put(s->reply, bytes, n) - s->reply);
    return true;
}

static bool write_memory(struct gdb_server *s, const char *packet, size_t len)
{
    uint8_t bytes[GDB_PACKET_MAX];
    const char *end = packet + len;
    bool binary = *packet++ == 'X';
    uint64_t at, n;
    int ret = read_range(&packet, &at, &n) && *packet++ == ':' && n <= sizeof(bytes) ? 0 : -EINVAL;
    if (!ret && binary) {
        if ((size_t)(end - packet) != n)
            ret = -EINVAL;
        else
            memcpy(bytes, packet, n);
    } else if (!ret && !gdb_hex_get(packet, bytes, n)) {
        ret = -EINVAL;
    }
    if (!ret && n)
        ret = s->ops->write_memory(s->target, s->thread, s->physical, at, bytes, n);
    reply_result(s, ret);
    return true;
}

static bool breakpoint(struct gdb_server *s, const char *packet)
{
    uint64_t kind = (uint64_t)(packet[1] - '0'), at, n;
    const char *text = packet + 3;
    if (kind > GDB_WATCH_ACCESS || packet[2] != ',') {
        gdb_reply(s, "%s", "");
        return true;
    }
    if (!read_range(&text, &at, &n) || n > 64) {
        reply_result(s, -EINVAL);
        return true;
    }
    reply_result(s, (packet[0] == 'Z' ? s->ops->insert : s->ops->remove)(
                        s->target, (enum gdb_break_kind)kind, at, (unsigned)n));
    return true;
}

/* ---- vCont, and what it replaces ---- */

/* "vCont;s:1;c": a step if any action is one, of its thread or of the current one; else all go on.
 */
static bool continue_as_told(struct gdb_server *s, const char *text)
{
    for (const char *p = strchr(text, ';'); p; p = strchr(p + 1, ';')) {
        const char *thread = strchr(p, ':'), *next = strchr(p + 1, ';');
        if (p[1] != 's' && p[1] != 'S')
            continue;
        if (thread && (!next || thread < next) && !read_thread(s, thread + 1, &s->step_thread)) {
            reply_result(s, -ESRCH);
            return true;
        }
        return go(s, true);
    }
    return go(s, false);
}

static bool v_packet(struct gdb_server *s, const char *packet)
{
    if (starts(packet, "vCont?")) {
        gdb_reply(s, "vCont;c;C;s;S");
        return true;
    }
    if (starts(packet, "vCont;"))
        return continue_as_told(s, packet);
    if (starts(packet, "vKill")) {
        s->closing = true;
        s->ops->kill(s->target);
        reply_result(s, 0);
        return true;
    }
    gdb_reply(s, "%s", "");
    return true;
}

/* ---- queries ---- */

static void send_features(struct gdb_server *s, const char *range)
{
    size_t len;
    uint64_t at, n;
    const char *xml = gdb_regs_xml(&len);
    if (!read_range(&range, &at, &n) || at > len) {
        reply_result(s, -EINVAL);
        return;
    }
    n = MIN(MIN(n, GDB_PACKET_MAX - 8u), len - at);
    s->reply[0] = at + n < len ? 'm' : 'l';
    memcpy(s->reply + 1, xml + at, n);
    s->reply_len = n + 1;
}

/* gdb's `monitor` command, in hexadecimal; so is the answer, which gdb prints. */
static void monitor(struct gdb_server *s, const char *hex)
{
    char word[32] = "", text[160];
    size_t n = MIN(strlen(hex) / 2, sizeof(word) - 1);
    if (!gdb_hex_get(hex, word, n)) {
        reply_result(s, -EINVAL);
        return;
    }
    if (!strcmp(word, "physical on") || !strcmp(word, "physical off")) {
        s->physical = word[10] == 'n';
        snprintf(text, sizeof(text), "addresses are %s\n", s->physical ? "physical" : "virtual");
    } else if (!strcmp(word, "reset")) {
        int ret = s->ops->reset(s->target);
        snprintf(text, sizeof(text),
                 ret ? "the VM could not be reset\n" : "the VM is as after power-on\n");
    } else {
        snprintf(text, sizeof(text),
                 "monitor physical on|off: what addresses of memory mean\nmonitor reset\n");
    }
    s->reply_len = (size_t)(gdb_hex_put(s->reply, text, strlen(text)) - s->reply);
}

static bool query(struct gdb_server *s, const char *packet)
{
    static const char features[] = "qXfer:features:read:target.xml:";
    gdb_reply(s, "%s", "");
    if (starts(packet, "qSupported"))
        gdb_reply(
            s,
            "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+",
            GDB_PACKET_MAX);
    else if (starts(packet, features))
        send_features(s, packet + strlen(features));
    else if (starts(packet, "qfThreadInfo"))
        list_threads(s);
    else if (starts(packet, "qsThreadInfo"))
        gdb_reply(s, "l");
    else if (starts(packet, "qThreadExtraInfo,"))
        thread_info(s, packet + strlen("qThreadExtraInfo,"));
    else if (!strcmp(packet, "qC"))
        gdb_reply(s, "QC%x", s->thread + 1);
    else if (starts(packet, "qAttached"))
        gdb_reply(s, "1");
    else if (starts(packet, "qRcmd,"))
        monitor(s, packet + strlen("qRcmd,"));
    return true;
}

/* QEMU's name for `monitor physical`, which front ends use. */
static bool set_mode(struct gdb_server *s, const char *packet)
{
    gdb_reply(s, "%s", "");
    if (!strcmp(packet, "QStartNoAckMode")) {
        gdb_reply(s, "OK");
        s->no_ack = true;
    } else if (starts(packet, "Qqemu.PhyMemMode:")) {
        s->physical = packet[strlen("Qqemu.PhyMemMode:")] == '1';
        gdb_reply(s, "OK");
    }
    return true;
}

static bool detach(struct gdb_server *s)
{
    reply_result(s, 0);
    s->closing = true;
    return true;
}

/* Commands that look at the target or change it; it has to stand still. */
static bool needs_stop(char c)
{
    return c && strchr("gGpPmMXzZcCsS", c);
}

bool gdb_command(struct gdb_server *s, const char *packet, size_t len)
{
    s->reply_len = 0;
    if ((needs_stop(packet[0]) || starts(packet, "vCont;")) && s->ops->running(s->target)) {
        reply_result(s, -EBUSY);
        return true;
    }
    switch (packet[0]) {
    case '?':
        gdb_stop_reply(s);
        return true;
    case 'g':
    case 'p':
        return read_regs(s, packet);
    case 'G':
    case 'P':
        return write_regs(s, packet);
    case 'm':
        return read_memory(s, packet);
    case 'M':
    case 'X':
        return write_memory(s, packet, len);
    case 'Z':
    case 'z':
        return breakpoint(s, packet);
    case 'H':
        return set_thread(s, packet);
    case 'T':
        return thread_alive(s, packet);
    case 'c':
    case 'C':
    case 's':
    case 'S':
        return go(s, packet[0] == 's' || packet[0] == 'S');
    case 'v':
        return v_packet(s, packet);
    case 'q':
        return query(s, packet);
    case 'Q':
        return set_mode(s, packet);
    case 'D':
        return detach(s);
    case 'k':
        s->closing = true;
        s->ops->kill(s->target);
        return false;
    default:
        gdb_reply(s, "%s", "");
        return true;
    }
}
