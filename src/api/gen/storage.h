/* Made by tools/apigen from api/storage.yaml; do not edit. Structs; src/api/api_types.h tells how they are used. */
#ifndef API_GEN_STORAGE_H
#define API_GEN_STORAGE_H

#include "api/api_types.h"
#include "api/gen/enums.h"

/* Where volumes lie. It comes into being with the first host that has a pool of its name; what
 * hosts have of one name is one pool. */
struct api_pool {
    /* The id; never changes and is never used again. */
    struct api_text id;
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* local: a folder or device of each host; the others as their drivers offer. */
    struct { enum api_is is; enum api_pool_kind v; } kind;
    /* The only zone that it can be used in; absent: all. */
    struct api_text zone;
    /* What the driver needs to find it: a path, a pool's name. */
    struct api_text location;
    /* How much more may be promised than is there. */
    struct api_number overcommit_ratio;
    /* Whether volumes are encrypted. */
    struct { enum api_is is; enum api_pool_encryption v; } encryption;
    /* False: no new volumes. */
    struct api_bool enabled;
    /* What is. */
    struct { enum api_is is; struct api_pool_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_pool;

/* What is true of a pool now. */
struct api_pool_status {
    /* Its state. */
    struct { enum api_is is; enum api_pool_status_state v; } state;
    /* Why it is not online. */
    struct api_text reason;
    /* What is there. */
    struct api_int size_gib;
    /* What is written. */
    struct api_int used_gib;
    /* The sizes of its volumes together. */
    struct api_int promised_gib;
};
extern const struct api_types_object api_types_pool_status;

/* Limits of a volume or a port; absent is none. */
struct api_qos {
    /* Read requests a second. */
    struct api_int read_iops;
    /* Write requests a second. */
    struct api_int write_iops;
    /* MiB read a second. */
    struct api_int read_mib_per_s;
    /* MiB written a second. */
    struct api_int write_mib_per_s;
    /* Seconds of the limit that may be saved up. */
    struct api_int burst_s;
};
extern const struct api_types_object api_types_qos;

/* A disk that outlives VMs. */
struct api_volume {
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
    /* Its size; absent: that of what it is made from. More by resize. */
    struct api_int size_gib;
    /* Where it lies; absent: the cloud decides. */
    struct api_text pool;
    /* The zone; absent: the pool's. */
    struct api_text zone;
    /* Make it from this image. */
    struct api_text image;
    /* Make it from this snapshot. */
    struct api_text snapshot;
    /* Make it from this volume. */
    struct api_text source_volume;
    /* Encrypt it with a key of its own. */
    struct api_bool encrypted;
    /* Its limits. */
    struct { enum api_is is; struct api_qos *v; } qos;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* What is. */
    struct { enum api_is is; struct api_volume_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_volume;

/* What is true of a volume now. */
struct api_volume_status {
    /* Its state. */
    struct { enum api_is is; enum api_volume_status_state v; } state;
    /* Why it is in this state where that is not plain. */
    struct api_text reason;
    /* The operation that is under way. */
    struct api_text operation;
    /* The host that holds it; absent where every host reaches it. */
    struct api_text host;
    /* The VM that it is attached to. */
    struct api_text vm;
    /* The disk's id and serial number in the guest. */
    struct api_text device_id;
    /* Bytes written. */
    struct api_int used_bytes;
};
extern const struct api_types_object api_types_volume_status;

/* A larger size. */
struct api_volume_resize {
    /* The new size; a volume never shrinks. */
    struct api_int size_gib;
};
extern const struct api_types_object api_types_volume_resize;

/* Back to a snapshot. */
struct api_volume_restore {
    /* A snapshot of this volume; what was written since is lost. */
    struct api_text snapshot;
};
extern const struct api_types_object api_types_volume_restore;

/* A volume as it was at one moment. It lies beside its volume, and outlives it. */
struct api_snapshot {
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
    /* Of which volume; no VM that runs may have it. */
    struct api_text volume;
    /* Ask the guest to write its file systems first. */
    struct api_bool quiesce;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
    /* What is. */
    struct { enum api_is is; struct api_snapshot_status *v; } status;
    /* Counts the writes of users; the ETag. */
    struct api_int generation;
    /* When it was created. */
    struct api_text created_at;
    /* When it was last changed by anybody. */
    struct api_text updated_at;
};
extern const struct api_types_object api_types_snapshot;

/* What is true of a snapshot now. */
struct api_snapshot_status {
    /* Its state. */
    struct { enum api_is is; enum api_snapshot_status_state v; } state;
    /* Why it failed. */
    struct api_text reason;
    /* The operation that is under way. */
    struct api_text operation;
    /* The volume's size then. */
    struct api_int size_gib;
    /* Bytes that only it holds. */
    struct api_int used_bytes;
    /* The guest had written its file systems. */
    struct api_bool consistent;
};
extern const struct api_types_object api_types_snapshot_status;

/* What can be said when it is created: Where volumes lie. It comes into being with the first
 * host that has a pool of its name; what hosts have of one name is one pool. */
struct api_pool_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* local: a folder or device of each host; the others as their drivers offer. */
    struct { enum api_is is; enum api_pool_kind v; } kind;
    /* The only zone that it can be used in; absent: all. */
    struct api_text zone;
    /* What the driver needs to find it: a path, a pool's name. */
    struct api_text location;
    /* How much more may be promised than is there. */
    struct api_number overcommit_ratio;
    /* Whether volumes are encrypted. */
    struct { enum api_is is; enum api_pool_encryption v; } encryption;
    /* False: no new volumes. */
    struct api_bool enabled;
};
extern const struct api_types_object api_types_pool_create;

/* What can be changed: Where volumes lie. It comes into being with the first host that has a
 * pool of its name; what hosts have of one name is one pool. */
struct api_pool_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* How much more may be promised than is there. */
    struct api_number overcommit_ratio;
    /* Whether volumes are encrypted. */
    struct { enum api_is is; enum api_pool_encryption v; } encryption;
    /* False: no new volumes. */
    struct api_bool enabled;
};
extern const struct api_types_object api_types_pool_patch;

/* A page of storage pools. */
struct api_pool_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_pool *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_pool_list;

/* What can be said when it is created: A disk that outlives VMs. */
struct api_volume_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its size; absent: that of what it is made from. More by resize. */
    struct api_int size_gib;
    /* Where it lies; absent: the cloud decides. */
    struct api_text pool;
    /* The zone; absent: the pool's. */
    struct api_text zone;
    /* Make it from this image. */
    struct api_text image;
    /* Make it from this snapshot. */
    struct api_text snapshot;
    /* Make it from this volume. */
    struct api_text source_volume;
    /* Encrypt it with a key of its own. */
    struct api_bool encrypted;
    /* Its limits. */
    struct { enum api_is is; struct api_qos *v; } qos;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
};
extern const struct api_types_object api_types_volume_create;

/* What can be changed: Limits of a volume or a port; absent is none. */
struct api_qos_patch {
    /* Read requests a second. */
    struct api_int read_iops;
    /* Write requests a second. */
    struct api_int write_iops;
    /* MiB read a second. */
    struct api_int read_mib_per_s;
    /* MiB written a second. */
    struct api_int write_mib_per_s;
    /* Seconds of the limit that may be saved up. */
    struct api_int burst_s;
};
extern const struct api_types_object api_types_qos_patch;

/* What can be changed: A disk that outlives VMs. */
struct api_volume_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Its limits. */
    struct { enum api_is is; struct api_qos_patch *v; } qos;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
};
extern const struct api_types_object api_types_volume_patch;

/* A page of volumes. */
struct api_volume_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_volume *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_volume_list;

/* What can be said when it is created: A volume as it was at one moment. It lies beside its
 * volume, and outlives it. */
struct api_snapshot_create {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Of which volume; no VM that runs may have it. */
    struct api_text volume;
    /* Ask the guest to write its file systems first. */
    struct api_bool quiesce;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
};
extern const struct api_types_object api_types_snapshot_create;

/* What can be changed: A volume as it was at one moment. It lies beside its volume, and outlives
 * it. */
struct api_snapshot_patch {
    /* Its name. */
    struct api_text name;
    /* Free text for people. */
    struct api_text description;
    /* Free labels. */
    struct api_map labels;
    /* Refuse to delete it. */
    struct api_bool delete_protection;
};
extern const struct api_types_object api_types_snapshot_patch;

/* A page of snapshots. */
struct api_snapshot_list {
    /* The page's items. */
    struct { enum api_is is; uint32_t n; struct api_snapshot *v; } items;
    /* Where the next page begins; absent on the last one. */
    struct api_text next_cursor;
};
extern const struct api_types_object api_types_snapshot_list;

#endif
