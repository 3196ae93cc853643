/* Made by tools/apigen from api/network.yaml; do not edit. Tables of fields. */
#include "api/gen/network.h"


static const struct api_types_field network_fields[] = {
    {"id", offsetof(struct api_network, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_network, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_network, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_network, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_network, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"kind", offsetof(struct api_network, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_network_kind, .fallback = "nat"},
    {"vni", offsetof(struct api_network, vni), API_KIND_INT, .role = API_ROLE_OPERATOR, .min = 1, .max = 16777215},
    {"bridge", offsetof(struct api_network, bridge), API_KIND_TEXT, .role = API_ROLE_OPERATOR, .min = 1, .max = 15},
    {"vlan", offsetof(struct api_network, vlan), API_KIND_INT, .min = 1, .max = 4094},
    {"mtu_bytes", offsetof(struct api_network, mtu_bytes), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 576, .max = 9216, .fallback = "1500"},
    {"shared", offsetof(struct api_network, shared), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .role = API_ROLE_OPERATOR, .fallback = "false"},
    {"security_groups", offsetof(struct api_network, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"external", offsetof(struct api_network, external), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .role = API_ROLE_OPERATOR, .fallback = "false"},
    {"dns_domain", offsetof(struct api_network, dns_domain), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .min = 0, .max = 253},
    {"status", offsetof(struct api_network, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_network_status},
    {"generation", offsetof(struct api_network, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_network, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_network, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_network = {
    "Network", sizeof(struct api_network), 18, network_fields, NULL};

static const struct api_types_field network_status_fields[] = {
    {"state", offsetof(struct api_network_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_network_status_state},
    {"reason", offsetof(struct api_network_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"vni", offsetof(struct api_network_status, vni), API_KIND_INT, .min = 1, .max = 16777215},
    {"ports", offsetof(struct api_network_status, ports), API_KIND_INT, .min = 0, .max = 10000000},
};
const struct api_types_object api_types_network_status = {
    "NetworkStatus", sizeof(struct api_network_status), 4, network_status_fields, NULL};

static const struct api_types_field subnet_range_fields[] = {
    {"first", offsetof(struct api_subnet_range, first), API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 39},
    {"last", offsetof(struct api_subnet_range, last), API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 39},
};
const struct api_types_object api_types_subnet_range = {
    "SubnetRange", sizeof(struct api_subnet_range), 2, subnet_range_fields, NULL};

static const struct api_types_field subnet_fields[] = {
    {"id", offsetof(struct api_subnet, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_subnet, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_subnet, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_subnet, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_subnet, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_subnet, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"cidr", offsetof(struct api_subnet, cidr), API_KIND_TEXT, .format = API_FORMAT_CIDR, .flags = API_FIELD_REQUIRED, .min = 0, .max = 43},
    {"gateway", offsetof(struct api_subnet, gateway), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"dhcp", offsetof(struct api_subnet, dhcp), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"ranges", offsetof(struct api_subnet, ranges), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_subnet_range},
    {"dns_servers", offsetof(struct api_subnet, dns_servers), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_IP, .min_items = 0, .max_items = 4, .min = 0, .max = 39},
    {"status", offsetof(struct api_subnet, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_subnet_status},
    {"generation", offsetof(struct api_subnet, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_subnet, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_subnet, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_subnet = {
    "Subnet", sizeof(struct api_subnet), 15, subnet_fields, NULL};

static const struct api_types_field subnet_status_fields[] = {
    {"addresses", offsetof(struct api_subnet_status, addresses), API_KIND_INT, .min = 0, .max = 9007199254740991},
    {"used", offsetof(struct api_subnet_status, used), API_KIND_INT, .min = 0, .max = 9007199254740991},
};
const struct api_types_object api_types_subnet_status = {
    "SubnetStatus", sizeof(struct api_subnet_status), 2, subnet_status_fields, NULL};

static const struct api_types_field port_address_fields[] = {
    {"subnet", offsetof(struct api_port_address, subnet), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"ip", offsetof(struct api_port_address, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
};
const struct api_types_object api_types_port_address = {
    "PortAddress", sizeof(struct api_port_address), 2, port_address_fields, NULL};

static const struct api_types_field port_fields[] = {
    {"id", offsetof(struct api_port, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_port, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_port, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_port, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_port, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_port, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"addresses", offsetof(struct api_port, addresses), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_address},
    {"mac", offsetof(struct api_port, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"security_groups", offsetof(struct api_port, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"spoofing", offsetof(struct api_port, spoofing), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"enabled", offsetof(struct api_port, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"qos", offsetof(struct api_port, qos), API_KIND_OBJECT, .object = &api_types_port_qos},
    {"forwards", offsetof(struct api_port, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_forward},
    {"status", offsetof(struct api_port, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_port_status},
    {"generation", offsetof(struct api_port, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_port, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_port, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_port = {
    "Port", sizeof(struct api_port), 17, port_fields, NULL};

static const struct api_types_field port_forward_fields[] = {
    {"protocol", offsetof(struct api_port_forward, protocol), API_KIND_ENUM, .words = &api_types_port_forward_protocol, .fallback = "tcp"},
    {"guest_port", offsetof(struct api_port_forward, guest_port), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 65535},
    {"host_port", offsetof(struct api_port_forward, host_port), API_KIND_INT, .min = 1024, .max = 65535},
};
const struct api_types_object api_types_port_forward = {
    "PortForward", sizeof(struct api_port_forward), 3, port_forward_fields, NULL};

static const struct api_types_field port_qos_fields[] = {
    {"ingress_mib_per_s", offsetof(struct api_port_qos, ingress_mib_per_s), API_KIND_INT, .min = 1, .max = 1000000},
    {"egress_mib_per_s", offsetof(struct api_port_qos, egress_mib_per_s), API_KIND_INT, .min = 1, .max = 1000000},
    {"packets_per_s", offsetof(struct api_port_qos, packets_per_s), API_KIND_INT, .min = 1, .max = 100000000},
};
const struct api_types_object api_types_port_qos = {
    "PortQos", sizeof(struct api_port_qos), 3, port_qos_fields, NULL};

static const struct api_types_field port_status_fields[] = {
    {"state", offsetof(struct api_port_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_port_status_state},
    {"reason", offsetof(struct api_port_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"vm", offsetof(struct api_port_status, vm), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"host", offsetof(struct api_port_status, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"addresses", offsetof(struct api_port_status, addresses), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_IP, .min_items = 0, .max_items = 16, .min = 0, .max = 39},
    {"mac", offsetof(struct api_port_status, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"floating_ip", offsetof(struct api_port_status, floating_ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"forwards", offsetof(struct api_port_status, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_forward},
};
const struct api_types_object api_types_port_status = {
    "PortStatus", sizeof(struct api_port_status), 8, port_status_fields, NULL};

static const struct api_types_field security_rule_fields[] = {
    {"direction", offsetof(struct api_security_rule, direction), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_security_rule_direction},
    {"family", offsetof(struct api_security_rule, family), API_KIND_ENUM, .words = &api_types_security_rule_family, .fallback = "ipv4"},
    {"protocol", offsetof(struct api_security_rule, protocol), API_KIND_ENUM, .words = &api_types_security_rule_protocol, .fallback = "any"},
    {"port_first", offsetof(struct api_security_rule, port_first), API_KIND_INT, .min = 0, .max = 65535},
    {"port_last", offsetof(struct api_security_rule, port_last), API_KIND_INT, .min = 0, .max = 65535},
    {"remote_cidr", offsetof(struct api_security_rule, remote_cidr), API_KIND_TEXT, .format = API_FORMAT_CIDR, .min = 0, .max = 43},
    {"remote_group", offsetof(struct api_security_rule, remote_group), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_security_rule, description), API_KIND_TEXT, .min = 0, .max = 255},
};
const struct api_types_object api_types_security_rule = {
    "SecurityRule", sizeof(struct api_security_rule), 8, security_rule_fields, NULL};

static const struct api_types_field security_group_fields[] = {
    {"id", offsetof(struct api_security_group, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_security_group, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_security_group, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_security_group, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_security_group, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"rules", offsetof(struct api_security_group, rules), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 200, .object = &api_types_security_rule},
    {"status", offsetof(struct api_security_group, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_security_group_status},
    {"generation", offsetof(struct api_security_group, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_security_group, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_security_group, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_security_group = {
    "SecurityGroup", sizeof(struct api_security_group), 10, security_group_fields, NULL};

static const struct api_types_field security_group_status_fields[] = {
    {"ports", offsetof(struct api_security_group_status, ports), API_KIND_INT, .min = 0, .max = 10000000},
};
const struct api_types_object api_types_security_group_status = {
    "SecurityGroupStatus", sizeof(struct api_security_group_status), 1, security_group_status_fields, NULL};

static const struct api_types_field floating_ip_fields[] = {
    {"id", offsetof(struct api_floating_ip, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_floating_ip, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_floating_ip, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_floating_ip, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_floating_ip, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_floating_ip, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"ip", offsetof(struct api_floating_ip, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"port", offsetof(struct api_floating_ip, port), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"status", offsetof(struct api_floating_ip, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_floating_ip_status},
    {"generation", offsetof(struct api_floating_ip, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_floating_ip, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_floating_ip, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_floating_ip = {
    "FloatingIp", sizeof(struct api_floating_ip), 12, floating_ip_fields, NULL};

static const struct api_types_field floating_ip_status_fields[] = {
    {"state", offsetof(struct api_floating_ip_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_floating_ip_status_state},
    {"reason", offsetof(struct api_floating_ip_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"ip", offsetof(struct api_floating_ip_status, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
};
const struct api_types_object api_types_floating_ip_status = {
    "FloatingIpStatus", sizeof(struct api_floating_ip_status), 3, floating_ip_status_fields, NULL};

static const struct api_types_field network_create_fields[] = {
    {"name", offsetof(struct api_network_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_network_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_network_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"kind", offsetof(struct api_network_create, kind), API_KIND_ENUM, .words = &api_types_network_kind, .fallback = "nat"},
    {"vni", offsetof(struct api_network_create, vni), API_KIND_INT, .role = API_ROLE_OPERATOR, .min = 1, .max = 16777215},
    {"bridge", offsetof(struct api_network_create, bridge), API_KIND_TEXT, .role = API_ROLE_OPERATOR, .min = 1, .max = 15},
    {"vlan", offsetof(struct api_network_create, vlan), API_KIND_INT, .min = 1, .max = 4094},
    {"mtu_bytes", offsetof(struct api_network_create, mtu_bytes), API_KIND_INT, .min = 576, .max = 9216, .fallback = "1500"},
    {"shared", offsetof(struct api_network_create, shared), API_KIND_BOOL, .role = API_ROLE_OPERATOR, .fallback = "false"},
    {"security_groups", offsetof(struct api_network_create, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"external", offsetof(struct api_network_create, external), API_KIND_BOOL, .role = API_ROLE_OPERATOR, .fallback = "false"},
    {"dns_domain", offsetof(struct api_network_create, dns_domain), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .min = 0, .max = 253},
};
const struct api_types_object api_types_network_create = {
    "NetworkCreate", sizeof(struct api_network_create), 12, network_create_fields, &api_types_network};

static const struct api_types_field network_patch_fields[] = {
    {"name", offsetof(struct api_network_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_network_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_network_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"mtu_bytes", offsetof(struct api_network_patch, mtu_bytes), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 576, .max = 9216},
    {"shared", offsetof(struct api_network_patch, shared), API_KIND_BOOL, .flags = API_FIELD_NULLABLE, .role = API_ROLE_OPERATOR},
    {"security_groups", offsetof(struct api_network_patch, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"dns_domain", offsetof(struct api_network_patch, dns_domain), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 253},
};
const struct api_types_object api_types_network_patch = {
    "NetworkPatch", sizeof(struct api_network_patch), 7, network_patch_fields, &api_types_network};

static const struct api_types_field network_list_fields[] = {
    {"items", offsetof(struct api_network_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_network},
    {"next_cursor", offsetof(struct api_network_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_network_list = {
    "NetworkList", sizeof(struct api_network_list), 2, network_list_fields, NULL};

static const struct api_types_field subnet_create_fields[] = {
    {"name", offsetof(struct api_subnet_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_subnet_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_subnet_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_subnet_create, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"cidr", offsetof(struct api_subnet_create, cidr), API_KIND_TEXT, .format = API_FORMAT_CIDR, .flags = API_FIELD_REQUIRED, .min = 0, .max = 43},
    {"gateway", offsetof(struct api_subnet_create, gateway), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"dhcp", offsetof(struct api_subnet_create, dhcp), API_KIND_BOOL, .fallback = "true"},
    {"ranges", offsetof(struct api_subnet_create, ranges), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_subnet_range},
    {"dns_servers", offsetof(struct api_subnet_create, dns_servers), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_IP, .min_items = 0, .max_items = 4, .min = 0, .max = 39},
};
const struct api_types_object api_types_subnet_create = {
    "SubnetCreate", sizeof(struct api_subnet_create), 9, subnet_create_fields, &api_types_subnet};

static const struct api_types_field subnet_patch_fields[] = {
    {"name", offsetof(struct api_subnet_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_subnet_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_subnet_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"gateway", offsetof(struct api_subnet_patch, gateway), API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_NULLABLE, .min = 0, .max = 39},
    {"dhcp", offsetof(struct api_subnet_patch, dhcp), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"ranges", offsetof(struct api_subnet_patch, ranges), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 16, .object = &api_types_subnet_range},
    {"dns_servers", offsetof(struct api_subnet_patch, dns_servers), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 4, .min = 0, .max = 39},
};
const struct api_types_object api_types_subnet_patch = {
    "SubnetPatch", sizeof(struct api_subnet_patch), 7, subnet_patch_fields, &api_types_subnet};

static const struct api_types_field subnet_list_fields[] = {
    {"items", offsetof(struct api_subnet_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_subnet},
    {"next_cursor", offsetof(struct api_subnet_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_subnet_list = {
    "SubnetList", sizeof(struct api_subnet_list), 2, subnet_list_fields, NULL};

static const struct api_types_field port_create_fields[] = {
    {"name", offsetof(struct api_port_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_port_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_port_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_port_create, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"addresses", offsetof(struct api_port_create, addresses), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_address},
    {"mac", offsetof(struct api_port_create, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"security_groups", offsetof(struct api_port_create, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"spoofing", offsetof(struct api_port_create, spoofing), API_KIND_BOOL, .fallback = "false"},
    {"enabled", offsetof(struct api_port_create, enabled), API_KIND_BOOL, .fallback = "true"},
    {"qos", offsetof(struct api_port_create, qos), API_KIND_OBJECT, .object = &api_types_port_qos},
    {"forwards", offsetof(struct api_port_create, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_forward},
};
const struct api_types_object api_types_port_create = {
    "PortCreate", sizeof(struct api_port_create), 11, port_create_fields, &api_types_port};

static const struct api_types_field port_qos_patch_fields[] = {
    {"ingress_mib_per_s", offsetof(struct api_port_qos_patch, ingress_mib_per_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 1000000},
    {"egress_mib_per_s", offsetof(struct api_port_qos_patch, egress_mib_per_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 1000000},
    {"packets_per_s", offsetof(struct api_port_qos_patch, packets_per_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 100000000},
};
const struct api_types_object api_types_port_qos_patch = {
    "PortQosPatch", sizeof(struct api_port_qos_patch), 3, port_qos_patch_fields, &api_types_port_qos};

static const struct api_types_field port_patch_fields[] = {
    {"name", offsetof(struct api_port_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_port_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_port_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"addresses", offsetof(struct api_port_patch, addresses), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 16, .object = &api_types_port_address},
    {"security_groups", offsetof(struct api_port_patch, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"spoofing", offsetof(struct api_port_patch, spoofing), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"enabled", offsetof(struct api_port_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"qos", offsetof(struct api_port_patch, qos), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_port_qos_patch},
    {"forwards", offsetof(struct api_port_patch, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 16, .object = &api_types_port_forward},
};
const struct api_types_object api_types_port_patch = {
    "PortPatch", sizeof(struct api_port_patch), 9, port_patch_fields, &api_types_port};

static const struct api_types_field port_list_fields[] = {
    {"items", offsetof(struct api_port_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_port},
    {"next_cursor", offsetof(struct api_port_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_port_list = {
    "PortList", sizeof(struct api_port_list), 2, port_list_fields, NULL};

static const struct api_types_field security_group_create_fields[] = {
    {"name", offsetof(struct api_security_group_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_security_group_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_security_group_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"rules", offsetof(struct api_security_group_create, rules), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 200, .object = &api_types_security_rule},
};
const struct api_types_object api_types_security_group_create = {
    "SecurityGroupCreate", sizeof(struct api_security_group_create), 4, security_group_create_fields, &api_types_security_group};

static const struct api_types_field security_group_patch_fields[] = {
    {"name", offsetof(struct api_security_group_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_security_group_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_security_group_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"rules", offsetof(struct api_security_group_patch, rules), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 200, .object = &api_types_security_rule},
};
const struct api_types_object api_types_security_group_patch = {
    "SecurityGroupPatch", sizeof(struct api_security_group_patch), 4, security_group_patch_fields, &api_types_security_group};

static const struct api_types_field security_group_list_fields[] = {
    {"items", offsetof(struct api_security_group_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_security_group},
    {"next_cursor", offsetof(struct api_security_group_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_security_group_list = {
    "SecurityGroupList", sizeof(struct api_security_group_list), 2, security_group_list_fields, NULL};

static const struct api_types_field floating_ip_create_fields[] = {
    {"name", offsetof(struct api_floating_ip_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_floating_ip_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_floating_ip_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"network", offsetof(struct api_floating_ip_create, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"ip", offsetof(struct api_floating_ip_create, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"port", offsetof(struct api_floating_ip_create, port), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
};
const struct api_types_object api_types_floating_ip_create = {
    "FloatingIpCreate", sizeof(struct api_floating_ip_create), 6, floating_ip_create_fields, &api_types_floating_ip};

static const struct api_types_field floating_ip_patch_fields[] = {
    {"name", offsetof(struct api_floating_ip_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
    {"description", offsetof(struct api_floating_ip_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_floating_ip_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"port", offsetof(struct api_floating_ip_patch, port), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
};
const struct api_types_object api_types_floating_ip_patch = {
    "FloatingIpPatch", sizeof(struct api_floating_ip_patch), 4, floating_ip_patch_fields, &api_types_floating_ip};

static const struct api_types_field floating_ip_list_fields[] = {
    {"items", offsetof(struct api_floating_ip_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_floating_ip},
    {"next_cursor", offsetof(struct api_floating_ip_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_floating_ip_list = {
    "FloatingIpList", sizeof(struct api_floating_ip_list), 2, floating_ip_list_fields, NULL};

