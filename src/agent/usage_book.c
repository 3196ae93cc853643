/* The file: "virga-usage 1 EPOCH NUMBER", then a counter a line: VM, run, object, kind, meter, what
 * it came to before it began anew, where it stands, whether its run is over. */
#include "agent/usage_book.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/state_file.h"
#include "api/api_buf.h"
#include "api/api_format.h"
#include "base/log.h"
#include "base/util.h"
#include "base/uuid.h"

#define ITEMS_MAX  1000 /* of a message */
#define VALUE_MAX  INT64_C(9007199254740991)
#define LINE_BYTES 256

struct row {
    struct usage_counter c;
    uint64_t base, raw;
    bool ended;
    bool acked; /* the value is one that the server has */
    uint64_t sent_number, sent_value;
};

struct usage_book {
    char *path;
    char source[UUID_TEXT_BYTES];
    uint64_t epoch, number;
    struct row *rows;
    size_t n, capacity;
};

static uint64_t value_of(const struct row *r)
{
    return r->base + r->raw;
}

/* ---- the file ---- */

static struct row *add_row(struct usage_book *b)
{
    if (b->n == USAGE_BOOK_COUNTERS_MAX)
        return NULL;
    if (b->n == b->capacity) {
        size_t capacity = MAX(2 * b->capacity, 64u);
        struct row *rows = realloc(b->rows, capacity * sizeof(*rows));
        if (!rows)
            return NULL;
        b->rows = rows;
        b->capacity = capacity;
    }
    struct row *r = &b->rows[b->n++];
    memset(r, 0, sizeof(*r));
    return r;
}

static bool parse_row(const char *line, struct row *r)
{
    char vm[40], object[40];
    unsigned kind, meter, ended;
    int end = 0;
    if (sscanf(line, "%36s %" SCNu64 " %36s %u %u %" SCNu64 " %" SCNu64 " %u%n", vm, &r->c.run,
               object, &kind, &meter, &r->base, &r->raw, &ended, &end) != 8 ||
        line[end] != '\n' || kind >= LINK_USAGE_ITEM_KIND_N || meter >= LINK_USAGE_ITEM_METER_N ||
        ended > 1 || uuid_parse(vm, r->c.vm) || uuid_parse(object, r->c.object))
        return false;
    r->c.kind = (enum link_usage_item_kind)kind;
    r->c.meter = (enum link_usage_item_meter)meter;
    r->ended = ended;
    return true;
}

static bool parse(struct usage_book *b, const char *text)
{
    int end = 0;
    if (sscanf(text, "virga-usage 1 %" SCNu64 " %" SCNu64 "%n", &b->epoch, &b->number, &end) != 2 ||
        text[end] != '\n' || !b->epoch)
        return false;
    for (const char *line = text + end + 1; *line;) {
        const char *next = strchr(line, '\n');
        struct row *r = next ? add_row(b) : NULL;
        if (!r || !parse_row(line, r))
            return false;
        line = next + 1;
    }
    return true;
}

static int write_book(struct usage_book *b, struct err *err)
{
    struct api_buf text;
    char vm[UUID_TEXT_BYTES], object[UUID_TEXT_BYTES];
    api_buf_init(&text, STATE_FILE_MAX_BYTES);
    api_buf_printf(&text, "virga-usage 1 %" PRIu64 " %" PRIu64 "\n", b->epoch, b->number);
    for (size_t i = 0; i < b->n; i++) {
        const struct row *r = &b->rows[i];
        uuid_format(r->c.vm, vm);
        uuid_format(r->c.object, object);
        api_buf_printf(&text, "%s %" PRIu64 " %s %u %u %" PRIu64 " %" PRIu64 " %u\n", vm, r->c.run,
                       object, (unsigned)r->c.kind, (unsigned)r->c.meter, r->base, r->raw,
                       r->ended);
    }
    int ret = text.failed ? err_set(err, ENOMEM, "could not allocate the usage book")
                          : state_file_write(b->path, text.text, text.bytes, err);
    api_buf_fini(&text);
    return ret;
}

struct usage_book *usage_book_open(const char *path, const uint8_t source[16], int64_t now_ms,
                                   struct err *err)
{
    struct usage_book *b = calloc(1, sizeof(*b));
    struct err why = {0};
    size_t bytes = 0;
    if (b)
        b->path = strdup(path);
    if (!b || !b->path) {
        free(b);
        err_set(err, ENOMEM, "could not allocate a usage book");
        return NULL;
    }
    uuid_format(source, b->source);
    CLEANUP_FREE char *text = state_file_read(path, &bytes, &why);
    if (!text && why.code != ENOENT) {
        if (err)
            *err = why;
        usage_book_close(b);
        return NULL;
    }
    if (!text || !parse(b, text)) {
        if (text)
            log_line(LOG_WARN, "agent", "the usage book is not whole and begins anew: path=%s",
                     path);
        b->n = 0;
        b->epoch = (uint64_t)MAX(now_ms, 1);
        b->number = 0;
    }
    return b;
}

void usage_book_close(struct usage_book *b)
{
    if (!b)
        return;
    free(b->rows);
    free(b->path);
    free(b);
}

/* ---- counting ---- */

static struct row *find(struct usage_book *b, const struct usage_counter *c)
{
    for (size_t i = 0; i < b->n; i++) {
        struct row *r = &b->rows[i];
        if (r->c.meter == c->meter && r->c.kind == c->kind && r->c.run == c->run &&
            !memcmp(r->c.vm, c->vm, 16) && !memcmp(r->c.object, c->object, 16))
            return r;
    }
    return NULL;
}

static void end_before(struct usage_book *b, const uint8_t vm[16], uint64_t run)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->rows[i].c.run < run && !memcmp(b->rows[i].c.vm, vm, 16))
            b->rows[i].ended = true;
}

/* Rows of a VM stand in the order of its runs, and so do they in messages: a server may forget a
 * run when it sees the next. */
int usage_book_count(struct usage_book *b, const struct usage_counter *c, uint64_t raw)
{
    struct row *r = find(b, c);
    if (!r) {
        end_before(b, c->vm, c->run);
        r = add_row(b);
        if (!r)
            return b->n == USAGE_BOOK_COUNTERS_MAX ? -ENOSPC : -ENOMEM;
        r->c = *c;
    } else if (raw < r->raw) {
        r->base += r->raw;
    } else if (r->raw == raw) {
        return 0;
    }
    r->raw = raw;
    r->acked = false;
    return 0;
}

uint64_t usage_book_sum(const struct usage_book *b, const uint8_t vm[16], uint64_t run,
                        enum link_usage_item_kind kind, enum link_usage_item_meter meter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct row *r = &b->rows[i];
        if (r->c.run == run && r->c.kind == kind && r->c.meter == meter && !memcmp(r->c.vm, vm, 16))
            sum += r->base + r->raw;
    }
    return sum;
}

void usage_book_end(struct usage_book *b, const uint8_t vm[16])
{
    for (size_t i = 0; i < b->n; i++)
        if (!memcmp(b->rows[i].c.vm, vm, 16))
            b->rows[i].ended = true;
}

void usage_book_keep(struct usage_book *b, bool (*here)(void *opaque, const uint8_t vm[16]),
                     void *opaque)
{
    for (size_t i = 0; i < b->n; i++)
        if (!here(opaque, b->rows[i].c.vm))
            b->rows[i].ended = true;
}

/* ---- messages ---- */

static void drop_what_is_done(struct usage_book *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->rows[i].ended || !b->rows[i].acked)
            b->rows[kept++] = b->rows[i];
    b->n = kept;
}

static int fill(struct usage_book *b, struct api_arena *arena, struct link_usage *out)
{
    struct link_usage_item *items = api_arena_array(arena, MIN(b->n, ITEMS_MAX), sizeof(*items));
    uint32_t n = 0;
    for (size_t i = 0; items && i < b->n && n < ITEMS_MAX; i++) {
        struct row *r = &b->rows[i];
        if (r->acked)
            continue;
        char *vm = api_arena_alloc(arena, UUID_TEXT_BYTES);
        char *object = api_arena_alloc(arena, UUID_TEXT_BYTES);
        if (!vm || !object)
            return -ENOMEM;
        uuid_format(r->c.vm, vm);
        uuid_format(r->c.object, object);
        r->sent_number = b->number;
        r->sent_value = value_of(r);
        struct link_usage_item *item = &items[n++];
        item->vm = (struct api_text){API_VALUE, vm};
        item->run = (struct api_int){API_VALUE, (int64_t)r->c.run};
        item->object = (struct api_text){API_VALUE, object};
        item->kind.is = item->meter.is = API_VALUE;
        item->kind.v = r->c.kind;
        item->meter.v = r->c.meter;
        item->value = (struct api_int){API_VALUE, (int64_t)MIN(r->sent_value, (uint64_t)VALUE_MAX)};
    }
    out->items.is = API_VALUE;
    out->items.n = n;
    out->items.v = items;
    return items ? 0 : -ENOMEM;
}

int usage_book_message(struct usage_book *b, int64_t now_ms, struct api_arena *arena,
                       struct link_usage *out, struct err *err)
{
    struct link_usage made = {.source = {API_VALUE, b->source}};
    bool any = false;
    drop_what_is_done(b);
    for (size_t i = 0; i < b->n && !any; i++)
        any = !b->rows[i].acked;
    if (!any)
        return 0;
    b->number++;
    int ret = write_book(b, err);
    if (ret)
        return ret;
    char *at = api_arena_alloc(arena, API_FORMAT_TIME_BYTES);
    if (!at || fill(b, arena, &made))
        return err_set(err, ENOMEM, "could not allocate a message of what was used");
    api_format_time_text(now_ms, at);
    made.epoch = (struct api_int){API_VALUE, (int64_t)b->epoch};
    made.number = (struct api_int){API_VALUE, (int64_t)b->number};
    made.at = (struct api_text){API_VALUE, at};
    *out = made;
    return 1;
}

void usage_book_ack(struct usage_book *b, uint64_t epoch, uint64_t number)
{
    if (epoch > b->epoch && epoch < (uint64_t)VALUE_MAX) {
        log_line(LOG_WARN, "agent", "the usage book's epoch was behind: epoch=%" PRIu64, epoch);
        b->epoch = epoch + 1;
        b->number = 0;
        for (size_t i = 0; i < b->n; i++)
            b->rows[i].acked = false;
        return;
    }
    if (epoch != b->epoch)
        return;
    for (size_t i = 0; i < b->n; i++) {
        struct row *r = &b->rows[i];
        if (r->sent_number && r->sent_number <= number && r->sent_value == value_of(r))
            r->acked = true;
    }
}
