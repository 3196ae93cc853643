/* Made by tools/apigen from api/identity.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_IDENTITY_H
#define API_GEN_IDENTITY_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* A tenant. Everything that is paid for belongs to one. */
struct api_project {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing may be created or started. */
    struct api_bool enabled;
    /* How long a deleted VM can be had back; absent: as the settings say then. */
    struct api_int undelete_window_s;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_project;

/* What a project may hold. A limit of -1 is none. */
struct api_quota {
    /* The ETag. */
    struct api_int generation;
    /* What it may hold. */
    struct { enum api_is is; struct api_quota_limits *v; } limits;
    /* What it holds, with what is in flight. */
    struct { enum api_is is; struct api_quota_used *v; } used;
};
extern const struct api_types_object api_types_quota;

/* The limits of a project; -1 is none. */
struct api_quota_limits {
    /* Virtual machines. */
    struct api_int vms;
    /* Virtual CPUs of VMs that are not shelved. */
    struct api_int vcpus;
    /* Memory of VMs that are not shelved. */
    struct api_int memory_mib;
    /* Volumes. */
    struct api_int volumes;
    /* Size of all volumes and snapshots. */
    struct api_int volume_gib;
    /* Snapshots. */
    struct api_int snapshots;
    /* Images. */
    struct api_int images;
    /* Networks. */
    struct api_int networks;
    /* Ports. */
    struct api_int ports;
    /* Floating addresses. */
    struct api_int floating_ips;
    /* Security groups. */
    struct api_int security_groups;
};
extern const struct api_types_object api_types_quota_limits;

/* What a project holds. */
struct api_quota_used {
    /* Virtual machines. */
    struct api_int vms;
    /* Virtual CPUs. */
    struct api_int vcpus;
    /* Memory. */
    struct api_int memory_mib;
    /* Volumes. */
    struct api_int volumes;
    /* Size of all volumes and snapshots. */
    struct api_int volume_gib;
    /* Snapshots. */
    struct api_int snapshots;
    /* Images. */
    struct api_int images;
    /* Networks. */
    struct api_int networks;
    /* Ports. */
    struct api_int ports;
    /* Floating addresses. */
    struct api_int floating_ips;
    /* Security groups. */
    struct api_int security_groups;
};
extern const struct api_types_object api_types_quota_used;

/* A person or a program that signs in by password. The password is stored as argon2id and never
 * shown. */
struct api_user {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The first password. */
    struct api_text password;
    /* Where to write to. */
    struct api_text email;
    /* False: cannot sign in, and its tokens do not work. */
    struct api_bool enabled;
    /* The project that is meant where none is named. */
    struct api_text default_project;
    /* When it last signed in. */
    struct api_text last_login_at;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_user;

/* A change of password. Ends every session of the user. */
struct api_user_password {
    /* The present one; an admin may leave it out for others. */
    struct api_text old_password;
    /* The new one. */
    struct api_text new_password;
};
extern const struct api_types_object api_types_user_password;

/* That a user has a role, in one project or in the whole cloud. */
struct api_role {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Who. */
    struct api_text user;
    /* Which role. */
    struct { enum api_is is; enum api_role_name v; } role;
    /* Where; absent: in the whole cloud. */
    struct api_text on_project;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
};
extern const struct api_types_object api_types_role;

/* A secret that speaks for its owner, within its scopes, until it expires. */
struct api_token {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* What it may be used for. */
    struct { enum api_is is; uint32_t n; enum api_token_scope *v; } scopes;
    /* The only project that it works in; absent: all of its owner's. */
    struct api_text token_project;
    /* When it ends; absent: 90 days from now. */
    struct api_text expires_at;
    /* Requests that it may make in a minute. */
    struct api_int rate_limit_per_min;
    /* The user that it speaks for. */
    struct api_text owner;
    /* When it was last used, to the minute. */
    struct api_text last_used_at;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_token;

/* A new token. The secret is shown only here. */
struct api_token_created {
    /* The token. */
    struct { enum api_is is; struct api_token *v; } token;
    /* What goes after "Bearer". */
    struct api_text secret;
};
extern const struct api_types_object api_types_token_created;

/* Signs in. */
struct api_session_create {
    /* Who. */
    struct api_text user;
    /* The password. */
    struct api_text password;
};
extern const struct api_types_object api_types_session_create;

/* A short-lived token. */
struct api_session {
    /* What goes after "Bearer". */
    struct api_text secret;
    /* When it ends, unless it is used before: each use moves the end. */
    struct api_text expires_at;
    /* Who has signed in. */
    struct { enum api_is is; struct api_user *v; } user;
};
extern const struct api_types_object api_types_session;

/* Who the caller is and what it may do. */
struct api_whoami {
    /* The user that the token speaks for. */
    struct { enum api_is is; struct api_user *v; } user;
    /* The token; absent for a session. */
    struct { enum api_is is; struct api_token *v; } token;
    /* Its roles. */
    struct { enum api_is is; uint32_t n; struct api_role *v; } roles;
};
extern const struct api_types_object api_types_whoami;

/* Opens one WebSocket for a browser, which cannot send headers with it. */
struct api_ticket {
    /* The value of the query parameter ticket. */
    struct api_text ticket;
    /* When it ends: 30 s from now. */
    struct api_text expires_at;
};
extern const struct api_types_object api_types_ticket;

/* What can be changed: The limits of a project; -1 is none. */
struct api_quota_limits_patch {
    /* Virtual machines. */
    struct api_int vms;
    /* Virtual CPUs of VMs that are not shelved. */
    struct api_int vcpus;
    /* Memory of VMs that are not shelved. */
    struct api_int memory_mib;
    /* Volumes. */
    struct api_int volumes;
    /* Size of all volumes and snapshots. */
    struct api_int volume_gib;
    /* Snapshots. */
    struct api_int snapshots;
    /* Images. */
    struct api_int images;
    /* Networks. */
    struct api_int networks;
    /* Ports. */
    struct api_int ports;
    /* Floating addresses. */
    struct api_int floating_ips;
    /* Security groups. */
    struct api_int security_groups;
};
extern const struct api_types_object api_types_quota_limits_patch;

/* What can be changed: What a project may hold. A limit of -1 is none. */
struct api_quota_patch {
    /* What it may hold. */
    struct { enum api_is is; struct api_quota_limits_patch *v; } limits;
};
extern const struct api_types_object api_types_quota_patch;

/* What can be said when it is created: A tenant. Everything that is paid for belongs to one. */
struct api_project_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing may be created or started. */
    struct api_bool enabled;
    /* How long a deleted VM can be had back; absent: as the settings say then. */
    struct api_int undelete_window_s;
};
extern const struct api_types_object api_types_project_create;

/* What can be changed: A tenant. Everything that is paid for belongs to one. */
struct api_project_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* False: nothing may be created or started. */
    struct api_bool enabled;
    /* How long a deleted VM can be had back; absent: as the settings say then. */
    struct api_int undelete_window_s;
};
extern const struct api_types_object api_types_project_patch;

/* A page of projects. */
struct api_project_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_project *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_project_list;

/* What can be said when it is created: A person or a program that signs in by password. The
 * password is stored as argon2id and never shown. */
struct api_user_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* The first password. */
    struct api_text password;
    /* Where to write to. */
    struct api_text email;
    /* False: cannot sign in, and its tokens do not work. */
    struct api_bool enabled;
    /* The project that is meant where none is named. */
    struct api_text default_project;
};
extern const struct api_types_object api_types_user_create;

/* What can be changed: A person or a program that signs in by password. The password is stored
 * as argon2id and never shown. */
struct api_user_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Where to write to. */
    struct api_text email;
    /* False: cannot sign in, and its tokens do not work. */
    struct api_bool enabled;
    /* The project that is meant where none is named. */
    struct api_text default_project;
};
extern const struct api_types_object api_types_user_patch;

/* A page of users. */
struct api_user_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_user *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_user_list;

/* What can be said when it is created: That a user has a role, in one project or in the whole
 * cloud. */
struct api_role_create {
    /* Who. */
    struct api_text user;
    /* Which role. */
    struct { enum api_is is; enum api_role_name v; } role;
    /* Where; absent: in the whole cloud. */
    struct api_text on_project;
};
extern const struct api_types_object api_types_role_create;

/* A page of role assignments. */
struct api_role_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_role *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_role_list;

/* What can be said when it is created: A secret that speaks for its owner, within its scopes,
 * until it expires. */
struct api_token_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* What it may be used for. */
    struct { enum api_is is; uint32_t n; enum api_token_scope *v; } scopes;
    /* The only project that it works in; absent: all of its owner's. */
    struct api_text token_project;
    /* When it ends; absent: 90 days from now. */
    struct api_text expires_at;
    /* Requests that it may make in a minute. */
    struct api_int rate_limit_per_min;
};
extern const struct api_types_object api_types_token_create;

/* What can be changed: A secret that speaks for its owner, within its scopes, until it expires. */
struct api_token_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Requests that it may make in a minute. */
    struct api_int rate_limit_per_min;
};
extern const struct api_types_object api_types_token_patch;

/* A page of API tokens. */
struct api_token_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_token *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_token_list;

#endif
