/* Made by tools/apigen from api/system.yaml; do not edit. Tables of fields. */
#include "api/gen/system.h"

#include "api/gen/common.h"
#include "api/gen/infra.h"

static const struct api_types_field operation_fields[] = {
    {"id", offsetof(struct api_operation, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"project", offsetof(struct api_operation, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"kind", offsetof(struct api_operation, kind), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"state", offsetof(struct api_operation, state), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_operation_state},
    {"resource", offsetof(struct api_operation, resource), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"resource_kind", offsetof(struct api_operation, resource_kind), API_KIND_TEXT, .min = 0, .max = 31},
    {"progress_percent", offsetof(struct api_operation, progress_percent), API_KIND_INT, .min = 0, .max = 100},
    {"step", offsetof(struct api_operation, step), API_KIND_TEXT, .min = 0, .max = 255},
    {"cancellable", offsetof(struct api_operation, cancellable), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"problem", offsetof(struct api_operation, problem), API_KIND_OBJECT, .object = &api_types_problem},
    {"principal", offsetof(struct api_operation, principal), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"request_id", offsetof(struct api_operation, request_id), API_KIND_TEXT, .min = 0, .max = 63},
    {"created_at", offsetof(struct api_operation, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_operation, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"ended_at", offsetof(struct api_operation, ended_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
};
const struct api_types_object api_types_operation = {
    "Operation", sizeof(struct api_operation), 15, operation_fields, NULL};

static const struct api_types_field event_fields[] = {
    {"specversion", offsetof(struct api_event, specversion), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_event_specversion},
    {"id", offsetof(struct api_event, id), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 31},
    {"source", offsetof(struct api_event, source), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 255},
    {"type", offsetof(struct api_event, type), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 127},
    {"subject", offsetof(struct api_event, subject), API_KIND_TEXT, .min = 0, .max = 255},
    {"time", offsetof(struct api_event, time), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"datacontenttype", offsetof(struct api_event, datacontenttype), API_KIND_TEXT, .min = 0, .max = 63},
    {"virgaproject", offsetof(struct api_event, virgaproject), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"virgaprincipal", offsetof(struct api_event, virgaprincipal), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"virgarequestid", offsetof(struct api_event, virgarequestid), API_KIND_TEXT, .min = 0, .max = 63},
    {"data", offsetof(struct api_event, data), API_KIND_ANY},
};
const struct api_types_object api_types_event = {
    "Event", sizeof(struct api_event), 11, event_fields, NULL};

static const struct api_types_field event_list_fields[] = {
    {"items", offsetof(struct api_event_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_event},
    {"next_after", offsetof(struct api_event_list, next_after), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 31},
};
const struct api_types_object api_types_event_list = {
    "EventList", sizeof(struct api_event_list), 2, event_list_fields, NULL};

static const struct api_types_field audit_record_fields[] = {
    {"number", offsetof(struct api_audit_record, number), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"time", offsetof(struct api_audit_record, time), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"principal", offsetof(struct api_audit_record, principal), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"principal_name", offsetof(struct api_audit_record, principal_name), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"token", offsetof(struct api_audit_record, token), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"source_ip", offsetof(struct api_audit_record, source_ip), API_KIND_TEXT, .format = API_FORMAT_IP, .min = 0, .max = 39},
    {"project", offsetof(struct api_audit_record, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"operation", offsetof(struct api_audit_record, operation), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"resource", offsetof(struct api_audit_record, resource), API_KIND_TEXT, .min = 0, .max = 127},
    {"outcome", offsetof(struct api_audit_record, outcome), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_audit_record_outcome},
    {"status", offsetof(struct api_audit_record, status), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 100, .max = 599},
    {"code", offsetof(struct api_audit_record, code), API_KIND_TEXT, .min = 0, .max = 63},
    {"request_id", offsetof(struct api_audit_record, request_id), API_KIND_TEXT, .min = 0, .max = 63},
    {"suppressed", offsetof(struct api_audit_record, suppressed), API_KIND_INT, .min = 1, .max = 9007199254740991},
    {"detail", offsetof(struct api_audit_record, detail), API_KIND_ANY},
    {"server", offsetof(struct api_audit_record, server), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"link", offsetof(struct api_audit_record, link), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
};
const struct api_types_object api_types_audit_record = {
    "AuditRecord", sizeof(struct api_audit_record), 17, audit_record_fields, NULL};

static const struct api_types_field audit_chain_fields[] = {
    {"server", offsetof(struct api_audit_chain, server), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"link", offsetof(struct api_audit_chain, link), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"hash", offsetof(struct api_audit_chain, hash), API_KIND_TEXT, .format = API_FORMAT_SHA256, .flags = API_FIELD_REQUIRED, .min = 0, .max = 64},
};
const struct api_types_object api_types_audit_chain = {
    "AuditChain", sizeof(struct api_audit_chain), 3, audit_chain_fields, NULL};

static const struct api_types_field audit_verify_fields[] = {
    {"whole", offsetof(struct api_audit_verify, whole), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"records", offsetof(struct api_audit_verify, records), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"detail", offsetof(struct api_audit_verify, detail), API_KIND_TEXT, .min = 0, .max = 511},
    {"chains", offsetof(struct api_audit_verify, chains), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 256, .object = &api_types_audit_chain},
};
const struct api_types_object api_types_audit_verify = {
    "AuditVerify", sizeof(struct api_audit_verify), 4, audit_verify_fields, NULL};

static const struct api_types_field usage_record_fields[] = {
    {"id", offsetof(struct api_usage_record, id), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"project", offsetof(struct api_usage_record, project), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"meter", offsetof(struct api_usage_record, meter), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_usage_record_meter},
    {"resource", offsetof(struct api_usage_record, resource), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"resource_name", offsetof(struct api_usage_record, resource_name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"flavor", offsetof(struct api_usage_record, flavor), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"quantity", offsetof(struct api_usage_record, quantity), API_KIND_NUMBER, .flags = API_FIELD_REQUIRED, .number_min = 0.0, .number_max = 1e+18},
    {"unit", offsetof(struct api_usage_record, unit), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_usage_record_unit},
    {"begin", offsetof(struct api_usage_record, begin), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"end", offsetof(struct api_usage_record, end), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"open", offsetof(struct api_usage_record, open), API_KIND_BOOL},
};
const struct api_types_object api_types_usage_record = {
    "UsageRecord", sizeof(struct api_usage_record), 11, usage_record_fields, NULL};

static const struct api_types_field settings_fields[] = {
    {"generation", offsetof(struct api_settings, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"cloud_name", offsetof(struct api_settings, cloud_name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63, .fallback = "virga"},
    {"overcommit", offsetof(struct api_settings, overcommit), API_KIND_OBJECT, .object = &api_types_overcommit},
    {"placement_policy", offsetof(struct api_settings, placement_policy), API_KIND_ENUM, .words = &api_types_settings_placement_policy, .fallback = "pack"},
    {"undelete_window_s", offsetof(struct api_settings, undelete_window_s), API_KIND_INT, .min = 0, .max = 2592000, .fallback = "86400"},
    {"session_idle_s", offsetof(struct api_settings, session_idle_s), API_KIND_INT, .min = 60, .max = 604800, .fallback = "3600"},
    {"token_max_days", offsetof(struct api_settings, token_max_days), API_KIND_INT, .min = 1, .max = 3650, .fallback = "365"},
    {"events_kept_hours", offsetof(struct api_settings, events_kept_hours), API_KIND_INT, .min = 1, .max = 8760, .fallback = "168"},
};
const struct api_types_object api_types_settings = {
    "Settings", sizeof(struct api_settings), 8, settings_fields, NULL};

static const struct api_types_field feature_fields[] = {
    {"name", offsetof(struct api_feature, name), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"offered", offsetof(struct api_feature, offered), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
};
const struct api_types_object api_types_feature = {
    "Feature", sizeof(struct api_feature), 2, feature_fields, NULL};

static const struct api_types_field version_info_fields[] = {
    {"version", offsetof(struct api_version_info, version), API_KIND_TEXT, .format = API_FORMAT_VERSION, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"api_versions", offsetof(struct api_version_info, api_versions), API_KIND_LIST, .item_kind = API_KIND_TEXT, .format = API_FORMAT_VERSION, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 8, .min = 0, .max = 63},
    {"cloud_name", offsetof(struct api_version_info, cloud_name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"features", offsetof(struct api_version_info, features), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .min_items = 0, .max_items = 100, .object = &api_types_feature},
};
const struct api_types_object api_types_version_info = {
    "VersionInfo", sizeof(struct api_version_info), 4, version_info_fields, NULL};

static const struct api_types_field backup_fields[] = {
    {"path", offsetof(struct api_backup, path), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 511},
    {"size_bytes", offsetof(struct api_backup, size_bytes), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 72057594037927936},
    {"seq", offsetof(struct api_backup, seq), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 9007199254740991},
    {"created_at", offsetof(struct api_backup, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_backup = {
    "Backup", sizeof(struct api_backup), 4, backup_fields, NULL};

static const struct api_types_field health_fields[] = {
    {"healthy", offsetof(struct api_health, healthy), API_KIND_BOOL, .flags = API_FIELD_REQUIRED},
    {"leader", offsetof(struct api_health, leader), API_KIND_BOOL},
    {"store", offsetof(struct api_health, store), API_KIND_ENUM, .words = &api_types_health_store},
    {"seq", offsetof(struct api_health, seq), API_KIND_INT, .min = 0, .max = 9007199254740991},
};
const struct api_types_object api_types_health = {
    "Health", sizeof(struct api_health), 4, health_fields, NULL};

static const struct api_types_field settings_patch_fields[] = {
    {"cloud_name", offsetof(struct api_settings_patch, cloud_name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
    {"overcommit", offsetof(struct api_settings_patch, overcommit), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_overcommit_patch},
    {"placement_policy", offsetof(struct api_settings_patch, placement_policy), API_KIND_ENUM, .flags = API_FIELD_NULLABLE, .words = &api_types_settings_placement_policy},
    {"undelete_window_s", offsetof(struct api_settings_patch, undelete_window_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 2592000},
    {"session_idle_s", offsetof(struct api_settings_patch, session_idle_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 60, .max = 604800},
    {"token_max_days", offsetof(struct api_settings_patch, token_max_days), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 3650},
    {"events_kept_hours", offsetof(struct api_settings_patch, events_kept_hours), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 8760},
};
const struct api_types_object api_types_settings_patch = {
    "SettingsPatch", sizeof(struct api_settings_patch), 7, settings_patch_fields, &api_types_settings};

static const struct api_types_field operation_list_fields[] = {
    {"items", offsetof(struct api_operation_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_operation},
    {"next_cursor", offsetof(struct api_operation_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_operation_list = {
    "OperationList", sizeof(struct api_operation_list), 2, operation_list_fields, NULL};

static const struct api_types_field audit_record_list_fields[] = {
    {"items", offsetof(struct api_audit_record_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_audit_record},
    {"next_cursor", offsetof(struct api_audit_record_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_audit_record_list = {
    "AuditRecordList", sizeof(struct api_audit_record_list), 2, audit_record_list_fields, NULL};

static const struct api_types_field usage_record_list_fields[] = {
    {"items", offsetof(struct api_usage_record_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_usage_record},
    {"next_cursor", offsetof(struct api_usage_record_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_usage_record_list = {
    "UsageRecordList", sizeof(struct api_usage_record_list), 2, usage_record_list_fields, NULL};

static const struct api_types_field operation_wait_query_fields[] = {
    {"timeout_s", offsetof(struct api_operation_wait_query, timeout_s), API_KIND_INT, .min = 0, .max = 300, .fallback = "30"},
};
const struct api_types_object api_types_operation_wait_query = {
    "OperationWaitQuery", sizeof(struct api_operation_wait_query), 1, operation_wait_query_fields, NULL};

static const struct api_types_field event_list_query_fields[] = {
    {"after", offsetof(struct api_event_list_query, after), API_KIND_TEXT, .min = 0, .max = 31},
    {"limit", offsetof(struct api_event_list_query, limit), API_KIND_INT, .min = 1, .max = 1000, .fallback = "100"},
    {"type", offsetof(struct api_event_list_query, type), API_KIND_TEXT, .min = 0, .max = 127},
    {"subject", offsetof(struct api_event_list_query, subject), API_KIND_TEXT, .min = 0, .max = 255},
    {"wait_s", offsetof(struct api_event_list_query, wait_s), API_KIND_INT, .min = 0, .max = 60, .fallback = "0"},
};
const struct api_types_object api_types_event_list_query = {
    "EventListQuery", sizeof(struct api_event_list_query), 5, event_list_query_fields, NULL};

static const struct api_types_field event_stream_query_fields[] = {
    {"after", offsetof(struct api_event_stream_query, after), API_KIND_TEXT, .min = 0, .max = 31},
    {"type", offsetof(struct api_event_stream_query, type), API_KIND_TEXT, .min = 0, .max = 127},
    {"subject", offsetof(struct api_event_stream_query, subject), API_KIND_TEXT, .min = 0, .max = 255},
    {"ticket", offsetof(struct api_event_stream_query, ticket), API_KIND_TEXT, .min = 0, .max = 127},
};
const struct api_types_object api_types_event_stream_query = {
    "EventStreamQuery", sizeof(struct api_event_stream_query), 4, event_stream_query_fields, NULL};

static const struct api_types_field usage_list_query_fields[] = {
    {"begin", offsetof(struct api_usage_list_query, begin), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"end", offsetof(struct api_usage_list_query, end), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"group_by", offsetof(struct api_usage_list_query, group_by), API_KIND_ENUM, .words = &api_types_usage_list_query_group_by, .fallback = "resource"},
};
const struct api_types_object api_types_usage_list_query = {
    "UsageListQuery", sizeof(struct api_usage_list_query), 3, usage_list_query_fields, NULL};

