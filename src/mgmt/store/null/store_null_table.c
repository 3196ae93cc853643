#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/store/null/store_null_internal.h"

char *store_null_copy(struct store_text t)
{
    char *p = malloc(t.len_bytes + 1);
    if (!p)
        return NULL;
    if (t.len_bytes)
        memcpy(p, t.data, t.len_bytes);
    p[t.len_bytes] = 0;
    return p;
}

static size_t hash_of(enum store_null_cell_type type, const uint8_t *key, size_t bytes)
{
    uint64_t h = 14695981039346656037u ^ (uint64_t)type; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ key[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 29);
}

static int grow(struct store_null *n)
{
    size_t room = n->n_buckets ? 4 * n->n_buckets : 256;
    struct store_null_cell **buckets = calloc(room, sizeof(struct store_null_cell *));
    if (!buckets)
        return -ENOMEM;
    for (size_t i = 0; i < n->n_buckets; i++) {
        for (struct store_null_cell *c = n->buckets[i], *next; c; c = next) {
            next = c->next;
            size_t b = hash_of(c->type, c->key, c->key_bytes) & (room - 1);
            c->next = buckets[b];
            buckets[b] = c;
        }
    }
    free(n->buckets);
    n->buckets = buckets;
    n->n_buckets = room;
    return 0;
}

static size_t make_key(const struct store_null_cell_key *key, uint8_t *out)
{
    size_t bytes = 0;
    out[bytes++] = key->kind;
    if (key->id)
        memcpy(out + bytes, key->id, STORE_ID_BYTES);
    bytes += key->id ? STORE_ID_BYTES : 0;
    if (key->id2)
        memcpy(out + bytes, key->id2, STORE_ID_BYTES);
    bytes += key->id2 ? STORE_ID_BYTES : 0;
    if (key->text.len_bytes)
        memcpy(out + bytes, key->text.data, key->text.len_bytes);
    return bytes + key->text.len_bytes;
}

struct store_null_cell *store_null_cell(struct store_null *n, enum store_null_cell_type type,
                                        const struct store_null_cell_key *key)
{
    uint8_t bytes[STORE_NULL_KEY_MAX];
    size_t len = make_key(key, bytes);
    if (n->n_cells >= n->n_buckets && grow(n) < 0)
        return NULL;
    struct store_null_cell **head = &n->buckets[hash_of(type, bytes, len) & (n->n_buckets - 1)];
    for (struct store_null_cell *c = *head; c; c = c->next)
        if (c->type == type && c->key_bytes == len && !memcmp(c->key, bytes, len))
            return c;
    struct store_null_cell *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->type = type;
    c->key_bytes = len;
    memcpy(c->key, bytes, len);
    c->next = *head;
    *head = c;
    n->n_cells++;
    return c;
}

static struct store_null_undo *note(struct store_null *n)
{
    if (n->n_undo == n->undo_room) {
        size_t room = n->undo_room ? 2 * n->undo_room : 64;
        void *p = reallocarray(n->undo, room, sizeof(*n->undo));
        if (!p)
            return NULL;
        n->undo = p;
        n->undo_room = room;
    }
    struct store_null_undo *u = &n->undo[n->n_undo++];
    memset(u, 0, sizeof(*u));
    return u;
}

int store_null_set(struct store_null *n, struct store_null_cell *cell,
                   const struct store_null_value *value)
{
    struct store_null_undo *u = note(n);
    if (!u) {
        free(value->name);
        free(value->body);
        return -EAGAIN;
    }
    u->cell = cell;
    u->old = cell->value;
    cell->value = *value;
    return 0;
}

int store_null_append(struct store_null *n, enum store_table table, const struct store_row *row)
{
    struct store_null_lines *t = &n->tables[table];
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        void *p = reallocarray(t->lines, room, sizeof(*t->lines));
        if (!p)
            return -EAGAIN;
        t->lines = p;
        t->room = room;
    }
    char *name = store_null_copy(row->name), *body = store_null_copy(row->body);
    struct store_null_undo *u = name && body ? note(n) : NULL;
    if (!u) {
        free(name);
        free(body);
        return -EAGAIN;
    }
    u->table = table;
    u->line = t->n;
    u->appended = true;
    struct store_null_line *l = &t->lines[t->n++];
    *l = (struct store_null_line){.row = *row};
    l->row.name.data = name;
    l->row.body.data = body;
    return 0;
}

int store_null_remove(struct store_null *n, enum store_table table, size_t line)
{
    struct store_null_undo *u = note(n);
    if (!u)
        return -EAGAIN;
    u->table = table;
    u->line = line;
    n->tables[table].lines[line].removed = true;
    return 0;
}

static void free_line(struct store_null_line *l)
{
    free((char *)(uintptr_t)l->row.name.data);
    free((char *)(uintptr_t)l->row.body.data);
}

void store_null_roll_back(struct store_null *n, size_t keep)
{
    while (n->n_undo > keep) {
        struct store_null_undo *u = &n->undo[--n->n_undo];
        if (u->cell) {
            free(u->cell->value.name);
            free(u->cell->value.body);
            u->cell->value = u->old;
        } else if (u->appended) {
            free_line(&n->tables[u->table].lines[--n->tables[u->table].n]);
        } else {
            n->tables[u->table].lines[u->line].removed = false;
        }
    }
}

void store_null_keep(struct store_null *n)
{
    for (size_t i = 0; i < n->n_undo; i++) {
        free(n->undo[i].old.name);
        free(n->undo[i].old.body);
    }
    n->n_undo = 0;
}

void store_null_free_data(struct store_null *n)
{
    store_null_keep(n);
    for (size_t i = 0; i < n->n_buckets; i++) {
        for (struct store_null_cell *c = n->buckets[i], *next; c; c = next) {
            next = c->next;
            free(c->value.name);
            free(c->value.body);
            free(c);
        }
    }
    for (unsigned t = 0; t < STORE_NULL_TABLES; t++) {
        for (size_t i = 0; i < n->tables[t].n; i++)
            free_line(&n->tables[t].lines[i]);
        free(n->tables[t].lines);
    }
    free(n->buckets);
    free(n->undo);
    free(n->links);
    free(n->digests);
}
