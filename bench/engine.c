/* What the engine costs on this host, as one JSON object on stdout: `bench-engine GUEST-DIR`.
 * Every figure is the median of RUNS machines. */
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <time.h>

#include "../tests/func/guests_harness.h"
#include "base/clock.h"
#include "base/util.h"
#include "engine/kvm/kvm_engine.h"

#define RUNS     7
#define EXITS    5000 /* as guest/exits.S */
#define SIGNALS  2000
#define REWRITES 100

enum figure {
    PROBE_CPU_US,
    CREATE_CPU_US,
    FIRST_EXIT_CPU_US,
    PORT_EXIT_NS,
    MEMORY_EXIT_NS,
    DOORBELL_NS,
    MSI_CALL_NS,
    MSI_EVENTFD_NS,
    ROUTE_REWRITE_NS,
    IOEVENTFD_ADD_NS,
    FIGURES,
};

static const char *const names[FIGURES] = {
    "probe_cpu_us", "create_cpu_us", "first_exit_cpu_us", "port_exit_ns",     "memory_exit_ns",
    "doorbell_ns",  "msi_call_ns",   "msi_eventfd_ns",    "route_rewrite_ns", "ioeventfd_add_ns",
};

static int64_t results[FIGURES][RUNS];

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t marks[8];
static int64_t first_cpu_ns;

static void mark(struct pc *pc)
{
    if (pc->n_trace == 1)
        first_cpu_ns = cpu_ns();
    if (pc->n_trace <= ARRAY_LEN(marks))
        marks[pc->n_trace - 1] = clock_now_ns();
}

static void measure_signals(struct pc *pc, unsigned run)
{
    struct msi_message msg = {.address = 0xfee00000, .data = 0x41};
    struct msi_route *route;
    uint64_t one = 1;
    if (bus_msi_route_create(&pc->bus, &route, NULL))
        abort();
    bus_msi_route_set(&pc->bus, route, &msg);
    int64_t start = clock_now_ns();
    for (int i = 0; i < SIGNALS; i++)
        bus_msi_route_signal(&pc->bus, route);
    results[MSI_CALL_NS][run] = (clock_now_ns() - start) / SIGNALS;
    int fd = bus_msi_route_fd(&pc->bus, route);
    start = clock_now_ns();
    for (int i = 0; i < SIGNALS; i++)
        if (write(fd, &one, sizeof(one)) != sizeof(one))
            abort();
    results[MSI_EVENTFD_NS][run] = (clock_now_ns() - start) / SIGNALS;
    start = clock_now_ns();
    for (int i = 0; i < REWRITES; i++) {
        msg.data ^= 1;
        bus_msi_route_set(&pc->bus, route, &msg);
    }
    results[ROUTE_REWRITE_NS][run] = (clock_now_ns() - start) / REWRITES;
    bus_msi_route_destroy(&pc->bus, route);
}

static void measure_doorbells(struct pc *pc, int fd, unsigned run)
{
    struct bus_ioeventfd bell = {.space = BUS_MMIO, .fd = fd};
    int64_t start = clock_now_ns();
    for (unsigned i = 0; i < REWRITES; i++) {
        bell.addr = 0xd1000000 + 4 * i;
        if (bus_ioeventfd_add(&pc->bus, &bell, NULL))
            abort();
    }
    results[IOEVENTFD_ADD_NS][run] = (clock_now_ns() - start) / REWRITES;
}

static const char *measure(const struct engine *engine, unsigned run)
{
    struct pc pc;
    const struct engine_probe_input in = {.kvm_fd = -1};
    struct err ignored;
    int64_t start = cpu_ns();
    engine_probe(engine, &in, &ignored);
    results[PROBE_CPU_US][run] = (cpu_ns() - start) / 1000;
    start = cpu_ns();
    const char *why = pc_open(&pc, 1);
    if (why)
        return why;
    results[CREATE_CPU_US][run] = (cpu_ns() - start) / 1000;
    int bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    const struct bus_ioeventfd bell = {
        .space = BUS_MMIO, .addr = GUEST_MMIO + 0x1000, .fd = bell_fd};
    bus_ioeventfd_add(&pc.bus, &bell, NULL);
    pc.traced = mark;
    pc_load(&pc, "exits", GUEST_LONG);
    start = cpu_ns();
    pc_run(&pc);
    if (pc.n_trace != 4)
        return "the guest did not run to its end";
    results[FIRST_EXIT_CPU_US][run] = (first_cpu_ns - start) / 1000;
    results[PORT_EXIT_NS][run] = (marks[1] - marks[0]) / EXITS;
    results[MEMORY_EXIT_NS][run] = (marks[2] - marks[1]) / EXITS;
    results[DOORBELL_NS][run] = (marks[3] - marks[2]) / EXITS;
    measure_signals(&pc, run);
    measure_doorbells(&pc, bell_fd, run);
    pc_close(&pc);
    close(bell_fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s GUEST-DIR\n", argv[0]);
        return 2;
    }
    pc_setup(&kvm_engine, argv[1]);
    for (unsigned run = 0; run < RUNS; run++) {
        const char *why = measure(&kvm_engine, run);
        if (why) {
            fprintf(stderr, "%s: %s\n", argv[0], why);
            return 1;
        }
    }
    struct utsname host;
    uname(&host);
    printf("{\"bench\": \"engine\", \"engine\": \"kvm\", \"kernel\": \"%s\", \"runs\": %d",
           host.release, RUNS);
    for (unsigned i = 0; i < FIGURES; i++) {
        qsort(results[i], RUNS, sizeof(results[i][0]), compare);
        printf(", \"%s\": %lld", names[i], (long long)results[i][RUNS / 2]);
    }
    printf("}\n");
    return 0;
}
