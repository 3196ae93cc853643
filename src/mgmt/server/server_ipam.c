#include "mgmt/server/server_ipam.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

struct server_ipam_node {
    server_ipam_number first, last;
    uint64_t numbers; /* in this node and below */
    uint64_t priority;
    struct server_ipam_node *left, *right;
};

void server_ipam_init(struct server_ipam_set *set)
{
    *set = (struct server_ipam_set){.random = UINT64_C(0x9e3779b97f4a7c15)};
}

static void free_all(struct server_ipam_node *n)
{
    while (n) {
        struct server_ipam_node *right = n->right;
        free_all(n->left);
        free(n);
        n = right;
    }
}

void server_ipam_fini(struct server_ipam_set *set)
{
    free_all(set->root);
    free(set->spare);
    server_ipam_init(set);
}

/* ---- the treap ---- */

static uint64_t numbers_of(const struct server_ipam_node *n)
{
    return n ? n->numbers : 0;
}

static uint64_t length_of(const struct server_ipam_node *n)
{
    return (uint64_t)(n->last - n->first) + 1;
}

static void update(struct server_ipam_node *n)
{
    n->numbers = numbers_of(n->left) + length_of(n) + numbers_of(n->right);
}

/* Nodes that begin below `key` go left. */
static void split(struct server_ipam_node *n, server_ipam_number key,
                  struct server_ipam_node **left, struct server_ipam_node **right)
{
    if (!n) {
        *left = *right = NULL;
    } else if (n->first < key) {
        split(n->right, key, &n->right, right);
        *left = n;
        update(n);
    } else {
        split(n->left, key, left, &n->left);
        *right = n;
        update(n);
    }
}

static struct server_ipam_node *join(struct server_ipam_node *left, struct server_ipam_node *right)
{
    if (!left || !right)
        return left ? left : right;
    if (left->priority > right->priority) {
        left->right = join(left->right, right);
        update(left);
        return left;
    }
    right->left = join(left, right->left);
    update(right);
    return right;
}

static struct server_ipam_node *without_first(struct server_ipam_node *n,
                                              struct server_ipam_node **first)
{
    if (!n->left) {
        *first = n;
        return n->right;
    }
    n->left = without_first(n->left, first);
    update(n);
    return n;
}

static void attach(struct server_ipam_set *set, struct server_ipam_node *n)
{
    struct server_ipam_node *left, *right;
    n->left = n->right = NULL;
    update(n);
    split(set->root, n->first, &left, &right);
    set->root = join(join(left, n), right);
}

/* The node that begins with `first`, which is there. */
static struct server_ipam_node *detach(struct server_ipam_set *set, server_ipam_number first)
{
    struct server_ipam_node *left, *right, *n;
    split(set->root, first, &left, &right);
    right = without_first(right, &n);
    set->root = join(left, right);
    return n;
}

/* The last node that begins at x or below. */
static struct server_ipam_node *at_or_below(const struct server_ipam_set *set, server_ipam_number x)
{
    struct server_ipam_node *n = set->root, *found = NULL;
    while (n) {
        if (n->first <= x) {
            found = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return found;
}

/* ---- nodes ---- */

static struct server_ipam_node *node_take(struct server_ipam_set *set)
{
    struct server_ipam_node *n = set->spare ? steal_ptr(&set->spare) : malloc(sizeof(*n));
    if (!n)
        return NULL;
    set->random ^= set->random << 13;
    set->random ^= set->random >> 7;
    set->random ^= set->random << 17;
    n->priority = set->random;
    return n;
}

static void node_give(struct server_ipam_set *set, struct server_ipam_node *n)
{
    if (set->spare)
        free(n);
    else
        set->spare = n;
}

/* ---- the set ---- */

bool server_ipam_has(const struct server_ipam_set *set, server_ipam_number x)
{
    const struct server_ipam_node *n = at_or_below(set, x);
    return n && x <= n->last;
}

int server_ipam_add(struct server_ipam_set *set, server_ipam_number x)
{
    struct server_ipam_node *below = at_or_below(set, x), *above;
    if (below && x <= below->last)
        return -EEXIST;
    above = x < SERVER_IPAM_MAX ? at_or_below(set, x + 1) : NULL;
    bool joins_below = below && below->last + 1 == x;
    bool joins_above = above && above->first == x + 1;
    if (!set->spare)
        set->spare = malloc(sizeof(*set->spare));
    if (!set->spare)
        return -ENOMEM;
    struct server_ipam_node *n;
    if (joins_below) {
        n = detach(set, below->first);
        n->last = x;
        if (joins_above) {
            above = detach(set, x + 1);
            n->last = above->last;
            node_give(set, above);
        }
    } else if (joins_above) {
        n = detach(set, x + 1);
        n->first = x;
    } else {
        n = node_take(set);
        n->first = n->last = x;
    }
    attach(set, n);
    return 0;
}

int server_ipam_remove(struct server_ipam_set *set, server_ipam_number x)
{
    struct server_ipam_node *n = at_or_below(set, x), *rest = NULL;
    if (!n || x > n->last)
        return -ENOENT;
    bool splits = n->first < x && x < n->last;
    if (splits) {
        rest = node_take(set);
        if (!rest)
            return -ENOMEM;
    }
    n = detach(set, n->first);
    if (splits) {
        rest->first = x + 1;
        rest->last = n->last;
        attach(set, rest);
    }
    if (n->first < x) {
        n->last = x - 1;
        attach(set, n);
    } else if (x < n->last) {
        n->first = x + 1;
        attach(set, n);
    } else {
        node_give(set, n);
    }
    return 0;
}

/* How many are x or lower. */
static uint64_t rank(const struct server_ipam_set *set, server_ipam_number x)
{
    uint64_t count = 0;
    const struct server_ipam_node *n = set->root;
    while (n) {
        if (n->first > x) {
            n = n->left;
            continue;
        }
        count += numbers_of(n->left);
        if (x <= n->last)
            return count + (uint64_t)(x - n->first) + 1;
        count += length_of(n);
        n = n->right;
    }
    return count;
}

uint64_t server_ipam_count(const struct server_ipam_set *set, server_ipam_number first,
                           server_ipam_number last)
{
    return first > last ? 0 : rank(set, last) - (first ? rank(set, first - 1) : 0);
}

bool server_ipam_lowest_free(const struct server_ipam_set *set, server_ipam_number first,
                             server_ipam_number last, server_ipam_number *x)
{
    const struct server_ipam_node *n = at_or_below(set, first);
    if (n && first <= n->last) {
        if (n->last == SERVER_IPAM_MAX)
            return false;
        first = n->last + 1;
    }
    if (first > last)
        return false;
    *x = first;
    return true;
}

/* ---- shown and in flight ---- */

bool server_ipam_used(const struct server_ipam *ipam, server_ipam_number x)
{
    return server_ipam_has(&ipam->shown, x) || server_ipam_has(&ipam->flight, x);
}

bool server_ipam_next(const struct server_ipam *ipam, server_ipam_number first,
                      server_ipam_number last, server_ipam_number *x)
{
    server_ipam_number found = first;
    while (server_ipam_lowest_free(&ipam->shown, found, last, &found)) {
        if (!server_ipam_has(&ipam->flight, found)) {
            *x = found;
            return true;
        }
        if (!server_ipam_lowest_free(&ipam->flight, found, last, &found))
            return false;
    }
    return false;
}
