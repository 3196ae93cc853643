/* Counters and claims of one group: read at the first touch, written once before the commit. The
 * quota of a busy project is one row that every transaction adds to; SQLite sees one update. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/sqlite/store_sqlite_internal.h"

static unsigned bucket_of(const struct store_id *id, struct store_text name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (unsigned i = 0; i < STORE_ID_BYTES; i++)
        h = (h ^ id->bytes[i]) * 16777619u;
    for (size_t i = 0; i < name.len_bytes; i++)
        h = (h ^ (uint8_t)name.data[i]) * 16777619u;
    return (h ^ h >> 16) % STORE_SQLITE_HOT_BUCKETS;
}

/* Its value in the file; 0 if it has no row. */
static int fetch(struct store_sqlite *q, struct store_sqlite_hot *h)
{
    sqlite3_stmt *st = q->stmts[h->counter ? STMT_COUNTER_FIND : STMT_CLAIM_FIND];
    store_sqlite_bind_id(st, 1, &h->id);
    if (h->counter)
        store_sqlite_bind_text(st, 2, (struct store_text){h->name, h->name_bytes});
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        h->value = sqlite3_column_int64(st, 0);
        h->seq = (uint64_t)sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -EAGAIN;
}

struct store_sqlite_hot *store_sqlite_hot_get(struct store_sqlite *q, bool counter,
                                              const struct store_id *id, struct store_text name)
{
    struct store_sqlite_hots *hots = &q->hots;
    int *head = &hots->buckets[bucket_of(id, name)];
    for (int i = *head; i >= 0; i = hots->rows[i].next) {
        struct store_sqlite_hot *h = &hots->rows[i];
        if (h->counter == counter && !memcmp(&h->id, id, sizeof(*id)) &&
            h->name_bytes == name.len_bytes && !memcmp(h->name, name.data, name.len_bytes))
            return h;
    }
    if (hots->n == hots->room) {
        int room = hots->room ? 2 * hots->room : 64;
        void *p = reallocarray(hots->rows, (size_t)room, sizeof(*hots->rows));
        if (!p)
            return NULL;
        hots->rows = p;
        hots->room = room;
    }
    struct store_sqlite_hot *h = &hots->rows[hots->n];
    *h = (struct store_sqlite_hot){
        .counter = counter, .id = *id, .name_bytes = name.len_bytes, .next = *head};
    memcpy(h->name, name.data, name.len_bytes);
    if (fetch(q, h))
        return NULL;
    *head = hots->n++;
    return h;
}

int store_sqlite_hot_set(struct store_sqlite *q, struct store_sqlite_hot *h, int64_t value,
                         uint64_t seq)
{
    struct store_sqlite_hots *hots = &q->hots;
    if (hots->n_undo == hots->undo_room) {
        int room = hots->undo_room ? 2 * hots->undo_room : 64;
        void *p = reallocarray(hots->undo, (size_t)room, sizeof(*hots->undo));
        if (!p)
            return -EAGAIN;
        hots->undo = p;
        hots->undo_room = room;
    }
    hots->undo[hots->n_undo++] =
        (struct store_sqlite_hot_undo){(int)(h - hots->rows), h->value, h->seq, h->dirty};
    h->value = value;
    h->seq = seq;
    h->dirty = true;
    return 0;
}

void store_sqlite_hot_roll_back(struct store_sqlite *q, int keep)
{
    struct store_sqlite_hots *hots = &q->hots;
    while (hots->n_undo > keep) {
        const struct store_sqlite_hot_undo *u = &hots->undo[--hots->n_undo];
        hots->rows[u->index].value = u->value;
        hots->rows[u->index].seq = u->seq;
        hots->rows[u->index].dirty = u->dirty;
    }
}

int store_sqlite_hot_flush(struct store_sqlite *q)
{
    for (int i = 0; i < q->hots.n; i++) {
        struct store_sqlite_hot *h = &q->hots.rows[i];
        if (!h->dirty)
            continue;
        sqlite3_stmt *st = q->stmts[h->counter ? STMT_COUNTER_SET : STMT_CLAIM_SET];
        store_sqlite_bind_id(st, 1, &h->id);
        sqlite3_bind_int64(st, 2, h->value);
        sqlite3_bind_int64(st, 3, (sqlite3_int64)h->seq);
        if (h->counter)
            store_sqlite_bind_text(st, 4, (struct store_text){h->name, h->name_bytes});
        int rc = store_sqlite_step_done(st);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

void store_sqlite_hot_clear(struct store_sqlite *q)
{
    q->hots.n = 0;
    q->hots.n_undo = 0;
    memset(q->hots.buckets, 0xff, sizeof(q->hots.buckets)); /* -1 */
}

void store_sqlite_hot_free(struct store_sqlite *q)
{
    free(q->hots.rows);
    free(q->hots.undo);
}
