/* YAML text, written so that no value can become anything but that value: structure comes from
 * fixed texts, values are double-quoted scalars in which all but printable ASCII is escaped.
 *
 * Spec: YAML 1.1 and 1.2, "double-quoted style" and "escaped characters" (both read alike here). */
#ifndef SEED_SEED_YAML_H
#define SEED_SEED_YAML_H

#include <stdbool.h>
#include <stddef.h>

/* Grows as it is written to. Zeroed memory is an empty one. Owns: text, by free(). */
struct seed_yaml {
    char *text; /* ends with a NUL that `bytes` does not count; NULL while empty */
    size_t bytes, capacity;
    bool failed; /* there was no memory: what is there is not whole */
};

/* Adds structure: a text of ours, by printf's rules. Never a value. */
void seed_yaml_raw(struct seed_yaml *y, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a value. What is not UTF-8 becomes U+FFFD. */
void seed_yaml_value(struct seed_yaml *y, const char *value);
/* Adds "[a, b]" of values; `values` ends with NULL, and NULL is an empty list. */
void seed_yaml_list(struct seed_yaml *y, const char *const *values);

#endif
