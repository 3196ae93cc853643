/* Made by tools/apigen from api/infra.yaml; do not edit. Tables of fields. */
#include "api/gen/infra.h"


static const struct api_types_field zone_fields[] = {
    {"id", offsetof(struct api_zone, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_zone, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_zone, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_zone, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_zone, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"default", offsetof(struct api_zone, default_), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"status", offsetof(struct api_zone, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_zone_status},
    {"generation", offsetof(struct api_zone, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_zone, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_zone, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_zone = {
    "Zone", sizeof(struct api_zone), 10, zone_fields, NULL};

static const struct api_types_field zone_status_fields[] = {
    {"hosts", offsetof(struct api_zone_status, hosts), API_KIND_INT, .min = 0, .max = 1000000},
    {"hosts_up", offsetof(struct api_zone_status, hosts_up), API_KIND_INT, .min = 0, .max = 1000000},
};
const struct api_types_object api_types_zone_status = {
    "ZoneStatus", sizeof(struct api_zone_status), 2, zone_status_fields, NULL};

static const struct api_types_field overcommit_fields[] = {
    {"vcpu_ratio", offsetof(struct api_overcommit, vcpu_ratio), API_KIND_NUMBER, .number_min = 0.1, .number_max = 64.0, .fallback = "4"},
    {"memory_ratio", offsetof(struct api_overcommit, memory_ratio), API_KIND_NUMBER, .number_min = 0.1, .number_max = 8.0, .fallback = "1"},
    {"disk_ratio", offsetof(struct api_overcommit, disk_ratio), API_KIND_NUMBER, .number_min = 0.1, .number_max = 64.0, .fallback = "1"},
};
const struct api_types_object api_types_overcommit = {
    "Overcommit", sizeof(struct api_overcommit), 3, overcommit_fields, NULL};

static const struct api_types_field aggregate_fields[] = {
    {"id", offsetof(struct api_aggregate, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_aggregate, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_aggregate, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_aggregate, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_aggregate, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"overcommit", offsetof(struct api_aggregate, overcommit), API_KIND_OBJECT, .object = &api_types_overcommit},
    {"traits", offsetof(struct api_aggregate, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 32, .min = 0, .max = 63},
    {"dedicated_to", offsetof(struct api_aggregate, dedicated_to), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"hosts", offsetof(struct api_aggregate, hosts), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 10000, .min = 0, .max = 63},
    {"generation", offsetof(struct api_aggregate, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_aggregate, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_aggregate, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_aggregate = {
    "Aggregate", sizeof(struct api_aggregate), 12, aggregate_fields, NULL};

static const struct api_types_field aggregate_add_host_fields[] = {
    {"host", offsetof(struct api_aggregate_add_host, host), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
};
const struct api_types_object api_types_aggregate_add_host = {
    "AggregateAddHost", sizeof(struct api_aggregate_add_host), 1, aggregate_add_host_fields, NULL};

static const struct api_types_field host_fields[] = {
    {"id", offsetof(struct api_host, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_host, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_host, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_host, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_host, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"rack", offsetof(struct api_host, rack), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"traits", offsetof(struct api_host, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 64, .min = 0, .max = 63},
    {"dedicated_to", offsetof(struct api_host, dedicated_to), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"overcommit", offsetof(struct api_host, overcommit), API_KIND_OBJECT, .object = &api_types_overcommit},
    {"reserved_vcpus", offsetof(struct api_host, reserved_vcpus), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 4096, .fallback = "0"},
    {"reserved_memory_mib", offsetof(struct api_host, reserved_memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 67108864, .fallback = "2048"},
    {"mode", offsetof(struct api_host, mode), API_KIND_ENUM, .words = &api_types_host_mode},
    {"status", offsetof(struct api_host, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_host_status},
    {"generation", offsetof(struct api_host, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_host, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_host, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_host = {
    "Host", sizeof(struct api_host), 16, host_fields, NULL};

static const struct api_types_field host_status_fields[] = {
    {"state", offsetof(struct api_host_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_host_status_state},
    {"reason", offsetof(struct api_host_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"seen_at", offsetof(struct api_host_status, seen_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"address", offsetof(struct api_host_status, address), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"agent_version", offsetof(struct api_host_status, agent_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
    {"kernel_version", offsetof(struct api_host_status, kernel_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
    {"engines", offsetof(struct api_host_status, engines), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 8, .min = 0, .max = 63},
    {"cpus", offsetof(struct api_host_status, cpus), API_KIND_INT, .min = 0, .max = 4096},
    {"memory_mib", offsetof(struct api_host_status, memory_mib), API_KIND_INT, .min = 0, .max = 67108864},
    {"disk_gib", offsetof(struct api_host_status, disk_gib), API_KIND_INT, .min = 0, .max = 100000000},
    {"claimed_vcpus", offsetof(struct api_host_status, claimed_vcpus), API_KIND_INT, .min = 0, .max = 1000000},
    {"claimed_memory_mib", offsetof(struct api_host_status, claimed_memory_mib), API_KIND_INT, .min = 0, .max = 1000000000},
    {"claimed_disk_gib", offsetof(struct api_host_status, claimed_disk_gib), API_KIND_INT, .min = 0, .max = 1000000000},
    {"claim_generation", offsetof(struct api_host_status, claim_generation), API_KIND_INT, .min = 0, .max = 9007199254740991},
    {"vms", offsetof(struct api_host_status, vms), API_KIND_INT, .min = 0, .max = 100000},
};
const struct api_types_object api_types_host_status = {
    "HostStatus", sizeof(struct api_host_status), 15, host_status_fields, NULL};

static const struct api_types_field host_drain_fields[] = {
    {"live", offsetof(struct api_host_drain, live), API_KIND_BOOL, .fallback = "true"},
    {"parallel", offsetof(struct api_host_drain, parallel), API_KIND_INT, .min = 1, .max = 64, .fallback = "2"},
    {"then_maintenance", offsetof(struct api_host_drain, then_maintenance), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_host_drain = {
    "HostDrain", sizeof(struct api_host_drain), 3, host_drain_fields, NULL};

static const struct api_types_field host_maintenance_fields[] = {
    {"force", offsetof(struct api_host_maintenance, force), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_host_maintenance = {
    "HostMaintenance", sizeof(struct api_host_maintenance), 1, host_maintenance_fields, NULL};

static const struct api_types_field host_fence_fields[] = {
    {"confirmed", offsetof(struct api_host_fence, confirmed), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
};
const struct api_types_object api_types_host_fence = {
    "HostFence", sizeof(struct api_host_fence), 1, host_fence_fields, NULL};

static const struct api_types_field host_join_token_fields[] = {
    {"id", offsetof(struct api_host_join_token, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_host_join_token, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_host_join_token, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_host_join_token, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_host_join_token, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"max_uses", offsetof(struct api_host_join_token, max_uses), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 10000, .fallback = "1"},
    {"expires_at", offsetof(struct api_host_join_token, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"uses", offsetof(struct api_host_join_token, uses), API_KIND_INT, .min = 0, .max = 10000},
    {"generation", offsetof(struct api_host_join_token, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_host_join_token, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_host_join_token, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_host_join_token = {
    "HostJoinToken", sizeof(struct api_host_join_token), 11, host_join_token_fields, NULL};

static const struct api_types_field host_join_token_created_fields[] = {
    {"host_join_token", offsetof(struct api_host_join_token_created, host_join_token), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_host_join_token},
    {"secret", offsetof(struct api_host_join_token_created, secret), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 255},
    {"command", offsetof(struct api_host_join_token_created, command), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 511},
};
const struct api_types_object api_types_host_join_token_created = {
    "HostJoinTokenCreated", sizeof(struct api_host_join_token_created), 3, host_join_token_created_fields, NULL};

static const struct api_types_field host_join_fields[] = {
    {"secret", offsetof(struct api_host_join, secret), API_KIND_TEXT, .flags = API_FIELD_REQUIRED | API_FIELD_WRITE_ONLY, .min = 0, .max = 255},
    {"name", offsetof(struct api_host_join, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"csr", offsetof(struct api_host_join, csr), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 8191},
    {"agent_version", offsetof(struct api_host_join, agent_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
};
const struct api_types_object api_types_host_join = {
    "HostJoin", sizeof(struct api_host_join), 4, host_join_fields, NULL};

static const struct api_types_field host_joined_fields[] = {
    {"host", offsetof(struct api_host_joined, host), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_host},
    {"certificate", offsetof(struct api_host_joined, certificate), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 16383},
    {"ca", offsetof(struct api_host_joined, ca), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 65535},
};
const struct api_types_object api_types_host_joined = {
    "HostJoined", sizeof(struct api_host_joined), 3, host_joined_fields, NULL};

static const struct api_types_field overcommit_patch_fields[] = {
    {"vcpu_ratio", offsetof(struct api_overcommit_patch, vcpu_ratio), API_KIND_NUMBER, .flags = API_FIELD_NULLABLE, .number_min = 0.1, .number_max = 64.0},
    {"memory_ratio", offsetof(struct api_overcommit_patch, memory_ratio), API_KIND_NUMBER, .flags = API_FIELD_NULLABLE, .number_min = 0.1, .number_max = 8.0},
    {"disk_ratio", offsetof(struct api_overcommit_patch, disk_ratio), API_KIND_NUMBER, .flags = API_FIELD_NULLABLE, .number_min = 0.1, .number_max = 64.0},
};
const struct api_types_object api_types_overcommit_patch = {
    "OvercommitPatch", sizeof(struct api_overcommit_patch), 3, overcommit_patch_fields, &api_types_overcommit};

static const struct api_types_field zone_create_fields[] = {
    {"name", offsetof(struct api_zone_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_zone_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_zone_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_zone_create, enabled), API_KIND_BOOL, .fallback = "true"},
    {"default", offsetof(struct api_zone_create, default_), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_zone_create = {
    "ZoneCreate", sizeof(struct api_zone_create), 5, zone_create_fields, &api_types_zone};

static const struct api_types_field zone_patch_fields[] = {
    {"name", offsetof(struct api_zone_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_zone_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_zone_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_zone_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"default", offsetof(struct api_zone_patch, default_), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_zone_patch = {
    "ZonePatch", sizeof(struct api_zone_patch), 5, zone_patch_fields, &api_types_zone};

static const struct api_types_field zone_list_fields[] = {
    {"items", offsetof(struct api_zone_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_zone},
    {"next_cursor", offsetof(struct api_zone_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_zone_list = {
    "ZoneList", sizeof(struct api_zone_list), 2, zone_list_fields, NULL};

static const struct api_types_field aggregate_create_fields[] = {
    {"name", offsetof(struct api_aggregate_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_aggregate_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_aggregate_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_aggregate_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"overcommit", offsetof(struct api_aggregate_create, overcommit), API_KIND_OBJECT, .object = &api_types_overcommit},
    {"traits", offsetof(struct api_aggregate_create, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 32, .min = 0, .max = 63},
    {"dedicated_to", offsetof(struct api_aggregate_create, dedicated_to), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"hosts", offsetof(struct api_aggregate_create, hosts), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 10000, .min = 0, .max = 63},
};
const struct api_types_object api_types_aggregate_create = {
    "AggregateCreate", sizeof(struct api_aggregate_create), 8, aggregate_create_fields, &api_types_aggregate};

static const struct api_types_field aggregate_patch_fields[] = {
    {"name", offsetof(struct api_aggregate_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_aggregate_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_aggregate_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"overcommit", offsetof(struct api_aggregate_patch, overcommit), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_overcommit_patch},
    {"traits", offsetof(struct api_aggregate_patch, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 32, .min = 0, .max = 63},
    {"dedicated_to", offsetof(struct api_aggregate_patch, dedicated_to), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"hosts", offsetof(struct api_aggregate_patch, hosts), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 10000, .min = 0, .max = 63},
};
const struct api_types_object api_types_aggregate_patch = {
    "AggregatePatch", sizeof(struct api_aggregate_patch), 7, aggregate_patch_fields, &api_types_aggregate};

static const struct api_types_field aggregate_list_fields[] = {
    {"items", offsetof(struct api_aggregate_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_aggregate},
    {"next_cursor", offsetof(struct api_aggregate_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_aggregate_list = {
    "AggregateList", sizeof(struct api_aggregate_list), 2, aggregate_list_fields, NULL};

static const struct api_types_field host_patch_fields[] = {
    {"name", offsetof(struct api_host_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_host_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_host_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_host_patch, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
    {"rack", offsetof(struct api_host_patch, rack), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
    {"traits", offsetof(struct api_host_patch, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 64, .min = 0, .max = 63},
    {"dedicated_to", offsetof(struct api_host_patch, dedicated_to), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
    {"overcommit", offsetof(struct api_host_patch, overcommit), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_overcommit_patch},
    {"reserved_vcpus", offsetof(struct api_host_patch, reserved_vcpus), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 4096},
    {"reserved_memory_mib", offsetof(struct api_host_patch, reserved_memory_mib), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 67108864},
};
const struct api_types_object api_types_host_patch = {
    "HostPatch", sizeof(struct api_host_patch), 10, host_patch_fields, &api_types_host};

static const struct api_types_field host_list_fields[] = {
    {"items", offsetof(struct api_host_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_host},
    {"next_cursor", offsetof(struct api_host_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_host_list = {
    "HostList", sizeof(struct api_host_list), 2, host_list_fields, NULL};

static const struct api_types_field host_join_token_create_fields[] = {
    {"name", offsetof(struct api_host_join_token_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_host_join_token_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_host_join_token_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"zone", offsetof(struct api_host_join_token_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"max_uses", offsetof(struct api_host_join_token_create, max_uses), API_KIND_INT, .min = 1, .max = 10000, .fallback = "1"},
    {"expires_at", offsetof(struct api_host_join_token_create, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
};
const struct api_types_object api_types_host_join_token_create = {
    "HostJoinTokenCreate", sizeof(struct api_host_join_token_create), 6, host_join_token_create_fields, &api_types_host_join_token};

static const struct api_types_field host_join_token_list_fields[] = {
    {"items", offsetof(struct api_host_join_token_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_host_join_token},
    {"next_cursor", offsetof(struct api_host_join_token_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_host_join_token_list = {
    "HostJoinTokenList", sizeof(struct api_host_join_token_list), 2, host_join_token_list_fields, NULL};

