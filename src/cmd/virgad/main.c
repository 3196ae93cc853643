/* virgad: the management server. Options; the state directory; the store; the server; signals. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/huge_pages.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"
#include "base/uuid.h"
#include "cmd/virgad/restore.h"
#include "mgmt/server/server.h"
#include "mgmt/store/pgsql/store_pgsql.h"
#include "mgmt/store/sqlite/store_sqlite.h"

struct options {
    const char *state, *listen, *agents, *agents_name, *store, *cert, *key, *description, *import,
        *restore;
    bool help, version;
};

struct virgad {
    struct options options;
    struct server_config config;
    char address[64], agents_address[64], store_path[512], password_path[512];
    struct server *server;
};

static const struct option long_options[] = {
    {"state", required_argument, NULL, 's'},
    {"listen", required_argument, NULL, 'l'},
    {"store", required_argument, NULL, 'd'},
    {"tls-cert", required_argument, NULL, 'c'},
    {"tls-key", required_argument, NULL, 'k'},
    {"description", required_argument, NULL, 'o'},
    {"agents", required_argument, NULL, 'a'},
    {"agents-name", required_argument, NULL, 'n'},
    {"import", required_argument, NULL, 'i'},
    {"restore", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static int usage(FILE *out)
{
    fputs(
        "usage: virgad [flags]   run the management server of a cloud\n\n"
        "  --state DIR            what it keeps: the store, certificates (/var/lib/virga/server)\n"
        "  --listen ADDRESS:PORT  where the API is served (127.0.0.1:8440)\n"
        "  --store URL            postgresql://...: a database that several servers share;\n"
        "                         otherwise SQLite in the state directory\n"
        "  --tls-cert FILE        PEM; with --tls-key the API is served by HTTPS\n"
        "  --tls-key FILE         PEM\n"
        "  --import DIR           files in it may be imported as images\n"
        "  --description FILE     openapi.json, to be served\n"
        "  --version\n",
        out);
    return out == stdout ? 0 : 2;
}

static int parse(struct options *o, int argc, char **argv)
{
    int flag;
    *o = (struct options){
        .state = "/var/lib/virga/server", .listen = "127.0.0.1:8440", .agents = "127.0.0.1:8441"};
    while ((flag = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        switch (flag) {
        case 's':
            o->state = optarg;
            break;
        case 'l':
            o->listen = optarg;
            break;
        case 'a':
            o->agents = optarg;
            break;
        case 'n':
            o->agents_name = optarg;
            break;
        case 'd':
            o->store = optarg;
            break;
        case 'c':
            o->cert = optarg;
            break;
        case 'k':
            o->key = optarg;
            break;
        case 'o':
            o->description = optarg;
            break;
        case 'i':
            o->import = optarg;
            break;
        case 'r':
            o->restore = optarg;
            break;
        case 'h':
            o->help = true;
            break;
        case 'v':
            o->version = true;
            break;
        default:
            return -EINVAL;
        }
    if (optind == argc)
        return 0;
    fprintf(stderr, "virgad: unknown argument %s: see virgad --help\n", argv[optind]);
    return -EINVAL;
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT". */
static int parse_listen(const char *flag, const char *text, char address[64], const char **host,
                        uint16_t *port, struct err *err)
{
    const char *colon = strrchr(text, ':'), *begin = text;
    char *end = NULL;
    unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t bytes = colon ? (size_t)(colon - text) : 0;
    if (!colon || !colon[1] || *end || number > 65535 || bytes >= 64)
        return err_set(err, EINVAL, "%s %s is no ADDRESS:PORT: use one like 127.0.0.1:8440", flag,
                       text);
    if (bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']') {
        begin++;
        bytes -= 2;
    }
    memcpy(address, begin, bytes);
    address[bytes] = 0;
    *host = bytes ? address : NULL;
    *port = (uint16_t)number;
    return 0;
}

/* Each server of a cloud has an id for good: it names its audit chain. */
static int read_id(struct virgad *v, struct err *err)
{
    char path[512], text[UUID_TEXT_BYTES] = "";
    snprintf(path, sizeof(path), "%s/server-id", v->options.state);
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "cannot open %s", path);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    if (n == (ssize_t)sizeof(text) - 1 && !uuid_parse(text, v->config.id.bytes))
        return 0;
    if (n > 0)
        return err_set(err, EINVAL, "%s holds no UUID: remove it only if no server used it", path);
    if (getrandom(v->config.id.bytes, 16, 0) != 16)
        return err_sys(err, errno, "no random bytes");
    v->config.id.bytes[6] = (uint8_t)(0x40 | (v->config.id.bytes[6] & 0xf));
    v->config.id.bytes[8] = (uint8_t)(0x80 | (v->config.id.bytes[8] & 0x3f));
    uuid_format(v->config.id.bytes, text);
    if (write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1 || fsync(fd))
        return err_sys(err, errno, "cannot write %s", path);
    return 0;
}

static struct store *open_store(void *ctx, const struct store_config *config, struct err *err)
{
    const struct virgad *v = ctx;
    return v->options.store ? store_pgsql_open(v->options.store, config, err)
                            : store_sqlite_open(v->store_path, NULL, config, err);
}

static int prepare(struct virgad *v, struct err *err)
{
    if (mkdir(v->options.state, 0700) && errno != EEXIST)
        return err_sys(err, errno, "cannot make the state directory %s", v->options.state);
    if (v->options.store && strncmp(v->options.store, "postgresql://", 13) != 0 &&
        strncmp(v->options.store, "postgres://", 11) != 0)
        return err_set(err, EINVAL, "--store %s is no postgresql:// URL: leave it out for SQLite",
                       v->options.store);
    if (!v->options.cert != !v->options.key)
        return err_set(err, EINVAL, "--tls-cert and --tls-key belong together: give both");
    snprintf(v->store_path, sizeof(v->store_path), "%s/virga.db", v->options.state);
    snprintf(v->password_path, sizeof(v->password_path), "%s/first-password", v->options.state);
    v->config.open_store = open_store;
    v->config.open_ctx = v;
    v->config.cert_path = v->options.cert;
    v->config.key_path = v->options.key;
    v->config.state_dir = v->options.state;
    v->config.import_dir = v->options.import;
    v->config.description = v->options.description;
    v->config.first_password_path = v->password_path;
    v->config.follow_ms = v->options.store ? 20 : 0;
    v->config.agents_name = v->options.agents_name;
    int r = parse_listen("--listen", v->options.listen, v->address, &v->config.address,
                         &v->config.port, err);
    if (!r)
        r = parse_listen("--agents", v->options.agents, v->agents_address,
                         &v->config.agents_address, &v->config.agents_port, err);
    return r ? r : read_id(v, err);
}

/* It is in its file already. */
static void tell_password(struct virgad *v)
{
    CLEANUP_FREE char *password = server_steal_first_password(v->server);
    if (!password)
        return;
    explicit_bzero(password, strlen(password));
    log_line(LOG_INFO, "virgad", "a new cloud: user admin, password in %s: change it",
             v->password_path);
}

static void *wait_for_signal(void *arg)
{
    sigset_t set;
    int sig;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (!sigwait(&set, &sig))
        server_stop(arg);
    return NULL;
}

static int serve(struct virgad *v, struct err *err)
{
    sigset_t set;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is a full disk: an error, not the end */
    v->server = server_create(&v->config, err);
    if (!v->server)
        return -EIO;
    tell_password(v);
    int code = thread_start(&thread, wait_for_signal, v->server);
    if (code)
        return err_sys(err, code, "cannot start a thread");
    log_line(LOG_INFO, "virgad", "serving port=%u tls=%d agents=%u store=%s",
             server_port(v->server), v->options.cert != NULL, server_agents_port(v->server),
             v->options.store ? "postgresql" : v->store_path);
    server_run(v->server);
    pthread_join(thread, NULL);
    log_line(LOG_INFO, "virgad", "ending");
    return 0;
}

static int restore(struct virgad *v, struct err *err)
{
    if (v->options.store)
        return err_set(err, EINVAL, "--restore is for SQLite: restore PostgreSQL by pg_restore");
    return restore_store(v->options.restore, v->store_path, err);
}

int main(int argc, char **argv)
{
    struct virgad v = {0};
    struct err err = {0};
    if (parse(&v.options, argc, argv))
        return usage(stderr);
    if (v.options.help)
        return usage(stdout);
    if (v.options.version)
        return puts("virgad 0.1.0") < 0;
    huge_pages_restart(argv); /* the catalog is hundreds of MiB */
    log_setup(2, LOG_INFO, NULL);
    int r = fault_setup_from_env(&err);
    if (!r)
        r = prepare(&v, &err);
    if (!r)
        r = v.options.restore ? restore(&v, &err) : serve(&v, &err);
    if (r)
        fprintf(stderr, "virgad: %s\n", err.msg);
    server_destroy(v.server);
    return r ? 1 : 0;
}
