/* Between decode.c (prefixes, opcode, row) and decode_operands.c: the bytes as they are consumed.
 */
#ifndef X86_DECODE_READER_H
#define X86_DECODE_READER_H

#include "x86/decode_internal.h"

/* Where the decoder is in the bytes. `failed` is sticky: reading on yields zeroes. */
struct decode_reader {
    const uint8_t *code;
    size_t available, at;
    enum x86_decode_result failed;
};

static inline uint8_t decode_peek(struct decode_reader *r)
{
    if (r->at >= X86_INSN_MAX_BYTES && !r->failed)
        r->failed = X86_DECODE_TOO_LONG;
    else if (r->at >= r->available && !r->failed)
        r->failed = X86_DECODE_TRUNCATED;
    return r->failed ? 0 : r->code[r->at];
}

static inline uint8_t decode_byte(struct decode_reader *r)
{
    uint8_t b = decode_peek(r);
    r->at += !r->failed;
    return b;
}

static inline uint64_t decode_bytes(struct decode_reader *r, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)decode_byte(r) << (8 * i);
    return v;
}

struct decode_prefixes {
    uint8_t rep; /* 0, 0xf2 or 0xf3: the last one */
    int segment; /* enum x86_segment or -1 */
    bool vex;
};

/* Sizes, ModRM's memory, operands, immediates; the row is chosen. */
void decode_operands(struct decode_reader *r, struct x86_insn *in, const struct decode_row *row,
                     const struct decode_prefixes *p);

#endif
