/* Made by tools/apigen from api/storage.yaml; do not edit. Tables of fields. */
#include "api/gen/storage.h"


static const struct api_types_field pool_fields[] = {
    {"id", offsetof(struct api_pool, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_pool, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_pool, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_pool, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"kind", offsetof(struct api_pool, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_pool_kind},
    {"zone", offsetof(struct api_pool, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"location", offsetof(struct api_pool, location), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 255},
    {"overcommit_ratio", offsetof(struct api_pool, overcommit_ratio), API_KIND_NUMBER, .flags = API_FIELD_REQUIRED, .number_min = 1.0, .number_max = 100.0, .fallback = "1"},
    {"encryption", offsetof(struct api_pool, encryption), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_pool_encryption, .fallback = "available"},
    {"enabled", offsetof(struct api_pool, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"status", offsetof(struct api_pool, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_pool_status},
    {"generation", offsetof(struct api_pool, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_pool, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_pool, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_pool = {
    "Pool", sizeof(struct api_pool), 14, pool_fields, NULL};

static const struct api_types_field pool_status_fields[] = {
    {"state", offsetof(struct api_pool_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_pool_status_state},
    {"reason", offsetof(struct api_pool_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"size_gib", offsetof(struct api_pool_status, size_gib), API_KIND_INT, .min = 0, .max = 1000000000},
    {"used_gib", offsetof(struct api_pool_status, used_gib), API_KIND_INT, .min = 0, .max = 1000000000},
    {"promised_gib", offsetof(struct api_pool_status, promised_gib), API_KIND_INT, .min = 0, .max = 1000000000},
};
const struct api_types_object api_types_pool_status = {
    "PoolStatus", sizeof(struct api_pool_status), 5, pool_status_fields, NULL};

static const struct api_types_field qos_fields[] = {
    {"read_iops", offsetof(struct api_qos, read_iops), API_KIND_INT, .min = 1, .max = 100000000},
    {"write_iops", offsetof(struct api_qos, write_iops), API_KIND_INT, .min = 1, .max = 100000000},
    {"read_mib_per_s", offsetof(struct api_qos, read_mib_per_s), API_KIND_INT, .min = 1, .max = 1000000},
    {"write_mib_per_s", offsetof(struct api_qos, write_mib_per_s), API_KIND_INT, .min = 1, .max = 1000000},
    {"burst_s", offsetof(struct api_qos, burst_s), API_KIND_INT, .min = 0, .max = 3600, .fallback = "1"},
};
const struct api_types_object api_types_qos = {
    "Qos", sizeof(struct api_qos), 5, qos_fields, NULL};

static const struct api_types_field volume_fields[] = {
    {"id", offsetof(struct api_volume, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_volume, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_volume, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_volume, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_volume, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"size_gib", offsetof(struct api_volume, size_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"pool", offsetof(struct api_volume, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"zone", offsetof(struct api_volume, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"image", offsetof(struct api_volume, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"snapshot", offsetof(struct api_volume, snapshot), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"source_volume", offsetof(struct api_volume, source_volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"encrypted", offsetof(struct api_volume, encrypted), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"qos", offsetof(struct api_volume, qos), API_KIND_OBJECT, .object = &api_types_qos},
    {"delete_protection", offsetof(struct api_volume, delete_protection), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"status", offsetof(struct api_volume, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_volume_status},
    {"generation", offsetof(struct api_volume, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_volume, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_volume, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_volume = {
    "Volume", sizeof(struct api_volume), 18, volume_fields, NULL};

static const struct api_types_field volume_status_fields[] = {
    {"state", offsetof(struct api_volume_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_volume_status_state},
    {"reason", offsetof(struct api_volume_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"operation", offsetof(struct api_volume_status, operation), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"host", offsetof(struct api_volume_status, host), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"vm", offsetof(struct api_volume_status, vm), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"device_id", offsetof(struct api_volume_status, device_id), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"used_bytes", offsetof(struct api_volume_status, used_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
};
const struct api_types_object api_types_volume_status = {
    "VolumeStatus", sizeof(struct api_volume_status), 7, volume_status_fields, NULL};

static const struct api_types_field volume_resize_fields[] = {
    {"size_gib", offsetof(struct api_volume_resize, size_gib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 65536},
};
const struct api_types_object api_types_volume_resize = {
    "VolumeResize", sizeof(struct api_volume_resize), 1, volume_resize_fields, NULL};

static const struct api_types_field volume_restore_fields[] = {
    {"snapshot", offsetof(struct api_volume_restore, snapshot), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
};
const struct api_types_object api_types_volume_restore = {
    "VolumeRestore", sizeof(struct api_volume_restore), 1, volume_restore_fields, NULL};

static const struct api_types_field snapshot_fields[] = {
    {"id", offsetof(struct api_snapshot, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_snapshot, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_snapshot, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_snapshot, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_snapshot, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"volume", offsetof(struct api_snapshot, volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"quiesce", offsetof(struct api_snapshot, quiesce), API_KIND_BOOL, .flags = API_FIELD_WRITE_ONLY, .fallback = "true"},
    {"delete_protection", offsetof(struct api_snapshot, delete_protection), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"status", offsetof(struct api_snapshot, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_snapshot_status},
    {"generation", offsetof(struct api_snapshot, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_snapshot, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_snapshot, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_snapshot = {
    "Snapshot", sizeof(struct api_snapshot), 12, snapshot_fields, NULL};

static const struct api_types_field snapshot_status_fields[] = {
    {"state", offsetof(struct api_snapshot_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_snapshot_status_state},
    {"reason", offsetof(struct api_snapshot_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"operation", offsetof(struct api_snapshot_status, operation), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"size_gib", offsetof(struct api_snapshot_status, size_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"used_bytes", offsetof(struct api_snapshot_status, used_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"consistent", offsetof(struct api_snapshot_status, consistent), API_KIND_BOOL},
};
const struct api_types_object api_types_snapshot_status = {
    "SnapshotStatus", sizeof(struct api_snapshot_status), 6, snapshot_status_fields, NULL};

static const struct api_types_field pool_create_fields[] = {
    {"name", offsetof(struct api_pool_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_pool_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_pool_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"kind", offsetof(struct api_pool_create, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_pool_kind},
    {"zone", offsetof(struct api_pool_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"location", offsetof(struct api_pool_create, location), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 255},
    {"overcommit_ratio", offsetof(struct api_pool_create, overcommit_ratio), API_KIND_NUMBER, .number_min = 1.0, .number_max = 100.0, .fallback = "1"},
    {"encryption", offsetof(struct api_pool_create, encryption), API_KIND_ENUM, .words = &api_types_pool_encryption, .fallback = "available"},
    {"enabled", offsetof(struct api_pool_create, enabled), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_pool_create = {
    "PoolCreate", sizeof(struct api_pool_create), 9, pool_create_fields, &api_types_pool};

static const struct api_types_field pool_patch_fields[] = {
    {"name", offsetof(struct api_pool_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_pool_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_pool_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"overcommit_ratio", offsetof(struct api_pool_patch, overcommit_ratio), API_KIND_NUMBER, .flags = API_FIELD_NULLABLE, .number_min = 1.0, .number_max = 100.0},
    {"encryption", offsetof(struct api_pool_patch, encryption), API_KIND_ENUM, .flags = API_FIELD_NULLABLE, .words = &api_types_pool_encryption},
    {"enabled", offsetof(struct api_pool_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_pool_patch = {
    "PoolPatch", sizeof(struct api_pool_patch), 6, pool_patch_fields, &api_types_pool};

static const struct api_types_field pool_list_fields[] = {
    {"items", offsetof(struct api_pool_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_pool},
    {"next_cursor", offsetof(struct api_pool_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_pool_list = {
    "PoolList", sizeof(struct api_pool_list), 2, pool_list_fields, NULL};

static const struct api_types_field volume_create_fields[] = {
    {"name", offsetof(struct api_volume_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_volume_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_volume_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"size_gib", offsetof(struct api_volume_create, size_gib), API_KIND_INT, .min = 1, .max = 65536},
    {"pool", offsetof(struct api_volume_create, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"zone", offsetof(struct api_volume_create, zone), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"image", offsetof(struct api_volume_create, image), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"snapshot", offsetof(struct api_volume_create, snapshot), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"source_volume", offsetof(struct api_volume_create, source_volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"encrypted", offsetof(struct api_volume_create, encrypted), API_KIND_BOOL, .fallback = "false"},
    {"qos", offsetof(struct api_volume_create, qos), API_KIND_OBJECT, .object = &api_types_qos},
    {"delete_protection", offsetof(struct api_volume_create, delete_protection), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_volume_create = {
    "VolumeCreate", sizeof(struct api_volume_create), 12, volume_create_fields, &api_types_volume};

static const struct api_types_field qos_patch_fields[] = {
    {"read_iops", offsetof(struct api_qos_patch, read_iops), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 100000000},
    {"write_iops", offsetof(struct api_qos_patch, write_iops), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 100000000},
    {"read_mib_per_s", offsetof(struct api_qos_patch, read_mib_per_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 1000000},
    {"write_mib_per_s", offsetof(struct api_qos_patch, write_mib_per_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 1000000},
    {"burst_s", offsetof(struct api_qos_patch, burst_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 3600},
};
const struct api_types_object api_types_qos_patch = {
    "QosPatch", sizeof(struct api_qos_patch), 5, qos_patch_fields, &api_types_qos};

static const struct api_types_field volume_patch_fields[] = {
    {"name", offsetof(struct api_volume_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_volume_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_volume_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"qos", offsetof(struct api_volume_patch, qos), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_qos_patch},
    {"delete_protection", offsetof(struct api_volume_patch, delete_protection), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_volume_patch = {
    "VolumePatch", sizeof(struct api_volume_patch), 5, volume_patch_fields, &api_types_volume};

static const struct api_types_field volume_list_fields[] = {
    {"items", offsetof(struct api_volume_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_volume},
    {"next_cursor", offsetof(struct api_volume_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_volume_list = {
    "VolumeList", sizeof(struct api_volume_list), 2, volume_list_fields, NULL};

static const struct api_types_field snapshot_create_fields[] = {
    {"name", offsetof(struct api_snapshot_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_snapshot_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_snapshot_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"volume", offsetof(struct api_snapshot_create, volume), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"quiesce", offsetof(struct api_snapshot_create, quiesce), API_KIND_BOOL, .flags = API_FIELD_WRITE_ONLY, .fallback = "true"},
    {"delete_protection", offsetof(struct api_snapshot_create, delete_protection), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_snapshot_create = {
    "SnapshotCreate", sizeof(struct api_snapshot_create), 6, snapshot_create_fields, &api_types_snapshot};

static const struct api_types_field snapshot_patch_fields[] = {
    {"name", offsetof(struct api_snapshot_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_snapshot_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_snapshot_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"delete_protection", offsetof(struct api_snapshot_patch, delete_protection), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_snapshot_patch = {
    "SnapshotPatch", sizeof(struct api_snapshot_patch), 4, snapshot_patch_fields, &api_types_snapshot};

static const struct api_types_field snapshot_list_fields[] = {
    {"items", offsetof(struct api_snapshot_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_snapshot},
    {"next_cursor", offsetof(struct api_snapshot_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_snapshot_list = {
    "SnapshotList", sizeof(struct api_snapshot_list), 2, snapshot_list_fields, NULL};

