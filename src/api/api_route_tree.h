/* The tree of path segments, as tools/apigen lays it out: breadth first, the words behind a node
 * together and sorted, so that a binary search finds one. */
#ifndef API_API_ROUTE_TREE_H
#define API_API_ROUTE_TREE_H

#include <stdint.h>

#include "api/api_route.h"

struct api_route_node {
    const char *segment; /* NULL: the root, or a name in braces */
    uint16_t first_word, n_words;
    int16_t parameter;           /* the node of a name in braces; -1: none */
    int16_t routes[API_METHODS]; /* in api_route_table; -1: none */
};

/* [0] is the root. */
extern const struct api_route_node api_route_nodes[API_ROUTE_NODES];

#endif
