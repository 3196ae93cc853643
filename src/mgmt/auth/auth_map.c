#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mgmt/auth/auth_map_internal.h"

#define HEADS_MIN 16

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

uint64_t auth_map_hash(const struct auth_map_seed *seed, const void *key, size_t bytes)
{
    uint64_t v[4] = {
        seed->k0 ^ UINT64_C(0x736f6d6570736575), seed->k1 ^ UINT64_C(0x646f72616e646f6d),
        seed->k0 ^ UINT64_C(0x6c7967656e657261), seed->k1 ^ UINT64_C(0x7465646279746573)};
    const uint8_t *p = key;
    for (size_t left = bytes;; p += 8, left -= 8) {
        uint8_t last[8] = {[7] = (uint8_t)bytes};
        if (left < 8)
            memcpy(last, p, left);
        uint64_t word = le64_read(left < 8 ? last : p);
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
        if (left < 8)
            break;
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int auth_map_init(struct auth_map *m)
{
    *m = (struct auth_map){.n_heads = HEADS_MIN};
    m->heads = calloc(HEADS_MIN, sizeof(m->heads[0]));
    return m->heads ? 0 : -ENOMEM;
}

void auth_map_fini(struct auth_map *m)
{
    free(m->heads);
    *m = (struct auth_map){.heads = NULL};
}

static struct auth_map_node **head_of(struct auth_map_node **heads, size_t n_heads, uint64_t hash)
{
    return &heads[hash & (n_heads - 1)];
}

int auth_map_reserve(struct auth_map *m)
{
    if (m->count < m->n_heads)
        return 0;
    size_t n = m->n_heads * 2;
    struct auth_map_node **heads = calloc(n, sizeof(heads[0]));
    if (!heads)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_heads; i++) {
        /* A chain becomes two; each keeps its order. */
        struct auth_map_node **ends[2] = {&heads[i], &heads[i + m->n_heads]};
        for (struct auth_map_node *node = m->heads[i]; node; node = node->next) {
            bool high = node->hash & m->n_heads;
            *ends[high] = node;
            ends[high] = &node->next;
        }
        *ends[0] = NULL;
        *ends[1] = NULL;
    }
    free(m->heads);
    m->heads = heads;
    m->n_heads = n;
    return 0;
}

void auth_map_add(struct auth_map *m, struct auth_map_node *node, uint64_t hash)
{
    struct auth_map_node **head = head_of(m->heads, m->n_heads, hash);
    node->hash = hash;
    node->next = *head;
    *head = node;
    m->count++;
}

void auth_map_remove(struct auth_map *m, struct auth_map_node *node)
{
    struct auth_map_node **at = head_of(m->heads, m->n_heads, node->hash);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    m->count--;
}

static struct auth_map_node *same_hash(struct auth_map_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct auth_map_node *auth_map_first(const struct auth_map *m, uint64_t hash)
{
    return same_hash(*head_of(m->heads, m->n_heads, hash), hash);
}

struct auth_map_node *auth_map_next(const struct auth_map_node *node)
{
    return same_hash(node->next, node->hash);
}
