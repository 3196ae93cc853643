/* Pages of what is in no catalog: structs that a worker has read or added up. */
#ifndef MGMT_SERVER_SERVER_PAGE_H
#define MGMT_SERVER_SERVER_PAGE_H

#include <stddef.h>

#include "api/api_query.h"

/* Filters, sorts, and writes the page of `docs` (structs of q->item, whose order is changed).
 * Errors: as api_problem_set() returns, the refusal is set. Threads: any. */
int server_page_write(const struct api_query *q, const void **docs, size_t n, struct api_buf *b,
                      struct api_refusal *refusal);

#endif
