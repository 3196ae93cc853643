/* Key pairs: public keys for SSH, which are given, or made together with the private key, which is
 * shown once and kept nowhere. */
#include "mgmt/server/server_keypair.h"

#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_internal.h"
#include "pki/pki.h"
#include "pki/pki_ssh.h"

static int no_memory(struct server_call *c)
{
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "no memory: try again");
}

/* The private key waits in the call's memory for the answer. */
static int make_pair(struct server_call *c, struct catalog_object *v)
{
    struct api_keypair *keypair = v->doc;
    char *line = NULL, *text = NULL;
    struct err err = {0};
    if (pki_ssh_create(keypair->name.v, &line, &text, &err))
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_SERVER_BUSY, "%s", err.msg);
    c->kept = api_arena_text(&c->arena, text, strlen(text));
    int r = !c->kept || server_meta_text(v, &keypair->public_key, line) ? no_memory(c) : 0;
    pki_wipe(text);
    free(text);
    free(line);
    return r;
}

static int create(struct server_call *c, struct server_txn *t, struct catalog_object *v)
{
    struct api_keypair *keypair = v->doc;
    struct pki_ssh_key key;
    struct err err = {0};
    (void)t;
    int r = keypair->public_key.is == API_VALUE ? 0 : make_pair(c, v);
    if (r)
        return r;
    if (pki_ssh_read(keypair->public_key.v, &key, &err))
        return api_problem_add(&c->refusal, API_PROBLEM_CODE_REQUEST_INVALID, "/public_key", "%s",
                               err.msg);
    /* One line, whatever blanks and newlines were around it. */
    const char *line = keypair->public_key.v + strspn(keypair->public_key.v, " ");
    size_t bytes = strlen(line);
    while (strchr(" \r\n", line[bytes - 1]))
        bytes--;
    keypair->public_key.v = api_arena_text(&v->arena, line, bytes);
    return !keypair->public_key.v || server_meta_text(v, &keypair->fingerprint, key.fingerprint)
               ? no_memory(c)
               : 0;
}

static void created(struct server_txn *t, int result)
{
    struct server_call *c = t->call;
    const struct catalog_object *v = t->ctx;
    char *text = c->kept;
    if (!result) {
        struct api_keypair_created answer = {.private_key.is = text ? API_VALUE : API_ABSENT};
        answer.private_key.v = text;
        answer.keypair.is = API_VALUE;
        answer.keypair.v = v->doc;
        server_call_reply_struct(c, 201, &api_types_keypair_created, &answer);
    }
}

static const struct server_resource keypair_resource = {
    .kind = CATALOG_KEYPAIR, .create = create, .created = created};

static int keypair_create(struct server_call *c)
{
    return server_resource_create(c, &keypair_resource);
}
static int keypair_get(struct server_call *c)
{
    return server_resource_get(c, &keypair_resource);
}
static int keypair_list(struct server_call *c)
{
    return server_resource_list(c, &keypair_resource);
}
static int keypair_patch(struct server_call *c)
{
    return server_resource_patch(c, &keypair_resource);
}
static int keypair_delete(struct server_call *c)
{
    return server_resource_delete(c, &keypair_resource);
}

const struct server_route server_keypair_routes[] = {
    {API_OP_KEYPAIR_LIST, keypair_list},     {API_OP_KEYPAIR_CREATE, keypair_create},
    {API_OP_KEYPAIR_GET, keypair_get},       {API_OP_KEYPAIR_PATCH, keypair_patch},
    {API_OP_KEYPAIR_DELETE, keypair_delete}, {0},
};
