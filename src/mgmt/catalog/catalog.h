/* All objects of the cloud, in memory: what the store holds, parsed, found by id, by name, by
 * owner, in the order of their ids.
 *
 * An object that is shown never changes: a change makes a new *version*, which takes the old one's
 * place when it is durable. So a reader may keep a version as long as it holds a reference, and
 * nobody ever sees what a crash could take back. What stays the same from version to version is the
 * *slot*.
 *
 *   v = catalog_copy(slot->now);    a change: a version of one's own
 *   ... change v->doc ...
 *   catalog_seal(v);                now it has its name and body
 *   (the store writes v->body)
 *   v->seq = ...; catalog_publish(c, v);
 *
 * Threads: a catalog belongs to one. */
#ifndef MGMT_CATALOG_CATALOG_H
#define MGMT_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_json.h"
#include "api/gen/all.h"
#include "base/uuid.h"
#include "mgmt/store/store.h"

/* Numbers are in the store: never change one. */
enum catalog_kind {
    CATALOG_NONE,
    CATALOG_PROJECT,
    CATALOG_QUOTA, /* its id is the project's */
    CATALOG_USER,
    CATALOG_ROLE,
    CATALOG_TOKEN,
    CATALOG_SETTINGS,
    CATALOG_FLAVOR,
    CATALOG_KEYPAIR,
    CATALOG_VM,
    CATALOG_IMAGE,
    CATALOG_VOLUME,
    CATALOG_SNAPSHOT,
    CATALOG_POOL,
    CATALOG_NETWORK,
    CATALOG_SUBNET,
    CATALOG_PORT,
    CATALOG_SECURITY_GROUP,
    CATALOG_FLOATING_IP,
    CATALOG_ZONE,
    CATALOG_AGGREGATE,
    CATALOG_HOST,
    CATALOG_HOST_JOIN_TOKEN,
    CATALOG_SERVER_GROUP,
    CATALOG_RESERVATION,
    CATALOG_OPERATION,
    CATALOG_KINDS
};

/* A row of the store that is no object, and not loaded: something (an address, a MAC) that no two
 * objects may have. */
#define CATALOG_LEASE 255

/* What is known of an object and not part of the API: never shown. One table for all kinds. */
struct catalog_own {
    struct api_text secret_sha256; /* TOKEN, HOST_JOIN_TOKEN: of the secret, in hexadecimal */
    struct api_bool session;       /* TOKEN: a session's */
    struct api_text user;          /* TOKEN: whose */
    struct api_text certificate;   /* HOST: the serial number of the one that is valid */
    struct api_int nodes;          /* VM: NUMA nodes that it holds, bit = number */
    struct api_int cpu_policy;     /* VM: enum sched_cpu */
    struct api_bool hugepages;     /* VM */
    struct api_int disk_gib;       /* VM: of its host's disk */
    struct api_int want;           /* VM: enum link_vm_want_power, of its host */
    struct api_int grace_ms;       /* VM: how long its guest may take to shut down */
    struct api_texts volumes;      /* VM: ids, the first one boots; shown or not */
    struct api_texts ports;        /* VM: ids, in the order of its NICs */
    struct api_int to_state;       /* VM: enum api_vm_state to which the steps lead */
    struct api_texts steps;        /* VM: what is still to be done, the first one under way */
    struct api_int purge;          /* VM: 1: its volumes are deleted with it */
    struct api_text host;          /* VOLUME, SNAPSHOT, IMAGE: where it lies */
    struct api_text vm;            /* VOLUME, PORT: whose it is */
    struct api_int serial;         /* USER: sessions that began earlier have ended, TOKEN: of a
                                      session, when it began (ms since 1970); PORT: and such */
    struct api_text key, cert;     /* SETTINGS: the authority's, PEM */
    struct api_text usage;         /* the interval that is open: mgmt/server/server_usage_row.h */
    struct api_int usage_number;   /* of the last one that was closed */
    struct api_bool made;   /* PORT: made for its VM, and ends with it; VOLUME, SNAPSHOT, IMAGE: it
                               has been there */
    struct api_int wish;    /* VOLUME, SNAPSHOT, IMAGE: counts changes of what is wanted */
    struct api_int was_gib; /* VOLUME: its size before the resize under way */
    struct api_text pool;   /* SNAPSHOT: id of the one where it lies */
    struct api_text resource;  /* IMAGE: the volume or snapshot that it is copied from; VM: the
                                  volume  or port that comes or goes while it runs */
    struct api_text swap;      /* VM: the volume that takes the place of its first */
    struct api_text rescue;    /* VM: the volume that it boots from instead of its first */
    struct api_text boot;      /* VM: of its host when it was last started */
    struct api_text why;       /* VM: why that one did not come: it is taken back */
    struct api_text operation; /* HOST: that is under way */
    struct api_texts places; /* RESERVATION: what it holds, "HOST NODES COUNT" each: an id, bits as
                                above, so many there, taken by VMs or not */
    struct api_text server;  /* HOST: the id of the one that it is, or was last, connected to */
    struct api_text has;     /* HOST: what it said to that one (mgmt/server/server_host_has.h) */
    struct api_int vcpus, memory_mib; /* RESERVATION: of each place, and cpu_policy, hugepages,
                                         disk_gib as above */
};
extern const struct api_types_object catalog_own_type;

struct catalog_kind_info {
    const char *name; /* "vm": in events, paths and messages */
    const struct api_types_object *type;
    bool in_project;
};
/* By enum catalog_kind. */
extern const struct catalog_kind_info catalog_kinds[CATALOG_KINDS];

struct catalog_object {
    enum catalog_kind kind;
    unsigned refs;
    struct store_id id, project; /* project: zero for what belongs to the cloud */
    uint64_t seq;                /* of its write; 0: not yet */
    bool patient; /* what its host said, and nothing that it shall do: it is told when there is time
                     (of this server's own versions only) */
    char id_text[UUID_TEXT_BYTES];
    const char *name; /* the doc's; the id as text where the kind has no names */
    void *doc;        /* a struct of the kind's type */
    struct catalog_own *own;
    char *body;                    /* as stored; NULL once it is published */
    size_t body_bytes, text_bytes; /* the latter of its beginning: as answered; 0: it has secrets */
    struct api_arena arena;        /* of doc and own */
};

struct catalog_slot {
    struct catalog_object *now;
    bool writing; /* a new version is on its way to the store */
    bool leaving; /* and it is its removal */
    void *aux;    /* whatever the server keeps of it */
    /* The catalog's own. */
    struct catalog_slot *next_by_id, *next_by_name;
    uint32_t id_hash, name_hash; /* kept: to grow is to look at slots, and at no object */
};

/* Slots in the order of their ids. Borrowed until the catalog changes. */
struct catalog_list {
    struct catalog_slot **slots;
    size_t n, room;
    /* The catalog's own. */
    uint8_t kind, role;
    struct store_id of;
    struct catalog_list *next;
};

struct catalog;

/* `changed` is told of every publish and removal, after it, with the version before (NULL: it is
 * new) and after (NULL: it is gone); both are borrowed. */
typedef void catalog_changed(void *ctx, struct catalog_slot *slot, struct catalog_object *before,
                             struct catalog_object *after);
struct catalog *catalog_create(catalog_changed *changed, void *ctx);
void catalog_destroy(struct catalog *c);

/* A new object's first version: id and name are set in the doc by whoever fills it in. Owns: the
 * caller holds the only reference. NULL: no memory. */
struct catalog_object *catalog_new(enum catalog_kind kind, const struct store_id *id,
                                   const struct store_id *project);
/* A further version, to be changed. NULL: no memory. */
struct catalog_object *catalog_copy(const struct catalog_object *v);
/* Sets name and body from doc and own, which are copied: pointers into the old ones are invalid
 * after it, and own is read-only. Errors: ENOMEM. */
int catalog_seal(struct catalog_object *v);
/* Appends it as answers show it, without secrets. */
void catalog_write(const struct catalog_object *v, struct api_buf *b);
/* From what the store holds. NULL: err says why. */
struct catalog_object *catalog_parse(const struct store_record *record, struct err *err);
struct catalog_object *catalog_ref(struct catalog_object *v);
/* NULL is allowed. */
void catalog_unref(struct catalog_object *v);

/* Shows a version, whose seq is set; takes the caller's reference. An older one than what is shown
 * is dropped; one of the same seq differs in what is not stored (progress). Returns the slot; NULL:
 * no memory (the version is dropped). */
struct catalog_slot *catalog_publish(struct catalog *c, struct catalog_object *v);
/* Forgets an object, unless it was written after `seq`. */
void catalog_remove(struct catalog *c, enum catalog_kind kind, const struct store_id *id,
                    uint64_t seq);

/* NULL: there is none. */
struct catalog_slot *catalog_find(const struct catalog *c, enum catalog_kind kind,
                                  const struct store_id *id);
/* By the id that the text is; NULL for a text that is none, or none. */
struct catalog_slot *catalog_find_id(const struct catalog *c, enum catalog_kind kind,
                                     const char *id_text);
/* By id (as text) or name; an id is looked for first. */
struct catalog_slot *catalog_find_text(const struct catalog *c, enum catalog_kind kind,
                                       const struct store_id *project, const char *ref);
/* All of a kind; those of a project; those whose parent (a VM's, volume's, snapshot's host; a
 * port's VM; a subnet's network) is that. Never NULL. */
const struct catalog_list *catalog_all(const struct catalog *c, enum catalog_kind kind);
const struct catalog_list *catalog_in(const struct catalog *c, enum catalog_kind kind,
                                      const struct store_id *project);
const struct catalog_list *catalog_under(const struct catalog *c, enum catalog_kind kind,
                                         const struct store_id *parent);

/* Zero where the kind has none, or this one has none now. */
struct store_id catalog_parent(const struct catalog_object *v);

/* A new id: a UUID of version 7 (RFC 9562, 5.7), later than all before it in this process. */
struct store_id catalog_id(int64_t now_ms);
bool catalog_id_is_zero(const struct store_id *id);
/* Errors: EINVAL. */
int catalog_id_parse(const char *text, struct store_id *id);

#endif
