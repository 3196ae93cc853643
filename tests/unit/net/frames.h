/* Frames in which a guest says which addresses it has. */
#ifndef TESTS_UNIT_NET_FRAMES_H
#define TESTS_UNIT_NET_FRAMES_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define FRAME_ARP_BYTES 42
#define FRAME_ND_BYTES  78

/* ARP of an address: op 1 asks for `target`, 2 answers. */
static inline void frame_arp(uint8_t f[FRAME_ARP_BYTES], int op, const char *sender,
                             const char *target)
{
    static const uint8_t head[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0};
    memset(f, 0, FRAME_ARP_BYTES);
    memset(f, 0xff, 6);
    memcpy(f + 6, "\2\0\0\0\0\1", 6);
    memcpy(f + 12, head, sizeof(head));
    f[21] = (uint8_t)op;
    memcpy(f + 22, f + 6, 6);
    inet_pton(AF_INET, sender, f + 28);
    inet_pton(AF_INET, target, f + 38);
}

/* Neighbour discovery: type 135 asks for `target`, 136 answers. */
static inline void frame_nd(uint8_t f[FRAME_ND_BYTES], int type, const char *source,
                            const char *target)
{
    memset(f, 0, FRAME_ND_BYTES);
    memcpy(f, "\x33\x33\0\0\0\1\2\0\0\0\0\1\x86\xdd\x60", 15);
    f[19] = 24;
    f[20] = 58;
    f[21] = 255;
    inet_pton(AF_INET6, source, f + 22);
    inet_pton(AF_INET6, "ff02::1", f + 38);
    f[54] = (uint8_t)type;
    inet_pton(AF_INET6, target, f + 62);
}

#endif
