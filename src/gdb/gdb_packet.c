#include "gdb/gdb_packet.h"

#include <string.h>

enum { IDLE, DATA, SUM_HIGH, SUM_LOW };

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum gdb_input begin(struct gdb_framer *f, uint8_t byte)
{
    switch (byte) {
    case '$':
        f->state = DATA;
        f->sum = 0;
        f->len = 0;
        f->escaped = f->too_long = false;
        return GDB_NOTHING;
    case '+':
        return GDB_ACK;
    case '-':
        return GDB_NAK;
    case 3:
        return GDB_INTERRUPT;
    default:
        return GDB_NOTHING;
    }
}

static void add(struct gdb_framer *f, uint8_t byte)
{
    f->sum = (uint8_t)(f->sum + byte);
    if (byte == '}' && !f->escaped) {
        f->escaped = true;
        return;
    }
    if (f->len == GDB_PACKET_MAX)
        f->too_long = true;
    else
        f->data[f->len++] = (char)(f->escaped ? byte ^ 0x20 : byte);
    f->escaped = false;
}

enum gdb_input gdb_framer_feed(struct gdb_framer *f, uint8_t byte)
{
    int d = digit((char)byte);
    switch (f->state) {
    case IDLE:
        return begin(f, byte);
    case DATA:
        if (byte == '#')
            f->state = SUM_HIGH;
        else if (byte == '$') /* the last one was cut off */
            begin(f, byte);
        else
            add(f, byte);
        return GDB_NOTHING;
    case SUM_HIGH:
        f->told_sum = (uint8_t)((unsigned)d << 4);
        f->too_long |= d < 0;
        f->state = SUM_LOW;
        return GDB_NOTHING;
    default:
        f->state = IDLE;
        f->data[f->len] = '\0';
        return d < 0 || f->too_long || f->sum != (uint8_t)(f->told_sum | d) ? GDB_BAD : GDB_PACKET;
    }
}

static const char digits[] = "0123456789abcdef";

size_t gdb_packet_encode(char *out, const char *data, size_t len)
{
    char *p = out;
    uint8_t sum = 0;
    *p++ = '$';
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            *p++ = '}';
            sum = (uint8_t)(sum + '}');
            c ^= 0x20;
        }
        *p++ = c;
        sum = (uint8_t)(sum + (uint8_t)c);
    }
    *p++ = '#';
    *p++ = digits[sum >> 4];
    *p++ = digits[sum & 15];
    return (size_t)(p - out);
}

char *gdb_hex_put(char *out, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
    return out;
}

bool gdb_hex_get(const char *text, void *bytes, size_t n)
{
    uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        int high = digit(text[2 * i]);
        int low = high < 0 ? -1 : digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        p[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool gdb_hex_number(const char **text, uint64_t *value)
{
    uint64_t v = 0;
    unsigned n = 0;
    for (int d; (d = digit(**text)) >= 0; (*text)++, n++) {
        if (v >> 60)
            return false;
        v = v << 4 | (uint64_t)d;
    }
    *value = v;
    return n > 0;
}
