/* What a follower needs that was away for longer than deletions are kept: which objects there are,
 * so that it sees which of its own there are no more. */
#ifndef MGMT_SERVER_SERVER_FOLLOW_ANEW_H
#define MGMT_SERVER_SERVER_FOLLOW_ANEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct store_record;
struct server_follow_living;

struct server_follow_anew {
    struct server_follow_living *living;
    size_t n, room;
    bool is_sorted;
};

/* Notes an object that lives. Errors: ENOMEM. Threads: any, one at a time. */
int server_follow_anew_note(struct server_follow_anew *a, const struct store_record *r);
/* Takes from the catalog what is not among the living, was not written after `seq`, and is (not)
 * what others stand on: a host is let go when what it held has been. Returns how many. The loop's
 * thread. */
size_t server_follow_anew_remove(struct server_follow_anew *a, struct server *s, uint64_t seq,
                                 bool bases);
void server_follow_anew_fini(struct server_follow_anew *a);

#endif
