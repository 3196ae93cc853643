/* Adding up usage: rows and open intervals in, records of the API out. Pure; of one thread. */
#ifndef MGMT_SERVER_SERVER_USAGE_SUM_H
#define MGMT_SERVER_SERVER_USAGE_SUM_H

#include "mgmt/server/server_usage_row.h"

/* How far before its begin a sum has to read, so that each counter's first row within it has its
 * neighbour: longer than what a writer may know wrongly, and than clocks are off. */
#define SERVER_USAGE_SUM_BACK_MS (INT64_C(3600) * 1000)

struct server_usage_sum;

/* NULL: no memory. */
struct server_usage_sum *server_usage_sum_create(int64_t begin_ms, int64_t end_ms,
                                                 enum api_usage_list_query_group_by by);
void server_usage_sum_destroy(struct server_usage_sum *sum);
/* An interval; end 0: open, until now_ms. Errors: ENOMEM. */
int server_usage_sum_interval(struct server_usage_sum *sum, const struct store_id *project,
                              const struct store_id *object, const struct server_usage_row *row,
                              int64_t now_ms);
/* A row of the store. Rows are given in order, from SERVER_USAGE_SUM_BACK_MS before the begin. One
 * that cannot be read counts nothing. Errors: ENOMEM. */
int server_usage_sum_row(struct server_usage_sum *sum, const struct store_row *row);
/* The records, in no order: structs api_usage_record that live as long as the sum. Errors: ENOMEM.
 */
int server_usage_sum_records(struct server_usage_sum *sum, const void ***docs, size_t *n);

#endif
