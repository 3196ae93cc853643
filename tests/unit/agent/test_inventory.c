/* Hosts as trees of files. */
#include "agent/inventory.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/inventory_internal.h"
#include "api/api_json.h"
#include "base/util.h"
#include "link/link.h"
#include "tap.h"

static char ROOT_DIR[40];
static struct api_arena arena;

static void put(const char *path, const char *text)
{
    char command[600];
    snprintf(command, sizeof(command), "mkdir -p \"$(dirname %s%s)\"", ROOT_DIR, path);
    CHECK_EQ(system(command), 0);
    snprintf(command, sizeof(command), "%s%s", ROOT_DIR, path);
    FILE *f = fopen(command, "we");
    CHECK(f && fputs(text, f) >= 0);
    if (f)
        fclose(f);
}

static void put_cpu(unsigned cpu, unsigned package, unsigned core)
{
    char path[128], text[16];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/core_id", cpu);
    snprintf(text, sizeof(text), "%u\n", core);
    put(path, text);
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/physical_package_id", cpu);
    snprintf(text, sizeof(text), "%u\n", package);
    put(path, text);
}

static void set_up(void)
{
    strcpy(ROOT_DIR, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(ROOT_DIR));
    api_arena_init(&arena, 16 << 20);
    put("/sys/devices/system/cpu/online", "0-7\n");
    for (unsigned i = 0; i < 8; i++) /* two packages of two cores of two threads */
        put_cpu(i, i / 4, i % 2);
    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\n"
                         "model name\t: A CPU @ 2.00GHz\nflags\t\t: fpu vmx ept\n\n"
                         "processor\t: 1\nmodel name\t: Another\n");
    put("/proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:  8192000 kB\n");
    put("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    put("/proc/sys/kernel/hostname", "host-7\n");
    put("/proc/sys/kernel/random/boot_id", "01890a5d-ac96-774b-bcce-b302099a8057\n");
    put("/proc/loadavg", "1.50 0.70 0.50 1/200 5000\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put("/sys/devices/system/node/online", "0-1\n");
    put("/sys/devices/system/node/node0/cpulist", "0-3\n");
    put("/sys/devices/system/node/node1/cpulist", "4,6-7\n");
    put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:  8192000 kB\n");
    put("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:  8192000 kB\n");
    put("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    put("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
    put("/sys/class/net/eth0/address", "52:54:00:12:34:56\n");
    put("/sys/class/net/eth0/mtu", "1500\n");
    put("/sys/class/net/eth0/speed", "-1\n");
    put("/sys/class/net/eth0/carrier", "1\n");
    put("/sys/class/net/br0/address", "52:54:00:12:34:57\n");
    put("/sys/class/net/br0/bridge/x", "");
    put("/sys/class/net/vp0123456789ab/address", "52:54:00:12:34:58\n");
}

static void tear_down(void)
{
    char command[80];
    api_arena_fini(&arena);
    snprintf(command, sizeof(command), "rm -rf %s", ROOT_DIR);
    CHECK_EQ(system(command), 0);
}

/* The other end takes it. */
static void check_message(struct link_inventory *inventory)
{
    struct api_buf b;
    struct err err = {0};
    struct link_message m;
    api_buf_init(&b, LINK_MESSAGE_MAX_BYTES);
    link_write(LINK_TYPE_INVENTORY, inventory, &b);
    CHECK(!b.failed);
    CHECK_EQ(link_read(LINK_AGENT, b.text, b.bytes, &arena, &m, &err), 0);
    if (err.code)
        printf("# %s\n", err.msg);
    api_buf_fini(&b);
}

static void a_host_is_told_as_it_is(void)
{
    static const char *const OFFERED[] = {"br0", "eth0", NULL};
    struct link_inventory inv;
    struct err err = {0};
    set_up();
    REQUIRE(!inventory_read(ROOT_DIR, OFFERED, &arena, &inv, &err));
    CHECK_EQ(inv.cpus.v, 8);
    CHECK_EQ(inv.cores.v, 4);
    CHECK_STR(inv.cpu_model.v, "A CPU @ 2.00GHz");
    CHECK_STR(inv.cpu_vendor.v, "GenuineIntel");
    REQUIRE(inv.cpu_flags.n == 3);
    CHECK_STR(inv.cpu_flags.v[1], "vmx");
    CHECK_EQ(inv.memory_mib.v, 16000);
    CHECK_EQ(inv.hugepages_2m.v, 512);
    CHECK_EQ(inv.hugepages_1g.is, API_ABSENT);
    REQUIRE(inv.numa.n == 2);
    CHECK_EQ(inv.numa.v[0].cpus.n, 4);
    CHECK_EQ(inv.numa.v[1].cpus.n, 3);
    CHECK_EQ(inv.numa.v[1].cpus.v[1], 6);
    CHECK_EQ(inv.numa.v[1].memory_mib.v, 8000);
    CHECK_EQ(inv.numa.v[1].hugepages_2m_free.v, 500);
    CHECK_STR(inv.kernel_version.v, "6.1.0-18-amd64");
    CHECK_STR(inv.name.v, "host-7");
    REQUIRE(inv.nics.n == 2);
    CHECK_STR(inv.nics.v[0].name.v, "br0");
    CHECK(inv.nics.v[0].bridge.v && inv.nics.v[0].offered.v);
    CHECK_STR(inv.nics.v[1].mac.v, "52:54:00:12:34:56");
    CHECK(!inv.nics.v[1].offered.v && inv.nics.v[1].up.v);
    CHECK_EQ(inv.nics.v[1].speed_mbit.is, API_ABSENT);
    inv.engines.is = API_VALUE;
    check_message(&inv);
    CHECK_EQ(inventory_memory_free_mib(ROOT_DIR), 8000);
    CHECK(inventory_load(ROOT_DIR) > 1.49 && inventory_load(ROOT_DIR) < 1.51);
    uint8_t id[16] = {0};
    CHECK_EQ(inventory_boot(ROOT_DIR, id), 0);
    CHECK_EQ(id[15], 0x57);
    tear_down();
}

static void nonsense_is_left_out_and_nothing_at_all_is_refused(void)
{
    struct link_inventory inv;
    struct err err = {0};
    set_up();
    put("/sys/devices/system/node/online", "nonsense\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "99999999999999999999\n");
    put("/sys/class/net/eth0/address", "00:00:00:00:00:00:00:00\n");
    put("/proc/sys/kernel/hostname", "(none)\n");
    put("/proc/cpuinfo", "");
    REQUIRE(!inventory_read(ROOT_DIR, NULL, &arena, &inv, &err));
    CHECK_EQ(inv.numa.n, 0);
    CHECK_EQ(inv.hugepages_2m.is, API_ABSENT);
    CHECK_EQ(inv.nics.v[1].mac.is, API_ABSENT);
    CHECK_EQ(inv.name.is, API_ABSENT);
    inv.engines.is = API_VALUE;
    check_message(&inv);
    put("/proc/meminfo", "");
    CHECK_EQ(inventory_read(ROOT_DIR, NULL, &arena, &inv, &err), -EIO);
    put("/sys/devices/system/cpu/online", "");
    CHECK_EQ(inventory_read(ROOT_DIR, NULL, &arena, &inv, &err), -EIO);
    CHECK(strstr(err.msg, "cpu/online") != NULL);
    tear_down();
}

static void lists_of_numbers_are_bounded(void)
{
    int64_t n[4];
    CHECK_EQ(inventory_list("0-3,8\n", n, 4), 4);
    CHECK_EQ(inventory_list("7,9-10", n, 4), 3);
    CHECK_EQ(n[2], 10);
    CHECK_EQ(inventory_list("0-4294967295", n, 4), 4);
    CHECK_EQ(inventory_list("5-2", n, 4), 0);
    CHECK_EQ(inventory_list("", n, 4), 0);
    CHECK_EQ(inventory_list("-", n, 4), 0);
}

static void this_host_can_be_told(void)
{
    struct link_inventory inv;
    struct err err = {0};
    api_arena_init(&arena, 16 << 20);
    int ret = inventory_read("", NULL, &arena, &inv, &err);
    if (ret == -EIO) {
        api_arena_fini(&arena);
        SKIP("/proc and /sys are not there");
    }
    CHECK_EQ(ret, 0);
    inv.engines.is = API_VALUE;
    check_message(&inv);
    api_arena_fini(&arena);
}

static void a_monitor_is_asked_what_it_can_run(void)
{
    struct link_inventory inv = {.cpus = {API_VALUE, 1}, .memory_mib = {API_VALUE, 1}};
    char path[80];
    set_up();
    put("/vmm", "#!/bin/sh\ncase $1-$2 in\n--probe-soft) echo soft: usable;;\n"
                "--probe-*) echo 'there is no /dev/kvm'; exit 1;;\n"
                "--version-) echo virga-vmm 0.1.0;;\nesac\n");
    snprintf(path, sizeof(path), "%s/vmm", ROOT_DIR);
    CHECK_EQ(chmod(path, 0755), 0);
    REQUIRE(!inventory_probe(path, &arena, &inv, NULL));
    REQUIRE(inv.engines.n == 2);
    CHECK(!inv.engines.v[0].usable.v);
    CHECK_STR(inv.engines.v[0].reason.v, "there is no /dev/kvm");
    CHECK(inv.engines.v[1].usable.v);
    CHECK_STR(inv.vmm_version.v, "0.1.0");
    check_message(&inv);
    REQUIRE(!inventory_probe("/nonexistent/vmm", &arena, &inv, NULL));
    CHECK(!inv.engines.v[1].usable.v);
    CHECK(strstr(inv.engines.v[1].reason.v, "did not say") != NULL);
    tear_down();
}

static void a_pool_is_as_large_as_its_file_system(void)
{
    struct link_pool_state p;
    inventory_pool("local", "/tmp", &p);
    CHECK_EQ(p.state.v, LINK_POOL_STATE_STATE_ONLINE);
    CHECK(p.size_bytes.v >= p.free_bytes.v && p.size_bytes.v > 0);
    inventory_pool("local", "/nonexistent", &p);
    CHECK_EQ(p.state.v, LINK_POOL_STATE_STATE_OFFLINE);
    CHECK_EQ(p.size_bytes.is, API_ABSENT);
}

int main(void)
{
    TAP_RUN(a_host_is_told_as_it_is);
    TAP_RUN(nonsense_is_left_out_and_nothing_at_all_is_refused);
    TAP_RUN(lists_of_numbers_are_bounded);
    TAP_RUN(this_host_can_be_told);
    TAP_RUN(a_monitor_is_asked_what_it_can_run);
    TAP_RUN(a_pool_is_as_large_as_its_file_system);
    return tap_done();
}
