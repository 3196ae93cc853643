/* Made by tools/apigen from the files of api/; do not edit. Every enum. */
#ifndef API_GEN_ENUMS_H
#define API_GEN_ENUMS_H

#include "api/api_types.h"

enum api_audit_record_outcome {
    API_AUDIT_RECORD_OUTCOME_DONE,
    API_AUDIT_RECORD_OUTCOME_REFUSED,
    API_AUDIT_RECORD_OUTCOME_FAILED,
    API_AUDIT_RECORD_OUTCOME_N
};
extern const struct api_types_enum api_types_audit_record_outcome;

enum api_event_specversion {
    API_EVENT_SPECVERSION_1_0,
    API_EVENT_SPECVERSION_N
};
extern const struct api_types_enum api_types_event_specversion;

enum api_flavor_cpu_policy {
    API_FLAVOR_CPU_POLICY_SHARED,
    API_FLAVOR_CPU_POLICY_DEDICATED,
    API_FLAVOR_CPU_POLICY_N
};
extern const struct api_types_enum api_types_flavor_cpu_policy;

enum api_floating_ip_status_state {
    API_FLOATING_IP_STATUS_STATE_FREE,
    API_FLOATING_IP_STATUS_STATE_ACTIVE,
    API_FLOATING_IP_STATUS_STATE_ERROR,
    API_FLOATING_IP_STATUS_STATE_N
};
extern const struct api_types_enum api_types_floating_ip_status_state;

enum api_health_store {
    API_HEALTH_STORE_OK,
    API_HEALTH_STORE_SLOW,
    API_HEALTH_STORE_GONE,
    API_HEALTH_STORE_N
};
extern const struct api_types_enum api_types_health_store;

enum api_host_mode {
    API_HOST_MODE_ACTIVE,
    API_HOST_MODE_CORDONED,
    API_HOST_MODE_DRAINING,
    API_HOST_MODE_MAINTENANCE,
    API_HOST_MODE_N
};
extern const struct api_types_enum api_types_host_mode;

enum api_host_status_state {
    API_HOST_STATUS_STATE_JOINING,
    API_HOST_STATUS_STATE_UP,
    API_HOST_STATUS_STATE_UNREACHABLE,
    API_HOST_STATUS_STATE_FENCED,
    API_HOST_STATUS_STATE_N
};
extern const struct api_types_enum api_types_host_status_state;

enum api_image_debian_suite {
    API_IMAGE_DEBIAN_SUITE_BOOKWORM,
    API_IMAGE_DEBIAN_SUITE_TRIXIE,
    API_IMAGE_DEBIAN_SUITE_SID,
    API_IMAGE_DEBIAN_SUITE_N
};
extern const struct api_types_enum api_types_image_debian_suite;

enum api_image_format {
    API_IMAGE_FORMAT_AUTO,
    API_IMAGE_FORMAT_RAW,
    API_IMAGE_FORMAT_QCOW2,
    API_IMAGE_FORMAT_VMDK,
    API_IMAGE_FORMAT_OVA,
    API_IMAGE_FORMAT_VHDX,
    API_IMAGE_FORMAT_VDI,
    API_IMAGE_FORMAT_N
};
extern const struct api_types_enum api_types_image_format;

enum api_image_os {
    API_IMAGE_OS_LINUX,
    API_IMAGE_OS_WINDOWS,
    API_IMAGE_OS_BSD,
    API_IMAGE_OS_OTHER,
    API_IMAGE_OS_N
};
extern const struct api_types_enum api_types_image_os;

enum api_image_source_kind {
    API_IMAGE_SOURCE_KIND_UPLOAD,
    API_IMAGE_SOURCE_KIND_URL,
    API_IMAGE_SOURCE_KIND_FILE,
    API_IMAGE_SOURCE_KIND_DEBIAN,
    API_IMAGE_SOURCE_KIND_VM,
    API_IMAGE_SOURCE_KIND_VOLUME,
    API_IMAGE_SOURCE_KIND_SNAPSHOT,
    API_IMAGE_SOURCE_KIND_N
};
extern const struct api_types_enum api_types_image_source_kind;

enum api_image_status_state {
    API_IMAGE_STATUS_STATE_WAITING,
    API_IMAGE_STATUS_STATE_IMPORTING,
    API_IMAGE_STATUS_STATE_READY,
    API_IMAGE_STATUS_STATE_ERROR,
    API_IMAGE_STATUS_STATE_DELETING,
    API_IMAGE_STATUS_STATE_N
};
extern const struct api_types_enum api_types_image_status_state;

enum api_image_visibility {
    API_IMAGE_VISIBILITY_PROJECT,
    API_IMAGE_VISIBILITY_PUBLIC,
    API_IMAGE_VISIBILITY_N
};
extern const struct api_types_enum api_types_image_visibility;

enum api_network_kind {
    API_NETWORK_KIND_ISOLATED,
    API_NETWORK_KIND_NAT,
    API_NETWORK_KIND_BRIDGE,
    API_NETWORK_KIND_OVERLAY,
    API_NETWORK_KIND_N
};
extern const struct api_types_enum api_types_network_kind;

enum api_network_status_state {
    API_NETWORK_STATUS_STATE_CREATING,
    API_NETWORK_STATUS_STATE_ACTIVE,
    API_NETWORK_STATUS_STATE_DELETING,
    API_NETWORK_STATUS_STATE_ERROR,
    API_NETWORK_STATUS_STATE_N
};
extern const struct api_types_enum api_types_network_status_state;

enum api_operation_state {
    API_OPERATION_STATE_WAITING,
    API_OPERATION_STATE_RUNNING,
    API_OPERATION_STATE_DONE,
    API_OPERATION_STATE_FAILED,
    API_OPERATION_STATE_CANCELLED,
    API_OPERATION_STATE_N
};
extern const struct api_types_enum api_types_operation_state;

enum api_placement_filter_filter {
    API_PLACEMENT_FILTER_FILTER_STATE,
    API_PLACEMENT_FILTER_FILTER_MODE,
    API_PLACEMENT_FILTER_FILTER_ZONE,
    API_PLACEMENT_FILTER_FILTER_DEDICATED,
    API_PLACEMENT_FILTER_FILTER_TRAIT,
    API_PLACEMENT_FILTER_FILTER_AGGREGATE,
    API_PLACEMENT_FILTER_FILTER_VCPUS,
    API_PLACEMENT_FILTER_FILTER_MEMORY,
    API_PLACEMENT_FILTER_FILTER_DISK,
    API_PLACEMENT_FILTER_FILTER_ENGINE,
    API_PLACEMENT_FILTER_FILTER_NETWORK,
    API_PLACEMENT_FILTER_FILTER_STORAGE,
    API_PLACEMENT_FILTER_FILTER_AFFINITY,
    API_PLACEMENT_FILTER_FILTER_ANTI_AFFINITY,
    API_PLACEMENT_FILTER_FILTER_HOST,
    API_PLACEMENT_FILTER_FILTER_RESERVATION,
    API_PLACEMENT_FILTER_FILTER_OTHER,
    API_PLACEMENT_FILTER_FILTER_N
};
extern const struct api_types_enum api_types_placement_filter_filter;

enum api_pool_encryption {
    API_POOL_ENCRYPTION_OFF,
    API_POOL_ENCRYPTION_AVAILABLE,
    API_POOL_ENCRYPTION_REQUIRED,
    API_POOL_ENCRYPTION_N
};
extern const struct api_types_enum api_types_pool_encryption;

enum api_pool_kind {
    API_POOL_KIND_LOCAL,
    API_POOL_KIND_CEPH,
    API_POOL_KIND_NBD,
    API_POOL_KIND_N
};
extern const struct api_types_enum api_types_pool_kind;

enum api_pool_status_state {
    API_POOL_STATUS_STATE_ONLINE,
    API_POOL_STATUS_STATE_DEGRADED,
    API_POOL_STATUS_STATE_OFFLINE,
    API_POOL_STATUS_STATE_N
};
extern const struct api_types_enum api_types_pool_status_state;

enum api_port_forward_protocol {
    API_PORT_FORWARD_PROTOCOL_TCP,
    API_PORT_FORWARD_PROTOCOL_UDP,
    API_PORT_FORWARD_PROTOCOL_N
};
extern const struct api_types_enum api_types_port_forward_protocol;

enum api_port_status_state {
    API_PORT_STATUS_STATE_DOWN,
    API_PORT_STATUS_STATE_ACTIVE,
    API_PORT_STATUS_STATE_ERROR,
    API_PORT_STATUS_STATE_N
};
extern const struct api_types_enum api_types_port_status_state;

enum api_problem_code {
    API_PROBLEM_CODE_REQUEST_MALFORMED,
    API_PROBLEM_CODE_REQUEST_INVALID,
    API_PROBLEM_CODE_REQUEST_TOO_LARGE,
    API_PROBLEM_CODE_REQUEST_UNSUPPORTED_MEDIA,
    API_PROBLEM_CODE_REQUEST_HEADER_INVALID,
    API_PROBLEM_CODE_QUERY_INVALID,
    API_PROBLEM_CODE_QUERY_FILTER_INVALID,
    API_PROBLEM_CODE_QUERY_CURSOR_INVALID,
    API_PROBLEM_CODE_AUTH_REQUIRED,
    API_PROBLEM_CODE_AUTH_INVALID,
    API_PROBLEM_CODE_AUTH_EXPIRED,
    API_PROBLEM_CODE_AUTH_FAILED,
    API_PROBLEM_CODE_AUTH_FORBIDDEN,
    API_PROBLEM_CODE_AUTH_SCOPE,
    API_PROBLEM_CODE_PROJECT_REQUIRED,
    API_PROBLEM_CODE_PROJECT_DISABLED,
    API_PROBLEM_CODE_RESOURCE_NOT_FOUND,
    API_PROBLEM_CODE_ROUTE_NOT_FOUND,
    API_PROBLEM_CODE_ROUTE_METHOD_NOT_ALLOWED,
    API_PROBLEM_CODE_RESOURCE_NAME_TAKEN,
    API_PROBLEM_CODE_RESOURCE_IN_USE,
    API_PROBLEM_CODE_RESOURCE_WRONG_STATE,
    API_PROBLEM_CODE_RESOURCE_PROTECTED,
    API_PROBLEM_CODE_RESOURCE_BUSY,
    API_PROBLEM_CODE_RESOURCE_GENERATION,
    API_PROBLEM_CODE_RESOURCE_GONE,
    API_PROBLEM_CODE_IDEMPOTENCY_IN_FLIGHT,
    API_PROBLEM_CODE_IDEMPOTENCY_MISMATCH,
    API_PROBLEM_CODE_IDEMPOTENCY_SECRET,
    API_PROBLEM_CODE_QUOTA_EXCEEDED,
    API_PROBLEM_CODE_PLACEMENT_NO_HOST,
    API_PROBLEM_CODE_PLACEMENT_CONFLICT,
    API_PROBLEM_CODE_FEATURE_NO_DRIVER,
    API_PROBLEM_CODE_REFERENCE_NOT_FOUND,
    API_PROBLEM_CODE_IMAGE_CHECKSUM,
    API_PROBLEM_CODE_IMAGE_NOT_READY,
    API_PROBLEM_CODE_OPERATION_NOT_CANCELLABLE,
    API_PROBLEM_CODE_EVENTS_TOO_OLD,
    API_PROBLEM_CODE_RATE_LIMITED,
    API_PROBLEM_CODE_SERVER_BUSY,
    API_PROBLEM_CODE_SERVER_STORE,
    API_PROBLEM_CODE_SERVER_NOT_LEADER,
    API_PROBLEM_CODE_HOST_FAILED,
    API_PROBLEM_CODE_SERVER_INTERNAL,
    API_PROBLEM_CODE_N
};
extern const struct api_types_enum api_types_problem_code;

enum api_reservation_status_state {
    API_RESERVATION_STATUS_STATE_PENDING,
    API_RESERVATION_STATUS_STATE_ACTIVE,
    API_RESERVATION_STATUS_STATE_PARTIAL,
    API_RESERVATION_STATUS_STATE_ENDED,
    API_RESERVATION_STATUS_STATE_N
};
extern const struct api_types_enum api_types_reservation_status_state;

enum api_role_name {
    API_ROLE_NAME_READER,
    API_ROLE_NAME_MEMBER,
    API_ROLE_NAME_OPERATOR,
    API_ROLE_NAME_ADMIN,
    API_ROLE_NAME_N
};
extern const struct api_types_enum api_types_role_name;

enum api_security_rule_direction {
    API_SECURITY_RULE_DIRECTION_INGRESS,
    API_SECURITY_RULE_DIRECTION_EGRESS,
    API_SECURITY_RULE_DIRECTION_N
};
extern const struct api_types_enum api_types_security_rule_direction;

enum api_security_rule_family {
    API_SECURITY_RULE_FAMILY_IPV4,
    API_SECURITY_RULE_FAMILY_IPV6,
    API_SECURITY_RULE_FAMILY_N
};
extern const struct api_types_enum api_types_security_rule_family;

enum api_security_rule_protocol {
    API_SECURITY_RULE_PROTOCOL_ANY,
    API_SECURITY_RULE_PROTOCOL_TCP,
    API_SECURITY_RULE_PROTOCOL_UDP,
    API_SECURITY_RULE_PROTOCOL_ICMP,
    API_SECURITY_RULE_PROTOCOL_SCTP,
    API_SECURITY_RULE_PROTOCOL_N
};
extern const struct api_types_enum api_types_security_rule_protocol;

enum api_server_group_by {
    API_SERVER_GROUP_BY_HOST,
    API_SERVER_GROUP_BY_RACK,
    API_SERVER_GROUP_BY_N
};
extern const struct api_types_enum api_types_server_group_by;

enum api_server_group_policy {
    API_SERVER_GROUP_POLICY_AFFINITY,
    API_SERVER_GROUP_POLICY_ANTI_AFFINITY,
    API_SERVER_GROUP_POLICY_N
};
extern const struct api_types_enum api_types_server_group_policy;

enum api_server_group_strength {
    API_SERVER_GROUP_STRENGTH_HARD,
    API_SERVER_GROUP_STRENGTH_SOFT,
    API_SERVER_GROUP_STRENGTH_N
};
extern const struct api_types_enum api_types_server_group_strength;

enum api_settings_placement_policy {
    API_SETTINGS_PLACEMENT_POLICY_PACK,
    API_SETTINGS_PLACEMENT_POLICY_SPREAD,
    API_SETTINGS_PLACEMENT_POLICY_N
};
extern const struct api_types_enum api_types_settings_placement_policy;

enum api_snapshot_status_state {
    API_SNAPSHOT_STATUS_STATE_CREATING,
    API_SNAPSHOT_STATUS_STATE_AVAILABLE,
    API_SNAPSHOT_STATUS_STATE_DELETING,
    API_SNAPSHOT_STATUS_STATE_ERROR,
    API_SNAPSHOT_STATUS_STATE_N
};
extern const struct api_types_enum api_types_snapshot_status_state;

enum api_token_scope {
    API_TOKEN_SCOPE_ALL_READ,
    API_TOKEN_SCOPE_ALL_WRITE,
    API_TOKEN_SCOPE_IDENTITY_READ,
    API_TOKEN_SCOPE_IDENTITY_WRITE,
    API_TOKEN_SCOPE_COMPUTE_READ,
    API_TOKEN_SCOPE_COMPUTE_WRITE,
    API_TOKEN_SCOPE_IMAGE_READ,
    API_TOKEN_SCOPE_IMAGE_WRITE,
    API_TOKEN_SCOPE_STORAGE_READ,
    API_TOKEN_SCOPE_STORAGE_WRITE,
    API_TOKEN_SCOPE_NETWORK_READ,
    API_TOKEN_SCOPE_NETWORK_WRITE,
    API_TOKEN_SCOPE_INFRA_READ,
    API_TOKEN_SCOPE_INFRA_WRITE,
    API_TOKEN_SCOPE_PLACEMENT_READ,
    API_TOKEN_SCOPE_PLACEMENT_WRITE,
    API_TOKEN_SCOPE_SYSTEM_READ,
    API_TOKEN_SCOPE_SYSTEM_WRITE,
    API_TOKEN_SCOPE_N
};
extern const struct api_types_enum api_types_token_scope;

enum api_usage_list_query_group_by {
    API_USAGE_LIST_QUERY_GROUP_BY_RESOURCE,
    API_USAGE_LIST_QUERY_GROUP_BY_FLAVOR,
    API_USAGE_LIST_QUERY_GROUP_BY_METER,
    API_USAGE_LIST_QUERY_GROUP_BY_N
};
extern const struct api_types_enum api_types_usage_list_query_group_by;

enum api_usage_record_meter {
    API_USAGE_RECORD_METER_VM_TIME,
    API_USAGE_RECORD_METER_VCPU_TIME,
    API_USAGE_RECORD_METER_MEMORY_TIME,
    API_USAGE_RECORD_METER_VOLUME_TIME,
    API_USAGE_RECORD_METER_SNAPSHOT_TIME,
    API_USAGE_RECORD_METER_IMAGE_TIME,
    API_USAGE_RECORD_METER_FLOATING_IP_TIME,
    API_USAGE_RECORD_METER_EGRESS,
    API_USAGE_RECORD_METER_RESERVATION_TIME,
    API_USAGE_RECORD_METER_N
};
extern const struct api_types_enum api_types_usage_record_meter;

enum api_usage_record_unit {
    API_USAGE_RECORD_UNIT_S,
    API_USAGE_RECORD_UNIT_VCPU_S,
    API_USAGE_RECORD_UNIT_MIB_S,
    API_USAGE_RECORD_UNIT_GIB_S,
    API_USAGE_RECORD_UNIT_BYTES,
    API_USAGE_RECORD_UNIT_N
};
extern const struct api_types_enum api_types_usage_record_unit;

enum api_vm_address_source {
    API_VM_ADDRESS_SOURCE_ASSIGNED,
    API_VM_ADDRESS_SOURCE_GUEST,
    API_VM_ADDRESS_SOURCE_FLOATING,
    API_VM_ADDRESS_SOURCE_N
};
extern const struct api_types_enum api_types_vm_address_source;

enum api_vm_batch_create_mode {
    API_VM_BATCH_CREATE_MODE_ALL_OR_NOTHING,
    API_VM_BATCH_CREATE_MODE_BEST_EFFORT,
    API_VM_BATCH_CREATE_MODE_N
};
extern const struct api_types_enum api_types_vm_batch_create_mode;

enum api_vm_console_query_kind {
    API_VM_CONSOLE_QUERY_KIND_SERIAL,
    API_VM_CONSOLE_QUERY_KIND_GRAPHICS,
    API_VM_CONSOLE_QUERY_KIND_N
};
extern const struct api_types_enum api_types_vm_console_query_kind;

enum api_vm_migrate_mode {
    API_VM_MIGRATE_MODE_AUTO,
    API_VM_MIGRATE_MODE_LIVE,
    API_VM_MIGRATE_MODE_COLD,
    API_VM_MIGRATE_MODE_N
};
extern const struct api_types_enum api_types_vm_migrate_mode;

enum api_vm_on_host_failure {
    API_VM_ON_HOST_FAILURE_RESTART,
    API_VM_ON_HOST_FAILURE_STAY,
    API_VM_ON_HOST_FAILURE_N
};
extern const struct api_types_enum api_types_vm_on_host_failure;

enum api_vm_state {
    API_VM_STATE_BUILDING,
    API_VM_STATE_STARTING,
    API_VM_STATE_RUNNING,
    API_VM_STATE_PAUSING,
    API_VM_STATE_PAUSED,
    API_VM_STATE_RESUMING,
    API_VM_STATE_STOPPING,
    API_VM_STATE_STOPPED,
    API_VM_STATE_REBOOTING,
    API_VM_STATE_RESIZING,
    API_VM_STATE_REBUILDING,
    API_VM_STATE_RESCUING,
    API_VM_STATE_RESCUED,
    API_VM_STATE_UNRESCUING,
    API_VM_STATE_SHELVING,
    API_VM_STATE_SHELVED,
    API_VM_STATE_UNSHELVING,
    API_VM_STATE_MIGRATING,
    API_VM_STATE_IMAGING,
    API_VM_STATE_DELETING,
    API_VM_STATE_DELETED,
    API_VM_STATE_UNDELETING,
    API_VM_STATE_ERROR,
    API_VM_STATE_LOST,
    API_VM_STATE_N
};
extern const struct api_types_enum api_types_vm_state;

enum api_volume_status_state {
    API_VOLUME_STATUS_STATE_CREATING,
    API_VOLUME_STATUS_STATE_AVAILABLE,
    API_VOLUME_STATUS_STATE_ATTACHED,
    API_VOLUME_STATUS_STATE_RESIZING,
    API_VOLUME_STATUS_STATE_RESTORING,
    API_VOLUME_STATUS_STATE_DELETING,
    API_VOLUME_STATUS_STATE_ERROR,
    API_VOLUME_STATUS_STATE_N
};
extern const struct api_types_enum api_types_volume_status_state;

#endif
