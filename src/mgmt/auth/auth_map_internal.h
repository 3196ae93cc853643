/* A hash table whose nodes lie in its users' structs: chains, and an array of their heads that
 * doubles as it fills. Looking up allocates nothing. Keys that people choose are hashed with a
 * secret seed, so that nobody can make a chain long. */
#ifndef MGMT_AUTH_AUTH_MAP_INTERNAL_H
#define MGMT_AUTH_AUTH_MAP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct auth_map_node {
    struct auth_map_node *next;
    uint64_t hash;
};

struct auth_map {
    struct auth_map_node **heads;
    size_t n_heads; /* a power of two */
    size_t count;
};

struct auth_map_seed {
    uint64_t k0, k1;
};

/* SipHash-2-4. Source: Aumasson, Bernstein: SipHash: a fast short-input PRF, 2012. */
uint64_t auth_map_hash(const struct auth_map_seed *seed, const void *key, size_t bytes);

/* Errors: ENOMEM. */
int auth_map_init(struct auth_map *m);
void auth_map_fini(struct auth_map *m);
/* Makes room for one more, so that auth_map_add() needs none. Errors: ENOMEM. */
int auth_map_reserve(struct auth_map *m);
/* In front of others with the same hash. The node is in no map. */
void auth_map_add(struct auth_map *m, struct auth_map_node *node, uint64_t hash);
/* The node is in this map. */
void auth_map_remove(struct auth_map *m, struct auth_map_node *node);
/* The first node of a hash, and the one after it; NULL: none. The caller compares keys. */
struct auth_map_node *auth_map_first(const struct auth_map *m, uint64_t hash);
struct auth_map_node *auth_map_next(const struct auth_map_node *node);

#endif
