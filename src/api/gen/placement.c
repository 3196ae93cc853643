/* Made by tools/apigen from api/placement.yaml; do not edit. Tables of fields. */
#include "api/gen/placement.h"


static const struct api_types_field server_group_fields[] = {
    {"id", offsetof(struct api_server_group, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_server_group, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_server_group, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_server_group, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_server_group, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"policy", offsetof(struct api_server_group, policy), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_server_group_policy},
    {"by", offsetof(struct api_server_group, by), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_server_group_by, .fallback = "host"},
    {"strength", offsetof(struct api_server_group, strength), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_server_group_strength, .fallback = "hard"},
    {"max_per_host", offsetof(struct api_server_group, max_per_host), API_KIND_INT, .min = 1, .max = 1000},
    {"status", offsetof(struct api_server_group, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_server_group_status},
    {"generation", offsetof(struct api_server_group, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_server_group, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_server_group, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_server_group = {
    "ServerGroup", sizeof(struct api_server_group), 13, server_group_fields, NULL};

static const struct api_types_field server_group_status_fields[] = {
    {"members", offsetof(struct api_server_group_status, members), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 10000, .min = 0, .max = 36},
    {"violations", offsetof(struct api_server_group_status, violations), API_KIND_INT, .min = 0, .max = 10000},
};
const struct api_types_object api_types_server_group_status = {
    "ServerGroupStatus", sizeof(struct api_server_group_status), 2, server_group_status_fields, NULL};

static const struct api_types_field reservation_fields[] = {
    {"id", offsetof(struct api_reservation, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_reservation, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_reservation, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_reservation, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_reservation, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"flavor", offsetof(struct api_reservation, flavor), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"count", offsetof(struct api_reservation, count), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 10000},
    {"zone", offsetof(struct api_reservation, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"aggregate", offsetof(struct api_reservation, aggregate), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"starts_at", offsetof(struct api_reservation, starts_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"ends_at", offsetof(struct api_reservation, ends_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"status", offsetof(struct api_reservation, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_reservation_status},
    {"generation", offsetof(struct api_reservation, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_reservation, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_reservation, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_reservation = {
    "Reservation", sizeof(struct api_reservation), 15, reservation_fields, NULL};

static const struct api_types_field reservation_status_fields[] = {
    {"state", offsetof(struct api_reservation_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_reservation_status_state},
    {"reason", offsetof(struct api_reservation_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"held", offsetof(struct api_reservation_status, held), API_KIND_INT, .min = 0, .max = 10000},
    {"used", offsetof(struct api_reservation_status, used), API_KIND_INT, .min = 0, .max = 20000},
    {"hosts", offsetof(struct api_reservation_status, hosts), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &api_types_reservation_host},
};
const struct api_types_object api_types_reservation_status = {
    "ReservationStatus", sizeof(struct api_reservation_status), 5, reservation_status_fields, NULL};

static const struct api_types_field reservation_host_fields[] = {
    {"host", offsetof(struct api_reservation_host, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_reservation_host, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"places", offsetof(struct api_reservation_host, places), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 10000},
    {"used", offsetof(struct api_reservation_host, used), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 20000},
};
const struct api_types_object api_types_reservation_host = {
    "ReservationHost", sizeof(struct api_reservation_host), 4, reservation_host_fields, NULL};

static const struct api_types_field placement_filter_fields[] = {
    {"filter", offsetof(struct api_placement_filter, filter), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_placement_filter_filter},
    {"hosts", offsetof(struct api_placement_filter, hosts), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 1000000},
    {"detail", offsetof(struct api_placement_filter, detail), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object api_types_placement_filter = {
    "PlacementFilter", sizeof(struct api_placement_filter), 3, placement_filter_fields, NULL};

static const struct api_types_field placement_host_fields[] = {
    {"host", offsetof(struct api_placement_host, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_placement_host, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"score", offsetof(struct api_placement_host, score), API_KIND_NUMBER, .number_min = 0.0, .number_max = 1000000.0},
    {"turned_away_by", offsetof(struct api_placement_host, turned_away_by), API_KIND_TEXT, .min = 0, .max = 31},
    {"detail", offsetof(struct api_placement_host, detail), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object api_types_placement_host = {
    "PlacementHost", sizeof(struct api_placement_host), 5, placement_host_fields, NULL};

static const struct api_types_field placement_vm_fields[] = {
    {"vm", offsetof(struct api_placement_vm, vm), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"host", offsetof(struct api_placement_vm, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"host_name", offsetof(struct api_placement_vm, host_name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"alternates", offsetof(struct api_placement_vm, alternates), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 16, .min = 0, .max = 36},
    {"filters", offsetof(struct api_placement_vm, filters), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 32, .object = &api_types_placement_filter},
    {"hosts", offsetof(struct api_placement_vm, hosts), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &api_types_placement_host},
};
const struct api_types_object api_types_placement_vm = {
    "PlacementVm", sizeof(struct api_placement_vm), 6, placement_vm_fields, NULL};

static const struct api_types_field placement_fields[] = {
    {"placed", offsetof(struct api_placement, placed), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"hosts_considered", offsetof(struct api_placement, hosts_considered), API_KIND_INT, .min = 0, .max = 1000000},
    {"vms", offsetof(struct api_placement, vms), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 100, .object = &api_types_placement_vm},
};
const struct api_types_object api_types_placement = {
    "Placement", sizeof(struct api_placement), 3, placement_fields, NULL};

static const struct api_types_field server_group_create_fields[] = {
    {"name", offsetof(struct api_server_group_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_server_group_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_server_group_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"policy", offsetof(struct api_server_group_create, policy), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_server_group_policy},
    {"by", offsetof(struct api_server_group_create, by), API_KIND_ENUM, .words = &api_types_server_group_by, .fallback = "host"},
    {"strength", offsetof(struct api_server_group_create, strength), API_KIND_ENUM, .words = &api_types_server_group_strength, .fallback = "hard"},
    {"max_per_host", offsetof(struct api_server_group_create, max_per_host), API_KIND_INT, .min = 1, .max = 1000},
};
const struct api_types_object api_types_server_group_create = {
    "ServerGroupCreate", sizeof(struct api_server_group_create), 7, server_group_create_fields, &api_types_server_group};

static const struct api_types_field server_group_patch_fields[] = {
    {"name", offsetof(struct api_server_group_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_server_group_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_server_group_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
};
const struct api_types_object api_types_server_group_patch = {
    "ServerGroupPatch", sizeof(struct api_server_group_patch), 3, server_group_patch_fields, &api_types_server_group};

static const struct api_types_field server_group_list_fields[] = {
    {"items", offsetof(struct api_server_group_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_server_group},
    {"next_cursor", offsetof(struct api_server_group_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_server_group_list = {
    "ServerGroupList", sizeof(struct api_server_group_list), 2, server_group_list_fields, NULL};

static const struct api_types_field reservation_create_fields[] = {
    {"name", offsetof(struct api_reservation_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_reservation_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_reservation_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"flavor", offsetof(struct api_reservation_create, flavor), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"count", offsetof(struct api_reservation_create, count), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 10000},
    {"zone", offsetof(struct api_reservation_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"aggregate", offsetof(struct api_reservation_create, aggregate), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"starts_at", offsetof(struct api_reservation_create, starts_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"ends_at", offsetof(struct api_reservation_create, ends_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
};
const struct api_types_object api_types_reservation_create = {
    "ReservationCreate", sizeof(struct api_reservation_create), 9, reservation_create_fields, &api_types_reservation};

static const struct api_types_field reservation_patch_fields[] = {
    {"name", offsetof(struct api_reservation_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_reservation_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_reservation_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"count", offsetof(struct api_reservation_patch, count), API_KIND_INT, .min = 1, .max = 10000},
    {"ends_at", offsetof(struct api_reservation_patch, ends_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_NULLABLE, .min = 0, .max = 24},
};
const struct api_types_object api_types_reservation_patch = {
    "ReservationPatch", sizeof(struct api_reservation_patch), 5, reservation_patch_fields, &api_types_reservation};

static const struct api_types_field reservation_list_fields[] = {
    {"items", offsetof(struct api_reservation_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_reservation},
    {"next_cursor", offsetof(struct api_reservation_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_reservation_list = {
    "ReservationList", sizeof(struct api_reservation_list), 2, reservation_list_fields, NULL};

