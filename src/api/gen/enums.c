/* Made by tools/apigen from the files of api/; do not edit. The words of every enum. */
#include "api/gen/enums.h"

static const char *const audit_record_outcome_names[] = {
    "done", "refused", "failed"};
const struct api_types_enum api_types_audit_record_outcome = {"AuditRecordOutcome", audit_record_outcome_names, 3};

static const char *const event_specversion_names[] = {
    "1.0"};
const struct api_types_enum api_types_event_specversion = {"EventSpecversion", event_specversion_names, 1};

static const char *const flavor_cpu_policy_names[] = {
    "shared", "dedicated"};
const struct api_types_enum api_types_flavor_cpu_policy = {"FlavorCpuPolicy", flavor_cpu_policy_names, 2};

static const char *const floating_ip_status_state_names[] = {
    "free", "active", "error"};
const struct api_types_enum api_types_floating_ip_status_state = {"FloatingIpStatusState", floating_ip_status_state_names, 3};

static const char *const health_store_names[] = {
    "ok", "slow", "gone"};
const struct api_types_enum api_types_health_store = {"HealthStore", health_store_names, 3};

static const char *const host_mode_names[] = {
    "active", "cordoned", "draining", "maintenance"};
const struct api_types_enum api_types_host_mode = {"HostMode", host_mode_names, 4};

static const char *const host_status_state_names[] = {
    "joining", "up", "unreachable", "fenced"};
const struct api_types_enum api_types_host_status_state = {"HostStatusState", host_status_state_names, 4};

static const char *const image_debian_suite_names[] = {
    "bookworm", "trixie", "sid"};
const struct api_types_enum api_types_image_debian_suite = {"ImageDebianSuite", image_debian_suite_names, 3};

static const char *const image_format_names[] = {
    "auto", "raw", "qcow2", "vmdk", "ova", "vhdx", "vdi"};
const struct api_types_enum api_types_image_format = {"ImageFormat", image_format_names, 7};

static const char *const image_os_names[] = {
    "linux", "windows", "bsd", "other"};
const struct api_types_enum api_types_image_os = {"ImageOs", image_os_names, 4};

static const char *const image_source_kind_names[] = {
    "upload", "url", "file", "debian", "vm", "volume", "snapshot"};
const struct api_types_enum api_types_image_source_kind = {"ImageSourceKind", image_source_kind_names, 7};

static const char *const image_status_state_names[] = {
    "waiting", "importing", "ready", "error", "deleting"};
const struct api_types_enum api_types_image_status_state = {"ImageStatusState", image_status_state_names, 5};

static const char *const image_visibility_names[] = {
    "project", "public"};
const struct api_types_enum api_types_image_visibility = {"ImageVisibility", image_visibility_names, 2};

static const char *const network_kind_names[] = {
    "isolated", "nat", "bridge", "overlay"};
const struct api_types_enum api_types_network_kind = {"NetworkKind", network_kind_names, 4};

static const char *const network_status_state_names[] = {
    "creating", "active", "deleting", "error"};
const struct api_types_enum api_types_network_status_state = {"NetworkStatusState", network_status_state_names, 4};

static const char *const operation_state_names[] = {
    "waiting", "running", "done", "failed", "cancelled"};
const struct api_types_enum api_types_operation_state = {"OperationState", operation_state_names, 5};

static const char *const placement_filter_filter_names[] = {
    "state", "mode", "zone", "dedicated", "trait", "aggregate", "vcpus", "memory", "disk",
    "engine", "network", "storage", "affinity", "anti_affinity", "host", "reservation", "other"};
const struct api_types_enum api_types_placement_filter_filter = {"PlacementFilterFilter", placement_filter_filter_names, 17};

static const char *const pool_encryption_names[] = {
    "off", "available", "required"};
const struct api_types_enum api_types_pool_encryption = {"PoolEncryption", pool_encryption_names, 3};

static const char *const pool_kind_names[] = {
    "local", "ceph", "nbd"};
const struct api_types_enum api_types_pool_kind = {"PoolKind", pool_kind_names, 3};

static const char *const pool_status_state_names[] = {
    "online", "degraded", "offline"};
const struct api_types_enum api_types_pool_status_state = {"PoolStatusState", pool_status_state_names, 3};

static const char *const port_forward_protocol_names[] = {
    "tcp", "udp"};
const struct api_types_enum api_types_port_forward_protocol = {"PortForwardProtocol", port_forward_protocol_names, 2};

static const char *const port_status_state_names[] = {
    "down", "active", "error"};
const struct api_types_enum api_types_port_status_state = {"PortStatusState", port_status_state_names, 3};

static const char *const problem_code_names[] = {
    "request.malformed", "request.invalid", "request.too_large", "request.unsupported_media",
    "request.header_invalid", "query.invalid", "query.filter_invalid", "query.cursor_invalid",
    "auth.required", "auth.invalid", "auth.expired", "auth.failed", "auth.forbidden",
    "auth.scope", "project.required", "project.disabled", "resource.not_found",
    "route.not_found", "route.method_not_allowed", "resource.name_taken", "resource.in_use",
    "resource.wrong_state", "resource.protected", "resource.busy", "resource.generation",
    "resource.gone", "idempotency.in_flight", "idempotency.mismatch", "idempotency.secret",
    "quota.exceeded", "placement.no_host", "placement.conflict", "feature.no_driver",
    "reference.not_found", "image.checksum", "image.not_ready", "operation.not_cancellable",
    "events.too_old", "rate.limited", "server.busy", "server.store", "server.not_leader",
    "host.failed", "server.internal"};
const struct api_types_enum api_types_problem_code = {"ProblemCode", problem_code_names, 44};

static const char *const reservation_status_state_names[] = {
    "pending", "active", "partial", "ended"};
const struct api_types_enum api_types_reservation_status_state = {"ReservationStatusState", reservation_status_state_names, 4};

static const char *const role_name_names[] = {
    "reader", "member", "operator", "admin"};
const struct api_types_enum api_types_role_name = {"RoleName", role_name_names, 4};

static const char *const security_rule_direction_names[] = {
    "ingress", "egress"};
const struct api_types_enum api_types_security_rule_direction = {"SecurityRuleDirection", security_rule_direction_names, 2};

static const char *const security_rule_family_names[] = {
    "ipv4", "ipv6"};
const struct api_types_enum api_types_security_rule_family = {"SecurityRuleFamily", security_rule_family_names, 2};

static const char *const security_rule_protocol_names[] = {
    "any", "tcp", "udp", "icmp", "sctp"};
const struct api_types_enum api_types_security_rule_protocol = {"SecurityRuleProtocol", security_rule_protocol_names, 5};

static const char *const server_group_by_names[] = {
    "host", "rack"};
const struct api_types_enum api_types_server_group_by = {"ServerGroupBy", server_group_by_names, 2};

static const char *const server_group_policy_names[] = {
    "affinity", "anti_affinity"};
const struct api_types_enum api_types_server_group_policy = {"ServerGroupPolicy", server_group_policy_names, 2};

static const char *const server_group_strength_names[] = {
    "hard", "soft"};
const struct api_types_enum api_types_server_group_strength = {"ServerGroupStrength", server_group_strength_names, 2};

static const char *const settings_placement_policy_names[] = {
    "pack", "spread"};
const struct api_types_enum api_types_settings_placement_policy = {"SettingsPlacementPolicy", settings_placement_policy_names, 2};

static const char *const snapshot_status_state_names[] = {
    "creating", "available", "deleting", "error"};
const struct api_types_enum api_types_snapshot_status_state = {"SnapshotStatusState", snapshot_status_state_names, 4};

static const char *const token_scope_names[] = {
    "all:read", "all:write", "identity:read", "identity:write", "compute:read", "compute:write",
    "image:read", "image:write", "storage:read", "storage:write", "network:read",
    "network:write", "infra:read", "infra:write", "placement:read", "placement:write",
    "system:read", "system:write"};
const struct api_types_enum api_types_token_scope = {"TokenScope", token_scope_names, 18};

static const char *const usage_list_query_group_by_names[] = {
    "resource", "flavor", "meter"};
const struct api_types_enum api_types_usage_list_query_group_by = {"UsageListQueryGroupBy", usage_list_query_group_by_names, 3};

static const char *const usage_record_meter_names[] = {
    "vm_time", "vcpu_time", "memory_time", "volume_time", "snapshot_time", "image_time",
    "floating_ip_time", "egress", "reservation_time"};
const struct api_types_enum api_types_usage_record_meter = {"UsageRecordMeter", usage_record_meter_names, 9};

static const char *const usage_record_unit_names[] = {
    "s", "vcpu_s", "mib_s", "gib_s", "bytes"};
const struct api_types_enum api_types_usage_record_unit = {"UsageRecordUnit", usage_record_unit_names, 5};

static const char *const vm_address_source_names[] = {
    "assigned", "guest", "floating"};
const struct api_types_enum api_types_vm_address_source = {"VmAddressSource", vm_address_source_names, 3};

static const char *const vm_batch_create_mode_names[] = {
    "all_or_nothing", "best_effort"};
const struct api_types_enum api_types_vm_batch_create_mode = {"VmBatchCreateMode", vm_batch_create_mode_names, 2};

static const char *const vm_console_query_kind_names[] = {
    "serial", "graphics"};
const struct api_types_enum api_types_vm_console_query_kind = {"VmConsoleQueryKind", vm_console_query_kind_names, 2};

static const char *const vm_migrate_mode_names[] = {
    "auto", "live", "cold"};
const struct api_types_enum api_types_vm_migrate_mode = {"VmMigrateMode", vm_migrate_mode_names, 3};

static const char *const vm_on_host_failure_names[] = {
    "restart", "stay"};
const struct api_types_enum api_types_vm_on_host_failure = {"VmOnHostFailure", vm_on_host_failure_names, 2};

static const char *const vm_state_names[] = {
    "building", "starting", "running", "pausing", "paused", "resuming", "stopping", "stopped",
    "rebooting", "resizing", "rebuilding", "rescuing", "rescued", "unrescuing", "shelving",
    "shelved", "unshelving", "migrating", "imaging", "deleting", "deleted", "undeleting",
    "error", "lost"};
const struct api_types_enum api_types_vm_state = {"VmState", vm_state_names, 24};

static const char *const volume_status_state_names[] = {
    "creating", "available", "attached", "resizing", "restoring", "deleting", "error"};
const struct api_types_enum api_types_volume_status_state = {"VolumeStatusState", volume_status_state_names, 7};

