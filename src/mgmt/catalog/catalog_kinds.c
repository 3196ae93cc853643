/* The kinds of objects, and the table of what is kept of them beside the API's document. */
#include "mgmt/catalog/catalog.h"

const struct catalog_kind_info catalog_kinds[CATALOG_KINDS] = {
    [CATALOG_PROJECT] = {"project", &api_types_project, false},
    [CATALOG_QUOTA] = {"quota", &api_types_quota, false},
    [CATALOG_USER] = {"user", &api_types_user, false},
    [CATALOG_ROLE] = {"role", &api_types_role, false},
    [CATALOG_TOKEN] = {"token", &api_types_token, false},
    [CATALOG_SETTINGS] = {"settings", &api_types_settings, false},
    [CATALOG_FLAVOR] = {"flavor", &api_types_flavor, false},
    [CATALOG_KEYPAIR] = {"keypair", &api_types_keypair, true},
    [CATALOG_VM] = {"vm", &api_types_vm, true},
    [CATALOG_IMAGE] = {"image", &api_types_image, true},
    [CATALOG_VOLUME] = {"volume", &api_types_volume, true},
    [CATALOG_SNAPSHOT] = {"snapshot", &api_types_snapshot, true},
    [CATALOG_POOL] = {"pool", &api_types_pool, false},
    [CATALOG_NETWORK] = {"network", &api_types_network, true},
    [CATALOG_SUBNET] = {"subnet", &api_types_subnet, true},
    [CATALOG_PORT] = {"port", &api_types_port, true},
    [CATALOG_SECURITY_GROUP] = {"security_group", &api_types_security_group, true},
    [CATALOG_FLOATING_IP] = {"floating_ip", &api_types_floating_ip, true},
    [CATALOG_ZONE] = {"zone", &api_types_zone, false},
    [CATALOG_AGGREGATE] = {"aggregate", &api_types_aggregate, false},
    [CATALOG_HOST] = {"host", &api_types_host, false},
    [CATALOG_HOST_JOIN_TOKEN] = {"host_join_token", &api_types_host_join_token, false},
    [CATALOG_SERVER_GROUP] = {"server_group", &api_types_server_group, true},
    [CATALOG_RESERVATION] = {"reservation", &api_types_reservation, true},
    [CATALOG_OPERATION] = {"operation", &api_types_operation, true},
};

#define OWN_AT(member) .name = #member, .offset = offsetof(struct catalog_own, member)
#define OWN_TEXT(member)                                                                           \
    {                                                                                              \
        OWN_AT(member), .kind = API_KIND_TEXT, .max = 16384                                        \
    }
#define OWN_INT(member)                                                                            \
    {                                                                                              \
        OWN_AT(member), .kind = API_KIND_INT, .max = INT64_MAX                                     \
    }
#define OWN_BOOL(member)                                                                           \
    {                                                                                              \
        OWN_AT(member), .kind = API_KIND_BOOL                                                      \
    }
#define OWN_LIST(member, most)                                                                     \
    {                                                                                              \
        OWN_AT(member), .kind = API_KIND_LIST, .item_kind = API_KIND_TEXT, .max_items = (most),    \
                        .max = 63                                                                  \
    }
#define OWN_TEXTS(member) OWN_LIST(member, 64)

static const struct api_types_field own_fields[] = {
    OWN_TEXT(secret_sha256), OWN_BOOL(session),   OWN_TEXT(user),      OWN_TEXT(certificate),
    OWN_INT(nodes),          OWN_INT(cpu_policy), OWN_BOOL(hugepages), OWN_INT(disk_gib),
    OWN_INT(want),           OWN_INT(grace_ms),   OWN_TEXTS(volumes),  OWN_TEXTS(ports),
    OWN_INT(to_state),       OWN_TEXT(host),      OWN_TEXT(vm),        OWN_INT(serial),
    OWN_TEXT(key),           OWN_TEXT(cert),      OWN_TEXT(usage),     OWN_INT(usage_number),
    OWN_TEXTS(steps),        OWN_INT(purge),      OWN_BOOL(made),      OWN_INT(wish),
    OWN_INT(was_gib),        OWN_TEXT(pool),      OWN_TEXT(resource),  OWN_TEXT(swap),
    OWN_TEXT(rescue),        OWN_TEXT(boot),      OWN_TEXT(operation), OWN_LIST(places, 10000),
    OWN_TEXT(server),        OWN_TEXT(has),       OWN_INT(vcpus),      OWN_INT(memory_mib),
    OWN_TEXT(why),
};

const struct api_types_object catalog_own_type = {
    .what = "Own",
    .bytes = sizeof(struct catalog_own),
    .n_fields = sizeof(own_fields) / sizeof(own_fields[0]),
    .fields = own_fields,
};
