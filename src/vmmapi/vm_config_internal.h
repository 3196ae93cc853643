/* How the config is read and written: every JSON key and every "key=value" of a flag is a row of a
 * const table that says where it lives and what it may hold. Reading, writing and the messages
 * that list the valid keys all walk the same rows, so they cannot disagree. */
#ifndef VMMAPI_VM_CONFIG_INTERNAL_H
#define VMMAPI_VM_CONFIG_INTERNAL_H

#include "vmmapi/vm_config.h"

enum vm_config_kind {
    VM_CONFIG_KIND_TEXT,   /* char[max], printable */
    VM_CONFIG_KIND_NAME,   /* char[max]: letters, digits, . _ - and not a leading one of those */
    VM_CONFIG_KIND_STRING, /* char *, at most max bytes */
    VM_CONFIG_KIND_BOOL,
    VM_CONFIG_KIND_UINT, /* uint32_t in [min, max] */
    VM_CONFIG_KIND_SIZE, /* uint64_t in [min, max]; text with a suffix or a number */
    VM_CONFIG_KIND_ENUM, /* an int whose values index `names` (empty names are not offered) */
    VM_CONFIG_KIND_MAC,
    VM_CONFIG_KIND_UUID,
    VM_CONFIG_KIND_UINTS,    /* uint32_t[], count at count_offset, at most max */
    VM_CONFIG_KIND_FORWARDS, /* struct vm_config_forward[] */
    VM_CONFIG_KIND_OBJECT,
    VM_CONFIG_KIND_LIST, /* of objects: `object`, at most max */
};

struct vm_config_object;

struct vm_config_field {
    const char *key;
    enum vm_config_kind kind;
    uint32_t offset;
    uint32_t count_offset;
    uint64_t min, max;
    const char *const *names; /* ENUM: NULL-terminated */
    const struct vm_config_object *object;
    /* The guest can tell: it has to be the same where a saved VM goes on. Of objects and lists, the
     * fields below decide; a list of them has the same length. */
    bool seen;
};

struct vm_config_object {
    const char *what; /* for messages: "disk" */
    size_t bytes;
    void (*init)(void *object); /* on zeroed memory; may be NULL */
    const struct vm_config_field *fields;
    size_t n_fields;
};

extern const struct vm_config_object vm_config_root;
extern const struct vm_config_object vm_config_disk_object;
extern const struct vm_config_object vm_config_nic_object;
extern const struct vm_config_object vm_config_share_object;
extern const struct vm_config_object vm_config_console_object;
extern const struct vm_config_object vm_config_vsock_object;
extern const struct vm_config_object vm_config_balloon_object;
extern const struct vm_config_object vm_config_cpus_object;
extern const struct vm_config_object vm_config_memory_object;
extern const struct vm_config_object vm_config_sandbox_object;

const struct vm_config_field *vm_config_find_field(const struct vm_config_object *o,
                                                   const char *key, size_t key_len);

/* Sets a scalar field (or appends to a list of scalars) from text. `where` names it in errors. */
int vm_config_set_text(void *object, const struct vm_config_field *f, const char *where,
                       const char *text, struct err *err);
/* The same from a number or a boolean that JSON typed. */
int vm_config_set_number(void *object, const struct vm_config_field *f, const char *where,
                         int64_t value, struct err *err);

/* EINVAL "<where> is not a known ...; valid keys: ...". */
int vm_config_unknown_key(const struct vm_config_object *o, const char *where, struct err *err);

/* A zeroed, initialised new last element of a LIST, or NULL with err set (E2BIG). */
void *vm_config_list_append(void *object, const struct vm_config_field *f, const char *where,
                            struct err *err);

/* Frees the strings of an object, recursively, and zeroes it. */
void vm_config_free_object(void *object, const struct vm_config_object *o);

/* Checks of one disk or NIC, after defaults. `where` as above. */
int vm_config_finish_disk(struct vm_config_disk *d, const char *where, struct err *err);
int vm_config_finish_nic(struct vm_config_nic *n, const char *where, struct err *err);

#endif
