/* Made by tools/apigen from the files of link/; do not edit. Every enum. */
#ifndef LINK_GEN_ENUMS_H
#define LINK_GEN_ENUMS_H

#include "api/api_types.h"

enum link_command_kind {
    LINK_COMMAND_KIND_VM_RESET,
    LINK_COMMAND_KIND_VM_POWER_BUTTON,
    LINK_COMMAND_KIND_VM_CONSOLE_OPEN,
    LINK_COMMAND_KIND_VM_CONSOLE_LOG,
    LINK_COMMAND_KIND_N
};
extern const struct api_types_enum link_types_command_kind;

enum link_heartbeat_health {
    LINK_HEARTBEAT_HEALTH_OK,
    LINK_HEARTBEAT_HEALTH_DEGRADED,
    LINK_HEARTBEAT_HEALTH_N
};
extern const struct api_types_enum link_types_heartbeat_health;

enum link_image_format {
    LINK_IMAGE_FORMAT_AUTO,
    LINK_IMAGE_FORMAT_RAW,
    LINK_IMAGE_FORMAT_QCOW2,
    LINK_IMAGE_FORMAT_VMDK,
    LINK_IMAGE_FORMAT_OVA,
    LINK_IMAGE_FORMAT_VHDX,
    LINK_IMAGE_FORMAT_VDI,
    LINK_IMAGE_FORMAT_N
};
extern const struct api_types_enum link_types_image_format;

enum link_image_origin_kind {
    LINK_IMAGE_ORIGIN_KIND_PATH,
    LINK_IMAGE_ORIGIN_KIND_URL,
    LINK_IMAGE_ORIGIN_KIND_DEBIAN,
    LINK_IMAGE_ORIGIN_KIND_CONTENT,
    LINK_IMAGE_ORIGIN_KIND_N
};
extern const struct api_types_enum link_types_image_origin_kind;

enum link_pool_state_state {
    LINK_POOL_STATE_STATE_ONLINE,
    LINK_POOL_STATE_STATE_OFFLINE,
    LINK_POOL_STATE_STATE_N
};
extern const struct api_types_enum link_types_pool_state_state;

enum link_port_kind {
    LINK_PORT_KIND_USER,
    LINK_PORT_KIND_BRIDGE,
    LINK_PORT_KIND_N
};
extern const struct api_types_enum link_types_port_kind;

enum link_port_seen_state {
    LINK_PORT_SEEN_STATE_ABSENT,
    LINK_PORT_SEEN_STATE_PLUGGED,
    LINK_PORT_SEEN_STATE_FAILED,
    LINK_PORT_SEEN_STATE_N
};
extern const struct api_types_enum link_types_port_seen_state;

enum link_refuse_code {
    LINK_REFUSE_CODE_PROTOCOL,
    LINK_REFUSE_CODE_UNKNOWN_HOST,
    LINK_REFUSE_CODE_FENCED,
    LINK_REFUSE_CODE_REPLACED,
    LINK_REFUSE_CODE_ELSEWHERE,
    LINK_REFUSE_CODE_BUSY,
    LINK_REFUSE_CODE_N
};
extern const struct api_types_enum link_types_refuse_code;

enum link_seed_file_name {
    LINK_SEED_FILE_NAME_META_DATA,
    LINK_SEED_FILE_NAME_USER_DATA,
    LINK_SEED_FILE_NAME_VENDOR_DATA,
    LINK_SEED_FILE_NAME_NETWORK_CONFIG,
    LINK_SEED_FILE_NAME_N
};
extern const struct api_types_enum link_types_seed_file_name;

enum link_type {
    LINK_TYPE_HELLO,
    LINK_TYPE_INVENTORY,
    LINK_TYPE_HEARTBEAT,
    LINK_TYPE_SEEN,
    LINK_TYPE_USAGE,
    LINK_TYPE_RESULT,
    LINK_TYPE_BYE,
    LINK_TYPE_WELCOME,
    LINK_TYPE_REFUSE,
    LINK_TYPE_DESIRED,
    LINK_TYPE_GONE,
    LINK_TYPE_USAGE_ACK,
    LINK_TYPE_COMMAND,
    LINK_TYPE_STREAM_END,
    LINK_TYPE_RENEW,
    LINK_TYPE_CERTIFICATE,
    LINK_TYPE_N
};
extern const struct api_types_enum link_types_type;

enum link_usage_item_kind {
    LINK_USAGE_ITEM_KIND_VM,
    LINK_USAGE_ITEM_KIND_VOLUME,
    LINK_USAGE_ITEM_KIND_PORT,
    LINK_USAGE_ITEM_KIND_N
};
extern const struct api_types_enum link_types_usage_item_kind;

enum link_usage_item_meter {
    LINK_USAGE_ITEM_METER_EGRESS_BYTES,
    LINK_USAGE_ITEM_METER_INGRESS_BYTES,
    LINK_USAGE_ITEM_METER_READ_BYTES,
    LINK_USAGE_ITEM_METER_WRITTEN_BYTES,
    LINK_USAGE_ITEM_METER_N
};
extern const struct api_types_enum link_types_usage_item_meter;

enum link_vm_seen_state {
    LINK_VM_SEEN_STATE_ABSENT,
    LINK_VM_SEEN_STATE_PREPARING,
    LINK_VM_SEEN_STATE_STARTING,
    LINK_VM_SEEN_STATE_RUNNING,
    LINK_VM_SEEN_STATE_PAUSED,
    LINK_VM_SEEN_STATE_STOPPING,
    LINK_VM_SEEN_STATE_STOPPED,
    LINK_VM_SEEN_STATE_FAILED,
    LINK_VM_SEEN_STATE_N
};
extern const struct api_types_enum link_types_vm_seen_state;

enum link_vm_want_power {
    LINK_VM_WANT_POWER_ABSENT,
    LINK_VM_WANT_POWER_STOPPED,
    LINK_VM_WANT_POWER_RUNNING,
    LINK_VM_WANT_POWER_PAUSED,
    LINK_VM_WANT_POWER_N
};
extern const struct api_types_enum link_types_vm_want_power;

enum link_volume_kind {
    LINK_VOLUME_KIND_VOLUME,
    LINK_VOLUME_KIND_SNAPSHOT,
    LINK_VOLUME_KIND_IMAGE,
    LINK_VOLUME_KIND_N
};
extern const struct api_types_enum link_types_volume_kind;

enum link_volume_seen_state {
    LINK_VOLUME_SEEN_STATE_ABSENT,
    LINK_VOLUME_SEEN_STATE_WORKING,
    LINK_VOLUME_SEEN_STATE_READY,
    LINK_VOLUME_SEEN_STATE_FAILED,
    LINK_VOLUME_SEEN_STATE_N
};
extern const struct api_types_enum link_types_volume_seen_state;

#endif
