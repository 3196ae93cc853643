/* The addresses that a monitor says its guest was seen with. The monitor may be the guest's: the
 * texts are read and written again, so that what is said on is what the link takes. */
#include <arpa/inet.h>
#include <string.h>

#include "agent/agent_vm_internal.h"
#include "base/util.h"
#include "base/uuid.h"

/* NICs are named by their ports. */
static bool parse(const json_t *item, struct vm_seen_address *out)
{
    uint8_t bytes[16];
    const char *ip = json_string_value(json_object_get(item, "ip"));
    const char *nic = json_string_value(json_object_get(item, "nic"));
    memset(out, 0, sizeof(*out)); /* they are compared whole */
    if (!ip || !nic || uuid_parse(nic, out->port))
        return false;
    int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
    return inet_pton(family, ip, bytes) == 1 && inet_ntop(family, bytes, out->ip, sizeof(out->ip));
}

bool agent_vm_take_addresses(struct vm_seen *seen, const json_t *list)
{
    struct vm_seen_address now[VM_SEEN_ADDRESSES_MAX];
    unsigned n = 0;
    if (!json_is_array(list))
        return false;
    for (size_t i = 0; i < json_array_size(list) && n < VM_SEEN_ADDRESSES_MAX; i++)
        n += parse(json_array_get(list, i), &now[n]);
    if (n == seen->n_addresses && !memcmp(now, seen->addresses, n * sizeof(now[0])))
        return false;
    memcpy(seen->addresses, now, n * sizeof(now[0]));
    seen->n_addresses = n;
    return true;
}
