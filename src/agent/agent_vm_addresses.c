/* The addresses that a monitor says its guest was seen with. The monitor may be the guest's: the
 * texts are read and written again, so that what is said on is what the link takes. */
#include <arpa/inet.h>
#include <string.h>

#include "agent/agent_vm_internal.h"
#include "base/util.h"

/* "nic3", as agent_vm_job.c names them. */
static bool parse_nic(const char *text, uint8_t *nic)
{
    if (!text || strncmp(text, "nic", 3) != 0)
        return false;
    const char *digits = text + 3;
    size_t n = strspn(digits, "0123456789");
    if (!n || n > 2 || digits[n] || (digits[0] == '0' && n > 1))
        return false;
    unsigned value = (unsigned)(digits[0] - '0');
    if (n == 2)
        value = value * 10 + (unsigned)(digits[1] - '0');
    *nic = (uint8_t)value;
    return value < AGENT_VM_PORTS_MAX;
}

static bool parse(const json_t *item, struct vm_seen_address *out)
{
    uint8_t bytes[16];
    const char *ip = json_string_value(json_object_get(item, "ip"));
    memset(out, 0, sizeof(*out)); /* they are compared whole */
    if (!ip || !parse_nic(json_string_value(json_object_get(item, "nic")), &out->nic))
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
