/* Made by tools/apigen from api/compute.yaml; do not edit. Tables of fields. */
#include "api/gen/compute.h"

#include "api/gen/common.h"
#include "api/gen/network.h"

static const struct api_types_field flavor_fields[] = {
    {"id", offsetof(struct api_flavor, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_flavor, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_flavor, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_flavor, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"vcpus", offsetof(struct api_flavor, vcpus), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 64},
    {"memory_mib", offsetof(struct api_flavor, memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 64, .max = 4194304},
    {"disk_gib", offsetof(struct api_flavor, disk_gib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 65536, .fallback = "0"},
    {"cpu_policy", offsetof(struct api_flavor, cpu_policy), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_flavor_cpu_policy, .fallback = "shared"},
    {"hugepages", offsetof(struct api_flavor, hugepages), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"traits", offsetof(struct api_flavor, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 32, .min = 0, .max = 63},
    {"projects", offsetof(struct api_flavor, projects), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"enabled", offsetof(struct api_flavor, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"generation", offsetof(struct api_flavor, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_flavor, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_flavor, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_flavor = {
    "Flavor", sizeof(struct api_flavor), 15, flavor_fields, NULL};

static const struct api_types_field keypair_fields[] = {
    {"id", offsetof(struct api_keypair, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_keypair, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_keypair, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_keypair, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_keypair, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"public_key", offsetof(struct api_keypair, public_key), API_KIND_TEXT, .min = 32, .max = 8191},
    {"fingerprint", offsetof(struct api_keypair, fingerprint), API_KIND_TEXT, .min = 0, .max = 63},
    {"generation", offsetof(struct api_keypair, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_keypair, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_keypair, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_keypair = {
    "Keypair", sizeof(struct api_keypair), 10, keypair_fields, NULL};

static const struct api_types_field keypair_created_fields[] = {
    {"keypair", offsetof(struct api_keypair_created, keypair), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_keypair},
    {"private_key", offsetof(struct api_keypair_created, private_key), API_KIND_TEXT, .min = 0, .max = 16383},
};
const struct api_types_object api_types_keypair_created = {
    "KeypairCreated", sizeof(struct api_keypair_created), 2, keypair_created_fields, NULL};

static const struct api_types_field vm_fields[] = {
    {"id", offsetof(struct api_vm, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_vm, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_vm, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_vm, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_vm, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"flavor", offsetof(struct api_vm, flavor), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"image", offsetof(struct api_vm, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"boot_volume", offsetof(struct api_vm, boot_volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"disk_gib", offsetof(struct api_vm, disk_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"pool", offsetof(struct api_vm, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"keypair", offsetof(struct api_vm, keypair), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"user_data", offsetof(struct api_vm, user_data), API_KIND_TEXT, .format = API_FORMAT_BASE64, .flags = API_FIELD_WRITE_ONLY, .min = 0, .max = 87384},
    {"hostname", offsetof(struct api_vm, hostname), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .min = 0, .max = 63},
    {"nics", offsetof(struct api_vm, nics), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_vm_nic},
    {"volumes", offsetof(struct api_vm, volumes), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 23, .object = &api_types_vm_volume},
    {"zone", offsetof(struct api_vm, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"host", offsetof(struct api_vm, host), API_KIND_TEXT, .format = API_FORMAT_NAME, .role = API_ROLE_OPERATOR, .min = 0, .max = 63},
    {"server_group", offsetof(struct api_vm, server_group), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"reservation", offsetof(struct api_vm, reservation), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"start", offsetof(struct api_vm, start), API_KIND_BOOL, .flags = API_FIELD_WRITE_ONLY, .fallback = "true"},
    {"autostart", offsetof(struct api_vm, autostart), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"delete_protection", offsetof(struct api_vm, delete_protection), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"on_host_failure", offsetof(struct api_vm, on_host_failure), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_vm_on_host_failure, .fallback = "restart"},
    {"live_migration", offsetof(struct api_vm, live_migration), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"status", offsetof(struct api_vm, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_vm_status},
    {"generation", offsetof(struct api_vm, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_vm, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_vm, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_vm = {
    "Vm", sizeof(struct api_vm), 28, vm_fields, NULL};

static const struct api_types_field vm_nic_fields[] = {
    {"network", offsetof(struct api_vm_nic, network), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"subnet", offsetof(struct api_vm_nic, subnet), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"port", offsetof(struct api_vm_nic, port), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"ip", offsetof(struct api_vm_nic, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"mac", offsetof(struct api_vm_nic, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"security_groups", offsetof(struct api_vm_nic, security_groups), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 16, .min = 0, .max = 63},
    {"forwards", offsetof(struct api_vm_nic, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_port_forward},
};
const struct api_types_object api_types_vm_nic = {
    "VmNic", sizeof(struct api_vm_nic), 7, vm_nic_fields, NULL};

static const struct api_types_field vm_volume_fields[] = {
    {"volume", offsetof(struct api_vm_volume, volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"size_gib", offsetof(struct api_vm_volume, size_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"snapshot", offsetof(struct api_vm_volume, snapshot), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"pool", offsetof(struct api_vm_volume, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"readonly", offsetof(struct api_vm_volume, readonly), API_KIND_BOOL, .fallback = "false"},
    {"delete_with_vm", offsetof(struct api_vm_volume, delete_with_vm), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_volume = {
    "VmVolume", sizeof(struct api_vm_volume), 6, vm_volume_fields, NULL};

static const struct api_types_field vm_address_fields[] = {
    {"ip", offsetof(struct api_vm_address, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 39},
    {"mac", offsetof(struct api_vm_address, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"port", offsetof(struct api_vm_address, port), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"source", offsetof(struct api_vm_address, source), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_vm_address_source},
    {"seen", offsetof(struct api_vm_address, seen), API_KIND_BOOL},
};
const struct api_types_object api_types_vm_address = {
    "VmAddress", sizeof(struct api_vm_address), 5, vm_address_fields, NULL};

static const struct api_types_field vm_status_fields[] = {
    {"state", offsetof(struct api_vm_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_vm_state},
    {"reason", offsetof(struct api_vm_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"operation", offsetof(struct api_vm_status, operation), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"host", offsetof(struct api_vm_status, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"run_epoch", offsetof(struct api_vm_status, run_epoch), API_KIND_INT, .min = 0, .max = 9007199254740991},
    {"vcpus", offsetof(struct api_vm_status, vcpus), API_KIND_INT, .min = 1, .max = 64},
    {"memory_mib", offsetof(struct api_vm_status, memory_mib), API_KIND_INT, .min = 64, .max = 4194304},
    {"addresses", offsetof(struct api_vm_status, addresses), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 64, .object = &api_types_vm_address},
    {"guest_hostname", offsetof(struct api_vm_status, guest_hostname), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .min = 0, .max = 253},
    {"boot_volume", offsetof(struct api_vm_status, boot_volume), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"started_at", offsetof(struct api_vm_status, started_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"deleted_at", offsetof(struct api_vm_status, deleted_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"purge_at", offsetof(struct api_vm_status, purge_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
};
const struct api_types_object api_types_vm_status = {
    "VmStatus", sizeof(struct api_vm_status), 13, vm_status_fields, NULL};

static const struct api_types_field vm_batch_create_fields[] = {
    {"vms", offsetof(struct api_vm_batch_create, vms), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 1, .max_items = 100, .object = &api_types_vm_create},
    {"mode", offsetof(struct api_vm_batch_create, mode), API_KIND_ENUM, .words = &api_types_vm_batch_create_mode, .fallback = "all_or_nothing"},
};
const struct api_types_object api_types_vm_batch_create = {
    "VmBatchCreate", sizeof(struct api_vm_batch_create), 2, vm_batch_create_fields, NULL};

static const struct api_types_field vm_batch_item_fields[] = {
    {"name", offsetof(struct api_vm_batch_item, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"vm", offsetof(struct api_vm_batch_item, vm), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"operation", offsetof(struct api_vm_batch_item, operation), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"problem", offsetof(struct api_vm_batch_item, problem), API_KIND_OBJECT, .object = &api_types_problem},
};
const struct api_types_object api_types_vm_batch_item = {
    "VmBatchItem", sizeof(struct api_vm_batch_item), 4, vm_batch_item_fields, NULL};

static const struct api_types_field vm_batch_fields[] = {
    {"vms", offsetof(struct api_vm_batch, vms), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 100, .object = &api_types_vm_batch_item},
};
const struct api_types_object api_types_vm_batch = {
    "VmBatch", sizeof(struct api_vm_batch), 1, vm_batch_fields, NULL};

static const struct api_types_field vm_stop_fields[] = {
    {"force", offsetof(struct api_vm_stop, force), API_KIND_BOOL, .fallback = "false"},
    {"timeout_s", offsetof(struct api_vm_stop, timeout_s), API_KIND_INT, .min = 1, .max = 3600, .fallback = "60"},
};
const struct api_types_object api_types_vm_stop = {
    "VmStop", sizeof(struct api_vm_stop), 2, vm_stop_fields, NULL};

static const struct api_types_field vm_reboot_fields[] = {
    {"force", offsetof(struct api_vm_reboot, force), API_KIND_BOOL, .fallback = "false"},
    {"timeout_s", offsetof(struct api_vm_reboot, timeout_s), API_KIND_INT, .min = 1, .max = 3600, .fallback = "60"},
};
const struct api_types_object api_types_vm_reboot = {
    "VmReboot", sizeof(struct api_vm_reboot), 2, vm_reboot_fields, NULL};

static const struct api_types_field vm_resize_fields[] = {
    {"flavor", offsetof(struct api_vm_resize, flavor), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"allow_move", offsetof(struct api_vm_resize, allow_move), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_vm_resize = {
    "VmResize", sizeof(struct api_vm_resize), 2, vm_resize_fields, NULL};

static const struct api_types_field vm_rebuild_fields[] = {
    {"image", offsetof(struct api_vm_rebuild, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"user_data", offsetof(struct api_vm_rebuild, user_data), API_KIND_TEXT, .format = API_FORMAT_BASE64, .flags = API_FIELD_WRITE_ONLY, .min = 0, .max = 87384},
    {"keypair", offsetof(struct api_vm_rebuild, keypair), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
};
const struct api_types_object api_types_vm_rebuild = {
    "VmRebuild", sizeof(struct api_vm_rebuild), 3, vm_rebuild_fields, NULL};

static const struct api_types_field vm_rescue_fields[] = {
    {"image", offsetof(struct api_vm_rescue, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
};
const struct api_types_object api_types_vm_rescue = {
    "VmRescue", sizeof(struct api_vm_rescue), 1, vm_rescue_fields, NULL};

static const struct api_types_field vm_migrate_fields[] = {
    {"host", offsetof(struct api_vm_migrate, host), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"mode", offsetof(struct api_vm_migrate, mode), API_KIND_ENUM, .words = &api_types_vm_migrate_mode, .fallback = "auto"},
    {"bandwidth_mib_per_s", offsetof(struct api_vm_migrate, bandwidth_mib_per_s), API_KIND_INT, .min = 1, .max = 100000},
};
const struct api_types_object api_types_vm_migrate = {
    "VmMigrate", sizeof(struct api_vm_migrate), 3, vm_migrate_fields, NULL};

static const struct api_types_field vm_shelve_fields[] = {
    {"force", offsetof(struct api_vm_shelve, force), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_shelve = {
    "VmShelve", sizeof(struct api_vm_shelve), 1, vm_shelve_fields, NULL};

static const struct api_types_field vm_create_image_fields[] = {
    {"name", offsetof(struct api_vm_create_image, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_vm_create_image, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_vm_create_image, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"quiesce", offsetof(struct api_vm_create_image, quiesce), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_vm_create_image = {
    "VmCreateImage", sizeof(struct api_vm_create_image), 4, vm_create_image_fields, NULL};

static const struct api_types_field vm_attach_volume_fields[] = {
    {"volume", offsetof(struct api_vm_attach_volume, volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"readonly", offsetof(struct api_vm_attach_volume, readonly), API_KIND_BOOL, .fallback = "false"},
    {"delete_with_vm", offsetof(struct api_vm_attach_volume, delete_with_vm), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_attach_volume = {
    "VmAttachVolume", sizeof(struct api_vm_attach_volume), 3, vm_attach_volume_fields, NULL};

static const struct api_types_field vm_console_log_fields[] = {
    {"text", offsetof(struct api_vm_console_log, text), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 1048576},
    {"truncated", offsetof(struct api_vm_console_log, truncated), API_KIND_BOOL},
};
const struct api_types_object api_types_vm_console_log = {
    "VmConsoleLog", sizeof(struct api_vm_console_log), 2, vm_console_log_fields, NULL};

static const struct api_types_field flavor_create_fields[] = {
    {"name", offsetof(struct api_flavor_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_flavor_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_flavor_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"vcpus", offsetof(struct api_flavor_create, vcpus), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 64},
    {"memory_mib", offsetof(struct api_flavor_create, memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 64, .max = 4194304},
    {"disk_gib", offsetof(struct api_flavor_create, disk_gib), API_KIND_INT, .min = 0, .max = 65536, .fallback = "0"},
    {"cpu_policy", offsetof(struct api_flavor_create, cpu_policy), API_KIND_ENUM, .words = &api_types_flavor_cpu_policy, .fallback = "shared"},
    {"hugepages", offsetof(struct api_flavor_create, hugepages), API_KIND_BOOL, .fallback = "false"},
    {"traits", offsetof(struct api_flavor_create, traits), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 32, .min = 0, .max = 63},
    {"projects", offsetof(struct api_flavor_create, projects), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"enabled", offsetof(struct api_flavor_create, enabled), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_flavor_create = {
    "FlavorCreate", sizeof(struct api_flavor_create), 11, flavor_create_fields, &api_types_flavor};

static const struct api_types_field flavor_patch_fields[] = {
    {"name", offsetof(struct api_flavor_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_flavor_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_flavor_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"projects", offsetof(struct api_flavor_patch, projects), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min_items = 0, .max_items = 100, .min = 0, .max = 63},
    {"enabled", offsetof(struct api_flavor_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_flavor_patch = {
    "FlavorPatch", sizeof(struct api_flavor_patch), 5, flavor_patch_fields, &api_types_flavor};

static const struct api_types_field flavor_list_fields[] = {
    {"items", offsetof(struct api_flavor_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_flavor},
    {"next_cursor", offsetof(struct api_flavor_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_flavor_list = {
    "FlavorList", sizeof(struct api_flavor_list), 2, flavor_list_fields, NULL};

static const struct api_types_field keypair_create_fields[] = {
    {"name", offsetof(struct api_keypair_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_keypair_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_keypair_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"public_key", offsetof(struct api_keypair_create, public_key), API_KIND_TEXT, .min = 32, .max = 8191},
};
const struct api_types_object api_types_keypair_create = {
    "KeypairCreate", sizeof(struct api_keypair_create), 4, keypair_create_fields, &api_types_keypair};

static const struct api_types_field keypair_patch_fields[] = {
    {"name", offsetof(struct api_keypair_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_keypair_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_keypair_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
};
const struct api_types_object api_types_keypair_patch = {
    "KeypairPatch", sizeof(struct api_keypair_patch), 3, keypair_patch_fields, &api_types_keypair};

static const struct api_types_field keypair_list_fields[] = {
    {"items", offsetof(struct api_keypair_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_keypair},
    {"next_cursor", offsetof(struct api_keypair_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_keypair_list = {
    "KeypairList", sizeof(struct api_keypair_list), 2, keypair_list_fields, NULL};

static const struct api_types_field vm_create_fields[] = {
    {"name", offsetof(struct api_vm_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_vm_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_vm_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"flavor", offsetof(struct api_vm_create, flavor), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"image", offsetof(struct api_vm_create, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"boot_volume", offsetof(struct api_vm_create, boot_volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"disk_gib", offsetof(struct api_vm_create, disk_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"pool", offsetof(struct api_vm_create, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"keypair", offsetof(struct api_vm_create, keypair), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"user_data", offsetof(struct api_vm_create, user_data), API_KIND_TEXT, .format = API_FORMAT_BASE64, .flags = API_FIELD_WRITE_ONLY, .min = 0, .max = 87384},
    {"hostname", offsetof(struct api_vm_create, hostname), API_KIND_TEXT, .format = API_FORMAT_HOSTNAME, .min = 0, .max = 63},
    {"nics", offsetof(struct api_vm_create, nics), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &api_types_vm_nic},
    {"volumes", offsetof(struct api_vm_create, volumes), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 23, .object = &api_types_vm_volume},
    {"zone", offsetof(struct api_vm_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"host", offsetof(struct api_vm_create, host), API_KIND_TEXT, .format = API_FORMAT_NAME, .role = API_ROLE_OPERATOR, .min = 0, .max = 63},
    {"server_group", offsetof(struct api_vm_create, server_group), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"reservation", offsetof(struct api_vm_create, reservation), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"start", offsetof(struct api_vm_create, start), API_KIND_BOOL, .flags = API_FIELD_WRITE_ONLY, .fallback = "true"},
    {"autostart", offsetof(struct api_vm_create, autostart), API_KIND_BOOL, .fallback = "true"},
    {"delete_protection", offsetof(struct api_vm_create, delete_protection), API_KIND_BOOL, .fallback = "false"},
    {"on_host_failure", offsetof(struct api_vm_create, on_host_failure), API_KIND_ENUM, .words = &api_types_vm_on_host_failure, .fallback = "restart"},
    {"live_migration", offsetof(struct api_vm_create, live_migration), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_vm_create = {
    "VmCreate", sizeof(struct api_vm_create), 22, vm_create_fields, &api_types_vm};

static const struct api_types_field vm_patch_fields[] = {
    {"name", offsetof(struct api_vm_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_vm_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_vm_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"autostart", offsetof(struct api_vm_patch, autostart), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"delete_protection", offsetof(struct api_vm_patch, delete_protection), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"on_host_failure", offsetof(struct api_vm_patch, on_host_failure), API_KIND_ENUM, .flags = API_FIELD_NULLABLE, .words = &api_types_vm_on_host_failure},
    {"live_migration", offsetof(struct api_vm_patch, live_migration), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_vm_patch = {
    "VmPatch", sizeof(struct api_vm_patch), 7, vm_patch_fields, &api_types_vm};

static const struct api_types_field vm_list_fields[] = {
    {"items", offsetof(struct api_vm_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_vm},
    {"next_cursor", offsetof(struct api_vm_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_vm_list = {
    "VmList", sizeof(struct api_vm_list), 2, vm_list_fields, NULL};

static const struct api_types_field vm_create_query_fields[] = {
    {"dry_run", offsetof(struct api_vm_create_query, dry_run), API_KIND_BOOL, .fallback = "false"},
    {"explain", offsetof(struct api_vm_create_query, explain), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_create_query = {
    "VmCreateQuery", sizeof(struct api_vm_create_query), 2, vm_create_query_fields, NULL};

static const struct api_types_field vm_delete_query_fields[] = {
    {"purge", offsetof(struct api_vm_delete_query, purge), API_KIND_BOOL, .fallback = "false"},
    {"delete_volumes", offsetof(struct api_vm_delete_query, delete_volumes), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_delete_query = {
    "VmDeleteQuery", sizeof(struct api_vm_delete_query), 2, vm_delete_query_fields, NULL};

static const struct api_types_field vm_batch_create_query_fields[] = {
    {"dry_run", offsetof(struct api_vm_batch_create_query, dry_run), API_KIND_BOOL, .fallback = "false"},
    {"explain", offsetof(struct api_vm_batch_create_query, explain), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_batch_create_query = {
    "VmBatchCreateQuery", sizeof(struct api_vm_batch_create_query), 2, vm_batch_create_query_fields, NULL};

static const struct api_types_field vm_resize_query_fields[] = {
    {"dry_run", offsetof(struct api_vm_resize_query, dry_run), API_KIND_BOOL, .fallback = "false"},
    {"explain", offsetof(struct api_vm_resize_query, explain), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_resize_query = {
    "VmResizeQuery", sizeof(struct api_vm_resize_query), 2, vm_resize_query_fields, NULL};

static const struct api_types_field vm_unshelve_query_fields[] = {
    {"dry_run", offsetof(struct api_vm_unshelve_query, dry_run), API_KIND_BOOL, .fallback = "false"},
    {"explain", offsetof(struct api_vm_unshelve_query, explain), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_unshelve_query = {
    "VmUnshelveQuery", sizeof(struct api_vm_unshelve_query), 2, vm_unshelve_query_fields, NULL};

static const struct api_types_field vm_migrate_query_fields[] = {
    {"dry_run", offsetof(struct api_vm_migrate_query, dry_run), API_KIND_BOOL, .fallback = "false"},
    {"explain", offsetof(struct api_vm_migrate_query, explain), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_vm_migrate_query = {
    "VmMigrateQuery", sizeof(struct api_vm_migrate_query), 2, vm_migrate_query_fields, NULL};

static const struct api_types_field vm_console_query_fields[] = {
    {"kind", offsetof(struct api_vm_console_query, kind), API_KIND_ENUM, .words = &api_types_vm_console_query_kind, .fallback = "serial"},
    {"ticket", offsetof(struct api_vm_console_query, ticket), API_KIND_TEXT, .min = 0, .max = 127},
};
const struct api_types_object api_types_vm_console_query = {
    "VmConsoleQuery", sizeof(struct api_vm_console_query), 2, vm_console_query_fields, NULL};

static const struct api_types_field vm_console_log_query_fields[] = {
    {"max_kib", offsetof(struct api_vm_console_log_query, max_kib), API_KIND_INT, .min = 1, .max = 1024, .fallback = "64"},
};
const struct api_types_object api_types_vm_console_log_query = {
    "VmConsoleLogQuery", sizeof(struct api_vm_console_log_query), 1, vm_console_log_query_fields, NULL};

