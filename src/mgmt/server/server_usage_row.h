/* Rows of the store's usage, and open intervals, as text. */
#ifndef MGMT_SERVER_SERVER_USAGE_ROW_H
#define MGMT_SERVER_SERVER_USAGE_ROW_H

#include <stdint.h>

#include "api/api_buf.h"
#include "base/uuid.h"
#include "mgmt/server/server_usage.h"

#define SERVER_USAGE_ROW_NAME 64
#define SERVER_USAGE_INTERVAL "interval" /* a row's name; a counter's is its meter */

struct server_usage_row {
    int64_t begin_ms, end_ms; /* end: 0: open */
    unsigned n;
    struct server_usage_rate rates[SERVER_USAGE_RATES_MAX];
    char flavor[UUID_TEXT_BYTES];     /* empty: none */
    char name[SERVER_USAGE_ROW_NAME]; /* the object's then; may be empty */
};

/* "BEGIN END FLAVOR|- METER=RATE,... NAME" */
void server_usage_row_write(const struct server_usage_row *row, struct api_buf *b);
/* Errors: EBADMSG. */
int server_usage_row_read(const char *text, size_t bytes, struct server_usage_row *row);

/* A counter's row: "CUMULATIVE PREVIOUS", where the previous is what its writer knew: for a reader
 * that does not read the row before. */
int server_usage_row_read_counter(const char *text, size_t bytes, uint64_t *cumulative,
                                  uint64_t *previous);

/* "vcpu_time". */
const char *server_usage_row_meter(enum api_usage_record_meter meter);
/* Errors: ENOENT. */
int server_usage_row_meter_of(const char *text, size_t bytes, enum api_usage_record_meter *meter);

#endif
