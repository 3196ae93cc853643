/* Packets of gdb's remote serial protocol: "$DATA#CC", with CC the sum of DATA's bytes in
 * hexadecimal, '}' before a byte that is XORed with 0x20, '+' and '-' as acknowledgements, a bare
 * 0x03 as an interrupt. Bytes come from whoever connects: nothing here trusts them. Spec:
 * "Debugging with GDB", appendix E.1. */
#ifndef GDB_GDB_PACKET_H
#define GDB_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of DATA, both ways; what qSupported tells. */
#define GDB_PACKET_MAX 4096

enum gdb_input {
    GDB_NOTHING,   /* more bytes are needed */
    GDB_PACKET,    /* framer.data[0..len) is whole, unescaped, and ends in a NUL besides */
    GDB_BAD,       /* a packet with a wrong sum or too long: ask for it again */
    GDB_ACK,       /* '+' */
    GDB_NAK,       /* '-': send the last packet again */
    GDB_INTERRUPT, /* 0x03 */
};

struct gdb_framer {
    uint8_t state, sum, told_sum;
    bool escaped, too_long;
    size_t len;
    char data[GDB_PACKET_MAX + 1];
};

/* Takes one byte. A zeroed framer is a new one. */
enum gdb_input gdb_framer_feed(struct gdb_framer *f, uint8_t byte);

/* Writes a packet of data[0..len) to `out`, escaped; `out` has room for 2 * len + 4 bytes. Returns
 * its length. */
size_t gdb_packet_encode(char *out, const char *data, size_t len);

/* Appends bytes as hexadecimal digits, two a byte, first byte first; `out` has room for 2 * n + 1.
 */
char *gdb_hex_put(char *out, const void *bytes, size_t n);
/* Reads n bytes from 2 * n digits. False: not that many digits. */
bool gdb_hex_get(const char *text, void *bytes, size_t n);
/* Reads a number in hexadecimal and moves *text behind it. False: no digit there, or over 64 bits.
 */
bool gdb_hex_number(const char **text, uint64_t *value);

#endif
