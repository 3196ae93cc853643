/* Made by tools/apigen from link/types.yaml; do not edit. Tables of fields. */
#include "link/gen/types.h"


static const struct api_types_field disk_fields[] = {
    {"volume", offsetof(struct link_disk, volume), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"pool", offsetof(struct link_disk, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"size_bytes", offsetof(struct link_disk, size_bytes), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 512, .max = 72057594037927936},
    {"source_kind", offsetof(struct link_disk, source_kind), API_KIND_ENUM, .words = &link_types_volume_kind},
    {"source", offsetof(struct link_disk, source), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"readonly", offsetof(struct link_disk, readonly), API_KIND_BOOL, .fallback = "false"},
    {"keep", offsetof(struct link_disk, keep), API_KIND_BOOL, .fallback = "false"},
    {"existing", offsetof(struct link_disk, existing), API_KIND_BOOL, .fallback = "false"},
};
const struct api_types_object link_types_disk = {
    "Disk", sizeof(struct link_disk), 8, disk_fields, NULL};

static const struct api_types_field forward_fields[] = {
    {"udp", offsetof(struct link_forward, udp), API_KIND_BOOL, .fallback = "false"},
    {"host_port", offsetof(struct link_forward, host_port), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 65535},
    {"guest_port", offsetof(struct link_forward, guest_port), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 65535},
};
const struct api_types_object link_types_forward = {
    "Forward", sizeof(struct link_forward), 3, forward_fields, NULL};

static const struct api_types_field port_fields[] = {
    {"id", offsetof(struct link_port, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"kind", offsetof(struct link_port, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_port_kind},
    {"mac", offsetof(struct link_port, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .flags = API_FIELD_REQUIRED, .min = 0, .max = 17},
    {"mtu_bytes", offsetof(struct link_port, mtu_bytes), API_KIND_INT, .min = 576, .max = 9216},
    {"queues", offsetof(struct link_port, queues), API_KIND_INT, .min = 1, .max = 16, .fallback = "1"},
    {"bridge", offsetof(struct link_port, bridge), API_KIND_TEXT, .min = 1, .max = 15},
    {"forwards", offsetof(struct link_port, forwards), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &link_types_forward},
};
const struct api_types_object link_types_port = {
    "Port", sizeof(struct link_port), 7, port_fields, NULL};

static const struct api_types_field seed_file_fields[] = {
    {"name", offsetof(struct link_seed_file, name), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_seed_file_name},
    {"text", offsetof(struct link_seed_file, text), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 131072},
};
const struct api_types_object link_types_seed_file = {
    "SeedFile", sizeof(struct link_seed_file), 2, seed_file_fields, NULL};

static const struct api_types_field vm_want_fields[] = {
    {"id", offsetof(struct link_vm_want, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"generation", offsetof(struct link_vm_want, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"epoch", offsetof(struct link_vm_want, epoch), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"power", offsetof(struct link_vm_want, power), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_vm_want_power},
    {"grace_ms", offsetof(struct link_vm_want, grace_ms), API_KIND_INT, .min = 0, .max = 3600000, .fallback = "60000"},
    {"devices", offsetof(struct link_vm_want, devices), API_KIND_BOOL, .fallback = "false"},
    {"config", offsetof(struct link_vm_want, config), API_KIND_ANY},
    {"disks", offsetof(struct link_vm_want, disks), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 24, .object = &link_types_disk},
    {"ports", offsetof(struct link_vm_want, ports), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 16, .object = &link_types_port},
    {"seed", offsetof(struct link_vm_want, seed), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 4, .object = &link_types_seed_file},
};
const struct api_types_object link_types_vm_want = {
    "VmWant", sizeof(struct link_vm_want), 10, vm_want_fields, NULL};

static const struct api_types_field image_origin_fields[] = {
    {"kind", offsetof(struct link_image_origin, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_image_origin_kind},
    {"path", offsetof(struct link_image_origin, path), API_KIND_TEXT, .min = 1, .max = 511},
    {"content", offsetof(struct link_image_origin, content), API_KIND_TEXT, .min = 1, .max = 255},
    {"url", offsetof(struct link_image_origin, url), API_KIND_TEXT, .format = API_FORMAT_URL, .min = 0, .max = 2048},
    {"recipe", offsetof(struct link_image_origin, recipe), API_KIND_ANY},
};
const struct api_types_object link_types_image_origin = {
    "ImageOrigin", sizeof(struct link_image_origin), 5, image_origin_fields, NULL};

static const struct api_types_field volume_want_fields[] = {
    {"id", offsetof(struct link_volume_want, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"kind", offsetof(struct link_volume_want, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_volume_kind},
    {"generation", offsetof(struct link_volume_want, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"present", offsetof(struct link_volume_want, present), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"existing", offsetof(struct link_volume_want, existing), API_KIND_BOOL, .fallback = "false"},
    {"pool", offsetof(struct link_volume_want, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"size_bytes", offsetof(struct link_volume_want, size_bytes), API_KIND_INT, .min = 512, .max = 72057594037927936},
    {"source_kind", offsetof(struct link_volume_want, source_kind), API_KIND_ENUM, .words = &link_types_volume_kind},
    {"source", offsetof(struct link_volume_want, source), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"origin", offsetof(struct link_volume_want, origin), API_KIND_OBJECT, .object = &link_types_image_origin},
    {"format", offsetof(struct link_volume_want, format), API_KIND_ENUM, .words = &link_types_image_format, .fallback = "auto"},
    {"sha256", offsetof(struct link_volume_want, sha256), API_KIND_TEXT, .format = API_FORMAT_SHA256, .min = 0, .max = 64},
};
const struct api_types_object link_types_volume_want = {
    "VolumeWant", sizeof(struct link_volume_want), 12, volume_want_fields, NULL};

static const struct api_types_field port_want_fields[] = {
    {"id", offsetof(struct link_port_want, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"generation", offsetof(struct link_port_want, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"present", offsetof(struct link_port_want, present), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
};
const struct api_types_object link_types_port_want = {
    "PortWant", sizeof(struct link_port_want), 3, port_want_fields, NULL};

static const struct api_types_field address_fields[] = {
    {"ip", offsetof(struct link_address, ip), API_KIND_TEXT, .format = API_FORMAT_IP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 39},
    {"mac", offsetof(struct link_address, mac), API_KIND_TEXT, .format = API_FORMAT_MAC, .min = 0, .max = 17},
    {"port", offsetof(struct link_address, port), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
};
const struct api_types_object link_types_address = {
    "Address", sizeof(struct link_address), 3, address_fields, NULL};

static const struct api_types_field device_problem_fields[] = {
    {"id", offsetof(struct link_device_problem, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"reason", offsetof(struct link_device_problem, reason), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 511},
};
const struct api_types_object link_types_device_problem = {
    "DeviceProblem", sizeof(struct link_device_problem), 2, device_problem_fields, NULL};

static const struct api_types_field vm_seen_fields[] = {
    {"id", offsetof(struct link_vm_seen, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"managed", offsetof(struct link_vm_seen, managed), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"generation", offsetof(struct link_vm_seen, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"epoch", offsetof(struct link_vm_seen, epoch), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"state", offsetof(struct link_vm_seen, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_vm_seen_state},
    {"exit_status", offsetof(struct link_vm_seen, exit_status), API_KIND_INT, .min = -1, .max = 255},
    {"reason", offsetof(struct link_vm_seen, reason), API_KIND_TEXT, .min = 0, .max = 511},
    {"addresses", offsetof(struct link_vm_seen, addresses), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 64, .object = &link_types_address},
    {"disks", offsetof(struct link_vm_seen, disks), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 24, .min = 0, .max = 36},
    {"ports", offsetof(struct link_vm_seen, ports), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 16, .min = 0, .max = 36},
    {"problems", offsetof(struct link_vm_seen, problems), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 8, .object = &link_types_device_problem},
};
const struct api_types_object link_types_vm_seen = {
    "VmSeen", sizeof(struct link_vm_seen), 11, vm_seen_fields, NULL};

static const struct api_types_field volume_seen_fields[] = {
    {"id", offsetof(struct link_volume_seen, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"kind", offsetof(struct link_volume_seen, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_volume_kind},
    {"managed", offsetof(struct link_volume_seen, managed), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"generation", offsetof(struct link_volume_seen, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"state", offsetof(struct link_volume_seen, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_volume_seen_state},
    {"pool", offsetof(struct link_volume_seen, pool), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"size_bytes", offsetof(struct link_volume_seen, size_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"used_bytes", offsetof(struct link_volume_seen, used_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"progress_percent", offsetof(struct link_volume_seen, progress_percent), API_KIND_INT, .min = 0, .max = 100},
    {"received_bytes", offsetof(struct link_volume_seen, received_bytes), API_KIND_INT, .min = 0, .max = 72057594037927936},
    {"format", offsetof(struct link_volume_seen, format), API_KIND_ENUM, .words = &link_types_image_format},
    {"sha256", offsetof(struct link_volume_seen, sha256), API_KIND_TEXT, .format = API_FORMAT_SHA256, .min = 0, .max = 64},
    {"reason", offsetof(struct link_volume_seen, reason), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object link_types_volume_seen = {
    "VolumeSeen", sizeof(struct link_volume_seen), 13, volume_seen_fields, NULL};

static const struct api_types_field port_seen_fields[] = {
    {"id", offsetof(struct link_port_seen, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"managed", offsetof(struct link_port_seen, managed), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"generation", offsetof(struct link_port_seen, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"state", offsetof(struct link_port_seen, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_port_seen_state},
    {"reason", offsetof(struct link_port_seen, reason), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object link_types_port_seen = {
    "PortSeen", sizeof(struct link_port_seen), 5, port_seen_fields, NULL};

static const struct api_types_field stream_end_fields[] = {
    {"type", offsetof(struct link_stream_end, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"stream", offsetof(struct link_stream_end, stream), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 2147483647},
    {"reason", offsetof(struct link_stream_end, reason), API_KIND_TEXT, .min = 0, .max = 511},
};
const struct api_types_object link_types_stream_end = {
    "StreamEnd", sizeof(struct link_stream_end), 3, stream_end_fields, NULL};

