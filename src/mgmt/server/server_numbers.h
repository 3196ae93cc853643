/* Small numbers for names and ids, as the scheduler wants them: the order in which they were first
 * seen, from 1. */
#ifndef MGMT_SERVER_SERVER_NUMBERS_H
#define MGMT_SERVER_SERVER_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

struct store_id;

struct server_numbers {
    char **texts;
    uint32_t n, room;
};

void server_numbers_fini(struct server_numbers *n);
/* 0: it is not there and may not be added: `max` are there, or there is no memory. */
uint32_t server_numbers_of(struct server_numbers *n, const char *text, uint32_t max, bool add);
uint32_t server_numbers_of_id(struct server_numbers *n, const struct store_id *id, uint32_t max,
                              bool add);

#endif
