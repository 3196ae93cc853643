/* What the files of inventory share: small files below a root. */
#ifndef AGENT_INVENTORY_INTERNAL_H
#define AGENT_INVENTORY_INTERNAL_H

#include "agent/inventory.h"

#define INVENTORY_PATH_BYTES 512

/* Reads at most size - 1 bytes of root + path (printf's) and terminates them. False: it cannot be
 * read. */
bool inventory_file(const char *root, char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A file that holds a number; -1: it does not. */
int64_t inventory_number(const char *root, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "0-3,8" as numbers, at most `max`; returns how many. */
unsigned inventory_list(const char *text, int64_t *numbers, unsigned max);

/* inventory_net.c */
int inventory_nics(const char *root, const char *const *offered, struct api_arena *arena,
                   struct link_inventory *out);

/* ENOMEM, said once. */
int inventory_full(struct err *err);

#endif
