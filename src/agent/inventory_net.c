/* Network interfaces, by /sys/class/net. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/inventory_internal.h"
#include "base/util.h"

#define NICS_MAX 256

static bool is_offered(const char *const *offered, const char *name)
{
    for (; offered && *offered; offered++)
        if (!strcmp(*offered, name))
            return true;
    return false;
}

/* A unicast MAC that is not all zero, as the link's format has it. */
static bool is_mac(const char *text)
{
    unsigned char octet[6];
    int n = 0;
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &octet[0], &octet[1], &octet[2],
               &octet[3], &octet[4], &octet[5], &n) != 6 ||
        n != 17 || octet[0] & 1)
        return false;
    for (unsigned i = 0; i < 6; i++)
        if (octet[i])
            return true;
    return false;
}

static int read_nic(const char *root, const char *const *offered, const char *name,
                    struct api_arena *arena, struct link_nic *out)
{
    char text[64], path[INVENTORY_PATH_BYTES];
    char *copy = api_arena_text(arena, name, strlen(name));
    if (!copy)
        return -ENOMEM;
    out->name = (struct api_text){API_VALUE, copy};
    if (inventory_file(root, text, sizeof(text), "/sys/class/net/%s/address", name)) {
        text[strcspn(text, "\n")] = 0;
        if (is_mac(text)) {
            copy = api_arena_text(arena, text, 17);
            if (!copy)
                return -ENOMEM;
            out->mac = (struct api_text){API_VALUE, copy};
        }
    }
    int64_t mtu = inventory_number(root, "/sys/class/net/%s/mtu", name);
    int64_t speed = inventory_number(root, "/sys/class/net/%s/speed", name);
    if (mtu >= 0)
        out->mtu_bytes = (struct api_int){API_VALUE, MIN(mtu, 1000000)};
    if (speed >= 0)
        out->speed_mbit = (struct api_int){API_VALUE, MIN(speed, 10000000)};
    out->up =
        (struct api_bool){API_VALUE, inventory_number(root, "/sys/class/net/%s/carrier", name) > 0};
    snprintf(path, sizeof(path), "%s/sys/class/net/%s/bridge", root, name);
    bool bridge = access(path, F_OK) == 0;
    out->bridge = (struct api_bool){API_VALUE, bridge};
    out->offered = (struct api_bool){API_VALUE, bridge && is_offered(offered, name)};
    return 0;
}

/* The loopback, and the ports of our own VMs, are nobody's business. */
static bool is_of_interest(const char *name)
{
    return name[0] != '.' && strcmp(name, "lo") != 0 && strncmp(name, "vp", 2) != 0 &&
           strlen(name) < 16;
}

int inventory_nics(const char *root, const char *const *offered, struct api_arena *arena,
                   struct link_inventory *out)
{
    char path[INVENTORY_PATH_BYTES];
    struct dirent **names;
    snprintf(path, sizeof(path), "%s/sys/class/net", root);
    int n = scandir(path, &names, NULL, alphasort), ret = 0;
    if (n < 0)
        return 0;
    out->nics.v = api_arena_array(arena, NICS_MAX, sizeof(*out->nics.v));
    if (!out->nics.v)
        ret = -ENOMEM;
    for (int i = 0; i < n; i++) {
        if (!ret && out->nics.n < NICS_MAX && is_of_interest(names[i]->d_name))
            ret = read_nic(root, offered, names[i]->d_name, arena, &out->nics.v[out->nics.n++]);
        free(names[i]);
    }
    free(names);
    out->nics.is = API_VALUE;
    return ret;
}
