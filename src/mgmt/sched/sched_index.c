#include "mgmt/sched/sched_index.h"

#include <errno.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/util.h"

#define MERGE_UP_TO 48 /* entries of two leaves */

struct sched_index *sched_index_create(const struct sched_weights *weights)
{
    struct sched_index *index = calloc(1, sizeof(*index));
    if (index)
        index->weights = *weights;
    return index;
}

void sched_index_destroy(struct sched_index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->n; i++)
        free(index->refs[i].leaf);
    for (size_t i = 0; i < index->n_idle; i++)
        free(index->idle[i]);
    free(index->refs);
    free(index->idle);
    free(index);
}

/* Whether (key, host) comes before (key_b, host_b). */
static bool before(int64_t key, uint32_t host, int64_t key_b, uint32_t host_b)
{
    return key < key_b || (key == key_b && host < host_b);
}

static int64_t leaf_key(const struct sched_index *index, const struct sched_leaf *leaf, unsigned i)
{
    return sched_index_key(&index->weights, leaf->free[SCHED_DIM_CPU][i],
                           leaf->free[SCHED_DIM_MEMORY][i]);
}

/* The leaf where (key, host) is or belongs: the last one that does not begin after it. */
static size_t find_leaf(const struct sched_index *index, int64_t key, uint32_t host)
{
    size_t low = 0, high = index->n; /* refs[low] does not begin after it, but for low = 0 */
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (before(key, host, index->refs[mid].key, index->refs[mid].host))
            high = mid;
        else
            low = mid;
    }
    return low;
}

/* The first place in the leaf whose entry is not before (key, host). */
static unsigned find_place(const struct sched_index *index, const struct sched_leaf_ref *ref,
                           int64_t key, uint32_t host)
{
    unsigned low = 0, high = ref->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (before(leaf_key(index, ref->leaf, mid), ref->leaf->host[mid], key, host))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void set_first(const struct sched_index *index, struct sched_leaf_ref *ref)
{
    ref->key = leaf_key(index, ref->leaf, 0);
    ref->host = ref->leaf->host[0];
}

static void recompute_most(struct sched_leaf_ref *ref, unsigned d)
{
    int32_t most = INT32_MIN;
    for (unsigned i = 0; i < ref->n; i++)
        most = MAX(most, ref->leaf->free[d][i]);
    ref->most[d] = most;
}

static void summarize(const struct sched_index *index, struct sched_leaf_ref *ref)
{
    set_first(index, ref);
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        recompute_most(ref, d);
}

/* Moves n entries from one place to another, perhaps of another leaf. */
static void move_entries(struct sched_leaf *to, unsigned at, struct sched_leaf *from,
                         unsigned from_at, unsigned n)
{
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        memmove(&to->free[d][at], &from->free[d][from_at], n * sizeof(to->free[0][0]));
    memmove(&to->host[at], &from->host[from_at], n * sizeof(to->host[0]));
}

/* Leaves and directory for so many entries. */
static int reserve(struct sched_index *index, size_t entries)
{
    size_t leaves = entries / 16 + 2;
    if (leaves > index->cap) {
        size_t cap = MAX(leaves, 2 * index->cap);
        struct sched_leaf_ref *refs = realloc(index->refs, cap * sizeof(*refs));
        if (!refs)
            return -ENOMEM;
        index->refs = refs;
        struct sched_leaf **idle = realloc(index->idle, cap * sizeof(*idle));
        if (!idle)
            return -ENOMEM;
        index->idle = idle;
        index->cap = cap;
    }
    while (index->n + index->n_idle < leaves) {
        struct sched_leaf *leaf = calloc(1, sizeof(*leaf));
        if (!leaf)
            return -ENOMEM;
        index->idle[index->n_idle++] = leaf;
    }
    return 0;
}

/* Makes an empty leaf at place `at` of the directory. */
static void open_leaf(struct sched_index *index, size_t at)
{
    memmove(&index->refs[at + 1], &index->refs[at], (index->n - at) * sizeof(index->refs[0]));
    index->refs[at] = (struct sched_leaf_ref){.leaf = index->idle[--index->n_idle]};
    index->n++;
}

static void close_leaf(struct sched_index *index, size_t at)
{
    index->idle[index->n_idle++] = index->refs[at].leaf;
    index->n--;
    memmove(&index->refs[at], &index->refs[at + 1], (index->n - at) * sizeof(index->refs[0]));
}

/* Halves a full leaf. */
static void split(struct sched_index *index, size_t at)
{
    open_leaf(index, at + 1);
    struct sched_leaf_ref *left = &index->refs[at], *right = left + 1;
    right->n = left->n / 2;
    left->n -= right->n;
    move_entries(right->leaf, 0, left->leaf, left->n, right->n);
    summarize(index, left);
    summarize(index, right);
}

int sched_index_insert(struct sched_index *index, uint32_t host, const struct sched_entry *entry)
{
    int64_t key =
        sched_index_key(&index->weights, entry->free[SCHED_DIM_CPU], entry->free[SCHED_DIM_MEMORY]);
    if (reserve(index, index->entries + 1))
        return -ENOMEM;
    if (!index->n)
        open_leaf(index, 0);
    size_t at = find_leaf(index, key, host);
    if (index->refs[at].n == SCHED_LEAF) {
        split(index, at);
        at = find_leaf(index, key, host);
    }
    struct sched_leaf_ref *ref = &index->refs[at];
    unsigned place = find_place(index, ref, key, host);
    move_entries(ref->leaf, place + 1, ref->leaf, place, ref->n - place);
    for (unsigned d = 0; d < SCHED_DIMS; d++) {
        ref->leaf->free[d][place] = entry->free[d];
        ref->most[d] = ref->n ? MAX(ref->most[d], entry->free[d]) : entry->free[d];
    }
    ref->leaf->host[place] = host;
    ref->n++;
    index->entries++;
    if (!place)
        set_first(index, ref);
    return 0;
}

/* Merges the leaf with the one after it, if it is small enough. */
static void merge(struct sched_index *index, size_t at)
{
    if (at + 1 >= index->n)
        return;
    struct sched_leaf_ref *left = &index->refs[at], *right = left + 1;
    if (left->n + right->n > MERGE_UP_TO)
        return;
    move_entries(left->leaf, left->n, right->leaf, 0, right->n);
    left->n += right->n;
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        left->most[d] = MAX(left->most[d], right->most[d]);
    close_leaf(index, at + 1);
}

void sched_index_erase(struct sched_index *index, uint32_t host, const struct sched_entry *entry)
{
    int64_t key =
        sched_index_key(&index->weights, entry->free[SCHED_DIM_CPU], entry->free[SCHED_DIM_MEMORY]);
    size_t at = find_leaf(index, key, host);
    struct sched_leaf_ref *ref = &index->refs[at];
    unsigned place = find_place(index, ref, key, host);
    ref->n--;
    index->entries--;
    move_entries(ref->leaf, place, ref->leaf, place + 1, ref->n - place);
    if (!ref->n) {
        close_leaf(index, at);
        if (at)
            merge(index, at - 1);
        return;
    }
    if (!place)
        set_first(index, ref);
    for (unsigned d = 0; d < SCHED_DIMS; d++)
        if (entry->free[d] == ref->most[d])
            recompute_most(ref, d);
    merge(index, at);
    if (at)
        merge(index, at - 1);
}

size_t sched_index_seek(const struct sched_index *index, int64_t key)
{
    return find_leaf(index, key, 0);
}

#ifdef __SSE2__
/* Which of 64 numbers are at least `need`. */
static uint64_t at_least(const int32_t *numbers, int32_t need)
{
    __m128i below = _mm_set1_epi32(need);
    uint64_t less = 0;
    for (unsigned i = 0; i < SCHED_LEAF; i += 16) {
        const __m128i *p = (const __m128i *)(const void *)(numbers + i);
        __m128i a = _mm_packs_epi32(_mm_cmpgt_epi32(below, _mm_loadu_si128(p)),
                                    _mm_cmpgt_epi32(below, _mm_loadu_si128(p + 1)));
        __m128i b = _mm_packs_epi32(_mm_cmpgt_epi32(below, _mm_loadu_si128(p + 2)),
                                    _mm_cmpgt_epi32(below, _mm_loadu_si128(p + 3)));
        less |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, b)) << i;
    }
    return ~less;
}
#else
static uint64_t at_least(const int32_t *numbers, int32_t need)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < SCHED_LEAF; i++)
        bits |= (uint64_t)(numbers[i] >= need) << i;
    return bits;
}
#endif

uint64_t sched_index_fits(const struct sched_leaf_ref *ref, const int32_t *need)
{
    uint64_t bits = ref->n < SCHED_LEAF ? (UINT64_C(1) << ref->n) - 1 : UINT64_MAX;
    for (unsigned d = 0; d < SCHED_DIMS && bits; d++)
        if (need[d] != INT32_MIN)
            bits &= at_least(ref->leaf->free[d], need[d]);
    return bits;
}

static void verify_leaf(const struct sched_index *index, const struct sched_leaf_ref *ref)
{
    struct sched_leaf_ref again = *ref;
    summarize(index, &again);
    if (!ref->n || ref->n > SCHED_LEAF || again.key != ref->key || again.host != ref->host ||
        memcmp(again.most, ref->most, sizeof(again.most)))
        abort();
}

size_t sched_index_verify(const struct sched_index *index)
{
    size_t n = 0;
    int64_t key = INT64_MIN;
    uint32_t host = 0;
    for (size_t l = 0; l < index->n; l++) {
        const struct sched_leaf_ref *ref = &index->refs[l];
        verify_leaf(index, ref);
        for (unsigned i = 0; i < ref->n; i++, n++) {
            if (n && !before(key, host, leaf_key(index, ref->leaf, i), ref->leaf->host[i]))
                abort();
            key = leaf_key(index, ref->leaf, i);
            host = ref->leaf->host[i];
        }
    }
    return n;
}
