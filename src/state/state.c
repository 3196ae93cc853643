#include "state/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define MAGIC        0x54535356u
#define HEADER_BYTES 32

void state_writer_init(struct state_writer *w)
{
    *w = (struct state_writer){.section_start = SIZE_MAX};
}

void state_writer_fini(struct state_writer *w)
{
    free(w->data);
    state_writer_init(w);
}

void state_put_bytes(struct state_writer *w, const void *p, size_t len)
{
    if (w->error)
        return;
    if (len > w->cap_bytes - w->len_bytes) {
        size_t cap = MAX(w->cap_bytes * 2, align_up(w->len_bytes + len, 4096));
        uint8_t *data = realloc(w->data, cap);
        if (!data) {
            w->error = -ENOMEM;
            return;
        }
        w->data = data;
        w->cap_bytes = cap;
    }
    if (len)
        memcpy(w->data + w->len_bytes, p, len);
    w->len_bytes += len;
}

void state_begin(struct state_writer *w, const char *name, unsigned instance, unsigned version)
{
    uint8_t header[HEADER_BYTES] = {0};
    if (w->section_start != SIZE_MAX || strlen(name) > STATE_NAME_BYTES || !version) {
        w->error = w->error ? w->error : -EINVAL;
        return;
    }
    le32_write(header, MAGIC);
    le16_write(header + 8, (uint16_t)version);
    le16_write(header + 10, (uint16_t)instance);
    memcpy(header + 12, name, strlen(name));
    w->section_start = w->len_bytes;
    state_put_bytes(w, header, sizeof(header));
}

void state_end(struct state_writer *w)
{
    if (w->section_start == SIZE_MAX) {
        w->error = w->error ? w->error : -EINVAL;
        return;
    }
    if (!w->error)
        le32_write(w->data + w->section_start + 4,
                   (uint32_t)(w->len_bytes - w->section_start - HEADER_BYTES));
    w->section_start = SIZE_MAX;
}

void state_put_u8(struct state_writer *w, uint8_t v)
{
    state_put_bytes(w, &v, 1);
}

void state_put_u16(struct state_writer *w, uint16_t v)
{
    v = htole16(v);
    state_put_bytes(w, &v, 2);
}

void state_put_u32(struct state_writer *w, uint32_t v)
{
    v = htole32(v);
    state_put_bytes(w, &v, 4);
}

void state_put_u64(struct state_writer *w, uint64_t v)
{
    v = htole64(v);
    state_put_bytes(w, &v, 8);
}

void state_reader_init(struct state_reader *r, const void *data, size_t len)
{
    *r = (struct state_reader){.data = data, .len_bytes = len};
}

int state_open(struct state_reader *r, const char *name, unsigned instance, unsigned max_version)
{
    if (r->err.code)
        return -r->err.code;
    if (r->section_end)
        return err_set(&r->err, EINVAL, "state section opened inside another");
    if (!range_within(r->pos, HEADER_BYTES, r->len_bytes))
        return err_set(&r->err, EPROTO, "state ends where section '%s' should begin", name);

    const uint8_t *h = r->data + r->pos;
    char found[STATE_NAME_BYTES + 1] = {0};
    memcpy(found, h + 12, STATE_NAME_BYTES);
    unsigned version = le16_read(h + 8);
    if (le32_read(h) != MAGIC)
        return err_set(&r->err, EPROTO, "no state section at offset %zu", r->pos);
    if (strcmp(found, name) != 0 || le16_read(h + 10) != instance)
        return err_set(&r->err, EPROTO, "state has section '%.20s' %u where '%s' %u should be",
                       found, le16_read(h + 10), name, instance);
    if (!version || version > max_version)
        return err_set(&r->err, ENOTSUP,
                       "state section '%s' has version %u, this program reads up to %u", name,
                       version, max_version);
    if (!range_within(r->pos + HEADER_BYTES, le32_read(h + 4), r->len_bytes))
        return err_set(&r->err, EPROTO, "state section '%s' is cut short", name);
    r->pos += HEADER_BYTES;
    r->section_end = r->pos + le32_read(h + 4);
    return (int)version;
}

int state_close(struct state_reader *r)
{
    if (!r->err.code && r->pos != r->section_end)
        err_set(&r->err, EPROTO, "state section has %zu bytes left over", r->section_end - r->pos);
    r->section_end = 0;
    return -r->err.code;
}

void state_get_bytes(struct state_reader *r, void *p, size_t len)
{
    if (!r->err.code && !range_within(r->pos, len, r->section_end))
        err_set(&r->err, EPROTO, "state section is shorter than its version says");
    if (r->err.code) {
        memset(p, 0, len);
        return;
    }
    memcpy(p, r->data + r->pos, len);
    r->pos += len;
}

uint8_t state_get_u8(struct state_reader *r)
{
    uint8_t v;
    state_get_bytes(r, &v, 1);
    return v;
}

uint16_t state_get_u16(struct state_reader *r)
{
    uint8_t b[2];
    state_get_bytes(r, b, 2);
    return le16_read(b);
}

uint32_t state_get_u32(struct state_reader *r)
{
    uint8_t b[4];
    state_get_bytes(r, b, 4);
    return le32_read(b);
}

uint64_t state_get_u64(struct state_reader *r)
{
    uint8_t b[8];
    state_get_bytes(r, b, 8);
    return le64_read(b);
}

int state_invalid(struct state_reader *r, const char *fmt, ...)
{
    if (r->err.code)
        return -r->err.code;
    char what[ERR_MSG_BYTES - 64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(&r->err, EPROTO, "state is not valid: %s", what);
}
