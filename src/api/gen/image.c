/* Made by tools/apigen from api/image.yaml; do not edit. Tables of fields. */
#include "api/gen/image.h"


static const struct api_types_field image_fields[] = {
    {"id", offsetof(struct api_image, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_image, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_image, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_image, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_image, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"source", offsetof(struct api_image, source), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_image_source},
    {"visibility", offsetof(struct api_image, visibility), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_image_visibility, .fallback = "project"},
    {"os", offsetof(struct api_image, os), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_image_os, .fallback = "linux"},
    {"min_disk_gib", offsetof(struct api_image, min_disk_gib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 65536, .fallback = "0"},
    {"min_memory_mib", offsetof(struct api_image, min_memory_mib), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 4194304, .fallback = "0"},
    {"delete_protection", offsetof(struct api_image, delete_protection), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"deprecated", offsetof(struct api_image, deprecated), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "false"},
    {"status", offsetof(struct api_image, status), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_image_status},
    {"generation", offsetof(struct api_image, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_image, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_image, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_image = {
    "Image", sizeof(struct api_image), 16, image_fields, NULL};

static const struct api_types_field image_source_fields[] = {
    {"kind", offsetof(struct api_image_source, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_image_source_kind},
    {"format", offsetof(struct api_image_source, format), API_KIND_ENUM, .words = &api_types_image_format, .fallback = "auto"},
    {"url", offsetof(struct api_image_source, url), API_KIND_TEXT, .format = API_FORMAT_URL, .min = 0, .max = 2048},
    {"file", offsetof(struct api_image_source, file), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"sha256", offsetof(struct api_image_source, sha256), API_KIND_TEXT, .format = API_FORMAT_SHA256, .min = 0, .max = 64},
    {"size_bytes", offsetof(struct api_image_source, size_bytes), API_KIND_INT, .min = 1, .max = 72057594037927936},
    {"resource", offsetof(struct api_image_source, resource), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"debian", offsetof(struct api_image_source, debian), API_KIND_OBJECT, .object = &api_types_image_debian},
};
const struct api_types_object api_types_image_source = {
    "ImageSource", sizeof(struct api_image_source), 8, image_source_fields, NULL};

static const struct api_types_field image_debian_fields[] = {
    {"suite", offsetof(struct api_image_debian, suite), API_KIND_ENUM, .words = &api_types_image_debian_suite, .fallback = "bookworm"},
    {"size_gib", offsetof(struct api_image_debian, size_gib), API_KIND_INT, .min = 1, .max = 1024, .fallback = "2"},
    {"packages", offsetof(struct api_image_debian, packages), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_VERSION, .min_items = 0, .max_items = 200, .min = 0, .max = 63},
    {"cloud_init", offsetof(struct api_image_debian, cloud_init), API_KIND_BOOL, .fallback = "true"},
};
const struct api_types_object api_types_image_debian = {
    "ImageDebian", sizeof(struct api_image_debian), 4, image_debian_fields, NULL};

static const struct api_types_field image_status_fields[] = {
    {"state", offsetof(struct api_image_status, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_image_status_state},
    {"reason", offsetof(struct api_image_status, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"format", offsetof(struct api_image_status, format), API_KIND_ENUM, .words = &api_types_image_format},
    {"size_bytes", offsetof(struct api_image_status, size_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"virtual_size_bytes", offsetof(struct api_image_status, virtual_size_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"received_bytes", offsetof(struct api_image_status, received_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"sha256", offsetof(struct api_image_status, sha256), API_KIND_TEXT, .format = API_FORMAT_SHA256, .min = 0, .max = 64},
    {"operation", offsetof(struct api_image_status, operation), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"users", offsetof(struct api_image_status, users), API_KIND_INT, .min = 0, .max = 1000000000},
};
const struct api_types_object api_types_image_status = {
    "ImageStatus", sizeof(struct api_image_status), 9, image_status_fields, NULL};

static const struct api_types_field image_create_fields[] = {
    {"name", offsetof(struct api_image_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_image_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_image_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"source", offsetof(struct api_image_create, source), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_image_source},
    {"visibility", offsetof(struct api_image_create, visibility), API_KIND_ENUM, .words = &api_types_image_visibility, .fallback = "project"},
    {"os", offsetof(struct api_image_create, os), API_KIND_ENUM, .words = &api_types_image_os, .fallback = "linux"},
    {"min_disk_gib", offsetof(struct api_image_create, min_disk_gib), API_KIND_INT, .min = 0, .max = 65536, .fallback = "0"},
    {"min_memory_mib", offsetof(struct api_image_create, min_memory_mib), API_KIND_INT, .min = 0, .max = 4194304, .fallback = "0"},
    {"delete_protection", offsetof(struct api_image_create, delete_protection), API_KIND_BOOL, .fallback = "false"},
    {"deprecated", offsetof(struct api_image_create, deprecated), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object api_types_image_create = {
    "ImageCreate", sizeof(struct api_image_create), 10, image_create_fields, &api_types_image};

static const struct api_types_field image_patch_fields[] = {
    {"name", offsetof(struct api_image_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_image_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_image_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"visibility", offsetof(struct api_image_patch, visibility), API_KIND_ENUM, .flags = API_FIELD_NULLABLE, .words = &api_types_image_visibility},
    {"os", offsetof(struct api_image_patch, os), API_KIND_ENUM, .flags = API_FIELD_NULLABLE, .words = &api_types_image_os},
    {"min_disk_gib", offsetof(struct api_image_patch, min_disk_gib), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 65536},
    {"min_memory_mib", offsetof(struct api_image_patch, min_memory_mib), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 4194304},
    {"delete_protection", offsetof(struct api_image_patch, delete_protection), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"deprecated", offsetof(struct api_image_patch, deprecated), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
};
const struct api_types_object api_types_image_patch = {
    "ImagePatch", sizeof(struct api_image_patch), 9, image_patch_fields, &api_types_image};

static const struct api_types_field image_list_fields[] = {
    {"items", offsetof(struct api_image_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_image},
    {"next_cursor", offsetof(struct api_image_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_image_list = {
    "ImageList", sizeof(struct api_image_list), 2, image_list_fields, NULL};

static const struct api_types_field image_upload_query_fields[] = {
    {"offset_bytes", offsetof(struct api_image_upload_query, offset_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936, .fallback = "0"},
};
const struct api_types_object api_types_image_upload_query = {
    "ImageUploadQuery", sizeof(struct api_image_upload_query), 1, image_upload_query_fields, NULL};

