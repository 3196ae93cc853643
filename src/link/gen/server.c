/* Made by tools/apigen from link/server.yaml; do not edit. Tables of fields. */
#include "link/gen/server.h"

#include "link/gen/types.h"

static const struct api_types_field welcome_fields[] = {
    {"type", offsetof(struct link_welcome, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"protocol", offsetof(struct link_welcome, protocol), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 1000},
    {"server", offsetof(struct link_welcome, server), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"heartbeat_ms", offsetof(struct link_welcome, heartbeat_ms), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 100, .max = 600000},
    {"usage_ms", offsetof(struct link_welcome, usage_ms), API_KIND_INT, .min = 100, .max = 86400000, .fallback = "60000"},
};
const struct api_types_object link_types_welcome = {
    "Welcome", sizeof(struct link_welcome), 5, welcome_fields, NULL};

static const struct api_types_field refuse_fields[] = {
    {"type", offsetof(struct link_refuse, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"code", offsetof(struct link_refuse, code), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_refuse_code},
    {"reason", offsetof(struct link_refuse, reason), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 511},
    {"address", offsetof(struct link_refuse, address), API_KIND_TEXT, .min = 0, .max = 255},
    {"retry_ms", offsetof(struct link_refuse, retry_ms), API_KIND_INT, .min = 0, .max = 3600000},
};
const struct api_types_object link_types_refuse = {
    "Refuse", sizeof(struct link_refuse), 5, refuse_fields, NULL};

static const struct api_types_field desired_fields[] = {
    {"type", offsetof(struct link_desired, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"seq", offsetof(struct link_desired, seq), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"full", offsetof(struct link_desired, full), API_KIND_BOOL, .fallback = "false"},
    {"more", offsetof(struct link_desired, more), API_KIND_BOOL, .fallback = "false"},
    {"vms", offsetof(struct link_desired, vms), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 256, .object = &link_types_vm_want},
    {"volumes", offsetof(struct link_desired, volumes), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &link_types_volume_want},
    {"ports", offsetof(struct link_desired, ports), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 1000, .object = &link_types_port_want},
};
const struct api_types_object link_types_desired = {
    "Desired", sizeof(struct link_desired), 7, desired_fields, NULL};

static const struct api_types_field gone_fields[] = {
    {"type", offsetof(struct link_gone, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"vms", offsetof(struct link_gone, vms), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 1000, .min = 0, .max = 36},
    {"volumes", offsetof(struct link_gone, volumes), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 1000, .min = 0, .max = 36},
    {"ports", offsetof(struct link_gone, ports), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_UUID, .min_items = 0, .max_items = 1000, .min = 0, .max = 36},
};
const struct api_types_object link_types_gone = {
    "Gone", sizeof(struct link_gone), 4, gone_fields, NULL};

static const struct api_types_field usage_ack_fields[] = {
    {"type", offsetof(struct link_usage_ack, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"source", offsetof(struct link_usage_ack, source), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"epoch", offsetof(struct link_usage_ack, epoch), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"number", offsetof(struct link_usage_ack, number), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
};
const struct api_types_object link_types_usage_ack = {
    "UsageAck", sizeof(struct link_usage_ack), 4, usage_ack_fields, NULL};

static const struct api_types_field command_fields[] = {
    {"type", offsetof(struct link_command, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"id", offsetof(struct link_command, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"kind", offsetof(struct link_command, kind), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_command_kind},
    {"vm", offsetof(struct link_command, vm), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"stream", offsetof(struct link_command, stream), API_KIND_INT, .min = 1, .max = 2147483647},
    {"max_bytes", offsetof(struct link_command, max_bytes), API_KIND_INT, .min = 1, .max = 1048576, .fallback = "65536"},
};
const struct api_types_object link_types_command = {
    "Command", sizeof(struct link_command), 6, command_fields, NULL};

static const struct api_types_field certificate_fields[] = {
    {"type", offsetof(struct link_certificate, type), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &link_types_type},
    {"certificate", offsetof(struct link_certificate, certificate), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 16383},
    {"ca", offsetof(struct link_certificate, ca), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 65535},
};
const struct api_types_object link_types_certificate = {
    "Certificate", sizeof(struct link_certificate), 3, certificate_fields, NULL};

