#include "seed/seed_cloud_init.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "seed/seed_iso.h"
#include "seed/seed_yaml.h"

#define INSTANCE_ID_MAX 128
#define MTU_MIN         68 /* RFC 791 */
#define MTU_MAX         65535

/* A guest without it says "unable to resolve host" at each sudo. */
static const char VENDOR_DATA[] = "#cloud-config\nmanage_etc_hosts: localhost\n";
/* NoCloud wants a file; one that is empty is warned of. */
static const char NO_USER_DATA[] = "#cloud-config\n{}\n";

/* ---- what may be said ---- */

/* cloud-init makes a directory by that name. */
static int check_instance_id(const char *id, struct err *err)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(id);
    if (!n || n > INSTANCE_ID_MAX || strspn(id, good) != n || id[0] == '.')
        return err_set(err, EINVAL,
                       "the instance id \"%.40s\" is not 1 to %d letters, digits, '.', '-' and '_'",
                       id, INSTANCE_ID_MAX);
    return 0;
}

/* A line break in a key would make two lines of authorized_keys. */
static int check_key(const char *key, struct err *err)
{
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(err, EINVAL,
                           "the SSH key \"%.20s...\" has control characters: give one "
                           "line of authorized_keys",
                           key);
    return *key ? 0 : err_set(err, EINVAL, "an SSH key is empty");
}

/* Which family the address has, AF_INET or AF_INET6; 0: it is none. */
static int family_of(const char *address)
{
    uint8_t parsed[16];
    return inet_pton(AF_INET, address, parsed) == 1    ? AF_INET
           : inet_pton(AF_INET6, address, parsed) == 1 ? AF_INET6
                                                       : 0;
}

static int check_prefixed(const char *address, struct err *err)
{
    char text[INET6_ADDRSTRLEN];
    const char *slash = strchr(address, '/');
    size_t n = slash ? (size_t)(slash - address) : sizeof(text);
    int family = 0;
    if (n < sizeof(text)) {
        memcpy(text, address, n);
        text[n] = 0;
        family = family_of(text);
    }
    size_t digits = family ? strspn(slash + 1, "0123456789") : 0;
    if (!digits || digits > 3 || slash[1 + digits] ||
        atoi(slash + 1) > (family == AF_INET ? 32 : 128))
        return err_set(err, EINVAL,
                       "\"%.50s\" is not an address with a prefix length, such as "
                       "10.0.0.5/24",
                       address);
    return 0;
}

static int check_family(const char *address, int family, const char *what, struct err *err)
{
    int got = family_of(address);
    if (!got || (family && got != family))
        return err_set(err, EINVAL, "the %s \"%.50s\" is not an %s address", what, address,
                       family == AF_INET ? "IPv4"
                       : family          ? "IPv6"
                                         : "IP");
    return 0;
}

static int check_nic(const struct seed_cloud_init_nic *nic, struct err *err)
{
    int ret = 0;
    for (unsigned i = 0; nic->addresses && nic->addresses[i] && !ret; i++)
        ret = check_prefixed(nic->addresses[i], err);
    if (!ret && nic->gateway4)
        ret = check_family(nic->gateway4, AF_INET, "gateway", err);
    if (!ret && nic->gateway6)
        ret = check_family(nic->gateway6, AF_INET6, "gateway", err);
    for (unsigned i = 0; nic->dns_servers && nic->dns_servers[i] && !ret; i++)
        ret = check_family(nic->dns_servers[i], 0, "DNS server", err);
    if (!ret && nic->mtu && (nic->mtu < MTU_MIN || nic->mtu > MTU_MAX))
        ret = err_set(err, EINVAL, "an MTU is %d to %d, not %u", MTU_MIN, MTU_MAX, nic->mtu);
    return ret;
}

static int check(const struct seed_cloud_init *c, struct err *err)
{
    int ret = check_instance_id(c->instance_id, err);
    if (!ret && c->user_data_bytes > SEED_CLOUD_INIT_USER_DATA_MAX)
        ret = err_set(err, E2BIG, "user data has at most %u bytes, not %zu",
                      SEED_CLOUD_INIT_USER_DATA_MAX, c->user_data_bytes);
    if (!ret && c->n_nics > SEED_CLOUD_INIT_NICS_MAX)
        ret = err_set(err, E2BIG, "a seed describes at most %d NICs, not %u",
                      SEED_CLOUD_INIT_NICS_MAX, c->n_nics);
    for (unsigned i = 0; c->ssh_keys && c->ssh_keys[i] && !ret; i++)
        ret = check_key(c->ssh_keys[i], err);
    for (unsigned i = 0; i < c->n_nics && !ret; i++) {
        ret = check_nic(&c->nics[i], err);
        if (ret)
            err_wrap(err, "NIC %u", i);
    }
    return ret;
}

/* ---- texts ---- */

static void write_meta_data(struct seed_yaml *y, const struct seed_cloud_init *c)
{
    seed_yaml_raw(y, "instance-id: ");
    seed_yaml_value(y, c->instance_id);
    seed_yaml_raw(y, "\nlocal-hostname: ");
    seed_yaml_value(y, c->hostname);
    seed_yaml_raw(y, "\npublic-keys: ");
    seed_yaml_list(y, c->ssh_keys);
    seed_yaml_raw(y, "\n");
}

static void write_routes(struct seed_yaml *y, const struct seed_cloud_init_nic *nic)
{
    if (!nic->gateway4 && !nic->gateway6)
        return;
    seed_yaml_raw(y, "    routes:\n");
    if (nic->gateway4) {
        seed_yaml_raw(y, "      - to: \"0.0.0.0/0\"\n        via: ");
        seed_yaml_value(y, nic->gateway4);
        seed_yaml_raw(y, "\n");
    }
    if (nic->gateway6) {
        seed_yaml_raw(y, "      - to: \"::/0\"\n        via: ");
        seed_yaml_value(y, nic->gateway6);
        seed_yaml_raw(y, "\n");
    }
}

static bool any(const char *const *list)
{
    return list && list[0];
}

/* The MAC address finds the NIC and the name is set: the files that cloud-init makes for
 * systemd-networkd, ifupdown and the others all go by name. */
static void write_nic(struct seed_yaml *y, const struct seed_cloud_init_nic *nic, unsigned i)
{
    const uint8_t *m = nic->mac;
    seed_yaml_raw(y, "  eth%u:\n    match:\n", i);
    seed_yaml_raw(y, "      macaddress: \"%02x:%02x:%02x:%02x:%02x:%02x\"\n", m[0], m[1], m[2],
                  m[3], m[4], m[5]);
    seed_yaml_raw(y, "    set-name: eth%u\n    dhcp4: %s\n    dhcp6: %s\n", i,
                  nic->dhcp4 ? "true" : "false", nic->dhcp6 ? "true" : "false");
    if (nic->mtu)
        seed_yaml_raw(y, "    mtu: %u\n", nic->mtu);
    if (any(nic->addresses)) {
        seed_yaml_raw(y, "    addresses: ");
        seed_yaml_list(y, nic->addresses);
        seed_yaml_raw(y, "\n");
    }
    write_routes(y, nic);
    if (any(nic->dns_servers) || any(nic->dns_search)) {
        seed_yaml_raw(y, "    nameservers:\n      addresses: ");
        seed_yaml_list(y, nic->dns_servers);
        seed_yaml_raw(y, "\n      search: ");
        seed_yaml_list(y, nic->dns_search);
        seed_yaml_raw(y, "\n");
    }
}

static void write_network_config(struct seed_yaml *y, const struct seed_cloud_init *c)
{
    seed_yaml_raw(y, c->n_nics ? "version: 2\nethernets:\n" : "version: 2\nethernets: {}\n");
    for (unsigned i = 0; i < c->n_nics; i++)
        write_nic(y, &c->nics[i], i);
}

static int copy_user_data(struct seed_cloud_init_texts *t, const struct seed_cloud_init *c)
{
    bool given = c->user_data && c->user_data_bytes;
    t->user_data_bytes = given ? c->user_data_bytes : sizeof(NO_USER_DATA) - 1;
    t->user_data = malloc(t->user_data_bytes + 1);
    if (!t->user_data)
        return -ENOMEM;
    memcpy(t->user_data, given ? c->user_data : NO_USER_DATA, t->user_data_bytes);
    t->user_data[t->user_data_bytes] = 0;
    return 0;
}

int seed_cloud_init_make(const struct seed_cloud_init *c, struct seed_cloud_init_texts *texts,
                         struct err *err)
{
    struct seed_yaml meta = {0}, network = {0};
    struct seed_cloud_init_texts t = {0};
    int ret = check(c, err);
    if (ret)
        return ret;
    write_meta_data(&meta, c);
    write_network_config(&network, c);
    t.meta_data = meta.text;
    t.network_config = network.text;
    t.vendor_data = strdup(c->vendor_data ? c->vendor_data : VENDOR_DATA);
    if (copy_user_data(&t, c) || !t.vendor_data || meta.failed || network.failed) {
        seed_cloud_init_free(&t);
        return err_set(err, ENOMEM, "could not allocate a seed's texts");
    }
    *texts = t;
    return 0;
}

void seed_cloud_init_free(struct seed_cloud_init_texts *texts)
{
    free(texts->meta_data);
    free(texts->user_data);
    free(texts->vendor_data);
    free(texts->network_config);
    *texts = (struct seed_cloud_init_texts){0};
}

int seed_cloud_init_disk(const struct seed_cloud_init *c, uint8_t **image, size_t *bytes,
                         struct err *err)
{
    struct seed_cloud_init_texts t;
    int ret = seed_cloud_init_make(c, &t, err);
    if (ret)
        return ret;
    const struct seed_iso_file files[] = {
        {"meta-data", t.meta_data, strlen(t.meta_data)},
        {"user-data", t.user_data, t.user_data_bytes},
        {"vendor-data", t.vendor_data, strlen(t.vendor_data)},
        {"network-config", t.network_config, strlen(t.network_config)},
    };
    ret = seed_iso_make(files, ARRAY_LEN(files), 0, image, bytes, err);
    seed_cloud_init_free(&t);
    return ret;
}
