/* cloud-init's texts of a VM, made from its object, its key pair and its ports. */
#include "mgmt/server/server_desired_seed.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/server/server_internal.h"
#include "mgmt/server/server_network.h"

#define NICS_MAX          16
#define NIC_ADDRESSES_MAX 16

struct nics {
    struct seed_cloud_init_nic nics[NICS_MAX];
    char addresses[NICS_MAX][NIC_ADDRESSES_MAX][64];
    const char *lists[NICS_MAX][NIC_ADDRESSES_MAX + 1];
    const char *dns[NICS_MAX][SERVER_NETWORK_DNS_MAX + 1];
    struct server_network_wiring wiring[NICS_MAX];
    unsigned n;
};

static void fill_nic(struct server *s, const struct catalog_object *port, struct nics *nics)
{
    struct server_network_wiring *w = &nics->wiring[nics->n];
    struct seed_cloud_init_nic *nic = &nics->nics[nics->n];
    if (server_network_wire(s, port, w))
        return;
    unsigned mac[6] = {0};
    if (sscanf(w->mac, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) !=
        6)
        return;
    for (int i = 0; i < 6; i++)
        nic->mac[i] = (uint8_t)mac[i];
    nic->mtu = w->mtu_bytes;
    unsigned listed = 0;
    for (unsigned i = 0; i < w->n_addresses; i++) {
        const struct server_network_address *a = &w->addresses[i];
        snprintf(nics->addresses[nics->n][listed], 64, "%s/%u", a->ip, a->prefix_bits);
        nics->lists[nics->n][listed] = nics->addresses[nics->n][listed];
        listed++;
        if (a->gateway[0])
            *(a->ipv6 ? &nic->gateway6 : &nic->gateway4) = a->gateway;
    }
    if (!w->n_addresses)
        nic->dhcp4 = true;
    for (unsigned i = 0; i < w->n_dns; i++)
        nics->dns[nics->n][i] = w->dns[i];
    nic->addresses = nics->lists[nics->n];
    nic->dns_servers = nics->dns[nics->n];
    nics->n++;
}

/* Owns: free(). NULL: there is none, or it is no base64. */
static char *decode(const struct api_text *text, size_t *bytes)
{
    size_t n = text->is == API_VALUE ? strlen(text->v) : 0;
    char *out = n && n % 4 == 0 ? malloc(n / 4 * 3 + 1) : NULL;
    if (!out)
        return NULL;
    int got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text->v, (int)n);
    if (got < 0) {
        free(out);
        return NULL;
    }
    *bytes = (size_t)got - (text->v[n - 1] == '=') - (text->v[n - 2] == '=');
    out[*bytes] = 0;
    return out;
}

static const struct catalog_object *find(struct server *s, enum catalog_kind kind, const char *id)
{
    const struct catalog_slot *slot = catalog_find_id(s->catalog, kind, id);
    return slot ? slot->now : NULL;
}

static void fill_nics(struct server *s, const struct catalog_object *v, struct nics *nics)
{
    for (uint32_t i = 0; v->own->ports.is == API_VALUE && i < v->own->ports.n; i++) {
        const struct catalog_object *port = find(s, CATALOG_PORT, v->own->ports.v[i]);
        if (port && nics->n < NICS_MAX)
            fill_nic(s, port, nics);
    }
}

int server_desired_seed(struct server *s, const struct catalog_object *v,
                        struct seed_cloud_init_texts *texts)
{
    const struct api_vm *vm = v->doc;
    const struct catalog_object *keypair =
        vm->keypair.is == API_VALUE ? find(s, CATALOG_KEYPAIR, vm->keypair.v) : NULL;
    const struct api_keypair *pair = keypair ? keypair->doc : NULL;
    const char *keys[] = {pair && pair->public_key.is == API_VALUE ? pair->public_key.v : NULL,
                          NULL};
    CLEANUP_FREE struct nics *nics = calloc(1, sizeof(*nics));
    size_t user_bytes = 0;
    CLEANUP_FREE char *user = decode(&vm->user_data, &user_bytes);
    struct err err = {0};
    if (!nics)
        return -ENOMEM;
    fill_nics(s, v, nics);
    const struct seed_cloud_init init = {
        .instance_id = v->id_text,
        .hostname = vm->hostname.is == API_VALUE ? vm->hostname.v : v->name,
        .ssh_keys = keys,
        .user_data = user,
        .user_data_bytes = user_bytes,
        .nics = nics->nics,
        .n_nics = nics->n,
    };
    return seed_cloud_init_make(&init, texts, &err);
}
