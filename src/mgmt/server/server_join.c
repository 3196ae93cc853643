/* How machines become hosts: the cloud's own certificate authority, join tokens, and the one call
 * that an agent makes without a certificate.
 *
 * A join token's secret is "virga_join_RANDOM_HASH": 32 random bytes, by whose hash the token is
 * found, and the SHA-256 of the authority's certificate (of its DER form), both in hexadecimal. So
 * the agent knows whom it talks to before it says anything: it takes the certificate that the
 * answer brings only if it has that hash. */
#include <errno.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_format.h"
#include "mgmt/server/server_identity.h"
#include "mgmt/server/server_infra.h"
#include "mgmt/server/server_ref.h"
#include "pki/pki.h"

#define AUTHORITY_DAYS 7300
#define HOST_DAYS      3650
#define TOKEN_MS       INT64_C(3600000)
#define RANDOM_BYTES   32
#define SECRET_BYTES   (11 + 2 * RANDOM_BYTES + 1 + 2 * PKI_FINGERPRINT_BYTES + 1)
#define HASH_TEXT      (2 * SHA256_DIGEST_LENGTH + 1)

static const struct store_id zero;

static int busy(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* ---- the authority ---- */

static const struct catalog_own *authority(const struct server *s)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &zero);
    const struct catalog_own *own = slot ? slot->now->own : NULL;
    return own && own->key.is == API_VALUE && own->cert.is == API_VALUE ? own : NULL;
}

int server_join_make_authority(struct catalog_object *settings, struct err *err)
{
    char *key = pki_key_create(err);
    char *cert = key ? pki_authority_create(key, "Virga cloud", AUTHORITY_DAYS, err) : NULL;
    bool ok = cert && !server_meta_text(settings, &settings->own->key, key) &&
              !server_meta_text(settings, &settings->own->cert, cert);
    pki_wipe(key);
    free(key);
    free(cert);
    return ok ? 0 : err_set(err, ENOMEM, "could not make the cloud's certificate authority");
}

static int store_settings(struct server *s, const struct catalog_slot *slot,
                          struct catalog_object *v, struct err *err)
{
    struct store_op op = {.type = STORE_PUT,
                          .object = {.kind = CATALOG_SETTINGS,
                                     .id = v->id,
                                     .project = v->project,
                                     .name = store_text_of(v->name),
                                     .body = {v->body, v->body_bytes},
                                     .when = STORE_IF_SEQ,
                                     .seq = slot->now->seq}};
    struct store_txn txn = {.ops = &op, .n_ops = 1};
    int r = store_submit_wait(s->store, &txn);
    if (r)
        return err_set(err, -r, "cannot store the cloud's authority (%s): start again",
                       strerror(-r));
    v->seq = op.seq;
    s->seq = op.seq;
    return catalog_publish(s->catalog, catalog_ref(v)) ? 0 : -ENOMEM;
}

int server_join_start(struct server *s, struct err *err)
{
    const struct catalog_slot *slot = catalog_find(s->catalog, CATALOG_SETTINGS, &zero);
    if (!slot || authority(s))
        return 0;
    struct catalog_object *v = catalog_copy(slot->now);
    int r = v ? server_join_make_authority(v, err) : -ENOMEM;
    if (!r && catalog_seal(v))
        r = err_set(err, ENOMEM, "no memory for the cloud's authority");
    if (!r)
        r = store_settings(s, slot, v, err);
    catalog_unref(v);
    return r;
}

const char *server_join_authority(const struct server *s)
{
    const struct catalog_own *own = authority(s);
    return own ? own->cert.v : NULL;
}

char *server_join_sign(const struct server *s, const char *request_pem, const char *host_id,
                       char serial[64], struct err *err)
{
    const struct catalog_own *own = authority(s);
    const struct pki_subject subject = {.name = host_id, .usage = PKI_CLIENT, .days = HOST_DAYS};
    struct pki_info info;
    char *pem = own ? pki_sign(own->key.v, own->cert.v, request_pem, &subject, err) : NULL;
    if (!own)
        err_set(err, EINVAL, "the cloud has no authority: start the server again");
    if (!pem || pki_read(pem, &info, err)) {
        free(pem);
        return NULL;
    }
    memcpy(serial, info.serial, sizeof(info.serial));
    return pem;
}

/* ---- join tokens ---- */

static void hash_text(const char *secret, char text[HASH_TEXT])
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)secret, strlen(secret), hash);
    server_identity_hex(hash, sizeof(hash), text);
}

static int make_secret(struct server_call *c, struct catalog_object *v)
{
    uint8_t random[RANDOM_BYTES];
    char hex[2 * RANDOM_BYTES + 1], hash[HASH_TEXT], ca[2 * PKI_FINGERPRINT_BYTES + 1];
    const char *cert = server_join_authority(c->s);
    struct pki_info info;
    char *secret = api_arena_alloc(&c->arena, SECRET_BYTES);
    if (!secret || !cert || pki_read(cert, &info, NULL) || RAND_bytes(random, sizeof(random)) != 1)
        return busy(c);
    server_identity_hex(random, sizeof(random), hex);
    server_identity_hex(info.fingerprint, sizeof(info.fingerprint), ca);
    snprintf(secret, SECRET_BYTES, "virga_join_%s_%s", hex, ca);
    auth_password_wipe(hex, sizeof(hex));
    auth_password_wipe(random, sizeof(random));
    hash_text(secret, hash);
    c->kept = secret;
    return server_meta_text(v, &v->own->secret_sha256, hash) ? busy(c) : 0;
}

static int token_make(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_host_join_token *token = v->doc;
    int64_t now_ms = server_now_ms(), ms = now_ms + TOKEN_MS;
    char text[SERVER_TIME_BYTES];
    int e = server_ref_one(t, v, CATALOG_ZONE, &token->zone, "/zone", NULL);
    if (e)
        return e;
    token->uses = (struct api_int){API_VALUE, 0};
    if (token->expires_at.is != API_VALUE) {
        server_meta_time(ms, text);
        if (server_meta_text(v, &token->expires_at, text))
            return busy(c);
    } else if (api_format_time(token->expires_at.v, &ms) || ms <= now_ms) {
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/expires_at",
                               "%s is over: name a time to come", token->expires_at.v);
    }
    return make_secret(c, v);
}

/* What to run on the host: it joins where agents are awaited. */
static void write_command(const struct server *s, const char *secret, char *text, size_t bytes)
{
    const char *address = s->config.agents_name ? s->config.agents_name : s->config.agents_address;
    bool any = !address || !*address || !strcmp(address, "0.0.0.0") || !strcmp(address, "::");
    bool six = !any && strchr(address, ':');
    snprintf(text, bytes, "virga-agent join --state /var/lib/virga/agent --server %s%s%s:%u %s",
             six ? "[" : "", any ? "SERVER" : address, six ? "]" : "", server_agents_port(s),
             secret);
}

static void token_made(struct server_txn *t, int result)
{
    struct server_call *c = t->call;
    const struct catalog_object *v = t->ctx;
    char command[512];
    if (result)
        return;
    write_command(t->s, c->kept, command, sizeof(command));
    struct api_host_join_token_created answer = {.secret = {API_VALUE, c->kept},
                                                 .command = {API_VALUE, command}};
    answer.host_join_token.is = API_VALUE;
    answer.host_join_token.v = v->doc;
    server_call_reply_struct(c, 201, &api_types_host_join_token_created, &answer);
    auth_password_wipe(command, sizeof(command));
}

static const struct server_resource token_resource = {
    .kind = CATALOG_HOST_JOIN_TOKEN, .create = token_make, .created = token_made};

static int token_create(struct server_call *c)
{
    return server_resource_create(c, &token_resource);
}
static int token_get(struct server_call *c)
{
    return server_resource_get(c, &token_resource);
}
static int token_list(struct server_call *c)
{
    return server_resource_list(c, &token_resource);
}
static int token_delete(struct server_call *c)
{
    return server_resource_delete(c, &token_resource);
}

/* ---- joining ---- */

static struct catalog_slot *find_token(struct server *s, const char *secret)
{
    const struct catalog_list *list = catalog_all(s->catalog, CATALOG_HOST_JOIN_TOKEN);
    char hash[HASH_TEXT];
    hash_text(secret, hash);
    for (size_t i = 0; i < list->n; i++) {
        const struct api_text *own = &list->slots[i]->now->own->secret_sha256;
        if (own->is == API_VALUE && !strcmp(own->v, hash))
            return list->slots[i];
    }
    return NULL;
}

static int check_token(struct server_call *c, const struct catalog_slot *slot)
{
    if (!slot)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_FAILED,
                               "there is no such join token: make another one by POST "
                               "/v1/host-join-tokens");
    int e = server_call_wait(c, slot);
    const struct api_host_join_token *token = slot->now->doc;
    int64_t ms = 0;
    if (e)
        return e;
    if (api_format_time(token->expires_at.v, &ms) || ms <= server_now_ms())
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_EXPIRED,
                               "join token %s has expired: make another one", slot->now->name);
    if (token->uses.v >= token->max_uses.v)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_AUTH_EXPIRED,
                               "join token %s has been used %lld times, which is all that it "
                               "allows: make another one",
                               slot->now->name, (long long)token->uses.v);
    return 0;
}

/* Of an IPv4 client of a socket for both kinds, what people know it by. */
static const char *plain_address(const char *address)
{
    static const char mapped[] = "::ffff:";
    size_t n = sizeof(mapped) - 1;
    return address && !strncmp(address, mapped, n) && strchr(address + n, '.') ? address + n
                                                                               : address;
}

static int set_status(struct server_call *c, struct catalog_object *v)
{
    const struct api_host_join *body = c->request.body;
    struct api_host *host = v->doc;
    struct api_host_status *status = api_json_new(&api_types_host_status, &v->arena);
    const char *address = plain_address(web_request_peer_address(c->web));
    if (!status)
        return busy(c);
    host->mode.is = status->state.is = host->status.is = API_VALUE;
    host->mode.v = API_HOST_MODE_ACTIVE;
    host->status.v = status;
    status->state.v = API_HOST_STATUS_STATE_JOINING;
    if ((body->agent_version.is == API_VALUE &&
         server_meta_text(v, &status->agent_version, body->agent_version.v)) ||
        (address && api_format_holds(API_FORMAT_IP, address, strlen(address)) &&
         server_meta_text(v, &status->address, address)))
        return busy(c);
    return 0;
}

/* The host's zone: the token's, or the default one. */
static int set_zone(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                    const struct api_host_join_token *token)
{
    struct api_host *host = v->doc;
    const struct catalog_slot *zone = server_zone_default(c->s);
    if (token->zone.is == API_VALUE) {
        host->zone = token->zone;
        return server_ref_one(t, v, CATALOG_ZONE, &host->zone, "/secret", NULL);
    }
    if (!zone)
        return 0;
    int e = server_ref_keep(t, zone);
    return e ? e : server_meta_text(v, &host->zone, zone->now->id_text) ? busy(c) : 0;
}

/* The certificate waits in the call's memory for the answer. */
static int make_host(struct server_call *c, struct server_txn *t, struct catalog_object *v,
                     const struct api_host_join_token *token)
{
    const struct api_host_join *body = c->request.body;
    struct api_host *host = v->doc;
    char serial[64];
    struct err err = {0};
    int e = server_meta_text(v, &host->name, body->name.v) ||
                    api_json_fill(&api_types_host, host, &v->arena)
                ? busy(c)
                : set_status(c, v);
    if (!e)
        e = set_zone(c, t, v, token);
    if (e)
        return e;
    char *pem = server_join_sign(c->s, body->csr.v, v->id_text, serial, &err);
    if (!pem)
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/csr", "%s",
                               err.msg);
    c->kept = api_arena_text(&c->arena, pem, strlen(pem));
    free(pem);
    return !c->kept || server_meta_text(v, &v->own->certificate, serial) ? busy(c) : 0;
}

static void joined(struct server_txn *t, int result)
{
    struct server_call *c = t->call;
    if (result)
        return;
    struct api_host_joined answer = {
        .certificate = {API_VALUE, c->kept},
        .ca = {API_VALUE, server_join_authority(t->s)},
    };
    answer.host.is = API_VALUE;
    answer.host.v = t->changes[0].v->doc;
    server_call_reply_struct(c, 201, &api_types_host_joined, &answer);
}

static int host_join(struct server_call *c)
{
    const struct api_host_join *body = c->request.body;
    struct catalog_slot *slot = find_token(c->s, body->secret.v);
    int e = check_token(c, slot);
    struct server_txn *t = e ? NULL : server_txn_begin(c->s, c);
    if (!t)
        return e ? e : -EAGAIN;
    struct store_id id = catalog_id(server_now_ms());
    struct catalog_object *v = catalog_new(CATALOG_HOST, &id, &zero);
    struct catalog_object *token = v ? catalog_copy(slot->now) : NULL;
    e = token ? make_host(c, t, v, slot->now->doc) : busy(c);
    if (e) {
        catalog_unref(v);
        catalog_unref(token);
        server_txn_abandon(t);
        return e;
    }
    ((struct api_host_join_token *)token->doc)->uses.v++;
    server_txn_put(t, NULL, v, true);
    server_txn_put(t, slot, token, false);
    if (!t->failed)
        server_txn_event(t, "virga.host.joined", v, true);
    return server_txn_commit(t, joined, NULL);
}

const struct server_route server_join_routes[] = {
    {API_OP_HOST_JOIN_TOKEN_LIST, token_list},
    {API_OP_HOST_JOIN_TOKEN_CREATE, token_create},
    {API_OP_HOST_JOIN_TOKEN_GET, token_get},
    {API_OP_HOST_JOIN_TOKEN_DELETE, token_delete},
    {API_OP_HOST_JOIN, host_join},
    {0},
};
