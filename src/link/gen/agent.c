/* Made by tools/apigen from link/agent.yaml; do not edit. Tables of fields. */
#include "link/gen/agent.h"

#include "link/gen/types.h"

static const struct api_types_field hello_fields[] = {
    {"type", offsetof(struct link_hello, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"protocol", offsetof(struct link_hello, protocol), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 1000},
    {"host", offsetof(struct link_hello, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"boot", offsetof(struct link_hello, boot), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"instance", offsetof(struct link_hello, instance), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"agent_version", offsetof(struct link_hello, agent_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"desired_seq", offsetof(struct link_hello, desired_seq), API_KIND_INT, .min = 0, .max = 9007199254740991, .fallback = "0"},
    {"simulated", offsetof(struct link_hello, simulated), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object link_types_hello = {
    "Hello", sizeof(struct link_hello), 8, hello_fields, NULL};

static const struct api_types_field engine_fields[] = {
    {"name", offsetof(struct link_engine, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"usable", offsetof(struct link_engine, usable), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"reason", offsetof(struct link_engine, reason), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object link_types_engine = {
    "Engine", sizeof(struct link_engine), 3, engine_fields, NULL};

static const struct api_types_field numa_node_fields[] = {
    {"node", offsetof(struct link_numa_node, node), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 1023},
    {"cpus", offsetof(struct link_numa_node, cpus), API_KIND_LIST, .item_kind = API_KIND_INT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 4096, .min = 0, .max = 65535},
    {"memory_mib", offsetof(struct link_numa_node, memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 67108864},
    {"hugepages_2m", offsetof(struct link_numa_node, hugepages_2m), API_KIND_INT, .min = 0, .max = 33554432},
    {"hugepages_2m_free", offsetof(struct link_numa_node, hugepages_2m_free), API_KIND_INT, .min = 0, .max = 33554432},
    {"hugepages_1g", offsetof(struct link_numa_node, hugepages_1g), API_KIND_INT, .min = 0, .max = 65536},
    {"hugepages_1g_free", offsetof(struct link_numa_node, hugepages_1g_free), API_KIND_INT, .min = 0, .max = 65536},
};
const struct api_types_object link_types_numa_node = {
    "NumaNode", sizeof(struct link_numa_node), 7, numa_node_fields, NULL};

static const struct api_types_field pool_state_fields[] = {
    {"name", offsetof(struct link_pool_state, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"driver", offsetof(struct link_pool_state, driver), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"location", offsetof(struct link_pool_state, location), API_KIND_TEXT, .min = 0, .max = 511},
    {"state", offsetof(struct link_pool_state, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_pool_state_state},
    {"reason", offsetof(struct link_pool_state, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"size_bytes", offsetof(struct link_pool_state, size_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"free_bytes", offsetof(struct link_pool_state, free_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
};
const struct api_types_object link_types_pool_state = {
    "PoolState", sizeof(struct link_pool_state), 7, pool_state_fields, NULL};

static const struct api_types_field nic_fields[] = {
    {"name", offsetof(struct link_nic, name), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 15},
    {"mac", offsetof(struct link_nic, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"mtu_bytes", offsetof(struct link_nic, mtu_bytes), API_KIND_INT, .min = 0, .max = 1000000},
    {"speed_mbit", offsetof(struct link_nic, speed_mbit), API_KIND_INT, .min = 0, .max = 10000000},
    {"up", offsetof(struct link_nic, up), API_KIND_BOOL},
    {"bridge", offsetof(struct link_nic, bridge), API_KIND_BOOL},
    {"offered", offsetof(struct link_nic, offered), API_KIND_BOOL},
};
const struct api_types_object link_types_nic = {
    "Nic", sizeof(struct link_nic), 7, nic_fields, NULL};

static const struct api_types_field inventory_fields[] = {
    {"type", offsetof(struct link_inventory, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"name", offsetof(struct link_inventory, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"cpus", offsetof(struct link_inventory, cpus), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 4096},
    {"cores", offsetof(struct link_inventory, cores), API_KIND_INT, .min = 1, .max = 4096},
    {"cpu_model", offsetof(struct link_inventory, cpu_model), API_KIND_TEXT, .min = 0, .max = 255},
    {"cpu_vendor", offsetof(struct link_inventory, cpu_vendor), API_KIND_TEXT, .min = 0, .max = 63},
    {"cpu_flags", offsetof(struct link_inventory, cpu_flags), API_KIND_LIST, .item_kind = API_KIND_TEXT, .min_items = 0, .max_items = 512, .min = 0, .max = 63},
    {"numa", offsetof(struct link_inventory, numa), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 64, .object = &link_types_numa_node},
    {"memory_mib", offsetof(struct link_inventory, memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 67108864},
    {"hugepages_2m", offsetof(struct link_inventory, hugepages_2m), API_KIND_INT, .min = 0, .max = 33554432},
    {"hugepages_1g", offsetof(struct link_inventory, hugepages_1g), API_KIND_INT, .min = 0, .max = 65536},
    {"engines", offsetof(struct link_inventory, engines), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 8, .object = &link_types_engine},
    {"pools", offsetof(struct link_inventory, pools), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 32, .object = &link_types_pool_state},
    {"nics", offsetof(struct link_inventory, nics), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 256, .object = &link_types_nic},
    {"volume_drivers", offsetof(struct link_inventory, volume_drivers), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 8, .min = 0, .max = 63},
    {"network_drivers", offsetof(struct link_inventory, network_drivers), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 8, .min = 0, .max = 63},
    {"address", offsetof(struct link_inventory, address), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"agent_version", offsetof(struct link_inventory, agent_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
    {"vmm_version", offsetof(struct link_inventory, vmm_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
    {"kernel_version", offsetof(struct link_inventory, kernel_version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .min = 0, .max = 63},
};
const struct api_types_object link_types_inventory = {
    "Inventory", sizeof(struct link_inventory), 20, inventory_fields, NULL};

static const struct api_types_field heartbeat_fields[] = {
    {"type", offsetof(struct link_heartbeat, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"number", offsetof(struct link_heartbeat, number), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"health", offsetof(struct link_heartbeat, health), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_heartbeat_health},
    {"problems", offsetof(struct link_heartbeat, problems), API_KIND_LIST, .item_kind = API_KIND_TEXT, .min_items = 0, .max_items = 16, .min = 0, .max = 511},
    {"load_1m", offsetof(struct link_heartbeat, load_1m), API_KIND_NUMBER, .number_min = 0.0, .number_max = 1000000.0},
    {"memory_free_mib", offsetof(struct link_heartbeat, memory_free_mib), API_KIND_INT, .min = 0, .max = 67108864},
    {"pools", offsetof(struct link_heartbeat, pools), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 32, .object = &link_types_pool_state},
    {"vms_running", offsetof(struct link_heartbeat, vms_running), API_KIND_INT, .min = 0, .max = 100000},
};
const struct api_types_object link_types_heartbeat = {
    "Heartbeat", sizeof(struct link_heartbeat), 8, heartbeat_fields, NULL};

static const struct api_types_field seen_fields[] = {
    {"type", offsetof(struct link_seen, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"full", offsetof(struct link_seen, full), API_KIND_BOOL, .fallback = "false"},
    {"more", offsetof(struct link_seen, more), API_KIND_BOOL, .fallback = "false"},
    {"desired_seq", offsetof(struct link_seen, desired_seq), API_KIND_INT, .min = 0, .max = 9007199254740991, .fallback = "0"},
    {"vms", offsetof(struct link_seen, vms), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &link_types_vm_seen},
    {"volumes", offsetof(struct link_seen, volumes), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &link_types_volume_seen},
    {"ports", offsetof(struct link_seen, ports), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &link_types_port_seen},
};
const struct api_types_object link_types_seen = {
    "Seen", sizeof(struct link_seen), 7, seen_fields, NULL};

static const struct api_types_field usage_item_fields[] = {
    {"vm", offsetof(struct link_usage_item, vm), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"run", offsetof(struct link_usage_item, run), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"object", offsetof(struct link_usage_item, object), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"kind", offsetof(struct link_usage_item, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_usage_item_kind},
    {"meter", offsetof(struct link_usage_item, meter), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_usage_item_meter},
    {"value", offsetof(struct link_usage_item, value), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
};
const struct api_types_object link_types_usage_item = {
    "UsageItem", sizeof(struct link_usage_item), 6, usage_item_fields, NULL};

static const struct api_types_field usage_fields[] = {
    {"type", offsetof(struct link_usage, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"source", offsetof(struct link_usage, source), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"epoch", offsetof(struct link_usage, epoch), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"number", offsetof(struct link_usage, number), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"at", offsetof(struct link_usage, at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"items", offsetof(struct link_usage, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &link_types_usage_item},
};
const struct api_types_object link_types_usage = {
    "Usage", sizeof(struct link_usage), 6, usage_fields, NULL};

static const struct api_types_field result_fields[] = {
    {"type", offsetof(struct link_result, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"id", offsetof(struct link_result, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"ok", offsetof(struct link_result, ok), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"reason", offsetof(struct link_result, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"text", offsetof(struct link_result, text), API_KIND_TEXT, .min = 0, .max = 1048576},
    {"truncated", offsetof(struct link_result, truncated), API_KIND_BOOL},
};
const struct api_types_object link_types_result = {
    "Result", sizeof(struct link_result), 6, result_fields, NULL};

static const struct api_types_field bye_fields[] = {
    {"type", offsetof(struct link_bye, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"reason", offsetof(struct link_bye, reason), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object link_types_bye = {
    "Bye", sizeof(struct link_bye), 2, bye_fields, NULL};

static const struct api_types_field renew_fields[] = {
    {"type", offsetof(struct link_renew, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"csr", offsetof(struct link_renew, csr), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 8191},
};
const struct api_types_object link_types_renew = {
    "Renew", sizeof(struct link_renew), 2, renew_fields, NULL};

