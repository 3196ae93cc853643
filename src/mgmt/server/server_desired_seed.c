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

/* What a NIC's description points to. */
struct nic_texts {
    char addresses[NIC_ADDRESSES_MAX][64];
    const char *list[NIC_ADDRESSES_MAX + 1];
    const char *dns[SERVER_NETWORK_DNS_MAX + 1];
    struct server_network_wiring wiring;
};

static int fill_nic(struct server *s, const struct catalog_object *port, struct nic_texts *texts,
                    struct seed_cloud_init_nic *nic)
{
    struct server_network_wiring *w = &texts->wiring;
    unsigned mac[6] = {0};
    if (server_network_wire(s, port, w) || sscanf(w->mac, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1],
                                                  &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
        return -ENOENT;
    for (int i = 0; i < 6; i++)
        nic->mac[i] = (uint8_t)mac[i];
    nic->mtu = w->mtu_bytes;
    for (unsigned i = 0; i < w->n_addresses; i++) {
        const struct server_network_address *a = &w->addresses[i];
        char text[sizeof(texts->addresses[i])];
        snprintf(text, sizeof(text), "%s/%u", a->ip, a->prefix_bits);
        memcpy(texts->addresses[i], text, sizeof(text));
        texts->list[i] = texts->addresses[i];
        if (a->gateway[0])
            *(a->ipv6 ? &nic->gateway6 : &nic->gateway4) = a->gateway;
    }
    if (!w->n_addresses)
        nic->dhcp4 = true;
    for (unsigned i = 0; i < w->n_dns; i++)
        texts->dns[i] = w->dns[i];
    nic->addresses = texts->list;
    nic->dns_servers = texts->dns;
    return 0;
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

/* Returns how many there are; *texts by free(). */
static unsigned fill_nics(struct server *s, const struct catalog_object *v,
                          struct seed_cloud_init_nic nics[NICS_MAX], struct nic_texts **texts)
{
    uint32_t n = v->own->ports.is == API_VALUE ? MIN(v->own->ports.n, (uint32_t)NICS_MAX) : 0;
    unsigned filled = 0;
    *texts = calloc(MAX(n, 1u), sizeof(**texts));
    for (uint32_t i = 0; *texts && i < n; i++) {
        const struct catalog_object *port = find(s, CATALOG_PORT, v->own->ports.v[i]);
        if (port && !fill_nic(s, port, &(*texts)[filled], &nics[filled]))
            filled++;
    }
    return filled;
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
    struct seed_cloud_init_nic nics[NICS_MAX] = {0};
    CLEANUP_FREE struct nic_texts *nic_texts = NULL;
    size_t user_bytes = 0;
    CLEANUP_FREE char *user = decode(&vm->user_data, &user_bytes);
    struct err err = {0};
    unsigned n_nics = fill_nics(s, v, nics, &nic_texts);
    if (!nic_texts)
        return -ENOMEM;
    const struct seed_cloud_init init = {
        .instance_id = v->id_text,
        .hostname = vm->hostname.is == API_VALUE ? vm->hostname.v : v->name,
        .ssh_keys = keys,
        .user_data = user,
        .user_data_bytes = user_bytes,
        .nics = nics,
        .n_nics = n_nics,
    };
    return seed_cloud_init_make(&init, texts, &err);
}
