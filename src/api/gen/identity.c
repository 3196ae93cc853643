/* Made by tools/apigen from api/identity.yaml; do not edit. Tables of fields. */
#include "api/gen/identity.h"


static const struct api_types_field project_fields[] = {
    {"id", offsetof(struct api_project, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_project, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_project, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_project, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_project, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"undelete_window_s", offsetof(struct api_project, undelete_window_s), API_KIND_INT, .min = 0, .max = 2592000},
    {"generation", offsetof(struct api_project, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_project, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_project, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_project = {
    "Project", sizeof(struct api_project), 9, project_fields, NULL};

static const struct api_types_field quota_fields[] = {
    {"generation", offsetof(struct api_quota, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"limits", offsetof(struct api_quota, limits), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_quota_limits},
    {"used", offsetof(struct api_quota, used), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_quota_used},
};
const struct api_types_object api_types_quota = {
    "Quota", sizeof(struct api_quota), 3, quota_fields, NULL};

static const struct api_types_field quota_limits_fields[] = {
    {"vms", offsetof(struct api_quota_limits, vms), API_KIND_INT, .min = -1, .max = 1000000, .fallback = "100"},
    {"vcpus", offsetof(struct api_quota_limits, vcpus), API_KIND_INT, .min = -1, .max = 10000000, .fallback = "200"},
    {"memory_mib", offsetof(struct api_quota_limits, memory_mib), API_KIND_INT, .min = -1, .max = 1000000000, .fallback = "409600"},
    {"volumes", offsetof(struct api_quota_limits, volumes), API_KIND_INT, .min = -1, .max = 1000000, .fallback = "200"},
    {"volume_gib", offsetof(struct api_quota_limits, volume_gib), API_KIND_INT, .min = -1, .max = 100000000, .fallback = "10000"},
    {"snapshots", offsetof(struct api_quota_limits, snapshots), API_KIND_INT, .min = -1, .max = 1000000, .fallback = "500"},
    {"images", offsetof(struct api_quota_limits, images), API_KIND_INT, .min = -1, .max = 1000000, .fallback = "50"},
    {"networks", offsetof(struct api_quota_limits, networks), API_KIND_INT, .min = -1, .max = 100000, .fallback = "50"},
    {"ports", offsetof(struct api_quota_limits, ports), API_KIND_INT, .min = -1, .max = 1000000, .fallback = "500"},
    {"floating_ips", offsetof(struct api_quota_limits, floating_ips), API_KIND_INT, .min = -1, .max = 100000, .fallback = "20"},
    {"security_groups", offsetof(struct api_quota_limits, security_groups), API_KIND_INT, .min = -1, .max = 100000, .fallback = "100"},
};
const struct api_types_object api_types_quota_limits = {
    "QuotaLimits", sizeof(struct api_quota_limits), 11, quota_limits_fields, NULL};

static const struct api_types_field quota_used_fields[] = {
    {"vms", offsetof(struct api_quota_used, vms), API_KIND_INT, .min = 0, .max = 1000000},
    {"vcpus", offsetof(struct api_quota_used, vcpus), API_KIND_INT, .min = 0, .max = 10000000},
    {"memory_mib", offsetof(struct api_quota_used, memory_mib), API_KIND_INT, .min = 0, .max = 1000000000},
    {"volumes", offsetof(struct api_quota_used, volumes), API_KIND_INT, .min = 0, .max = 1000000},
    {"volume_gib", offsetof(struct api_quota_used, volume_gib), API_KIND_INT, .min = 0, .max = 100000000},
    {"snapshots", offsetof(struct api_quota_used, snapshots), API_KIND_INT, .min = 0, .max = 1000000},
    {"images", offsetof(struct api_quota_used, images), API_KIND_INT, .min = 0, .max = 1000000},
    {"networks", offsetof(struct api_quota_used, networks), API_KIND_INT, .min = 0, .max = 100000},
    {"ports", offsetof(struct api_quota_used, ports), API_KIND_INT, .min = 0, .max = 1000000},
    {"floating_ips", offsetof(struct api_quota_used, floating_ips), API_KIND_INT, .min = 0, .max = 100000},
    {"security_groups", offsetof(struct api_quota_used, security_groups), API_KIND_INT, .min = 0, .max = 100000},
};
const struct api_types_object api_types_quota_used = {
    "QuotaUsed", sizeof(struct api_quota_used), 11, quota_used_fields, NULL};

static const struct api_types_field user_fields[] = {
    {"id", offsetof(struct api_user, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_user, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_user, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_user, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"password", offsetof(struct api_user, password), API_KIND_TEXT, .flags = API_FIELD_WRITE_ONLY, .min = 10, .max = 255},
    {"email", offsetof(struct api_user, email), API_KIND_TEXT, .min = 0, .max = 254},
    {"enabled", offsetof(struct api_user, enabled), API_KIND_BOOL, .flags = API_FIELD_REQUIRED, .fallback = "true"},
    {"default_project", offsetof(struct api_user, default_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"last_login_at", offsetof(struct api_user, last_login_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"generation", offsetof(struct api_user, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_user, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_user, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_user = {
    "User", sizeof(struct api_user), 12, user_fields, NULL};

static const struct api_types_field user_password_fields[] = {
    {"old_password", offsetof(struct api_user_password, old_password), API_KIND_TEXT, .flags = API_FIELD_WRITE_ONLY, .min = 0, .max = 255},
    {"new_password", offsetof(struct api_user_password, new_password), API_KIND_TEXT, .flags = API_FIELD_REQUIRED | API_FIELD_WRITE_ONLY, .min = 10, .max = 255},
};
const struct api_types_object api_types_user_password = {
    "UserPassword", sizeof(struct api_user_password), 2, user_password_fields, NULL};

static const struct api_types_field role_fields[] = {
    {"id", offsetof(struct api_role, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"user", offsetof(struct api_role, user), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"role", offsetof(struct api_role, role), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_role_name},
    {"on_project", offsetof(struct api_role, on_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"generation", offsetof(struct api_role, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_role, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_role = {
    "Role", sizeof(struct api_role), 6, role_fields, NULL};

static const struct api_types_field token_fields[] = {
    {"id", offsetof(struct api_token, id), API_KIND_TEXT, .format = API_FORMAT_UUID, .flags = API_FIELD_REQUIRED, .min = 0, .max = 36},
    {"name", offsetof(struct api_token, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_token, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_token, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"scopes", offsetof(struct api_token, scopes), API_KIND_LIST, .item_kind = API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .min_items = 1, .max_items = 18, .words = &api_types_token_scope, .fallback = "all:write"},
    {"token_project", offsetof(struct api_token, token_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"expires_at", offsetof(struct api_token, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"rate_limit_per_min", offsetof(struct api_token, rate_limit_per_min), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 1000000, .fallback = "6000"},
    {"owner", offsetof(struct api_token, owner), API_KIND_TEXT, .format = API_FORMAT_UUID, .min = 0, .max = 36},
    {"last_used_at", offsetof(struct api_token, last_used_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"generation", offsetof(struct api_token, generation), API_KIND_INT, .flags = API_FIELD_REQUIRED, .min = 1, .max = 9007199254740991},
    {"created_at", offsetof(struct api_token, created_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"updated_at", offsetof(struct api_token, updated_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_token = {
    "Token", sizeof(struct api_token), 13, token_fields, NULL};

static const struct api_types_field token_created_fields[] = {
    {"token", offsetof(struct api_token_created, token), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_token},
    {"secret", offsetof(struct api_token_created, secret), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 127},
};
const struct api_types_object api_types_token_created = {
    "TokenCreated", sizeof(struct api_token_created), 2, token_created_fields, NULL};

static const struct api_types_field session_create_fields[] = {
    {"user", offsetof(struct api_session_create, user), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"password", offsetof(struct api_session_create, password), API_KIND_TEXT, .flags = API_FIELD_REQUIRED | API_FIELD_WRITE_ONLY, .min = 0, .max = 255},
};
const struct api_types_object api_types_session_create = {
    "SessionCreate", sizeof(struct api_session_create), 2, session_create_fields, NULL};

static const struct api_types_field session_fields[] = {
    {"secret", offsetof(struct api_session, secret), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 127},
    {"expires_at", offsetof(struct api_session, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
    {"user", offsetof(struct api_session, user), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_user},
};
const struct api_types_object api_types_session = {
    "Session", sizeof(struct api_session), 3, session_fields, NULL};

static const struct api_types_field whoami_fields[] = {
    {"user", offsetof(struct api_whoami, user), API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .object = &api_types_user},
    {"token", offsetof(struct api_whoami, token), API_KIND_OBJECT, .object = &api_types_token},
    {"roles", offsetof(struct api_whoami, roles), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_role},
};
const struct api_types_object api_types_whoami = {
    "Whoami", sizeof(struct api_whoami), 3, whoami_fields, NULL};

static const struct api_types_field ticket_fields[] = {
    {"ticket", offsetof(struct api_ticket, ticket), API_KIND_TEXT, .flags = API_FIELD_REQUIRED, .min = 0, .max = 127},
    {"expires_at", offsetof(struct api_ticket, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .flags = API_FIELD_REQUIRED, .min = 0, .max = 24},
};
const struct api_types_object api_types_ticket = {
    "Ticket", sizeof(struct api_ticket), 2, ticket_fields, NULL};

static const struct api_types_field quota_limits_patch_fields[] = {
    {"vms", offsetof(struct api_quota_limits_patch, vms), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000},
    {"vcpus", offsetof(struct api_quota_limits_patch, vcpus), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 10000000},
    {"memory_mib", offsetof(struct api_quota_limits_patch, memory_mib), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000000},
    {"volumes", offsetof(struct api_quota_limits_patch, volumes), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000},
    {"volume_gib", offsetof(struct api_quota_limits_patch, volume_gib), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 100000000},
    {"snapshots", offsetof(struct api_quota_limits_patch, snapshots), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000},
    {"images", offsetof(struct api_quota_limits_patch, images), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000},
    {"networks", offsetof(struct api_quota_limits_patch, networks), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 100000},
    {"ports", offsetof(struct api_quota_limits_patch, ports), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 1000000},
    {"floating_ips", offsetof(struct api_quota_limits_patch, floating_ips), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 100000},
    {"security_groups", offsetof(struct api_quota_limits_patch, security_groups), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = -1, .max = 100000},
};
const struct api_types_object api_types_quota_limits_patch = {
    "QuotaLimitsPatch", sizeof(struct api_quota_limits_patch), 11, quota_limits_patch_fields, &api_types_quota_limits};

static const struct api_types_field quota_patch_fields[] = {
    {"limits", offsetof(struct api_quota_patch, limits), API_KIND_OBJECT, .flags = API_FIELD_NULLABLE, .object = &api_types_quota_limits_patch},
};
const struct api_types_object api_types_quota_patch = {
    "QuotaPatch", sizeof(struct api_quota_patch), 1, quota_patch_fields, &api_types_quota};

static const struct api_types_field project_create_fields[] = {
    {"name", offsetof(struct api_project_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_project_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_project_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_project_create, enabled), API_KIND_BOOL, .fallback = "true"},
    {"undelete_window_s", offsetof(struct api_project_create, undelete_window_s), API_KIND_INT, .min = 0, .max = 2592000},
};
const struct api_types_object api_types_project_create = {
    "ProjectCreate", sizeof(struct api_project_create), 5, project_create_fields, &api_types_project};

static const struct api_types_field project_patch_fields[] = {
    {"name", offsetof(struct api_project_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_project_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_project_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"enabled", offsetof(struct api_project_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"undelete_window_s", offsetof(struct api_project_patch, undelete_window_s), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 2592000},
};
const struct api_types_object api_types_project_patch = {
    "ProjectPatch", sizeof(struct api_project_patch), 5, project_patch_fields, &api_types_project};

static const struct api_types_field project_list_fields[] = {
    {"items", offsetof(struct api_project_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_project},
    {"next_cursor", offsetof(struct api_project_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_project_list = {
    "ProjectList", sizeof(struct api_project_list), 2, project_list_fields, NULL};

static const struct api_types_field user_create_fields[] = {
    {"name", offsetof(struct api_user_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_user_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_user_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"password", offsetof(struct api_user_create, password), API_KIND_TEXT, .flags = API_FIELD_WRITE_ONLY, .min = 10, .max = 255},
    {"email", offsetof(struct api_user_create, email), API_KIND_TEXT, .min = 0, .max = 254},
    {"enabled", offsetof(struct api_user_create, enabled), API_KIND_BOOL, .fallback = "true"},
    {"default_project", offsetof(struct api_user_create, default_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
};
const struct api_types_object api_types_user_create = {
    "UserCreate", sizeof(struct api_user_create), 7, user_create_fields, &api_types_user};

static const struct api_types_field user_patch_fields[] = {
    {"name", offsetof(struct api_user_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_user_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_user_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"email", offsetof(struct api_user_patch, email), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 254},
    {"enabled", offsetof(struct api_user_patch, enabled), API_KIND_BOOL, .flags = API_FIELD_NULLABLE},
    {"default_project", offsetof(struct api_user_patch, default_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_NULLABLE, .min = 0, .max = 63},
};
const struct api_types_object api_types_user_patch = {
    "UserPatch", sizeof(struct api_user_patch), 6, user_patch_fields, &api_types_user};

static const struct api_types_field user_list_fields[] = {
    {"items", offsetof(struct api_user_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_user},
    {"next_cursor", offsetof(struct api_user_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_user_list = {
    "UserList", sizeof(struct api_user_list), 2, user_list_fields, NULL};

static const struct api_types_field role_create_fields[] = {
    {"user", offsetof(struct api_role_create, user), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"role", offsetof(struct api_role_create, role), API_KIND_ENUM, .flags = API_FIELD_REQUIRED, .words = &api_types_role_name},
    {"on_project", offsetof(struct api_role_create, on_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
};
const struct api_types_object api_types_role_create = {
    "RoleCreate", sizeof(struct api_role_create), 3, role_create_fields, &api_types_role};

static const struct api_types_field role_list_fields[] = {
    {"items", offsetof(struct api_role_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_role},
    {"next_cursor", offsetof(struct api_role_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_role_list = {
    "RoleList", sizeof(struct api_role_list), 2, role_list_fields, NULL};

static const struct api_types_field token_create_fields[] = {
    {"name", offsetof(struct api_token_create, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .flags = API_FIELD_REQUIRED, .min = 0, .max = 63},
    {"description", offsetof(struct api_token_create, description), API_KIND_TEXT, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_token_create, labels), API_KIND_MAP, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"scopes", offsetof(struct api_token_create, scopes), API_KIND_LIST, .item_kind = API_KIND_ENUM, .min_items = 1, .max_items = 18, .words = &api_types_token_scope, .fallback = "all:write"},
    {"token_project", offsetof(struct api_token_create, token_project), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"expires_at", offsetof(struct api_token_create, expires_at), API_KIND_TEXT, .format = API_FORMAT_TIMESTAMP, .min = 0, .max = 24},
    {"rate_limit_per_min", offsetof(struct api_token_create, rate_limit_per_min), API_KIND_INT, .min = 1, .max = 1000000, .fallback = "6000"},
};
const struct api_types_object api_types_token_create = {
    "TokenCreate", sizeof(struct api_token_create), 7, token_create_fields, &api_types_token};

static const struct api_types_field token_patch_fields[] = {
    {"name", offsetof(struct api_token_patch, name), API_KIND_TEXT, .format = API_FORMAT_NAME, .min = 0, .max = 63},
    {"description", offsetof(struct api_token_patch, description), API_KIND_TEXT, .flags = API_FIELD_NULLABLE, .min = 0, .max = 1023},
    {"labels", offsetof(struct api_token_patch, labels), API_KIND_MAP, .flags = API_FIELD_NULLABLE | API_FIELD_NULL_VALUES, .min_items = 0, .max_items = 64, .min = 0, .max = 255},
    {"rate_limit_per_min", offsetof(struct api_token_patch, rate_limit_per_min), API_KIND_INT, .flags = API_FIELD_NULLABLE, .min = 1, .max = 1000000},
};
const struct api_types_object api_types_token_patch = {
    "TokenPatch", sizeof(struct api_token_patch), 4, token_patch_fields, &api_types_token};

static const struct api_types_field token_list_fields[] = {
    {"items", offsetof(struct api_token_list, items), API_KIND_LIST, .item_kind = API_KIND_OBJECT, .flags = API_FIELD_REQUIRED, .min_items = 0, .max_items = 1000, .object = &api_types_token},
    {"next_cursor", offsetof(struct api_token_list, next_cursor), API_KIND_TEXT, .min = 0, .max = 2047},
};
const struct api_types_object api_types_token_list = {
    "TokenList", sizeof(struct api_token_list), 2, token_list_fields, NULL};

