/* What is stored of an answer: a line "STATUS LOCATION ETAG", with "-" for what there was not, and
 * the body. "0 LOCATION -" is one that is not kept. */
#include "mgmt/server/server_key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"

#define KEPT_MS (24 * INT64_C(3600000))
#define BUCKETS 1024

/* A key whose request is under way. */
struct server_key {
    struct store_id principal;
    uint8_t hash[STORE_HASH_BYTES];
    bool looked;
    struct server_key *next;
    char text[]; /* NUL-terminated */
};

struct server_keys {
    struct server_key *buckets[BUCKETS];
};

struct server_keys *server_keys_create(void)
{
    return calloc(1, sizeof(struct server_keys));
}

void server_keys_destroy(struct server_keys *k)
{
    for (unsigned i = 0; k && i < BUCKETS; i++)
        while (k->buckets[i]) {
            struct server_key *key = k->buckets[i];
            k->buckets[i] = key->next;
            free(key);
        }
    free(k);
}

static struct server_key **bucket_of(struct server_keys *k, const struct store_id *principal,
                                     const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    for (unsigned i = 0; i < STORE_ID_BYTES; i++)
        h = (h ^ principal->bytes[i]) * UINT64_C(0x100000001b3);
    return &k->buckets[(h ^ h >> 32) % BUCKETS];
}

/* What makes a request the same one: NUL-separated, so that no two are alike by accident. */
static int hash_request(const struct server_call *c, uint8_t hash[STORE_HASH_BYTES])
{
    char project[UUID_TEXT_BYTES];
    uuid_format(c->project.bytes, project);
    const char *texts[] = {c->wire.method, c->wire.target, project};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    for (size_t i = 0; good && i < ARRAY_LEN(texts); i++)
        good = EVP_DigestUpdate(ctx, texts[i], strlen(texts[i]) + 1);
    good = good && EVP_DigestUpdate(ctx, c->wire.body, c->wire.body_bytes) &&
           EVP_DigestFinal_ex(ctx, hash, NULL);
    EVP_MD_CTX_free(ctx);
    return good ? 0 : -ENOMEM;
}

int server_key_begin(struct server_call *c)
{
    const char *text = c->wire.idempotency_key;
    if (!text || !(c->request.route->flags & API_ROUTE_IDEMPOTENT) ||
        auth_record_id_is_zero(&c->who.user))
        return 0;
    struct store_id principal = server_store_id(&c->who.user);
    struct server_key **at = bucket_of(c->s->keys, &principal, text);
    for (const struct server_key *k = *at; k; k = k->next)
        if (!strcmp(k->text, text) && !memcmp(&k->principal, &principal, sizeof(principal))) {
            c->refusal.retry_after_s = 1;
            return api_problem_set(&c->refusal, API_PROBLEM_CODE_IDEMPOTENCY_IN_FLIGHT,
                                   "a request with Idempotency-Key %s is still under way: try "
                                   "again when it has ended",
                                   text);
        }
    struct server_key *key = malloc(sizeof(*key) + strlen(text) + 1);
    if (!key || hash_request(c, key->hash)) {
        free(key);
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
    }
    key->principal = principal;
    key->looked = false;
    key->next = *at;
    memcpy(key->text, text, strlen(text) + 1);
    *at = key;
    c->key = key;
    return 0;
}

void server_key_end(struct server_call *c)
{
    struct server_key *key = c->key;
    if (!key)
        return;
    struct server_key **at = bucket_of(c->s->keys, &key->principal, key->text);
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    free(key);
    c->key = NULL;
}

/* ---- writing ---- */

/* `v`, or a text. */
static void set_answer(struct server_txn *t, int status, const char *location, const char *etag,
                       const struct catalog_object *v, const char *text, size_t bytes)
{
    struct api_buf b;
    api_buf_init(&b, STORE_BODY_MAX);
    api_buf_printf(&b, "%d %s %s\n", status, location ? location : "-", etag[0] ? etag : "-");
    if (v)
        catalog_write(v, &b);
    else
        api_buf_put(&b, text, bytes);
    const char *kept = b.failed ? NULL : api_arena_text(&t->arena, b.text, b.bytes);
    if (kept)
        t->key_answer = (struct store_text){kept, b.bytes};
    else if (!t->failed)
        t->failed = -ENOMEM;
    api_buf_fini(&b);
}

void server_key_keep(struct server_txn *t, int status, const char *text, size_t bytes)
{
    if (t->call && t->call->key)
        set_answer(t, status, t->call->location, "", NULL, text, bytes);
}

static void keep_object(struct server_txn *t)
{
    char etag[API_HEADER_ETAG_BYTES] = "", place[64];
    const struct catalog_object *v = t->answer;
    const char *location = t->call->location;
    uint64_t generation = server_meta_generation(v);
    if (generation)
        api_header_etag(generation, etag);
    if (v->kind == CATALOG_OPERATION && t->status == 202) {
        snprintf(place, sizeof(place), "/v1/operations/%s", v->id_text);
        location = place;
    }
    set_answer(t, t->status, location, etag, v, NULL, 0);
}

/* An answer without a body is kept; of others what was made, for whoever is told that they are not.
 */
static void keep_nothing(struct server_txn *t)
{
    const char *location = t->call->location;
    if (t->call->request.route->status == 204) {
        set_answer(t, 204, location, "", NULL, "", 0);
        return;
    }
    char place[UUID_TEXT_BYTES + 64];
    for (unsigned i = 0; i < t->store.n_ops && !location; i++)
        if (t->changes[i].v) {
            snprintf(place, sizeof(place), "%s/%s", catalog_kinds[t->changes[i].kind].name,
                     t->changes[i].v->id_text);
            location = place;
        }
    set_answer(t, 0, location, "", NULL, "", 0);
}

void server_key_add(struct server_txn *t)
{
    const struct server_key *key = t->call ? t->call->key : NULL;
    int64_t now_ms = server_now_ms();
    if (!key)
        return;
    if (!t->key_answer.data && t->answer)
        keep_object(t);
    else if (!t->key_answer.data)
        keep_nothing(t);
    struct store_op op = {.type = STORE_KEY,
                          .key = {.principal = key->principal,
                                  .key = store_text_of(t->call->wire.idempotency_key),
                                  .answer = t->key_answer,
                                  .at_ms = now_ms,
                                  .expires_ms = now_ms + KEPT_MS}};
    memcpy(op.key.hash, key->hash, sizeof(op.key.hash));
    server_txn_op(t, &op);
}

/* ---- looking ---- */

struct look {
    struct server_job job;
    struct server_call *c;
    uint8_t hash[STORE_HASH_BYTES];
    char *answer;
    size_t answer_bytes;
    int64_t expires_ms;
    int result;
    struct err err;
};

static void work(struct server_job *j)
{
    struct look *l = container_of(j, struct look, job);
    const struct server_key *key = l->c->key;
    l->result = store_key_get(l->c->s->store, &key->principal, store_text_of(key->text), l->hash,
                              &l->answer, &l->answer_bytes, &l->expires_ms, &l->err);
}

static void refuse_secret(struct server_call *c, const char *location)
{
    api_problem_init(&c->refusal);
    api_problem_set(&c->refusal, API_PROBLEM_CODE_IDEMPOTENCY_SECRET,
                    "the request with this key was done and made %s; its answer held a secret, "
                    "which is not kept: delete that, and ask again with another key",
                    location);
    server_call_refuse(c);
}

/* The first answer, as it was. */
static void answer_again(struct server_call *c, char *answer, size_t bytes)
{
    char *line = memchr(answer, '\n', bytes), *rest = NULL;
    size_t line_bytes = line ? (size_t)(line - answer) : 0;
    char *location = line ? memchr(answer, ' ', line_bytes) : NULL;
    char *etag = location ? strchr(location + 1, ' ') : NULL;
    long status = strtol(answer, &rest, 10);
    if (!etag || etag > line || rest != location) {
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_INTERNAL,
                        "the answer that the store keeps under the key cannot be read");
        server_call_refuse(c);
        return;
    }
    *location++ = *etag++ = *line++ = 0;
    if (!status) {
        refuse_secret(c, location);
        return;
    }
    c->location = strcmp(location, "-") ? location : NULL;
    if (c->location && status == 202)
        web_reply_header(c->web, "operation-location", c->location);
    if (strcmp(etag, "-") != 0)
        web_reply_header(c->web, "etag", etag);
    size_t body_bytes = bytes - (size_t)(line - answer);
    server_call_reply(c, (int)status, line, body_bytes);
}

static void done(struct server_job *j)
{
    struct look *l = container_of(j, struct look, job);
    struct server_call *c = l->c;
    if (l->result == -ENOENT || (!l->result && l->expires_ms <= server_now_ms())) {
        server_call_refuse(c); /* as it was about to be */
    } else if (l->result) {
        api_problem_init(&c->refusal);
        c->refusal.retry_after_s = 2;
        api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_STORE,
                        "the store does not say whether this was done before: try again");
        server_call_refuse(c);
    } else if (memcmp(l->hash, c->key->hash, sizeof(l->hash)) != 0) {
        api_problem_init(&c->refusal);
        api_problem_set(&c->refusal, API_PROBLEM_CODE_IDEMPOTENCY_MISMATCH,
                        "Idempotency-Key %s was used for another request: choose a new key for "
                        "each request",
                        c->key->text);
        server_call_refuse(c);
    } else {
        answer_again(c, l->answer, l->answer_bytes);
    }
    free(l->answer);
    free(l);
}

bool server_key_look(struct server_call *c)
{
    if (!c->key || c->key->looked)
        return false;
    struct look *l = calloc(1, sizeof(*l));
    c->key->looked = true;
    if (l) {
        l->job = (struct server_job){.work = work, .done = done};
        l->c = c;
        if (!server_workers_submit(c->s->workers, &l->job))
            return true;
    }
    free(l);
    api_problem_init(&c->refusal);
    c->refusal.retry_after_s = 1;
    api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY,
                    "too much is under way to look the Idempotency-Key up: try again");
    return false;
}
