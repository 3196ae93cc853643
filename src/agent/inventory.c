#include "agent/inventory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/inventory_internal.h"
#include "base/util.h"
#include "base/uuid.h"

#define CPUS_MAX  4096
#define NODES_MAX 64
#define FLAGS_MAX 512

/* ---- small files ---- */

static bool read_path(const char *root, char *text, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static bool read_path(const char *root, char *text, size_t size, const char *fmt, va_list ap)
{
    char path[INVENTORY_PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s", root);
    if (n < 0 || n >= (int)sizeof(path))
        return false;
    int m = vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
    if (m < 0 || n + m >= (int)sizeof(path))
        return false;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = fd < 0 ? -1 : 0;
    while (fd >= 0 && used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = 0;
    return got >= 0;
}

bool inventory_file(const char *root, char *text, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = read_path(root, text, size, fmt, ap);
    va_end(ap);
    return ok;
}

int64_t inventory_number(const char *root, const char *fmt, ...)
{
    char text[64], *end;
    va_list ap;
    va_start(ap, fmt);
    bool ok = read_path(root, text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!ok || !isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    int64_t v = strtoll(text, &end, 10);
    return errno || (*end && *end != '\n') ? -1 : v;
}

unsigned inventory_list(const char *text, int64_t *numbers, unsigned max)
{
    unsigned n = 0;
    while (isdigit((unsigned char)*text) && n < max) {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < 65536 && n < max; i++)
            numbers[n++] = (int64_t)i;
        text = *end == ',' ? end + 1 : end;
    }
    return n;
}

int inventory_full(struct err *err)
{
    return err_set(err, ENOMEM, "could not allocate an inventory");
}

/* ---- CPUs ---- */

/* The value of "key : value" in /proc/cpuinfo's first processor. */
static const char *cpuinfo(const char *text, const char *key, size_t *bytes)
{
    size_t n = strlen(key);
    for (const char *line = text; line && *line && *line != '\n';
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, key, n) != 0)
            continue;
        const char *p = line + n + strspn(line + n, " \t");
        if (*p != ':')
            continue;
        p += 1 + strspn(p + 1, " \t");
        *bytes = strcspn(p, "\n");
        return p;
    }
    return NULL;
}

static int read_text(const char *text, const char *key, size_t max, struct api_arena *arena,
                     struct api_text *out)
{
    size_t bytes = 0;
    const char *value = cpuinfo(text, key, &bytes);
    if (!value)
        return 0;
    char *copy = api_arena_text(arena, value, MIN(bytes, max));
    if (!copy)
        return -ENOMEM;
    *out = (struct api_text){API_VALUE, copy};
    return 0;
}

static int read_flags(const char *text, struct api_arena *arena, struct link_inventory *out)
{
    size_t bytes = 0, n = 0;
    const char *flags = cpuinfo(text, "flags", &bytes);
    const char **list = flags ? api_arena_array(arena, FLAGS_MAX, sizeof(*list)) : NULL;
    char *copy = flags ? api_arena_text(arena, flags, bytes) : NULL;
    if (!flags)
        return 0;
    if (!list || !copy)
        return -ENOMEM;
    for (char *save, *word = strtok_r(copy, " ", &save); word && n < FLAGS_MAX;
         word = strtok_r(NULL, " ", &save))
        if (strlen(word) < 64)
            list[n++] = word;
    out->cpu_flags.is = API_VALUE;
    out->cpu_flags.n = (uint32_t)n;
    out->cpu_flags.v = list;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* CPUs with the same package and core are threads of one. */
static unsigned count_cores(const char *root, const int64_t *cpus, unsigned n, int64_t *keys)
{
    unsigned cores = 0;
    for (unsigned i = 0; i < n; i++) {
        int cpu = (int)cpus[i];
        int64_t core =
            inventory_number(root, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        int64_t package = inventory_number(
            root, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        keys[i] = core < 0 ? INT64_MAX - cpu : MAX(package, 0) << 32 | core;
    }
    qsort(keys, n, sizeof(*keys), by_value);
    for (unsigned i = 0; i < n; i++)
        cores += !i || keys[i] != keys[i - 1];
    return cores;
}

static int read_cpus(const char *root, struct api_arena *arena, struct link_inventory *out,
                     struct err *err)
{
    static const size_t TEXT_BYTES = 65536;
    char *text = api_arena_alloc(arena, TEXT_BYTES);
    int64_t *cpus = api_arena_array(arena, CPUS_MAX, sizeof(*cpus));
    int64_t *keys = api_arena_array(arena, CPUS_MAX, sizeof(*keys));
    if (!text || !cpus || !keys)
        return inventory_full(err);
    unsigned n = 0;
    if (inventory_file(root, text, TEXT_BYTES, "/sys/devices/system/cpu/online"))
        n = inventory_list(text, cpus, CPUS_MAX);
    if (!n)
        return err_set(err, EIO, "could not read %s/sys/devices/system/cpu/online", root);
    out->cpus = (struct api_int){API_VALUE, n};
    out->cores = (struct api_int){API_VALUE, count_cores(root, cpus, n, keys)};
    if (!inventory_file(root, text, TEXT_BYTES, "/proc/cpuinfo"))
        return 0;
    if (read_text(text, "model name", 255, arena, &out->cpu_model) ||
        read_text(text, "vendor_id", 63, arena, &out->cpu_vendor) || read_flags(text, arena, out))
        return inventory_full(err);
    return 0;
}

/* ---- memory ---- */

/* "Key:   123 kB" of a meminfo, in MiB; -1: not there. */
static int64_t meminfo_mib(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    if (!p)
        return -1;
    p += strlen(key);
    if (*p != ':')
        return -1;
    return strtoll(p + 1, NULL, 10) / 1024;
}

int64_t inventory_memory_free_mib(const char *root)
{
    char text[8192];
    return inventory_file(root, text, sizeof(text), "/proc/meminfo")
               ? meminfo_mib(text, "MemAvailable")
               : -1;
}

static void set_if_known(struct api_int *out, int64_t v)
{
    if (v >= 0)
        *out = (struct api_int){API_VALUE, v};
}

static int read_memory(const char *root, struct link_inventory *out, struct err *err)
{
    char text[8192];
    int64_t mib = inventory_file(root, text, sizeof(text), "/proc/meminfo")
                      ? meminfo_mib(text, "MemTotal")
                      : -1;
    if (mib < 1)
        return err_set(err, EIO, "could not read the memory's size in %s/proc/meminfo", root);
    out->memory_mib = (struct api_int){API_VALUE, mib};
    set_if_known(&out->hugepages_2m,
                 inventory_number(root, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
    set_if_known(
        &out->hugepages_1g,
        inventory_number(root, "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"));
    return 0;
}

/* ---- NUMA ---- */

static int64_t node_pages(const char *root, int node, const char *size, const char *what)
{
    return inventory_number(root, "/sys/devices/system/node/node%d/hugepages/hugepages-%s/%s", node,
                            size, what);
}

static int read_node(const char *root, int node, struct api_arena *arena,
                     struct link_numa_node *out)
{
    char text[8192];
    int64_t *cpus = api_arena_array(arena, CPUS_MAX, sizeof(*cpus));
    if (!cpus)
        return -ENOMEM;
    out->node = (struct api_int){API_VALUE, node};
    unsigned n = 0;
    if (inventory_file(root, text, sizeof(text), "/sys/devices/system/node/node%d/cpulist", node))
        n = inventory_list(text, cpus, CPUS_MAX);
    out->cpus.is = API_VALUE;
    out->cpus.n = n;
    out->cpus.v = cpus;
    out->memory_mib = (struct api_int){API_VALUE, 0};
    if (inventory_file(root, text, sizeof(text), "/sys/devices/system/node/node%d/meminfo", node))
        set_if_known(&out->memory_mib, meminfo_mib(text, "MemTotal"));
    set_if_known(&out->hugepages_2m, node_pages(root, node, "2048kB", "nr_hugepages"));
    set_if_known(&out->hugepages_2m_free, node_pages(root, node, "2048kB", "free_hugepages"));
    set_if_known(&out->hugepages_1g, node_pages(root, node, "1048576kB", "nr_hugepages"));
    set_if_known(&out->hugepages_1g_free, node_pages(root, node, "1048576kB", "free_hugepages"));
    return 0;
}

static int read_numa(const char *root, struct api_arena *arena, struct link_inventory *out,
                     struct err *err)
{
    char text[4096];
    int64_t nodes[NODES_MAX];
    if (!inventory_file(root, text, sizeof(text), "/sys/devices/system/node/online"))
        return 0;
    unsigned n = inventory_list(text, nodes, NODES_MAX);
    out->numa.v = api_arena_array(arena, n, sizeof(*out->numa.v));
    if (!out->numa.v)
        return inventory_full(err);
    for (unsigned i = 0; i < n; i++)
        if (read_node(root, (int)nodes[i], arena, &out->numa.v[i]))
            return inventory_full(err);
    out->numa.is = API_VALUE;
    out->numa.n = n;
    return 0;
}

/* ---- the host ---- */

/* A word of a file as a text of the link: what a name or a version may not hold ends it. */
static int read_word(const char *root, const char *path, bool is_name, struct api_arena *arena,
                     struct api_text *out)
{
    char text[256];
    if (!inventory_file(root, text, sizeof(text), "%s", path))
        return 0;
    size_t n = 0;
    while (n < 63 && (isalnum((unsigned char)text[n]) ||
                      (n && text[n] && strchr(is_name ? "._-" : ".+~-", text[n]))))
        n++;
    char *copy = n ? api_arena_text(arena, text, n) : NULL;
    if (n && !copy)
        return -ENOMEM;
    if (n)
        *out = (struct api_text){API_VALUE, copy};
    return 0;
}

int inventory_read(const char *root, const char *const *offered, struct api_arena *arena,
                   struct link_inventory *out, struct err *err)
{
    struct link_inventory made = {0};
    int ret = read_cpus(root, arena, &made, err);
    if (!ret)
        ret = read_memory(root, &made, err);
    if (!ret)
        ret = read_numa(root, arena, &made, err);
    if (ret)
        return ret;
    if (read_word(root, "/proc/sys/kernel/osrelease", false, arena, &made.kernel_version) ||
        read_word(root, "/proc/sys/kernel/hostname", true, arena, &made.name) ||
        inventory_nics(root, offered, arena, &made))
        return inventory_full(err);
    *out = made;
    return 0;
}

double inventory_load(const char *root)
{
    char text[128];
    if (!inventory_file(root, text, sizeof(text), "/proc/loadavg") ||
        !isdigit((unsigned char)text[0]))
        return -1;
    return strtod(text, NULL);
}

int inventory_boot(const char *root, uint8_t id[16])
{
    char text[64];
    if (!inventory_file(root, text, sizeof(text), "/proc/sys/kernel/random/boot_id"))
        return -ENOENT;
    text[strcspn(text, "\n")] = 0;
    return uuid_parse(text, id) ? -ENOENT : 0;
}

void inventory_pool(const char *name, const char *dir, struct link_pool_state *out)
{
    struct statvfs fs;
    *out = (struct link_pool_state){
        .name = {API_VALUE, name}, .driver = {API_VALUE, "file"}, .location = {API_VALUE, dir}};
    out->state.is = API_VALUE;
    out->state.v = LINK_POOL_STATE_STATE_ONLINE;
    if (statvfs(dir, &fs) < 0) {
        out->state.v = LINK_POOL_STATE_STATE_OFFLINE;
        out->reason = (struct api_text){API_VALUE, "its directory cannot be read"};
        return;
    }
    out->size_bytes = (struct api_int){API_VALUE, (int64_t)(fs.f_blocks * fs.f_frsize)};
    out->free_bytes = (struct api_int){API_VALUE, (int64_t)(fs.f_bavail * fs.f_frsize)};
}
