/* Placements a second and their latency at 1,000, 10,000 and 100,000 hosts, beside a linear scan
 * in the same run, as one JSON object on stdout: `bench-sched [SECONDS-PER-FIGURE]`.
 *
 * A fleet of three sizes of hosts with two NUMA nodes, in four zones and racks of 40, half of them
 * with processors overcommitted by a fifth, filled to 85 % by VMs of common shapes, an eighth of
 * them with dedicated cores. Then each placement is claimed, and a VM of the same kind (zone,
 * trait, dedicated cores) chosen at random ends, so that the fleet stays as full. What is timed is
 * the whole: place, claim, release. `no_room` asks for what no host has: the time is that of the
 * explanation. The linear scan does the same with plain best fit over three arrays and a byte a
 * label; it knows no NUMA nodes and explains nothing. Time is this thread's CPU time, so that what
 * else runs here counts less. */
#include <stdio.h>

#include "base/clock.h"
#include "base/util.h"
#include "mgmt/sched/sched.h"

#define SHAPES    (sizeof(shapes) / sizeof(shapes[0]))
#define SAMPLES   (1U << 20)
#define GROUPS    1000
#define GROUP_VMS 8
#define TRAIT     3
#define ZONES     4
#define RARELY    500 /* one host in so many is in the aggregate */

static const struct {
    uint32_t vcpus, memory_gib, weight;
} shapes[] = {
    {1, 2, 20}, {2, 4, 20}, {2, 8, 14},  {4, 8, 14},  {4, 16, 12}, {8, 16, 7},
    {8, 32, 6}, {8, 64, 2}, {16, 32, 2}, {16, 64, 2}, {32, 64, 1}, {32, 128, 1},
};

enum load { PLAIN, BALANCED, SPREAD, FILTERED, APART, DEDICATED, RARE, NO_ROOM, LOADS };
static const char *const load_names[LOADS] = {"plain",          "balanced",      "spread",
                                              "zone_trait",     "anti_affinity", "dedicated",
                                              "rare_aggregate", "no_room"};

struct vm {
    struct sched_need need;
    struct sched_choice at;
};

struct fleet {
    struct sched *s;
    uint32_t hosts;
    struct vm *vms;
    size_t n, cap;
    int32_t *cpu, *memory, *disk; /* the linear scan's */
    uint8_t *zone, *trait, *ratio;
    uint32_t group_at[GROUPS + 1][GROUP_VMS];
    unsigned group_next[GROUPS + 1];
};

static uint64_t random_state = 1;
static uint32_t latency_ns[SAMPLES];

static uint32_t roll(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((random_state >> 33) % below);
}

static struct sched_need random_need(void)
{
    uint32_t x = roll(101), i = 0;
    while (x >= shapes[i].weight)
        x -= shapes[i++].weight;
    return (struct sched_need){.vcpus = shapes[i].vcpus,
                               .memory_mib = 1024 * shapes[i].memory_gib,
                               .disk_gib = 10 * (1 + roll(8))};
}

static struct sched_host random_host(uint32_t n)
{
    static const uint32_t cores[] = {32, 64, 128};
    uint32_t c = cores[roll(3)];
    struct sched_host h = {.cores = c,
                           .memory_mib = c * 4096,
                           .disk_gib = c * 60,
                           .reserved_cores = 1,
                           .reserved_memory_mib = 4096,
                           .cpu_ratio_percent = n % 2 ? 100 : 120,
                           .memory_ratio_percent = 100,
                           .disk_ratio_percent = 100,
                           .zone = 1 + roll(ZONES),
                           .rack = 1 + n / 40,
                           .n_nodes = 2};
    for (unsigned i = 0; i < 2; i++)
        h.nodes[i] = (struct sched_node){.cores = c / 2 - 1, .memory_mib = c * 2048 - 4096};
    h.aggregates[0] = n % RARELY ? 0 : 2;
    h.traits[0] = roll(3) ? 0 : UINT64_C(1) << TRAIT;
    return h;
}

static void take(struct fleet *f, const struct sched_need *need, uint32_t host, int sign)
{
    uint32_t cost = need->cpu == SCHED_SHARED ? 100 : f->ratio[host];
    f->cpu[host] -= sign * (int32_t)(need->vcpus * cost);
    f->memory[host] -= sign * (int32_t)need->memory_mib;
    f->disk[host] -= sign * (int32_t)need->disk_gib;
}

static void fleet_open(struct fleet *f, uint32_t hosts)
{
    *f = (struct fleet){.s = sched_create(), .hosts = hosts, .cap = (size_t)hosts * 200};
    f->vms = malloc(f->cap * sizeof(f->vms[0]));
    f->cpu = malloc(hosts * sizeof(int32_t));
    f->memory = malloc(hosts * sizeof(int32_t));
    f->disk = malloc(hosts * sizeof(int32_t));
    f->zone = malloc(hosts);
    f->trait = malloc(hosts);
    f->ratio = malloc(hosts);
    for (uint32_t i = 0; i < hosts; i++) {
        struct sched_host h = random_host(i);
        uint32_t number;
        if (sched_add(f->s, &h, &number, NULL) || number != i)
            abort();
        f->zone[i] = (uint8_t)h.zone;
        f->trait[i] = h.traits[0] != 0;
        f->ratio[i] = (uint8_t)h.cpu_ratio_percent;
        f->cpu[i] = (int32_t)((h.cores - h.reserved_cores) * h.cpu_ratio_percent);
        f->memory[i] = (int32_t)(h.memory_mib - h.reserved_memory_mib);
        f->disk[i] = (int32_t)h.disk_gib;
    }
    for (uint32_t g = 1; g <= GROUPS; g++) {
        sched_group_set(f->s, g, SCHED_APART, SCHED_BY_HOST, 1, NULL);
        memset(f->group_at[g], 0xff, sizeof(f->group_at[g]));
    }
}

static void fleet_close(struct fleet *f)
{
    sched_destroy(f->s);
    free(f->vms);
    free(f->cpu);
    free(f->memory);
    free(f->disk);
    free(f->zone);
    free(f->trait);
    free(f->ratio);
}

static void put(struct fleet *f, const struct sched_need *need, const struct sched_choice *at)
{
    if (f->n == f->cap || sched_claim(f->s, need, at, NULL))
        abort();
    f->vms[f->n++] = (struct vm){*need, *at};
}

/* Fills the fleet to 85 % of its processors, at random, as one that has lived is. */
static void fill(struct fleet *f)
{
    int64_t total = 0, used = 0;
    for (uint32_t i = 0; i < f->hosts; i++)
        total += f->cpu[i];
    while (used < total * 85 / 100) {
        struct sched_need need = random_need();
        struct sched_choice at = {.host = roll(f->hosts)};
        if (!roll(8)) {
            need.cpu = SCHED_DEDICATED;
            at.nodes = (uint8_t)(1U << roll(2));
        }
        at.generation = sched_host(f->s, at.host)->generation;
        if (sched_claim(f->s, &need, &at, NULL))
            continue;
        f->vms[f->n++] = (struct vm){need, at};
        take(f, &need, at.host, 1);
        used += need.vcpus * 100;
    }
}

static bool is_kind(const struct fleet *f, const struct vm *v, const struct sched_request *r)
{
    uint32_t host = v->at.host;
    return (r->need.cpu == SCHED_SHARED || v->need.cpu != SCHED_SHARED) &&
           (!r->in_aggregates[0] || host % RARELY == 0) && (!r->zone || f->zone[host] == r->zone) &&
           (!r->traits[0] || f->trait[host]);
}

/* A VM that ends makes room where the next ones may go, or hosts with the label would fill up. */
static size_t one_to_end(const struct fleet *f, const struct sched_request *r)
{
    size_t i = roll((uint32_t)f->n);
    for (unsigned tries = 0; tries < 100000 && !is_kind(f, &f->vms[i], r); tries++)
        i = roll((uint32_t)f->n);
    return i;
}

static void end_one(struct fleet *f, size_t i, bool indexed)
{
    struct vm v = f->vms[i];
    f->vms[i] = f->vms[--f->n];
    if (indexed)
        sched_release(f->s, &v.need, &v.at, NULL);
    else
        take(f, &v.need, v.at.host, -1);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static struct sched_request random_request(enum load load)
{
    struct sched_request r = {.need = random_need()};
    if (load == BALANCED)
        r.policy = SCHED_BALANCED;
    if (load == SPREAD)
        r.policy = SCHED_SPREAD;
    if (load == FILTERED) {
        r.zone = 1 + roll(ZONES);
        r.traits[0] = UINT64_C(1) << TRAIT;
    }
    if (load == NO_ROOM)
        r.need.vcpus = 128;
    if (load == RARE)
        r.in_aggregates[0] = 2;
    if (load == DEDICATED)
        r.need.cpu = SCHED_DEDICATED;
    if (load == APART)
        r.need.group = 1 + roll(GROUPS);
    return r;
}

/* The linear scan: the host that is left with least and passes the request's filters. */
static uint32_t scan(const struct fleet *f, const struct sched_request *r)
{
    const struct sched_need *n = &r->need;
    int32_t cpu = (int32_t)n->vcpus * 100, memory = (int32_t)n->memory_mib;
    int32_t disk = (int32_t)n->disk_gib;
    int64_t best = INT64_MAX;
    uint32_t host = UINT32_MAX;
    for (uint32_t i = 0; i < f->hosts; i++) {
        int64_t key = f->cpu[i] * INT64_C(4096) + f->memory[i] * INT64_C(100);
        if (f->cpu[i] < cpu || f->memory[i] < memory || f->disk[i] < disk || key >= best)
            continue;
        if ((r->zone && f->zone[i] != r->zone) || (r->traits[0] && !f->trait[i]))
            continue;
        bool near = false;
        for (unsigned m = 0; n->group && m < GROUP_VMS; m++)
            near |= f->group_at[n->group][m] == i;
        if (near)
            continue;
        best = key;
        host = i;
    }
    return host;
}

/* One step: a placement, a claim, and the end of another VM. */
static bool step_indexed(struct fleet *f, const struct sched_request *r, size_t end)
{
    struct sched_result got;
    if (sched_place(f->s, r, 0, &got, NULL))
        return false;
    put(f, &r->need, &got.chosen[0]);
    end_one(f, end, true);
    return true;
}

static bool step_scan(struct fleet *f, const struct sched_request *r, size_t end)
{
    uint32_t host = scan(f, r);
    if (host == UINT32_MAX)
        return false;
    struct sched_choice at = {.host = host};
    take(f, &r->need, host, 1);
    if (r->need.group)
        f->group_at[r->need.group][f->group_next[r->need.group]++ % GROUP_VMS] = host;
    f->vms[f->n++] = (struct vm){r->need, at};
    end_one(f, end, false);
    return true;
}

static void measure(struct fleet *f, enum load load, bool indexed, double seconds)
{
    int64_t end = clock_now_ns() + (int64_t)(seconds * 1e9), busy_ns = 0;
    uint64_t n = 0, placed = 0;
    while (clock_now_ns() < end) {
        struct sched_request r = random_request(load);
        size_t ends = one_to_end(f, &r);
        int64_t start = clock_thread_cpu_ns();
        bool done = indexed ? step_indexed(f, &r, ends) : step_scan(f, &r, ends);
        int64_t took = clock_thread_cpu_ns() - start;
        placed += done;
        if (!done && load != NO_ROOM) /* rare: nobody has room for one of the largest shapes */
            end_one(f, ends, indexed);
        busy_ns += took;
        latency_ns[n++ % SAMPLES] = (uint32_t)MIN(took, UINT32_MAX);
    }
    size_t samples = MIN(n, SAMPLES);
    qsort(latency_ns, samples, sizeof(latency_ns[0]), compare);
    printf(
        "%s\"%s_%u_%s\": {\"per_s\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"placed\": %.4f}",
        f->hosts == 1000 && load == PLAIN && indexed ? "" : ", ", load_names[load], f->hosts,
        indexed ? "virga" : "scan", n * 1e9 / busy_ns, latency_ns[samples / 2] / 1e3,
        latency_ns[samples * 99 / 100] / 1e3, (double)placed / n);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1000, 10000, 100000};
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    printf("{");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int indexed = 1; indexed >= 0; indexed--)
            for (enum load load = 0; load < LOADS; load++) {
                struct fleet f;
                if (!indexed &&
                    (load == BALANCED || load == SPREAD || load == DEDICATED || load == RARE))
                    continue; /* the peer is plain best fit */
                random_state = sizes[i];
                fleet_open(&f, sizes[i]);
                fill(&f);
                measure(&f, load, indexed, seconds);
                fleet_close(&f);
            }
    printf("}\n");
    return 0;
}
