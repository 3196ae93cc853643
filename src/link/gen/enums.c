/* Made by tools/apigen from the files of link/; do not edit. The words of every enum. */
#include "link/gen/enums.h"

static const char *const command_kind_names[] = {
    "vm_reset", "vm_power_button", "vm_console_open", "vm_console_log"};
const struct api_types_enum link_types_command_kind = {"CommandKind", command_kind_names, 4};

static const char *const heartbeat_health_names[] = {
    "ok", "degraded"};
const struct api_types_enum link_types_heartbeat_health = {"HeartbeatHealth", heartbeat_health_names, 2};

static const char *const image_format_names[] = {
    "auto", "raw", "qcow2", "vmdk", "ova", "vhdx", "vdi"};
const struct api_types_enum link_types_image_format = {"ImageFormat", image_format_names, 7};

static const char *const image_origin_kind_names[] = {
    "path", "url", "debian", "content"};
const struct api_types_enum link_types_image_origin_kind = {"ImageOriginKind", image_origin_kind_names, 4};

static const char *const pool_state_state_names[] = {
    "online", "offline"};
const struct api_types_enum link_types_pool_state_state = {"PoolStateState", pool_state_state_names, 2};

static const char *const port_kind_names[] = {
    "user", "bridge"};
const struct api_types_enum link_types_port_kind = {"PortKind", port_kind_names, 2};

static const char *const port_seen_state_names[] = {
    "absent", "plugged", "failed"};
const struct api_types_enum link_types_port_seen_state = {"PortSeenState", port_seen_state_names, 3};

static const char *const refuse_code_names[] = {
    "protocol", "unknown_host", "fenced", "replaced", "elsewhere", "busy"};
const struct api_types_enum link_types_refuse_code = {"RefuseCode", refuse_code_names, 6};

static const char *const seed_file_name_names[] = {
    "meta-data", "user-data", "vendor-data", "network-config"};
const struct api_types_enum link_types_seed_file_name = {"SeedFileName", seed_file_name_names, 4};

static const char *const type_names[] = {
    "hello", "inventory", "heartbeat", "seen", "usage", "result", "bye", "welcome", "refuse",
    "desired", "gone", "usage_ack", "command", "stream_end", "renew", "certificate"};
const struct api_types_enum link_types_type = {"Type", type_names, 16};

static const char *const usage_item_kind_names[] = {
    "vm", "volume", "port"};
const struct api_types_enum link_types_usage_item_kind = {"UsageItemKind", usage_item_kind_names, 3};

static const char *const usage_item_meter_names[] = {
    "egress_bytes", "ingress_bytes", "read_bytes", "written_bytes"};
const struct api_types_enum link_types_usage_item_meter = {"UsageItemMeter", usage_item_meter_names, 4};

static const char *const vm_seen_state_names[] = {
    "absent", "preparing", "starting", "running", "paused", "stopping", "stopped", "failed"};
const struct api_types_enum link_types_vm_seen_state = {"VmSeenState", vm_seen_state_names, 8};

static const char *const vm_want_power_names[] = {
    "absent", "stopped", "running", "paused"};
const struct api_types_enum link_types_vm_want_power = {"VmWantPower", vm_want_power_names, 4};

static const char *const volume_kind_names[] = {
    "volume", "snapshot", "image"};
const struct api_types_enum link_types_volume_kind = {"VolumeKind", volume_kind_names, 3};

static const char *const volume_seen_state_names[] = {
    "absent", "working", "ready", "failed"};
const struct api_types_enum link_types_volume_seen_state = {"VolumeSeenState", volume_seen_state_names, 4};

