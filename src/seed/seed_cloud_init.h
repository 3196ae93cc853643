/* What a guest's cloud-init is told at its first boot: the four texts of its NoCloud data source,
 * and the disk that holds them (seed/seed_iso.h).
 *
 * User data is the user's and passed on byte by byte (cloud-config, script, MIME archive, gzip,
 * what cloud-init takes). What the cloud says itself is elsewhere, where it neither needs to be
 * merged into it nor can be broken by it: the host's name and the SSH keys in meta-data, the
 * network in network-config, the rest in vendor-data, which cloud-init applies first, so that a
 * user's word counts more. Nothing is needed in a stock image: Debian's looks for this disk by
 * itself.
 *
 * Source: cloud-init's documentation: NoCloud, instance metadata, vendor data, network
 * configuration version 2. */
#ifndef SEED_SEED_CLOUD_INIT_H
#define SEED_SEED_CLOUD_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEED_CLOUD_INIT_NICS_MAX      64
#define SEED_CLOUD_INIT_USER_DATA_MAX (UINT32_C(16) << 20)

/* Lists end with NULL; a list that is NULL is empty. */
struct seed_cloud_init_nic {
    uint8_t mac[6];               /* what it is found by */
    bool dhcp4, dhcp6;            /* ask for addresses */
    const char *const *addresses; /* "10.0.0.5/24", "2001:db8::5/64" */
    const char *gateway4, *gateway6;
    const char *const *dns_servers, *const *dns_search;
    unsigned mtu; /* 0: not said */
};

struct seed_cloud_init {
    /* 1 to 128 of letters, digits, '.', '-', '_': a new one makes cloud-init run as on a first
     * boot. */
    const char *instance_id;
    const char *hostname;        /* with dots: the first part is the name, the whole the FQDN */
    const char *const *ssh_keys; /* as lines of authorized_keys; for the image's default user */
    const void *user_data;       /* NULL: none */
    size_t user_data_bytes;
    const char *vendor_data; /* NULL: ours, which lets the guest resolve its own name */
    const struct seed_cloud_init_nic *nics; /* the i-th becomes "eth<i>" */
    unsigned n_nics;
};

struct seed_cloud_init_texts {
    char *meta_data, *user_data, *vendor_data, *network_config; /* NUL-terminated */
    size_t user_data_bytes;                                     /* it may hold NULs */
};

/* Owns: the texts, by seed_cloud_init_free().
 * Errors: EINVAL (an id, address, gateway, key or MTU that is none), E2BIG, ENOMEM. Threads: any.
 */
int seed_cloud_init_make(const struct seed_cloud_init *c, struct seed_cloud_init_texts *texts,
                         struct err *err);
void seed_cloud_init_free(struct seed_cloud_init_texts *texts);

/* The disk's whole content; the same for the same input. Owns: *image, by free().
 * Errors: as above. Threads: any. */
int seed_cloud_init_disk(const struct seed_cloud_init *c, uint8_t **image, size_t *bytes,
                         struct err *err);

#endif
