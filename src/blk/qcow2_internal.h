/* What the qcow2_*.c files share.
 *
 * Theory of operation
 * -------------------
 * Everything runs in the loop's thread, as operations (struct qcow2_op, one a request) that work
 * through their range run by run: a run is a stretch of the guest's range that one L2 page maps
 * in one way. An operation's step either goes on (0), has a request below in flight (-EINPROGRESS)
 * or cannot go on now (-EAGAIN): a table page is being loaded, a cache slot or a lane is taken, a
 * conflicting run is active. In the last case it waits on one list; whatever finishes anything runs
 * all who wait again from the top of their step, which looks everything up anew. Steps change
 * nothing before they can finish, so running them again is harmless.
 *
 * Runs that overlap: each run claims its guest clusters. Data written in place or read is a shared
 * claim; what changes the map (allocation, zeroes, discard) is an exclusive one.
 *
 * Tables are cached in pages (qcow2_cache.c) and written back by one flush machine
 * (qcow2_flush.c) in an order that leaves the file consistent, but for leaked clusters, whenever
 * the power goes:
 *   1. refcount pages that grew; flush; refcount table; [a block before what points to it]
 *   2. flush: these, and all guest data written so far
 *   3. L2 pages and L1; flush
 *   4. only then are clusters that the map no longer uses given back (struct qcow2_free), so that a
 *      refcount on disk is never lower than the number of references.
 * While it runs, the map and the refcount table do not change: steps that would wait. Refcounts in
 * memory may grow meanwhile (harmless: a leak at worst).
 *
 * Invariants
 *   I1 a cluster is linked in L2 only after its data is written and its refcount raised, in memory
 *   I2 a dirty page is never evicted; a page is clean only after a flush that covered it succeeded
 *   I3 every offset that comes from the file is checked where it is used: aligned, inside the file,
 *      not over the header, L1 or refcount table
 *   I4 one lane does what changes the structure: new L2 tables, refcount blocks, refcount table */
#ifndef BLK_QCOW2_INTERNAL_H
#define BLK_QCOW2_INTERNAL_H

#include "base/util.h"
#include "blk/blk_provider.h"
#include "blk/qcow2.h"
#include "blk/qcow2_wire.h"

#define QCOW2_PAGE_BYTES_MAX 4096
#define QCOW2_BUCKETS        256
#define QCOW2_EXCLUSIVE_MAX  16
#define QCOW2_FREES_MAX      1024
#define QCOW2_BUFFERS_BYTES  (MIB)
#define QCOW2_ZERO_BYTES     (64 * KIB)
#define QCOW2_L1_BYTES_MAX   (32 * MIB)
#define QCOW2_REFTABLE_MAX   (8 * MIB)

struct qcow2;

struct qcow2_header {
    unsigned version, cluster_bits, refcount_order, compression;
    uint64_t size_bytes;
    uint64_t l1_offset, reftable_offset;
    uint32_t l1_entries, reftable_clusters, n_snapshots;
    uint64_t incompatible, compatible, autoclear;
    uint64_t backing_offset;
    uint32_t backing_len, header_len;
};

enum qcow2_page_state { QCOW2_PAGE_EMPTY, QCOW2_PAGE_LOADING, QCOW2_PAGE_VALID, QCOW2_PAGE_FAILED };

struct qcow2_page {
    struct qcow2 *q;
    uint64_t offset; /* in the file */
    enum qcow2_page_state state;
    int error;
    bool is_refcount, dirty, in_flush;
    unsigned pins;
    uint64_t used; /* for least recently used */
    uint8_t *data;
    struct qcow2_page *bucket_next;
    struct blk_request io;
    struct iovec iov;
};

/* A table that is kept whole, as it is on disk. */
struct qcow2_table {
    uint8_t *data;
    uint64_t offset, entries, bytes; /* bytes: rounded up to clusters */
    uint8_t *dirty;                  /* one flag a QCOW2_PAGE_BYTES_MAX chunk */
    bool any_dirty;
};

enum qcow2_kind {
    QCOW2_UNALLOCATED,
    QCOW2_ZERO,
    QCOW2_ZERO_ALLOCATED,
    QCOW2_NORMAL,
    QCOW2_COMPRESSED
};

struct qcow2_extent {
    enum qcow2_kind kind;
    bool copied, has_l2;
    uint64_t host;  /* of its first cluster */
    uint64_t entry; /* its first L2 entry */
    uint64_t n_clusters;
};

enum qcow2_step {
    QCOW2_MAP,        /* find the next run and begin it */
    QCOW2_TRANSFER,   /* a plain request below has finished */
    QCOW2_COW_READ,   /* get the old contents of a partly written cluster */
    QCOW2_COW_WRITE,  /* ... which are there: write the new cluster */
    QCOW2_WRITTEN,    /* the new clusters are written */
    QCOW2_LINK,       /* change the L2 entries */
    QCOW2_FLUSH_WAIT, /* for the flush machine */
};

struct qcow2_op {
    struct blk_request child;
    struct blk_request *req;
    struct qcow2 *q;
    struct qcow2_op *next; /* ready, waiting or free list */
    struct qcow2_op *claim_next, **claim_at;
    enum qcow2_step step;
    uint64_t pos; /* bytes of the request that are done */

    bool claimed, running, exclusive;
    uint64_t claim_first, claim_end; /* guest clusters */

    uint64_t len; /* of the run */
    struct qcow2_extent ext;
    struct qcow2_page *page; /* pinned, of the run's L2 entries */
    uint64_t new_host, n_new;
    bool reuses_host;
    uint64_t link_entry; /* what LINK writes: with an offset, it grows by a cluster an entry */
    uint8_t *buf;
    struct iovec *iov;
    unsigned iov_cap;
    int result;         /* of the request below */
    int lane_error;     /* of the lane that worked for this operation */
    uint64_t flush_seq; /* FLUSH_WAIT: the flush that covers it */
    bool slot_waiting;
    uint64_t slot_failures; /* q->flush.failures when it began to wait for a slot */
};

struct qcow2_op_list {
    struct qcow2_op *first, **last;
};

enum qcow2_flush_step {
    QCOW2_FLUSH_IDLE,
    QCOW2_FLUSH_REFCOUNTS,
    QCOW2_FLUSH_REFCOUNTS_SYNC,
    QCOW2_FLUSH_REFTABLE,
    QCOW2_FLUSH_SYNC,
    QCOW2_FLUSH_MAP,
    QCOW2_FLUSH_MAP_SYNC,
};

struct qcow2_flush {
    enum qcow2_flush_step step;
    uint64_t started, finished; /* sequence numbers */
    uint64_t failures, failed_seq;
    int result;        /* of the one that runs, then of the last */
    int failed_result; /* of the last that failed */
    unsigned in_flight;
    bool advancing, wrote_map;
    unsigned frees; /* how many the L2 pages of this flush cover */
    struct blk_request io;
    struct iovec iov;
};

/* Clusters that the map no longer uses, or never came to use. */
struct qcow2_free {
    uint64_t cluster, n_clusters;
    bool discard;
};

enum qcow2_lane_kind { QCOW2_LANE_IDLE, QCOW2_LANE_L2, QCOW2_LANE_REFBLOCK, QCOW2_LANE_REFTABLE };

struct qcow2_lane {
    enum qcow2_lane_kind kind;
    unsigned step;
    struct qcow2_op *owner;
    uint64_t index;    /* in L1, or in the refcount table */
    uint64_t host;     /* of what is new */
    uint64_t old_host; /* L2: the shared table that is copied, 0 for none */
    uint8_t *buf;
    uint64_t buf_bytes;
    uint64_t new_entries, n_blocks; /* refcount table */
    uint64_t new_clusters;
    int result;
    struct blk_request io;
    struct iovec iov;
};

/* One compressed cluster at a time; the last one is kept. */
struct qcow2_unpack {
    uint64_t entry, failed_entry; /* L2 entries; 0: none */
    bool busy;
    int error;
    uint64_t loading;
    size_t in_bytes;
    uint8_t *in, *out;
    void *zstd;
    struct blk_request io;
    struct iovec iov;
};

struct qcow2 {
    struct blk blk;
    struct blk *file, *backing;
    char name[256];
    struct qcow2_header h;
    uint64_t cluster_bytes;
    uint32_t page_bytes, l2_entries;
    uint64_t refblock_entries;
    bool corrupt;
    bool fresh_unknown; /* a write failed: what lies past the end may not be zero */

    struct qcow2_table l1, reftable;
    struct qcow2_page *pages, *buckets[QCOW2_BUCKETS];
    unsigned n_pages;
    uint64_t use_counter;

    uint64_t alloc_hint; /* no free cluster below this one */
    struct qcow2_free frees[QCOW2_FREES_MAX];
    unsigned frees_head, n_frees, n_ready;
    bool free_discarding;
    struct blk_request free_io;

    struct qcow2_flush flush;
    struct qcow2_lane lane;
    struct qcow2_unpack unpack;
    struct blk_request corrupt_io;
    struct iovec corrupt_iov;
    uint8_t *corrupt_sector;

    bool running, rerun;
    struct loop_post again; /* wakes those who wait, after the loop had a turn */
    struct qcow2_op_list ready, waiting;
    struct qcow2_op *claims, **claims_last, *free_ops;
    unsigned n_exclusive;
    uint8_t *free_buffers; /* linked through their first bytes */
    unsigned n_buffers, n_buffers_max;
    void *zeroes;
};

/* qcow2_header.c */
int qcow2_header_parse(const uint8_t *head, size_t len, const char *name, struct qcow2_header *h,
                       struct err *err);

/* qcow2.c: scheduling and errors */
void qcow2_kick(struct qcow2 *q);
/* Something finished: those who wait look again (at the next kick). */
static inline void qcow2_wake(struct qcow2 *q)
{
    q->rerun = true;
}
/* Notes that the image contradicts itself: nothing is written any more, the image is marked.
 * Returns -EIO. */
int qcow2_set_corrupt(struct qcow2 *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether [host, host+len) may hold guest data or an L2 table. */
bool qcow2_host_is_data(const struct qcow2 *q, uint64_t host, uint64_t len);
int qcow2_check_host(struct qcow2 *q, const char *what, uint64_t host, uint64_t len);
uint8_t *qcow2_take_buffer(struct qcow2 *q);
void qcow2_give_buffer(struct qcow2 *q, uint8_t *buf);

/* qcow2_cache.c */
int qcow2_cache_init(struct qcow2 *q, size_t cache_bytes, struct err *err);
void qcow2_cache_fini(struct qcow2 *q);
/* The page at `offset`. -EAGAIN: not yet. `op` may be NULL. */
int qcow2_cache_get(struct qcow2 *q, struct qcow2_op *op, uint64_t offset, bool is_refcount,
                    struct qcow2_page **page);
/* Forgets pages in a range that gets a new use. -EIO if one is in use. */
int qcow2_cache_drop(struct qcow2 *q, uint64_t offset, uint64_t len);

/* qcow2_map.c */
/* How [guest, ...) is mapped, for at most `max_clusters`; the page of its entries in *page (NULL
 * without L2 table). */
int qcow2_map_lookup(struct qcow2 *q, struct qcow2_op *op, uint64_t guest, uint64_t max_clusters,
                     struct qcow2_extent *ext, struct qcow2_page **page);
/* Makes sure that the L2 table of `guest` exists and is not shared. */
int qcow2_map_own_l2(struct qcow2 *q, struct qcow2_op *op, uint64_t guest);
/* The host clusters of a compressed cluster. */
void qcow2_map_compressed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint64_t *bytes);

/* qcow2_refcount.c */
int qcow2_refcount_alloc(struct qcow2 *q, struct qcow2_op *op, uint64_t max_clusters,
                         uint64_t *host, uint64_t *n_clusters);
/* Whether clusters whose refcount is 0 are none that a table in memory is in or points to. -EIO if
 * they are: the image is corrupt. */
int qcow2_refcount_check_unused(struct qcow2 *q, uint64_t host, uint64_t len);
/* Gives clusters back after the next flush of the map. Never fails: what does not fit is leaked. */
void qcow2_refcount_free(struct qcow2 *q, uint64_t host, uint64_t bytes, bool discard);
void qcow2_refcount_run_frees(struct qcow2 *q);
void qcow2_refcount_put(uint8_t *block, uint64_t index, unsigned order, uint64_t value);

/* qcow2_lane.c */
int qcow2_lane_new_l2(struct qcow2 *q, struct qcow2_op *op, uint64_t l1_index);
int qcow2_lane_new_refblock(struct qcow2 *q, struct qcow2_op *op, uint64_t index, uint64_t cluster);
int qcow2_lane_grow_reftable(struct qcow2 *q, struct qcow2_op *op);
/* Lets the lane finish when the map may change again. */
void qcow2_lane_run(struct qcow2 *q);

/* qcow2_flush.c */
void qcow2_flush_start(struct qcow2 *q);
static inline bool qcow2_flushing(const struct qcow2 *q)
{
    return q->flush.step != QCOW2_FLUSH_IDLE;
}
bool qcow2_flush_needed(const struct qcow2 *q);
void qcow2_table_set(struct qcow2_table *t, uint64_t index, uint64_t value);
static inline uint64_t qcow2_table_get(const struct qcow2_table *t, uint64_t index)
{
    return qcow2_be64(t->data + 8 * index);
}

/* qcow2_unpack.c */
int qcow2_unpack_get(struct qcow2 *q, uint64_t entry, const uint8_t **data);
void qcow2_unpack_fini(struct qcow2 *q);

/* qcow2_claim.c */
/* The run's guest clusters; a claim that is there keeps its turn. */
void qcow2_claim_set(struct qcow2_op *op, uint64_t first, uint64_t n);
void qcow2_claim_drop(struct qcow2_op *op);
/* Whether a run that overlaps this one and is active, or waits since before it, forbids it. */
bool qcow2_claim_conflicts(const struct qcow2_op *op);
/* Makes the claim exclusive. 0: it may become active; else -EAGAIN or -EIO. */
int qcow2_claim_want_exclusive(struct qcow2_op *op);
/* Makes the claim active as a shared one: what it wanted to change, another has changed while it
 * waited. */
void qcow2_claim_start_shared(struct qcow2_op *op);
/* Makes the exclusive claim active, and pins the page of the run's L2 entries. */
void qcow2_claim_start_exclusive(struct qcow2_op *op, struct qcow2_page *page);

/* qcow2_write.c: steps of an operation. `guest` is where the run begins, `in_cluster` how far into
 * its cluster; `page` holds its L2 entries. */
int qcow2_write_begin(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
                      struct qcow2_page *page);
int qcow2_write_begin_zero(struct qcow2_op *op, uint64_t guest, uint64_t in_cluster,
                           struct qcow2_page *page);
/* Reads the whole old cluster into op->buf. */
int qcow2_write_cow_read(struct qcow2_op *op);
int qcow2_write_cow(struct qcow2_op *op);
int qcow2_write_done(struct qcow2_op *op);
int qcow2_write_link(struct qcow2_op *op);
/* Gives back what the run held. */
void qcow2_write_release(struct qcow2_op *op);

/* qcow2_op.c */
void qcow2_op_run(struct qcow2_op *op);
void qcow2_op_put(struct qcow2_op_list *list, struct qcow2_op *op);
/* Room for `n` buffers in op->iov. Errors: ENOMEM. */
int qcow2_op_reserve_iov(struct qcow2_op *op, unsigned n);
/* Sends a request with op->iov to a backend below; step `then` follows. Returns -EINPROGRESS. */
int qcow2_op_submit(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset,
                    uint64_t len, unsigned n_iov, enum qcow2_step then);
/* Transfers the run's bytes of the guest between its buffers and `offset` of a backend below. */
int qcow2_op_transfer(struct qcow2_op *op, struct blk *b, enum blk_op code, uint64_t offset);
/* The run is over. */
int qcow2_op_run_done(struct qcow2_op *op);

#endif
