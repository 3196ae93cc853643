/* Sets of numbers (addresses, MACs, ports) that are in use, where the lowest free one of a range is
 * found in O(log n), whatever was taken and given back before.
 *
 * Theory of operation: numbers in use lie in disjoint intervals that do not touch each other, in a
 * treap by their first number; each node knows how many numbers are below it. So 65,536 addresses
 * that are given out one after the other are one node, and the lowest free number at or above x is
 * x itself or the one after the interval that holds x.
 *
 * Threads: a set belongs to one. */
#ifndef MGMT_SERVER_SERVER_IPAM_H
#define MGMT_SERVER_SERVER_IPAM_H

#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 server_ipam_number;
#define SERVER_IPAM_MAX (~(server_ipam_number)0)

struct server_ipam_node;
struct server_ipam_set {
    struct server_ipam_node *root;
    struct server_ipam_node *spare; /* so that giving back does not need memory */
    uint64_t random;                /* of priorities: the same in each run */
};

void server_ipam_init(struct server_ipam_set *set);
void server_ipam_fini(struct server_ipam_set *set);

bool server_ipam_has(const struct server_ipam_set *set, server_ipam_number x);
/* Errors: EEXIST, ENOMEM. */
int server_ipam_add(struct server_ipam_set *set, server_ipam_number x);
/* Errors: ENOENT; ENOMEM (x stays in the set), which needs two failures to get memory in a row. */
int server_ipam_remove(struct server_ipam_set *set, server_ipam_number x);
/* How many of first to last are in the set. */
uint64_t server_ipam_count(const struct server_ipam_set *set, server_ipam_number first,
                           server_ipam_number last);
/* The lowest of first to last that is not in the set. False: all are, and *x is untouched. */
bool server_ipam_lowest_free(const struct server_ipam_set *set, server_ipam_number first,
                             server_ipam_number last, server_ipam_number *x);

/* Numbers that are in use for all to see, and those that are about to be: taken by a transaction
 * that may still fail. */
struct server_ipam {
    struct server_ipam_set shown, flight;
};
bool server_ipam_used(const struct server_ipam *ipam, server_ipam_number x);
/* The lowest of first to last that is in neither set. False: there is none. */
bool server_ipam_next(const struct server_ipam *ipam, server_ipam_number first,
                      server_ipam_number last, server_ipam_number *x);

#endif
