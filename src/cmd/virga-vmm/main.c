/* virga-vmm: the monitor of one VM. Order of events: options; everything the VM needs is opened;
 * the sandbox (fork, namespaces, uid, Landlock); the machine and its threads, each under its system
 * call filter; the API; the loop. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "cmd/virga-vmm/vmm.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/null/null_engine.h"
#include "engine/soft/soft_engine.h"
#include "vmmapi/vm_options.h"

static const struct engine *const engines[] = {&kvm_engine, &soft_engine, &null_engine, NULL};

static int usage(FILE *out)
{
    fputs("usage: virga-vmm [--config FILE] [flags]   run one VM\n"
          "       virga-vmm --probe ENGINE            say whether this host can run it\n"
          "       virga-vmm --version\n\nflags:\n",
          out);
    vm_options_print_help(out);
    return out == stdout ? 0 : 2;
}

static int probe(const char *name)
{
    struct engine_probe_input in = {.kvm_fd = -1};
    struct err err = {0};
    const struct engine *e = engine_select(engines, name, &in, &err);
    if (e && !engine_probe(e, &in, &err)) {
        printf("%s: usable\n", engine_name(e));
        return 0;
    }
    printf("%s\n", err.msg);
    return 1;
}

static int parse(struct vmm *v, int argc, char **argv, struct err *err)
{
    vm_config_init(&v->config);
    int ret = vm_options_parse(&v->config, argc - 1, argv + 1, err);
    if (!ret)
        ret = vmm_open_saved(v, err);
    if (!ret)
        ret = vm_config_finish(&v->config, err);
    return ret;
}

/* The paths that the broker may connect to later, from inside the sandbox's point of view. */
static unsigned collect_sockets(const struct vm_config *c, const char **paths, unsigned max)
{
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_disks && n < max; i++)
        if (c->disks[i].socket)
            paths[n++] = c->disks[i].socket;
    for (unsigned i = 0; i < c->n_nics && n < max; i++)
        if (c->nics[i].socket)
            paths[n++] = c->nics[i].socket;
    for (unsigned i = 0; i < c->n_shares && n < max; i++)
        if (c->shares[i].socket)
            paths[n++] = c->shares[i].socket;
    return n;
}

static int enter_sandbox(struct vmm *v, struct err *err)
{
    static const enum sandbox_mode modes[] = {[VM_CONFIG_SANDBOX_AUTO] = SANDBOX_AUTO,
                                              [VM_CONFIG_SANDBOX_REQUIRE] = SANDBOX_REQUIRE,
                                              [VM_CONFIG_SANDBOX_OFF] = SANDBOX_OFF};
    const struct vm_config *c = &v->config;
    const char *paths[SANDBOX_ALLOW_MAX], *numbered[1], *remove[5];
    char vsock_prefix[256];
    struct sandbox_config config = {
        .mode = modes[c->sandbox.mode],
        .uid = c->sandbox.uid,
        .gid = c->sandbox.gid,
        .allow_paths = paths,
        .allow_numbered = numbered,
        .remove_at_exit = remove,
    };
    memcpy(config.uuid, c->uuid, sizeof(config.uuid));
    config.n_allow_paths = collect_sockets(c, paths, SANDBOX_ALLOW_MAX);
    if (c->vsock.path) {
        snprintf(vsock_prefix, sizeof(vsock_prefix), "%s_", c->vsock.path);
        numbered[config.n_allow_numbered++] = vsock_prefix;
        remove[config.n_remove_at_exit++] = c->vsock.path;
    }
    if (c->api_socket)
        remove[config.n_remove_at_exit++] = c->api_socket;
    if (c->gdb_socket)
        remove[config.n_remove_at_exit++] = c->gdb_socket;
    if (c->console.kind == VM_CONFIG_CONSOLE_UNIX)
        remove[config.n_remove_at_exit++] = c->console.path;
    if (c->virtio_console.kind == VM_CONFIG_CONSOLE_UNIX)
        remove[config.n_remove_at_exit++] = c->virtio_console.path;
    return sandbox_launch(&config, &v->sandbox, err);
}

/* SIGTERM and SIGINT end the VM; they arrive as reads in the main loop. */
static void signalled(struct loop_fd *w, uint32_t events)
{
    struct vmm *v = w->opaque;
    struct signalfd_siginfo info;
    ssize_t ignored = read(w->fd, &info, sizeof(info));
    (void)ignored;
    snprintf(v->reason, sizeof(v->reason), "ended by signal");
    loop_stop(v->loop);
}

static int block_signals(struct vmm *v, struct loop_fd *w, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno, "could not make a signalfd");
    *w = (struct loop_fd){.ready = signalled, .opaque = v};
    int ret = loop_fd_add(v->loop, w, fd, EPOLLIN);
    return ret ? err_sys(err, -ret, "could not watch for signals") : 0;
}

static void api_stopped(void *vm)
{
    struct vmm *v = vm;
    loop_stop(v->loop);
}

/* A debugger has asked for the VM's end. */
static void killed(void *opaque)
{
    struct vmm *v = opaque;
    machine_stop(v->machine, NULL);
    loop_stop(v->loop);
}

/* Inside the sandbox: builds the VM and starts it. */
static int start(struct vmm *v, const struct iothread_setup *threads, struct err *err)
{
    struct machine_setup setup = {
        .engines = engines,
        .thread_setup = threads,
        .loop = v->loop,
        .callbacks = vmm_machine_callbacks,
        .guestless = !strcmp(v->config.engine, "null") && !v->config.qtest,
    };
    setup.callbacks.opaque = v;
    v->threads = threads;
    v->machine = machine_create(&v->config, &setup, &v->files, err);
    if (!v->machine)
        return -err->code;
    if (v->config.qtest) {
        v->qtest = qtest_create(machine_engine_vm(v->machine), v->loop, steal_fd(&v->qtest_fd),
                                api_stopped, v, err);
        if (!v->qtest)
            return -err->code;
    }
    struct control_config control = {
        .listen_fd = steal_fd(&v->control_fd),
        .allowed_uid = getuid(),
        .ops = &vmm_control_ops,
        .vm = v,
        .stopped = api_stopped,
    };
    if (control.listen_fd >= 0) {
        v->control = control_create(v->loop, &control, err);
        if (!v->control)
            return -err->code;
    }
    if (v->gdb_fd >= 0) {
        v->gdb = gdb_vm_create(v->machine, v->loop, steal_fd(&v->gdb_fd), killed, v, err);
        if (!v->gdb)
            return -err->code;
    }
    int ret = sandbox_enter_thread(v->sandbox, SANDBOX_THREAD_MAIN, err);
    if (!ret && v->config.load)
        ret = vmm_load(v, err);
    if (!ret && v->config.autostart)
        ret = v->config.load ? machine_resume(v->machine, err) : machine_boot(v->machine, err);
    return ret;
}

static int run(struct vmm *v, struct err *err)
{
    struct loop_fd signals = {0};
    int ret = vmm_open_files(v, err);
    if (!ret)
        ret = enter_sandbox(v, err);
    if (ret)
        return ret;
    const struct iothread_setup threads = {.enter = sandbox_enter_named_thread,
                                           .opaque = v->sandbox};
    /* Under qtest, the peer turns the clock. */
    v->loop = loop_create(v->config.qtest ? LOOP_FAKE_CLOCK : 0, err);
    ret = v->loop ? block_signals(v, &signals, err) : -err->code;
    if (!ret)
        ret = start(v, &threads, err);
    if (!ret) {
        log_line(LOG_DEBUG, "vmm", "running: engine=%s sandbox=\"%s\"",
                 machine_engine_name(v->machine), sandbox_describe(v->sandbox));
        loop_run(v->loop);
    }
    control_destroy(v->control);
    save_task_destroy(v->save);
    gdb_vm_destroy(v->gdb);
    qtest_destroy(v->qtest);
    machine_destroy(v->machine);
    loop_fd_remove(&signals);
    loop_destroy(v->loop);
    sandbox_destroy(v->sandbox);
    if (v->config.sandbox.mode == VM_CONFIG_SANDBOX_OFF && v->config.api_socket)
        unlink(v->config.api_socket); /* otherwise the broker does: who finds it knows of a kill */
    return ret;
}

/* A disk image that became descriptor 2 would get our messages. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    static struct vmm v;
    struct err err = {0};
    fill_standard_descriptors();
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("virga-vmm " VIRGA_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (argc == 3 && strcmp(argv[1], "--probe") == 0)
        return probe(argv[2]);
    v.control_fd = v.qtest_fd = v.gdb_fd = v.load_fd = -1;
    machine_files_init(&v.files);
    int ret = parse(&v, argc, argv, &err);
    if (!ret) {
        static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
        log_setup(STDERR_FILENO, levels[v.config.log], v.config.name);
        ret = run(&v, &err);
    }
    if (ret)
        fprintf(stderr, "virga-vmm: %s\n", err.msg);
    machine_files_fini(&v.files);
    vm_config_fini(&v.config);
    return ret ? 1 : v.exit_code;
}
