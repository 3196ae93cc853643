/* The audit trail's hash chain: what a link covers, and whether the trail still is what was
 * written.
 *
 * A server's chain has one link for each of its groups that held audit rows:
 *   digest(row) = SHA-256(at_ms | project | object | actor | kind | name length | name | body)
 *   hash(n)     = SHA-256(hash(n-1) | server | n | digest of its first row | ... | of its last)
 * with numbers as 8 bytes little-endian and 32 zeroes for hash(0). One hash a group keeps the cost
 * off the rows, and a chain per server keeps servers that share a store from waiting for each
 * other's hashes. Whoever keeps a copy of the last hash can tell later that nothing before it was
 * altered. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/store/store_provider.h"

#define READ_AT_ONCE 1000

void store_audit_digest(const struct store_row *row, uint8_t digest[STORE_HASH_BYTES])
{
    uint8_t head[8 + 3 * STORE_ID_BYTES + 1 + 8 + STORE_NAME_MAX];
    uint8_t *p = head;
    le64_write(p, (uint64_t)row->at_ms);
    p += 8;
    memcpy(p, row->project.bytes, STORE_ID_BYTES);
    memcpy(p + STORE_ID_BYTES, row->object.bytes, STORE_ID_BYTES);
    memcpy(p + 2 * STORE_ID_BYTES, row->actor.bytes, STORE_ID_BYTES);
    p += 3 * STORE_ID_BYTES;
    *p++ = row->kind;
    size_t name_bytes = MIN(row->name.len_bytes, STORE_NAME_MAX);
    le64_write(p, name_bytes);
    p += 8;
    memcpy(p, row->name.data, name_bytes);
    p += name_bytes;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(ctx, head, (size_t)(p - head)) ||
        !EVP_DigestUpdate(ctx, row->body.data, row->body.len_bytes) ||
        !EVP_DigestFinal_ex(ctx, digest, NULL))
        abort(); /* only for want of memory */
    EVP_MD_CTX_free(ctx);
}

void store_audit_extend(struct store_chain *chain, const struct store_id *server,
                        const uint8_t *digests, unsigned n)
{
    uint8_t number[8];
    le64_write(number, ++chain->number);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(ctx, chain->hash, STORE_HASH_BYTES) ||
        !EVP_DigestUpdate(ctx, server->bytes, STORE_ID_BYTES) ||
        !EVP_DigestUpdate(ctx, number, sizeof(number)) ||
        !EVP_DigestUpdate(ctx, digests, (size_t)n * STORE_HASH_BYTES) ||
        !EVP_DigestFinal_ex(ctx, chain->hash, NULL))
        abort(); /* only for want of memory */
    EVP_MD_CTX_free(ctx);
}

/* One server's chain while the trail is read: the rows of the link that is being gathered. */
struct verified {
    struct store_id server;
    struct store_chain chain;
    uint64_t gathering; /* the link that the digests belong to; 0: none */
    uint8_t *digests;
    unsigned n, room;
    struct verified *next;
};

struct link_list {
    struct store_link *links;
    size_t n, room;
};

struct verify {
    struct verified *servers;
    struct link_list computed, stored;
    uint64_t last_position;
    unsigned rows_read;
    uint64_t rows;
    struct err *err;
};

static int broken(struct verify *v, const struct store_id *server, uint64_t link, const char *what)
{
    char text[2 * STORE_ID_BYTES + 1];
    for (unsigned i = 0; i < STORE_ID_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", server->bytes[i]);
    return err_set(v->err, EBADMSG, "the audit trail of server %s was tampered with: link %llu %s",
                   text, (unsigned long long)link, what);
}

static int no_memory(struct verify *v)
{
    return err_set(v->err, ENOMEM, "could not allocate to verify the audit trail");
}

static int append_link(struct verify *v, struct link_list *list, const struct store_link *link)
{
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        void *p = reallocarray(list->links, room, sizeof(*list->links));
        if (!p)
            return no_memory(v);
        list->links = p;
        list->room = room;
    }
    list->links[list->n++] = *link;
    return 0;
}

static int add_stored(const struct store_link *link, void *ctx)
{
    struct verify *v = ctx;
    return append_link(v, &v->stored, link);
}

static int compare_links(const void *a, const void *b)
{
    const struct store_link *x = a, *y = b;
    int c = memcmp(&x->server, &y->server, sizeof(x->server));
    return c ? c : (x->number > y->number) - (x->number < y->number);
}

static const struct store_link *find_link(const struct link_list *sorted,
                                          const struct store_link *link)
{
    if (!sorted->n)
        return NULL;
    return bsearch(link, sorted->links, sorted->n, sizeof(*link), compare_links);
}

static void sort_links(struct link_list *list)
{
    if (list->n)
        qsort(list->links, list->n, sizeof(*list->links), compare_links);
}

static struct verified *server_of(struct verify *v, const struct store_id *server)
{
    for (struct verified *d = v->servers; d; d = d->next)
        if (!memcmp(&d->server, server, sizeof(*server)))
            return d;
    struct verified *d = calloc(1, sizeof(*d));
    if (d) {
        d->server = *server;
        d->next = v->servers;
        v->servers = d;
    }
    return d;
}

/* Computes the link whose rows were gathered. */
static int close_link(struct verify *v, struct verified *d)
{
    if (!d->gathering)
        return 0;
    store_audit_extend(&d->chain, &d->server, d->digests, d->n);
    struct store_link link = {.server = d->server, .number = d->chain.number};
    memcpy(link.hash, d->chain.hash, STORE_HASH_BYTES);
    d->gathering = 0;
    d->n = 0;
    return append_link(v, &v->computed, &link);
}

static int add_row(const struct store_row *row, void *ctx)
{
    struct verify *v = ctx;
    v->rows_read++;
    v->rows++;
    v->last_position = row->position;
    struct verified *d = server_of(v, &row->server);
    if (!d)
        return no_memory(v);
    if (d->gathering != row->link) {
        int r = close_link(v, d);
        if (r)
            return r;
        if (row->link != d->chain.number + 1)
            return broken(v, &row->server, d->chain.number + 1, "has no rows");
        d->gathering = row->link;
    }
    if (d->n == d->room) {
        unsigned room = d->room ? 2 * d->room : 64;
        void *p = reallocarray(d->digests, room, STORE_HASH_BYTES);
        if (!p)
            return no_memory(v);
        d->digests = p;
        d->room = room;
    }
    store_audit_digest(row, d->digests + (size_t)d->n++ * STORE_HASH_BYTES);
    return 0;
}

/* Reads rows to the end of the trail. A group becomes visible as a whole, so its link ends there.
 */
static int read_rows(struct verify *v, struct store *s)
{
    do {
        v->rows_read = 0;
        int r =
            store_rows(s, STORE_AUDIT_TRAIL, v->last_position, READ_AT_ONCE, add_row, v, v->err);
        if (r)
            return r;
    } while (v->rows_read == READ_AT_ONCE);
    for (struct verified *d = v->servers; d; d = d->next) {
        int r = close_link(v, d);
        if (r)
            return r;
    }
    return 0;
}

/* Rows, then links, then the rows that came meanwhile: so every link that was read has its rows,
 * and each of the first rows its link, while commits go on. */
static int verify(struct verify *v, struct store *s)
{
    int r = read_rows(v, s);
    if (r)
        return r;
    size_t n_before = v->computed.n;
    r = s->ops->links(s, add_stored, v, v->err);
    if (r)
        return r;
    sort_links(&v->stored);
    for (size_t i = 0; i < n_before; i++) {
        const struct store_link *c = &v->computed.links[i], *have = find_link(&v->stored, c);
        if (!have)
            return broken(v, &c->server, c->number, "is missing");
        if (memcmp(have->hash, c->hash, STORE_HASH_BYTES) != 0)
            return broken(v, &c->server, c->number, "does not match its rows");
    }
    r = read_rows(v, s);
    if (r)
        return r;
    sort_links(&v->computed);
    for (size_t i = 0; i < v->stored.n; i++) {
        const struct store_link *have = &v->stored.links[i], *c = find_link(&v->computed, have);
        if (!c)
            return broken(v, &have->server, have->number, "has no rows");
        if (memcmp(have->hash, c->hash, STORE_HASH_BYTES) != 0)
            return broken(v, &have->server, have->number, "does not match its rows");
    }
    return 0;
}

static void report_to(const struct verify *v, struct store_audit_report *report)
{
    report->rows = v->rows;
    report->n_heads = 0;
    for (const struct verified *d = v->servers; d && report->n_heads < STORE_AUDIT_HEADS;
         d = d->next) {
        struct store_audit_head *head = &report->heads[report->n_heads++];
        head->server = d->server;
        head->link = d->chain.number;
        memcpy(head->hash, d->chain.hash, STORE_HASH_BYTES);
    }
}

int store_audit_verify(struct store *s, struct err *err)
{
    return store_audit_inspect(s, NULL, err);
}

int store_audit_inspect(struct store *s, struct store_audit_report *report, struct err *err)
{
    struct verify v = {.err = err};
    int r = verify(&v, s);
    if (report)
        report_to(&v, report);
    while (v.servers) {
        struct verified *d = v.servers;
        v.servers = d->next;
        free(d->digests);
        free(d);
    }
    free(v.computed.links);
    free(v.stored.links);
    return r;
}
