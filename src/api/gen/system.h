/* Made by tools/apigen from api/system.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_SYSTEM_H
#define API_GEN_SYSTEM_H

#include "api/api_types.h"
#include "api/gen/enums.h"

struct api_overcommit;
struct api_overcommit_patch;
struct api_problem;

/* Work that takes a while. Kept for seven days after its end. */
struct api_operation {
    /* Its id. */
    struct api_text id;
    /* The project that it belongs to. */
    struct api_text project;
    /* The operationId of the request that began it. */
    struct api_text kind;
    /* Its state; the last three are ends. */
    struct { enum api_is is; enum api_operation_state v; } state;
    /* What it is about. */
    struct api_text resource;
    /* What kind of thing that is: vm, volume, image and so on. */
    struct api_text resource_kind;
    /* How far it has come. */
    struct api_int progress_percent;
    /* What it is doing now. */
    struct api_text step;
    /* It can be cancelled now. */
    struct api_bool cancellable;
    /* Why it failed. */
    struct { enum api_is is; struct api_problem *v; } problem;
    /* Who began it. */
    struct api_text principal;
    /* The request that began it. */
    struct api_text request_id;
    /* When it began. */
    struct api_text created_at;
    /* When it last came further. */
    struct api_text updated_at;
    /* When it ended. */
    struct api_text ended_at;
};
extern const struct api_types_object api_types_operation;

/* Something that happened: a CloudEvent (1.0) in its JSON form. The id is the event's number, so
 * a reader goes on where it was. */
struct api_event {
    /* The version of CloudEvents. */
    struct { enum api_is is; enum api_event_specversion v; } specversion;
    /* Its number; events are in the order of their numbers. */
    struct api_text id;
    /* The cloud that it comes from. */
    struct api_text source;
    /* What happened: virga.KIND.created, .changed (a user wrote), .status (the server wrote) or
     * .deleted, where KIND is that of an operationId, such as virga.vm.status;
     * virga.operation.progress; virga.host.joined, .lost and .fenced. */
    struct api_text type;
    /* What it happened to: the kind and the id, such as vm/ID. */
    struct api_text subject;
    /* When it happened. */
    struct api_text time;
    /* application/json. */
    struct api_text datacontenttype;
    /* The project that it belongs to. */
    struct api_text virgaproject;
    /* Who caused it. */
    struct api_text virgaprincipal;
    /* The request that caused it. */
    struct api_text virgarequestid;
    /* Of created, changed and status: the resource as GET shows it. Of others what there is to
     * say. */
    struct api_any data;
};
extern const struct api_types_object api_types_event;

/* A page of events. */
struct api_event_list {
    /* The events, oldest first. */
    struct { enum api_is is; uint32_t n; struct api_event *v; } items;
    /* The number to go on from, also where there are none yet. */
    struct api_text next_after;
};
extern const struct api_types_object api_types_event_list;

/* Who did what, or tried to. Records are never changed; each server chains its own by hashes (a
 * link for each group that was committed together), which GET /v1/audit/verify computes anew. */
struct api_audit_record {
    /* Its place in the log: later records have higher ones. */
    struct api_int number;
    /* When. */
    struct api_text time;
    /* Who; absent for one that could not be told. */
    struct api_text principal;
    /* The name of who; of a failed sign-in the name that was tried. */
    struct api_text principal_name;
    /* By which token. */
    struct api_text token;
    /* From where. */
    struct api_text source_ip;
    /* In which project. */
    struct api_text project;
    /* The operationId. */
    struct api_text operation;
    /* What it was about: the kind and the id. */
    struct api_text resource;
    /* What became of it; failed: the server could not do it. */
    struct { enum api_is is; enum api_audit_record_outcome v; } outcome;
    /* The HTTP status. */
    struct api_int status;
    /* The code of the problem. */
    struct api_text code;
    /* The id of the request. */
    struct api_text request_id;
    /* So many refusals before this one were not recorded, because there were too many. */
    struct api_int suppressed;
    /* The request without its secrets. */
    struct api_any detail;
    /* The server that wrote it; each has a chain of its own. */
    struct api_text server;
    /* The link of that chain whose hash covers it. */
    struct api_int link;
};
extern const struct api_types_object api_types_audit_record;

/* The end of a server's chain. */
struct api_audit_chain {
    /* Whose. */
    struct api_text server;
    /* Its last link. */
    struct api_int link;
    /* The hash of that link. Written down elsewhere, it shows later whether what it covers was
     * changed or cut off. */
    struct api_text hash;
};
extern const struct api_types_object api_types_audit_chain;

/* Whether the audit log is whole. */
struct api_audit_verify {
    /* Every record is there and as it was written. */
    struct api_bool whole;
    /* Records that were looked at. */
    struct api_int records;
    /* What is wrong. */
    struct api_text detail;
    /* The ends of the servers' chains. */
    struct { enum api_is is; uint32_t n; struct api_audit_chain *v; } chains;
};
extern const struct api_types_object api_types_audit_verify;

/* What was used of one thing in an interval. */
struct api_usage_record {
    /* What it is the sum of, as a short text: the same in each answer to the same question. */
    struct api_text id;
    /* Who used it. */
    struct api_text project;
    /* What is measured. */
    struct { enum api_is is; enum api_usage_record_meter v; } meter;
    /* By what; absent where several are added up. */
    struct api_text resource;
    /* Its name then. */
    struct api_text resource_name;
    /* The flavor of a VM. */
    struct api_text flavor;
    /* How much. */
    struct api_number quantity;
    /* Of what. */
    struct { enum api_is is; enum api_usage_record_unit v; } unit;
    /* The interval's begin. */
    struct api_text begin;
    /* The interval's end. */
    struct api_text end;
    /* It is still being used; the end is now. */
    struct api_bool open;
};
extern const struct api_types_object api_types_usage_record;

/* How the whole cloud is set. */
struct api_settings {
    /* The ETag. */
    struct api_int generation;
    /* What this cloud is called. */
    struct api_text cloud_name;
    /* Ratios of hosts that have none of their own. */
    struct { enum api_is is; struct api_overcommit *v; } overcommit;
    /* pack: fill hosts one after the other; spread: all alike. */
    struct { enum api_is is; enum api_settings_placement_policy v; } placement_policy;
    /* Of new projects. */
    struct api_int undelete_window_s;
    /* After how long without use a session ends. */
    struct api_int session_idle_s;
    /* The longest life of a token. */
    struct api_int token_max_days;
    /* How long events are kept. */
    struct api_int events_kept_hours;
};
extern const struct api_types_object api_types_settings;

/* Something that a driver may offer. */
struct api_feature {
    /* Its name, such as network.overlay. */
    struct api_text name;
    /* A driver of this cloud offers it. */
    struct api_bool offered;
};
extern const struct api_types_object api_types_feature;

/* What this server is. */
struct api_version_info {
    /* The server's version. */
    struct api_text version;
    /* The versions of the API that it speaks. */
    struct api_texts api_versions;
    /* What this cloud is called. */
    struct api_text cloud_name;
    /* What its drivers offer. */
    struct { enum api_is is; uint32_t n; struct api_feature *v; } features;
};
extern const struct api_types_object api_types_version_info;

/* A copy of the store, as of one moment. `virgad --restore` begins from it. */
struct api_backup {
    /* Where it is, on the server's machine. */
    struct api_text path;
    /* How large it is. */
    struct api_int size_bytes;
    /* The last commit that is certainly in it. */
    struct api_int seq;
    /* When it was made. */
    struct api_text created_at;
};
extern const struct api_types_object api_types_backup;

/* Whether the server can do its work. */
struct api_health {
    /* It can. */
    struct api_bool healthy;
    /* It leads. */
    struct api_bool leader;
    /* How the store is. */
    struct { enum api_is is; enum api_health_store v; } store;
    /* The last commit that it has seen. */
    struct api_int seq;
};
extern const struct api_types_object api_types_health;

/* What can be changed: How the whole cloud is set. */
struct api_settings_patch {
    /* What this cloud is called. */
    struct api_text cloud_name;
    /* Ratios of hosts that have none of their own. */
    struct { enum api_is is; struct api_overcommit_patch *v; } overcommit;
    /* pack: fill hosts one after the other; spread: all alike. */
    struct { enum api_is is; enum api_settings_placement_policy v; } placement_policy;
    /* Of new projects. */
    struct api_int undelete_window_s;
    /* After how long without use a session ends. */
    struct api_int session_idle_s;
    /* The longest life of a token. */
    struct api_int token_max_days;
    /* How long events are kept. */
    struct api_int events_kept_hours;
};
extern const struct api_types_object api_types_settings_patch;

/* A page of list operations. */
struct api_operation_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_operation *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_operation_list;

/* A page of list the audit log. */
struct api_audit_record_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_audit_record *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_audit_record_list;

/* A page of list what a project has used. */
struct api_usage_record_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_usage_record *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_usage_record_list;

/* The query of operation_wait. */
struct api_operation_wait_query {
    /* How long to wait. */
    struct api_int timeout_s;
};
extern const struct api_types_object api_types_operation_wait_query;

/* The query of event_list. */
struct api_event_list_query {
    /* The number of the last event that is known; absent: only what comes from now on. */
    struct api_text after;
    /* The most events of an answer. */
    struct api_int limit;
    /* Only events whose type begins with this. */
    struct api_text type;
    /* Only events of this subject. */
    struct api_text subject;
    /* How long to wait for an event where there is none. */
    struct api_int wait_s;
};
extern const struct api_types_object api_types_event_list_query;

/* The query of event_stream. */
struct api_event_stream_query {
    /* The number of the last event that is known; absent: only what comes from now on. */
    struct api_text after;
    /* Only events whose type begins with this. */
    struct api_text type;
    /* Only events of this subject. */
    struct api_text subject;
    /* Of POST /v1/tickets, instead of a header. */
    struct api_text ticket;
};
extern const struct api_types_object api_types_event_stream_query;

/* The query of usage_list. */
struct api_usage_list_query {
    /* From then; absent: this month's begin. */
    struct api_text begin;
    /* Until then; absent: now. */
    struct api_text end;
    /* What is added up. */
    struct { enum api_is is; enum api_usage_list_query_group_by v; } group_by;
};
extern const struct api_types_object api_types_usage_list_query;

#endif
