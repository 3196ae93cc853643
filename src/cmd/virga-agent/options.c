#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host_join.h"
#include "base/util.h"
#include "cmd/virga-agent/agent.h"
#include "vmmapi/vm_config.h"

enum flag {
    STATE = 256,
    RUN,
    SERVER,
    AUTHORITY,
    CERT,
    KEY,
    ID,
    VMM,
    POOL,
    BRIDGE,
    IMPORT,
    IMAGE_BUILDER,
    PRIVATE_URLS,
    WORKERS,
    LOG,
    NAME,
    SIMULATE,
    SIM_CPUS,
    SIM_NUMA,
    SIM_MEMORY,
    SIM_POOL,
    HELP,
    VERSION
};

static const struct option LONG[] = {
    {"state", required_argument, NULL, STATE},
    {"run", required_argument, NULL, RUN},
    {"server", required_argument, NULL, SERVER},
    {"authority", required_argument, NULL, AUTHORITY},
    {"cert", required_argument, NULL, CERT},
    {"key", required_argument, NULL, KEY},
    {"id", required_argument, NULL, ID},
    {"vmm", required_argument, NULL, VMM},
    {"pool", required_argument, NULL, POOL},
    {"bridge", required_argument, NULL, BRIDGE},
    {"import", required_argument, NULL, IMPORT},
    {"image-builder", required_argument, NULL, IMAGE_BUILDER},
    {"private-urls", no_argument, NULL, PRIVATE_URLS},
    {"workers", required_argument, NULL, WORKERS},
    {"log", required_argument, NULL, LOG},
    {"name", required_argument, NULL, NAME},
    {"simulate", required_argument, NULL, SIMULATE},
    {"sim-cpus", required_argument, NULL, SIM_CPUS},
    {"sim-numa", required_argument, NULL, SIM_NUMA},
    {"sim-memory", required_argument, NULL, SIM_MEMORY},
    {"sim-pool", required_argument, NULL, SIM_POOL},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {0},
};

void agent_usage(void)
{
    fputs(
        "usage: virga-agent --state DIR [flags]              serve this host to its cloud\n"
        "       virga-agent join --state DIR [flags] SECRET  join a cloud; - reads the secret\n"
        "       virga-agent --simulate N --state DIR [flags] N hosts that are not there\n"
        "       virga-agent --help | --version\n"
        "\n"
        "flags:\n"
        "  --state DIR            where the agent keeps what it must not lose\n"
        "  --run DIR              run directories of VMs (DIR/run); a short path\n"
        "  --server HOST:PORT     the server (the one that was joined)\n"
        "  --authority PEM        what the server's certificate is signed by\n"
        "  --cert PEM --key PEM   what this host shows\n"
        "  --id UUID              the host's id where it has no certificate\n"
        "  --vmm PATH             the monitor (virga-vmm beside this program)\n"
        "  --pool NAME=DIR        a pool of volumes; the first is the default; may be repeated\n"
        "  --bridge NAME          a bridge that ports may be put on; may be repeated\n"
        "  --import DIR           images may be taken from files below it; may be repeated\n"
        "  --image-builder PATH   what builds Debian images (the one installed with this program)\n"
        "  --private-urls         images may be fetched from addresses that are not public\n"
        "  --workers N            threads for volumes and ports (4)\n"
        "  --log LEVEL            error, warn, info or debug (info)\n"
        "  --name NAME            with join: the host's name (its own)\n"
        "  --sim-cpus N --sim-numa N --sim-memory SIZE --sim-pool SIZE\n"
        "                         what each simulated host has (64, 2, 256G, 4T)\n",
        stdout);
}

int agent_split_server(const char *text, char host[256], uint16_t *port, struct err *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : 0;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (!n || n >= 256 || number < 1 || number > 65535 || *end)
        return err_set(err, EINVAL, "%.200s is no server: use HOST:PORT", text);
    snprintf(host, 256, "%.*s", (int)n, text);
    *port = (uint16_t)number;
    return 0;
}

static int read_number(const char *what, const char *text, unsigned long max, unsigned *out,
                       struct err *err)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno || *end || !v || v > max)
        return err_set(err, EINVAL, "%s %.40s: use a number from 1 to %lu", what, text, max);
    *out = (unsigned)v;
    return 0;
}

static int read_pool(struct agent_options *o, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (!n || n >= sizeof(o->pools[0].name) || equals[1] != '/')
        return err_set(err, EINVAL, "--pool %.200s: use NAME=DIR with an absolute path", text);
    if (o->n_pools == AGENT_LIST_MAX)
        return err_set(err, E2BIG, "--pool: at most %d pools", AGENT_LIST_MAX);
    snprintf(o->pools[o->n_pools].name, sizeof(o->pools[0].name), "%.*s", (int)n, text);
    o->pools[o->n_pools++].dir = equals + 1;
    return 0;
}

static int add(const char **list, unsigned *n, const char *what, const char *text, struct err *err)
{
    if (*n == AGENT_LIST_MAX)
        return err_set(err, E2BIG, "%s: at most %d of them", what, AGENT_LIST_MAX);
    list[(*n)++] = text;
    return 0;
}

static int read_log(const char *text, enum log_level *out, struct err *err)
{
    static const char *const NAMES[] = {"error", "warn", "info", "debug"};
    for (unsigned i = 0; i < ARRAY_LEN(NAMES); i++)
        if (!strcmp(text, NAMES[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    return err_set(err, EINVAL, "--log %.40s: use error, warn, info or debug", text);
}

static int read_size(const char *what, const char *text, uint64_t unit, uint64_t *out,
                     struct err *err)
{
    uint64_t bytes;
    if (vm_config_parse_size(text, &bytes) || bytes < unit)
        return err_set(err, EINVAL, "%s %.40s: use a size such as 64G", what, text);
    *out = bytes / unit;
    return 0;
}

/* Options that are more than a text to keep. */
static int read_value(struct agent_options *o, int option, const char *value, struct err *err)
{
    switch (option) {
    case SERVER:
        snprintf(o->server, sizeof(o->server), "%s", value);
        return 0;
    case POOL:
        return read_pool(o, value, err);
    case BRIDGE:
        return add(o->bridges, &o->n_bridges, "--bridge", value, err);
    case IMPORT:
        return add(o->imports, &o->n_imports, "--import", value, err);
    case PRIVATE_URLS:
        o->private_urls = true;
        return 0;
    case WORKERS:
        return read_number("--workers", value, 64, &o->workers, err);
    case LOG:
        return read_log(value, &o->log, err);
    case SIMULATE:
        return read_number("--simulate", value, 100000, &o->simulate, err);
    case SIM_CPUS:
        return read_number("--sim-cpus", value, 4096, &o->sim_cpus, err);
    case SIM_NUMA:
        return read_number("--sim-numa", value, 64, &o->sim_numa_nodes, err);
    case SIM_MEMORY:
        return read_size("--sim-memory", value, MIB, &o->sim_memory_mib, err);
    case SIM_POOL:
        return read_size("--sim-pool", value, 1, &o->sim_pool_bytes, err);
    default:
        return err_set(err, EINVAL, "see virga-agent --help");
    }
}

static const char **text_option(struct agent_options *o, int option)
{
    switch (option) {
    case STATE:
        return &o->state_dir;
    case RUN:
        return &o->run_dir;
    case AUTHORITY:
        return &o->authority;
    case CERT:
        return &o->cert;
    case KEY:
        return &o->key;
    case ID:
        return &o->id;
    case VMM:
        return &o->vmm;
    case IMAGE_BUILDER:
        return &o->image_builder;
    case NAME:
        return &o->name;
    default:
        return NULL;
    }
}

/* The secret comes out of the command line, where others could see it. */
static int take_secret(struct agent_options *o, char *arg, struct err *err)
{
    static char text[1024];
    const char *server, *secret;
    if (strcmp(arg, "-") != 0) {
        snprintf(text, sizeof(text), "%s", arg);
        memset(arg, 'x', strlen(arg));
    } else if (!fgets(text, sizeof(text), stdin)) {
        return err_set(err, EINVAL, "there is no secret on the standard input");
    }
    text[strcspn(text, "\n")] = 0;
    o->secret = text;
    if (!host_join_split(text, &server, &secret)) {
        snprintf(o->server, sizeof(o->server), "%s", server);
        o->secret = (char *)secret;
    }
    return 0;
}

static int check(const struct agent_options *o, struct err *err)
{
    if (!o->state_dir)
        return err_set(err, EINVAL, "--state is missing: where shall the agent keep its state?");
    if (o->joins && (!o->secret || !o->secret[0]))
        return err_set(err, EINVAL, "join: give the secret of a join token");
    if ((o->joins || o->simulate) && !o->server[0])
        return err_set(err, EINVAL, "--server is missing: HOST:PORT");
    if (o->id && (o->cert || o->authority))
        return err_set(err, EINVAL, "--id is for hosts without certificates");
    if (!o->cert != !o->key)
        return err_set(err, EINVAL, "--cert and --key go together");
    if (o->cert && !o->authority)
        return err_set(err, EINVAL, "--cert needs --authority");
    return 0;
}

int agent_options_parse(struct agent_options *o, int argc, char **argv, struct err *err)
{
    int option, ret = 0;
    *o = (struct agent_options){.workers = 4,
                                .log = LOG_INFO,
                                .sim_cpus = 64,
                                .sim_numa_nodes = 2,
                                .sim_memory_mib = 256 * KIB,
                                .sim_pool_bytes = 4096 * GIB};
    opterr = 0;
    while (!ret && (option = getopt_long(argc, argv, "", LONG, NULL)) >= 0) {
        const char **text = text_option(o, option);
        if (option == HELP || option == VERSION) {
            if (option == HELP)
                agent_usage();
            else
                puts("virga-agent " VIRGA_VERSION);
            return 1;
        }
        if (option == '?')
            return err_set(err, EINVAL, "%.80s is no flag, or lacks its value: see --help",
                           argv[optind - 1]);
        if (text)
            *text = optarg;
        else
            ret = read_value(o, option, optarg, err);
    }
    if (!ret && optind < argc && !strcmp(argv[optind], "join")) {
        o->joins = true;
        optind++;
        if (optind < argc)
            ret = take_secret(o, argv[optind++], err);
    }
    if (!ret && optind < argc)
        ret = err_set(err, EINVAL, "%.80s: nothing is known of that: see --help", argv[optind]);
    return ret ? ret : check(o, err);
}
