/* Made by tools/apigen from api/placement.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_PLACEMENT_H
#define API_GEN_PLACEMENT_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* VMs that belong together or apart. */
struct api_server_group {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Together or apart. */
    struct { enum api_is is; enum api_server_group_policy v; } policy;
    /* On what: the same or different hosts or racks. */
    struct { enum api_is is; enum api_server_group_by v; } by;
    /* hard: a VM that cannot follow the rule is refused; soft: as far as it can be had. */
    struct { enum api_is is; enum api_server_group_strength v; } strength;
    /* With anti_affinity: so many may share one; absent: 1. */
    struct api_int max_per_host;
    /* What is. */
    struct { enum api_is is; struct api_server_group_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_server_group;

/* What is true of a server group now. */
struct api_server_group_status {
    /* Its VMs. */
    struct api_texts members;
    /* VMs that do not follow a soft rule. */
    struct api_int violations;
};
extern const struct api_types_object api_types_server_group_status;

/* Room that is kept for a project; its VMs use it up by naming it. */
struct api_reservation {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* The project that owns it. */
    struct api_text project;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Room for VMs of this flavor. */
    struct api_text flavor;
    /* For so many. */
    struct api_int count;
    /* In this zone; absent: in any. */
    struct api_text zone;
    /* On hosts of this aggregate. */
    struct api_text aggregate;
    /* From then; absent: now. */
    struct api_text starts_at;
    /* Until then; absent: for good. */
    struct api_text ends_at;
    /* What is. */
    struct { enum api_is is; struct api_reservation_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_reservation;

/* What is true of a reservation now. */
struct api_reservation_status {
    /* pending: it has not begun; active: there is room for all; partial: there is not, as reason
     * says; ended: its room was given back. */
    struct { enum api_is is; enum api_reservation_status_state v; } state;
    /* Why it is partial. */
    struct api_text reason;
    /* Places that are kept free. */
    struct api_int held;
    /* Places that VMs have taken. */
    struct api_int used;
    /* Where its places are. */
    struct { enum api_is is; uint32_t n; struct api_reservation_host *v; } hosts;
};
extern const struct api_types_object api_types_reservation_status;

/* Places of a reservation on one host. */
struct api_reservation_host {
    /* The host. */
    struct api_text host;
    /* Its name. */
    struct api_text name;
    /* Places there, kept free or taken. */
    struct api_int places;
    /* Those that VMs have taken. */
    struct api_int used;
};
extern const struct api_types_object api_types_reservation_host;

/* How many hosts one rule turned away. */
struct api_placement_filter {
    /* The rule. */
    struct { enum api_is is; enum api_placement_filter_filter v; } filter;
    /* Hosts that it turned away. */
    struct api_int hosts;
    /* What was asked for and the best that there was. */
    struct api_text detail;
};
extern const struct api_types_object api_types_placement_filter;

/* What was decided of one host. */
struct api_placement_host {
    /* The host. */
    struct api_text host;
    /* Its name. */
    struct api_text name;
    /* Its score; absent where it was turned away. */
    struct api_number score;
    /* The rule that turned it away. */
    struct api_text turned_away_by;
    /* What was asked for and what it has. */
    struct api_text detail;
};
extern const struct api_types_object api_types_placement_host;

/* Where one VM would go. */
struct api_placement_vm {
    /* The VM's name in the request. */
    struct api_text vm;
    /* The host; absent: none can take it. */
    struct api_text host;
    /* The host's name. */
    struct api_text host_name;
    /* The next best hosts, best first. */
    struct api_texts alternates;
    /* How many hosts each rule turned away. */
    struct { enum api_is is; uint32_t n; struct api_placement_filter *v; } filters;
    /* With explain: what was decided of each host. */
    struct { enum api_is is; uint32_t n; struct api_placement_host *v; } hosts;
};
extern const struct api_types_object api_types_placement_vm;

/* Where VMs would go and why. */
struct api_placement {
    /* All of them can be placed. */
    struct api_bool placed;
    /* Hosts that there are. */
    struct api_int hosts_considered;
    /* Each VM. */
    struct { enum api_is is; uint32_t n; struct api_placement_vm *v; } vms;
};
extern const struct api_types_object api_types_placement;

/* What can be said when it is created: VMs that belong together or apart. */
struct api_server_group_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Together or apart. */
    struct { enum api_is is; enum api_server_group_policy v; } policy;
    /* On what: the same or different hosts or racks. */
    struct { enum api_is is; enum api_server_group_by v; } by;
    /* hard: a VM that cannot follow the rule is refused; soft: as far as it can be had. */
    struct { enum api_is is; enum api_server_group_strength v; } strength;
    /* With anti_affinity: so many may share one; absent: 1. */
    struct api_int max_per_host;
};
extern const struct api_types_object api_types_server_group_create;

/* What can be changed: VMs that belong together or apart. */
struct api_server_group_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
};
extern const struct api_types_object api_types_server_group_patch;

/* A page of server groups. */
struct api_server_group_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_server_group *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_server_group_list;

/* What can be said when it is created: Room that is kept for a project; its VMs use it up by
 * naming it. */
struct api_reservation_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Room for VMs of this flavor. */
    struct api_text flavor;
    /* For so many. */
    struct api_int count;
    /* In this zone; absent: in any. */
    struct api_text zone;
    /* On hosts of this aggregate. */
    struct api_text aggregate;
    /* From then; absent: now. */
    struct api_text starts_at;
    /* Until then; absent: for good. */
    struct api_text ends_at;
};
extern const struct api_types_object api_types_reservation_create;

/* What can be changed: Room that is kept for a project; its VMs use it up by naming it. */
struct api_reservation_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* For so many. */
    struct api_int count;
    /* Until then; absent: for good. */
    struct api_text ends_at;
};
extern const struct api_types_object api_types_reservation_patch;

/* A page of reservations. */
struct api_reservation_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_reservation *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_reservation_list;

#endif
