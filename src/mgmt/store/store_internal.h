/* Between store.c and store_group.c. */
#ifndef MGMT_STORE_STORE_INTERNAL_H
#define MGMT_STORE_STORE_INTERNAL_H

#include "mgmt/store/store.h"

bool store_txn_is_valid(const struct store_txn *txn);

/* store_submit(); direct: `done` is called in the commit thread even if there is a `wake`. */
int store_enqueue(struct store *s, struct store_txn *txn,
                  void (*done)(struct store_txn *txn, void *ctx), void *ctx, bool direct);

#endif
