/* What VMs have used of themselves, their volumes and their ports on this host, so that nothing is
 * lost or counted twice when the agent, a monitor or the server dies.
 *
 * Theory of operation: a monitor's counters begin at zero with each run of its VM, and a run has a
 * number that never comes again. So a counter is known by its VM and run, its value says how much
 * there ever was, and saying it again changes nothing. The book is a file that is written before a
 * message of it is sent: what a run came to is kept when its monitor is gone, until a server has
 * it. The file knows the number of the last message, too; a book that is lost begins another epoch
 * of numbers, while the monitors still know what their runs have used.
 *
 * A counter is in the next message unless its value is one that an acknowledged message had. Those
 * of a run that is over are gone when they are acknowledged. */
#ifndef AGENT_USAGE_BOOK_H
#define AGENT_USAGE_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api_arena.h"
#include "base/err.h"
#include "link/gen/agent.h"

#define USAGE_BOOK_COUNTERS_MAX 65536

struct usage_book;

struct usage_counter {
    uint8_t vm[16];
    uint64_t run; /* the VM's epoch */
    uint8_t object[16];
    enum link_usage_item_kind kind;
    enum link_usage_item_meter meter;
};

/* The book in a file; one that is not there, or not whole, begins anew with an epoch of `now_ms`
 * (Unix time). `source` is the host. Errors: ENOMEM; others of the file system. Blocks. */
struct usage_book *usage_book_open(const char *path, const uint8_t source[16], int64_t now_ms,
                                   struct err *err);
void usage_book_close(struct usage_book *b);

/* A counter stands at `raw`. One that falls has begun anew within its run (its device was taken out
 * and put back): what it came to is kept. Earlier runs of the VM are over. Errors: ENOMEM; ENOSPC:
 * too many. */
int usage_book_count(struct usage_book *b, const struct usage_counter *c, uint64_t raw);
/* What all objects of a kind have come to in a run. */
uint64_t usage_book_sum(const struct usage_book *b, const uint8_t vm[16], uint64_t run,
                        enum link_usage_item_kind kind, enum link_usage_item_meter meter);
/* The VM is gone, and with it its last run. */
void usage_book_end(struct usage_book *b, const uint8_t vm[16]);
/* The same for every VM of which `here` says no: once, when an agent starts. */
void usage_book_keep(struct usage_book *b, bool (*here)(void *opaque, const uint8_t vm[16]),
                     void *opaque);

/* Writes the book down and makes the next message of it, in the arena. 1: there is one; 0: all is
 * acknowledged. Errors: those of writing: nothing may be sent; ENOMEM. Blocks. */
int usage_book_message(struct usage_book *b, int64_t now_ms, struct api_arena *arena,
                       struct link_usage *out, struct err *err);
/* A server has taken messages up to `number` of `epoch`. A higher epoch than ours means that our
 * clock was behind it when the book began: ours becomes the next. */
void usage_book_ack(struct usage_book *b, uint64_t epoch, uint64_t number);

#endif
