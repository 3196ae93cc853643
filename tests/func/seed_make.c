/* Makes a seed disk as its arguments say, for tests in Python:
 *
 *   seed-make FILE id=ID host=NAME key=LINE... user=FILE
 *             mac=AA:BB:CC:DD:EE:FF address=A/N... gateway4=A dns=A... search=D... mtu=N dhcp4=1
 *
 * A mac= begins a NIC, which what follows is about. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seed/seed_cloud_init.h"

#define LIST_MAX 8
#define NICS_MAX 4

struct lists {
    const char *addresses[LIST_MAX], *dns[LIST_MAX], *search[LIST_MAX];
};

static void add(const char **list, const char *value)
{
    for (unsigned i = 0; i + 1 < LIST_MAX; i++)
        if (!list[i]) {
            list[i] = value;
            return;
        }
    exit(2);
}

static const char *value_of(const char *arg, const char *name)
{
    size_t n = strlen(name);
    return !strncmp(arg, name, n) && arg[n] == '=' ? arg + n + 1 : NULL;
}

static void begin_nic(struct seed_cloud_init_nic *nic, struct lists *l, const char *mac)
{
    unsigned m[6];
    if (sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
        exit(2);
    for (unsigned i = 0; i < 6; i++)
        nic->mac[i] = (uint8_t)m[i];
    nic->addresses = l->addresses;
    nic->dns_servers = l->dns;
    nic->dns_search = l->search;
}

static void say_of_nic(struct seed_cloud_init_nic *nic, struct lists *l, const char *arg)
{
    const char *v;
    if ((v = value_of(arg, "address")))
        add(l->addresses, v);
    else if ((v = value_of(arg, "dns")))
        add(l->dns, v);
    else if ((v = value_of(arg, "search")))
        add(l->search, v);
    else if ((v = value_of(arg, "gateway4")))
        nic->gateway4 = v;
    else if ((v = value_of(arg, "mtu")))
        nic->mtu = (unsigned)atoi(v);
    else if (value_of(arg, "dhcp4"))
        nic->dhcp4 = true;
    else
        exit(2);
}

static void read_file(const char *path, struct seed_cloud_init *c)
{
    static char data[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f)
        exit(2);
    c->user_data_bytes = fread(data, 1, sizeof(data), f);
    c->user_data = data;
    fclose(f);
}

int main(int argc, char **argv)
{
    static struct seed_cloud_init_nic nics[NICS_MAX + 1];
    static struct lists lists[NICS_MAX + 1];
    static const char *keys[LIST_MAX];
    struct seed_cloud_init c = {
        .instance_id = "i-1", .hostname = "h", .ssh_keys = keys, .nics = nics};
    struct err err = {0};
    uint8_t *image;
    size_t bytes;
    for (int i = 2; i < argc; i++) {
        const char *v;
        if ((v = value_of(argv[i], "id")))
            c.instance_id = v;
        else if ((v = value_of(argv[i], "host")))
            c.hostname = v;
        else if ((v = value_of(argv[i], "key")))
            add(keys, v);
        else if ((v = value_of(argv[i], "user")))
            read_file(v, &c);
        else if ((v = value_of(argv[i], "mac")) && c.n_nics < NICS_MAX) {
            begin_nic(&nics[c.n_nics], &lists[c.n_nics], v);
            c.n_nics++;
        } else if (c.n_nics)
            say_of_nic(&nics[c.n_nics - 1], &lists[c.n_nics - 1], argv[i]);
    }
    if (argc < 2 || seed_cloud_init_disk(&c, &image, &bytes, &err)) {
        fprintf(stderr, "seed-make: %s\n", err.msg);
        return 1;
    }
    FILE *f = fopen(argv[1], "wb");
    bool good = f && fwrite(image, 1, bytes, f) == bytes;
    if (f && fclose(f))
        good = false;
    free(image);
    return good ? 0 : 1;
}
