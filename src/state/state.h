/* Versioned save and restore: what a device, an APIC or a vCPU is, as bytes. Encode and decode
 * only; where the bytes go (file, socket, memory) is the caller's business.
 *
 * Format (little-endian). A stream is a sequence of sections:
 *   OFFSET  SIZE  MEANING
 *   0       4     magic 0x54535356 ("VSST")
 *   4       4     length of the body in bytes
 *   8       2     version of the section's layout
 *   10      2     instance (which of several devices of this name)
 *   12      20    name, NUL-padded
 *   32      n     body: the values in the order they were put, with no padding and no tags
 *
 * A writer that runs out of memory and a reader that runs past its section, or meets a section it
 * did not ask for, remember the first error; callers check once at the end. A section that a
 * reader does not consume to its end is an error: layouts change by version, never silently. */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define STATE_NAME_BYTES 20

struct state_writer {
    uint8_t *data;
    size_t len_bytes, cap_bytes;
    size_t section_start; /* offset of the open section's header, SIZE_MAX when none is open */
    int error;            /* first error, 0 or -errno */
};

void state_writer_init(struct state_writer *w);
/* Frees the buffer. */
void state_writer_fini(struct state_writer *w);

void state_begin(struct state_writer *w, const char *name, unsigned instance, unsigned version);
void state_end(struct state_writer *w);
void state_put_u8(struct state_writer *w, uint8_t v);
void state_put_u16(struct state_writer *w, uint16_t v);
void state_put_u32(struct state_writer *w, uint32_t v);
void state_put_u64(struct state_writer *w, uint64_t v);
/* Puts exactly `len` bytes; the length itself is not stored. */
void state_put_bytes(struct state_writer *w, const void *p, size_t len);

struct state_reader {
    const uint8_t *data;
    size_t len_bytes, pos;
    size_t section_end; /* 0 when no section is open */
    struct err err;     /* first error */
};

/* Reads from `data`, which must outlive the reader. */
void state_reader_init(struct state_reader *r, const void *data, size_t len);

/* Opens the next section, which must have this name and instance and a version of at most
 * `max_version`. Returns the stored version (1 or more), or -errno with the reason in r->err. */
int state_open(struct state_reader *r, const char *name, unsigned instance, unsigned max_version);
/* Closes it. Returns 0, or -errno if anything since state_open() failed or bytes were left over. */
int state_close(struct state_reader *r);
uint8_t state_get_u8(struct state_reader *r);
uint16_t state_get_u16(struct state_reader *r);
uint32_t state_get_u32(struct state_reader *r);
uint64_t state_get_u64(struct state_reader *r);
/* Fills `p` with `len` bytes, or with zeroes once an error has been met. */
void state_get_bytes(struct state_reader *r, void *p, size_t len);
/* Records that a value that was read makes no sense (bounds are the device's to check). */
int state_invalid(struct state_reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
