/* How many hosts a placement policy needs: `bench-packing POLICY < TRACE` replays VMs onto equal
 * hosts of 64 cores and 256 GiB, a host more whenever none has room, and prints one JSON object.
 *
 * A line of the trace is id,cpus,memory GiB,arrival s,lifetime s, by arrival. best-fit, balanced
 * and spread are src/mgmt/sched's, the others linear scans: first-fit, random, the least Euclidean
 * rest, the largest cosine and dot product of the VM and what is free. Figures:
 *   opened        hosts in the end; lower_bound: the most that were needed at any time, had VMs no
 *                 shape (of processors and of memory the worse)
 *   used          hosts with a VM, the mean over time; empty: the others' share of those opened
 *   stranded_*    free processors (memory) of hosts in use for which the host has no memory
 *                 (processors) left at the trace's mean proportion: share of those hosts' capacity
 *   p50_us, p99_us CPU time of a decision: place and claim */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/util.h"
#include "mgmt/sched/sched.h"

#define CORES      64
#define MEMORY_GIB 256
#define HOSTS_MAX  100000

struct vm {
    uint32_t cpus, memory_gib;
    double arrival_s, lifetime_s;
    struct sched_choice at;
};

struct end {
    double at_s;
    size_t vm;
};

struct replay {
    const char *policy;
    struct sched *s;
    struct vm *vms;
    size_t n;
    struct end *ends; /* a heap, the earliest first */
    size_t n_ends;
    uint32_t hosts, used;
    int32_t cpu[HOSTS_MAX], memory[HOSTS_MAX]; /* free */
    uint32_t vms_on[HOSTS_MAX];
    uint64_t cpu_now, memory_now;
    double bound, used_s, last_s;
    double mean_gib; /* of a vCPU */
    double stranded_cpu, stranded_memory, samples;
    uint32_t *took_ns;
};

static uint64_t random_state = 1;

static uint32_t roll(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((random_state >> 33) % below);
}

/* ---- the trace ---- */

static void load(struct replay *r)
{
    size_t cap = 0;
    char line[256];
    double cpus = 0, gib = 0;
    while (fgets(line, sizeof(line), stdin)) {
        struct vm v = {0};
        if (sscanf(line, "%*[^,],%u,%u,%lf,%lf", &v.cpus, &v.memory_gib, &v.arrival_s,
                   &v.lifetime_s) != 4 ||
            !v.cpus || v.cpus > CORES || v.memory_gib > MEMORY_GIB) {
            fprintf(stderr, "bench-packing: cannot use the line %s", line);
            exit(1);
        }
        if (r->n == cap) {
            cap = cap ? 2 * cap : 1024;
            r->vms = realloc(r->vms, cap * sizeof(r->vms[0]));
        }
        r->vms[r->n++] = v;
        cpus += v.cpus * v.lifetime_s;
        gib += v.memory_gib * v.lifetime_s;
    }
    r->mean_gib = cpus > 0 ? gib / cpus : 1;
    r->ends = malloc((r->n + 1) * sizeof(r->ends[0]));
    r->took_ns = calloc(r->n + 1, sizeof(r->took_ns[0]));
}

static void push_end(struct replay *r, struct end e)
{
    size_t i = r->n_ends++;
    for (; i && r->ends[(i - 1) / 2].at_s > e.at_s; i = (i - 1) / 2)
        r->ends[i] = r->ends[(i - 1) / 2];
    r->ends[i] = e;
}

static struct end pop_end(struct replay *r)
{
    struct end first = r->ends[0], last = r->ends[--r->n_ends];
    size_t i = 0;
    for (size_t c = 1; c < r->n_ends; c = 2 * i + 1) {
        if (c + 1 < r->n_ends && r->ends[c + 1].at_s < r->ends[c].at_s)
            c++;
        if (r->ends[c].at_s >= last.at_s)
            break;
        r->ends[i] = r->ends[c];
        i = c;
    }
    r->ends[i] = last;
    return first;
}

/* ---- policies ---- */

static struct sched_need need_of(const struct vm *v)
{
    return (struct sched_need){.vcpus = v->cpus, .memory_mib = 1024 * v->memory_gib};
}

static int place_indexed(struct replay *r, struct vm *v, enum sched_policy policy)
{
    struct sched_request request = {.need = need_of(v), .policy = policy};
    struct sched_result got;
    int result = sched_place(r->s, &request, 0, &got, NULL);
    if (result)
        return result;
    v->at = got.chosen[0];
    return sched_claim(r->s, &request.need, &v->at, NULL);
}

static int best_fit(struct replay *r, struct vm *v)
{
    return place_indexed(r, v, SCHED_BEST_FIT);
}

static int balanced(struct replay *r, struct vm *v)
{
    return place_indexed(r, v, SCHED_BALANCED);
}

static int spread(struct replay *r, struct vm *v)
{
    return place_indexed(r, v, SCHED_SPREAD);
}

/* The first host with room from host `from` on, around. */
static int scan_from(struct replay *r, struct vm *v, uint32_t from)
{
    for (uint32_t i = 0; i < r->hosts; i++) {
        uint32_t h = (from + i) % r->hosts;
        if (r->cpu[h] >= (int32_t)v->cpus && r->memory[h] >= (int32_t)v->memory_gib) {
            v->at.host = h;
            return 0;
        }
    }
    return -1;
}

static int first_fit(struct replay *r, struct vm *v)
{
    return scan_from(r, v, 0);
}

/* Any host with room: a random one is tried first, at last all in turn. */
static int random_fit(struct replay *r, struct vm *v)
{
    for (uint32_t tries = 0; r->hosts && tries < 8 * r->hosts; tries++) {
        uint32_t h = roll(r->hosts);
        if (r->cpu[h] >= (int32_t)v->cpus && r->memory[h] >= (int32_t)v->memory_gib) {
            v->at.host = h;
            return 0;
        }
    }
    return scan_from(r, v, 0);
}

/* The host with the least score of its free processors a, b of its memory, and the VM's x, y, as
 * shares of a host. */
static int scan_least(struct replay *r, struct vm *v,
                      double (*score)(double a, double b, double x, double y))
{
    double best = INFINITY, x = (double)v->cpus / CORES, y = (double)v->memory_gib / MEMORY_GIB;
    for (uint32_t h = 0; h < r->hosts; h++) {
        double a = (double)r->cpu[h] / CORES, b = (double)r->memory[h] / MEMORY_GIB;
        double s = a < x || b < y ? INFINITY : score(a, b, x, y);
        if (s < best) {
            best = s;
            v->at.host = h;
        }
    }
    return best < INFINITY ? 0 : -1;
}

static double minus_dot(double a, double b, double x, double y)
{
    return -(a * x + b * y);
}

static double minus_cosine(double a, double b, double x, double y)
{
    return minus_dot(a, b, x, y) / sqrt((a * a + b * b) * (x * x + y * y));
}

static double rest_squared(double a, double b, double x, double y)
{
    return (a - x) * (a - x) + (b - y) * (b - y);
}

static int dot_product(struct replay *r, struct vm *v)
{
    return scan_least(r, v, minus_dot);
}

static int cosine(struct replay *r, struct vm *v)
{
    return scan_least(r, v, minus_cosine);
}

static int euclid(struct replay *r, struct vm *v)
{
    return scan_least(r, v, rest_squared);
}

static const struct {
    const char *name;
    int (*place)(struct replay *r, struct vm *v);
    bool indexed;
} policies[] = {
    {"best-fit", best_fit, true},    {"balanced", balanced, true},        {"spread", spread, true},
    {"first-fit", first_fit, false}, {"random", random_fit, false},       {"euclid", euclid, false},
    {"cosine", cosine, false},       {"dot-product", dot_product, false},
};

/* ---- replay ---- */

static void open_host(struct replay *r, bool indexed)
{
    struct sched_host h = {.cores = CORES,
                           .memory_mib = 1024 * MEMORY_GIB,
                           .cpu_ratio_percent = 100,
                           .memory_ratio_percent = 100,
                           .disk_ratio_percent = 100};
    uint32_t host = r->hosts;
    if (r->hosts == HOSTS_MAX || (indexed && sched_add(r->s, &h, &host, NULL)))
        abort();
    if (indexed && !host)
        sched_weigh(r->s, NULL);
    r->cpu[r->hosts] = CORES;
    r->memory[r->hosts++] = MEMORY_GIB;
}

static void account(struct replay *r, const struct vm *v, int sign)
{
    uint32_t h = v->at.host;
    r->cpu[h] -= sign * (int32_t)v->cpus;
    r->memory[h] -= sign * (int32_t)v->memory_gib;
    r->cpu_now += (uint64_t)(int64_t)sign * v->cpus;
    r->memory_now += (uint64_t)(int64_t)sign * v->memory_gib;
    r->used += sign > 0 && !r->vms_on[h]++;
    r->used -= sign < 0 && !--r->vms_on[h];
    r->bound = MAX(r->bound, MAX(r->cpu_now / (double)CORES, r->memory_now / (double)MEMORY_GIB));
}

static void advance(struct replay *r, double to_s)
{
    r->used_s += r->used * (to_s - r->last_s);
    r->last_s = to_s;
}

static void end_until(struct replay *r, double now_s, bool indexed)
{
    while (r->n_ends && r->ends[0].at_s <= now_s) {
        struct end e = pop_end(r);
        struct vm *v = &r->vms[e.vm];
        struct sched_need need = need_of(v);
        advance(r, e.at_s);
        account(r, v, -1);
        if (indexed && sched_release(r->s, &need, &v->at, NULL))
            abort();
    }
    advance(r, now_s);
}

static void sample(struct replay *r)
{
    double cpu = 0, memory = 0;
    for (uint32_t h = 0; h < r->hosts; h++)
        if (r->vms_on[h]) {
            cpu += MAX(r->cpu[h] - r->memory[h] / r->mean_gib, 0);
            memory += MAX(r->memory[h] - r->cpu[h] * r->mean_gib, 0);
        }
    r->stranded_cpu += cpu / MAX(r->used, 1) / CORES;
    r->stranded_memory += memory / MAX(r->used, 1) / MEMORY_GIB;
    r->samples++;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void run(struct replay *r, size_t p)
{
    for (size_t i = 0; i < r->n; i++) {
        struct vm *v = &r->vms[i];
        end_until(r, v->arrival_s, policies[p].indexed);
        int64_t start = clock_thread_cpu_ns();
        while (policies[p].place(r, v))
            open_host(r, policies[p].indexed);
        r->took_ns[i] = (uint32_t)(clock_thread_cpu_ns() - start);
        account(r, v, 1);
        push_end(r, (struct end){v->arrival_s + v->lifetime_s, i});
        if (i > r->n / 2 && i % 256 == 0)
            sample(r);
    }
}

int main(int argc, char **argv)
{
    static struct replay r;
    size_t p = 0;
    while (p < ARRAY_LEN(policies) && (argc != 2 || strcmp(argv[1], policies[p].name)))
        p++;
    if (p == ARRAY_LEN(policies)) {
        fprintf(stderr,
                "usage: %s best-fit|balanced|spread|first-fit|random|euclid|cosine|dot-product < "
                "TRACE\n",
                argv[0]);
        return 2;
    }
    r.s = sched_create();
    load(&r);
    if (!r.n)
        return 1;
    r.last_s = r.vms[0].arrival_s;
    run(&r, p);
    qsort(r.took_ns, r.n, sizeof(r.took_ns[0]), compare);
    uint32_t bound = (uint32_t)r.bound + (r.bound > (uint32_t)r.bound);
    double used = r.used_s / MAX(r.last_s - r.vms[0].arrival_s, 1);
    printf("{\"vms\": %zu, \"opened\": %u, \"lower_bound\": %u, \"over\": %.4f, \"used\": %.1f, "
           "\"empty\": %.4f, \"stranded_cpu\": %.4f, \"stranded_memory\": %.4f, "
           "\"p50_us\": %.2f, \"p99_us\": %.2f}\n",
           r.n, r.hosts, bound, (double)r.hosts / bound - 1, used, 1 - used / r.hosts,
           r.stranded_cpu / MAX(r.samples, 1), r.stranded_memory / MAX(r.samples, 1),
           r.took_ns[r.n / 2] / 1e3, r.took_ns[r.n * 99 / 100] / 1e3);
    sched_destroy(r.s);
    free(r.vms);
    free(r.ends);
    free(r.took_ns);
    return 0;
}
