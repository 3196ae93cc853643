#include "boot/aml.h"

#include <string.h>

#include "base/util.h"

/* 20.3, "AML Byte Stream Byte Values". */
enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_ARG0 = 0x68,
    OP_STORE = 0x70,
    OP_AND = 0x7b,
    OP_NOTIFY = 0x86,
    OP_IF = 0xa0,
    EXT_REGION = 0x80,
    EXT_FIELD = 0x81,
    EXT_DEVICE = 0x82,
};

#define SPACE_SYSTEM_IO  1
#define FIELD_DWORD_ZERO 0x43 /* DWordAcc, NoLock, WriteAsZeros */
#define NAME_SEG_BYTES   4
#define PKG_LENGTH_MAX   3 /* bytes: lengths up to 1 MiB */

void aml_init(struct aml *a, uint8_t *buf, size_t cap_bytes)
{
    *a = (struct aml){.data = buf, .cap_bytes = cap_bytes};
}

bool aml_ok(const struct aml *a)
{
    return !a->failed && !a->depth;
}

static void put(struct aml *a, const void *p, size_t len)
{
    if (a->failed || len > a->cap_bytes - a->len_bytes) {
        a->failed = true;
        return;
    }
    memcpy(a->data + a->len_bytes, p, len);
    a->len_bytes += len;
}

static void put8(struct aml *a, uint8_t v)
{
    put(a, &v, 1);
}

static void put_le(struct aml *a, uint64_t v, size_t len)
{
    v = htole64(v);
    put(a, &v, len);
}

/* One name segment: at most four characters, filled up with '_' (20.2.2). */
static void put_seg(struct aml *a, const char *s, size_t len)
{
    char seg[NAME_SEG_BYTES] = {'_', '_', '_', '_'};
    memcpy(seg, s, MIN(len, sizeof(seg)));
    put(a, seg, sizeof(seg));
}

void aml_path(struct aml *a, const char *path)
{
    if (*path == '\\')
        put8(a, (uint8_t)*path++);
    unsigned segs = 1;
    for (const char *p = path; *p; p++)
        segs += *p == '.';
    if (segs == 2)
        put8(a, OP_DUAL_NAME);
    if (segs > 2) {
        put8(a, OP_MULTI_NAME);
        put8(a, (uint8_t)segs);
    }
    for (const char *p = path; segs; segs--) {
        size_t len = strcspn(p, ".");
        put_seg(a, p, len);
        p += len + 1;
    }
}

/* A package length counts itself (20.2.4); returns how many bytes encode that of `body`. */
static size_t encode_length(uint8_t out[PKG_LENGTH_MAX], size_t body)
{
    size_t n = body + 1 < 0x40 ? 1 : body + 2 < 0x1000 ? 2 : 3;
    size_t v = body + n;
    if (n == 1) {
        out[0] = (uint8_t)v;
        return n;
    }
    out[0] = (uint8_t)((n - 1) << 6 | (v & 0x0f));
    for (size_t i = 1; i < n; i++)
        out[i] = (uint8_t)(v >> (8 * i - 4));
    return n;
}

/* Opens a term whose length is not known yet: aml_end() makes room for it here. */
static void open_term(struct aml *a)
{
    if (a->depth == AML_DEPTH_MAX)
        a->failed = true;
    else
        a->open[a->depth++] = a->len_bytes;
}

void aml_end(struct aml *a)
{
    uint8_t length[PKG_LENGTH_MAX];
    if (a->failed || !a->depth) {
        a->failed = true;
        return;
    }
    size_t at = a->open[--a->depth], body = a->len_bytes - at;
    size_t n = encode_length(length, body);
    put(a, length, n);
    if (a->failed)
        return;
    memmove(a->data + at + n, a->data + at, body);
    memcpy(a->data + at, length, n);
}

void aml_scope(struct aml *a, const char *path)
{
    put8(a, OP_SCOPE);
    open_term(a);
    aml_path(a, path);
}

void aml_device(struct aml *a, const char *name)
{
    put8(a, OP_EXT);
    put8(a, EXT_DEVICE);
    open_term(a);
    aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned n_args)
{
    put8(a, OP_METHOD);
    open_term(a);
    aml_path(a, name);
    put8(a, (uint8_t)(n_args & 7));
}

void aml_package(struct aml *a, unsigned n_elements)
{
    put8(a, OP_PACKAGE);
    open_term(a);
    put8(a, (uint8_t)n_elements);
}

void aml_if_arg_and(struct aml *a, unsigned arg, uint64_t mask)
{
    put8(a, OP_IF);
    open_term(a);
    put8(a, OP_AND);
    aml_arg(a, arg);
    aml_int(a, mask);
    put8(a, OP_ZERO); /* no target */
}

void aml_declare(struct aml *a, const char *name)
{
    put8(a, OP_NAME);
    aml_path(a, name);
}

void aml_int(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        put8(a, v ? OP_ONE : OP_ZERO);
        return;
    }
    unsigned size = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
    put8(a, size == 1 ? OP_BYTE : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD);
    put_le(a, v, size);
}

void aml_string(struct aml *a, const char *s)
{
    put8(a, OP_STRING);
    put(a, s, strlen(s) + 1);
}

/* 19.6.36: three letters of five bits and four hexadecimal digits, big-endian. */
void aml_eisa_id(struct aml *a, const char *id)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 3; i++)
        v = v << 5 | (((uint32_t)id[i] - 0x40) & 0x1f);
    v = v << 16 | (uint32_t)strtoul(id + 3, NULL, 16);
    put8(a, OP_DWORD);
    put_le(a, htobe32(v), 4);
}

void aml_arg(struct aml *a, unsigned n)
{
    put8(a, (uint8_t)(OP_ARG0 + n));
}

void aml_store(struct aml *a)
{
    put8(a, OP_STORE);
}

void aml_notify(struct aml *a)
{
    put8(a, OP_NOTIFY);
}

void aml_io_region(struct aml *a, const char *name, uint16_t base, uint16_t size_bytes)
{
    put8(a, OP_EXT);
    put8(a, EXT_REGION);
    aml_path(a, name);
    put8(a, SPACE_SYSTEM_IO);
    aml_int(a, base);
    aml_int(a, size_bytes);
}

void aml_field32(struct aml *a, const char *region, const char *const *names, unsigned n)
{
    put8(a, OP_EXT);
    put8(a, EXT_FIELD);
    open_term(a);
    aml_path(a, region);
    put8(a, FIELD_DWORD_ZERO);
    for (unsigned i = 0; i < n; i++) {
        aml_path(a, names[i]);
        put8(a, 32); /* bits, as a package length of one byte */
    }
    aml_end(a);
}

void aml_resources(struct aml *a, const struct aml *descriptors)
{
    static const uint8_t end_tag[] = {0x79, 0};
    a->failed |= !aml_ok(descriptors);
    put8(a, OP_BUFFER);
    open_term(a);
    aml_int(a, descriptors->len_bytes + sizeof(end_tag));
    put(a, descriptors->data, descriptors->len_bytes);
    put(a, end_tag, sizeof(end_tag));
    aml_end(a);
}

void aml_res_io(struct aml *r, uint16_t base, uint8_t size_bytes)
{
    put8(r, 0x47); /* 6.4.2.5, I/O port descriptor */
    put8(r, 1);    /* decodes 16 address bits */
    put_le(r, base, 2);
    put_le(r, base, 2);
    put8(r, 1); /* alignment */
    put8(r, size_bytes);
}

void aml_res_irq(struct aml *r, unsigned irq)
{
    put8(r, 0x22); /* 6.4.2.1, IRQ descriptor without flags */
    put_le(r, 1u << irq, 2);
}

enum { WINDOW_MEM, WINDOW_IO, WINDOW_BUS };

/* 6.4.3.5: address space descriptors for a fixed range that the device produces for its children,
 * in fields of `width` bytes. */
static void window(struct aml *r, uint8_t tag, size_t width, uint8_t kind, uint8_t kind_flags,
                   uint64_t first, uint64_t last)
{
    const uint64_t fields[] = {0 /* granularity */, first, last, 0 /* translation */,
                               last - first + 1};
    put8(r, tag);
    put_le(r, 3 + ARRAY_LEN(fields) * width, 2);
    put8(r, kind);
    put8(r, 0x0c); /* minimum and maximum fixed */
    put8(r, kind_flags);
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
        put_le(r, fields[i], width);
}

void aml_res_bus_window(struct aml *r, uint16_t first, uint16_t last)
{
    window(r, 0x88, 2, WINDOW_BUS, 0, first, last);
}

void aml_res_io_window(struct aml *r, uint16_t first, uint16_t last)
{
    window(r, 0x88, 2, WINDOW_IO, 3 /* ISA and other ports */, first, last);
}

void aml_res_mem32_window(struct aml *r, uint32_t first, uint32_t last)
{
    window(r, 0x87, 4, WINDOW_MEM, 1 /* writable, not cacheable */, first, last);
}

void aml_res_mem64_window(struct aml *r, uint64_t first, uint64_t last)
{
    window(r, 0x8a, 8, WINDOW_MEM, 1, first, last);
}
