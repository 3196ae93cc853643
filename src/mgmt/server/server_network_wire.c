/* What an agent is told of a port. */
#include "mgmt/server/server_network_internal.h"

#include <errno.h>
#include <string.h>

static const char *text_of(const struct api_text *text)
{
    return text->is == API_VALUE ? text->v : NULL;
}

static int64_t number_of(const struct api_int *number)
{
    return number->is == API_VALUE ? number->v : 0;
}

static void add_dns(struct server_network_wiring *w, const struct api_texts *servers)
{
    for (uint32_t i = 0; servers->is == API_VALUE && i < servers->n; i++) {
        bool known = w->n_dns == SERVER_NETWORK_DNS_MAX;
        for (unsigned k = 0; !known && k < w->n_dns; k++)
            known = !strcmp(w->dns[k], servers->v[i]);
        if (!known)
            w->dns[w->n_dns++] = servers->v[i];
    }
}

/* The subnet of an address says the rest of it. */
static void add_address(struct server *s, const struct catalog_object *network, const char *ip,
                        struct server_network_wiring *w)
{
    const struct catalog_list *list = catalog_under(s->catalog, CATALOG_SUBNET, &network->id);
    struct server_address_subnet subnet;
    server_ipam_number x;
    const char *field;
    unsigned index;
    if (server_address_parse(ip, &x) || w->n_addresses == 16)
        return;
    for (size_t i = 0; i < list->n; i++) {
        const struct api_subnet *doc = list->slots[i]->now->doc;
        if (server_address_subnet(doc, &subnet, &field, &index) || x < subnet.first ||
            x > subnet.last)
            continue;
        struct server_network_address *a = &w->addresses[w->n_addresses++];
        server_address_format(x, a->ip);
        if (subnet.has_gateway)
            server_address_format(subnet.gateway, a->gateway);
        a->prefix_bits = subnet.bits;
        a->ipv6 = subnet.ipv6;
        a->dhcp = doc->dhcp.is != API_VALUE || doc->dhcp.v;
        add_dns(w, &doc->dns_servers);
        return;
    }
}

static void add_forwards(const struct api_port_status *status, struct server_network_wiring *w)
{
    for (uint32_t i = 0; status->forwards.is == API_VALUE && i < status->forwards.n &&
                         i < SERVER_NETWORK_FORWARDS_MAX;
         i++) {
        const struct api_port_forward *f = &status->forwards.v[i];
        w->forwards[i].udp = f->protocol.v == API_PORT_FORWARD_PROTOCOL_UDP;
        w->forwards[i].host_port = (uint16_t)f->host_port.v;
        w->forwards[i].guest_port = (uint16_t)f->guest_port.v;
        w->n_forwards = i + 1;
    }
}

int server_network_wire(struct server *s, const struct catalog_object *port,
                        struct server_network_wiring *w)
{
    const struct api_port *doc = port->doc;
    const struct catalog_slot *slot =
        port->kind == CATALOG_PORT ? server_network_of(s, &doc->network) : NULL;
    if (!slot || doc->status.is != API_VALUE)
        return -ENOENT;
    const struct api_network *network = slot->now->doc;
    const struct api_port_status *status = doc->status.v;
    *w = (struct server_network_wiring){
        .kind = network->kind.v,
        .driver = server_network_driver(network->kind.v),
        .bridge = text_of(&network->bridge),
        .vni = (uint32_t)number_of(&network->vni),
        .mac = text_of(&status->mac),
        .mtu_bytes = (uint32_t)number_of(&network->mtu_bytes),
        .enabled = doc->enabled.is != API_VALUE || doc->enabled.v,
        .spoofing = doc->spoofing.is == API_VALUE && doc->spoofing.v,
        .dns_domain = text_of(&network->dns_domain),
    };
    for (uint32_t i = 0; status->addresses.is == API_VALUE && i < status->addresses.n; i++)
        add_address(s, slot->now, status->addresses.v[i], w);
    add_forwards(status, w);
    if (doc->qos.is == API_VALUE) {
        w->ingress_mib_per_s = number_of(&doc->qos.v->ingress_mib_per_s);
        w->egress_mib_per_s = number_of(&doc->qos.v->egress_mib_per_s);
        w->packets_per_s = number_of(&doc->qos.v->packets_per_s);
    }
    return 0;
}
