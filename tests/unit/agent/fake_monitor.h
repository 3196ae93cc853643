/* A monitor for tests of the agent: the test's own program again, with the real API over a VM that
 * is not there. What the guest is to do stands in the kernel's command line ("obeys": the power
 * button; "holds": it lets no device go, "busy": nor can it be asked to; "full": none can be
 * plugged). */
#ifndef TESTS_UNIT_AGENT_FAKE_MONITOR_H
#define TESTS_UNIT_AGENT_FAKE_MONITOR_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "control/control.h"
#include "control/control_null.h"
#include "vmmapi/vm_config.h"

/* Counters that grow with each look. */
static uint64_t fake_monitor_bytes;
static void fake_monitor_counters(void *vm, control_counter_fn *fn, void *arg)
{
    fake_monitor_bytes += 100;
    const struct control_null *v = vm;
    for (unsigned i = 0; i < v->config.n_nics; i++) {
        fn(arg, v->config.nics[i].id, "tx_bytes", fake_monitor_bytes);
        fn(arg, v->config.nics[i].id, "rx_bytes", 7);
    }
    for (unsigned i = 0; i < v->config.n_disks; i++)
        fn(arg, v->config.disks[i].id, "read_bytes", 50);
}

/* What the guest's addresses are stands in the file "guest" beside the API's socket: lines of a NIC
 * and an address. */
static char fake_monitor_guest[256];
static void fake_monitor_addresses(void *vm, control_address_fn *fn, void *arg)
{
    char nic[40], ip[64];
    FILE *f = fopen(fake_monitor_guest, "re");
    (void)vm;
    while (f && fscanf(f, "%39s %63s", nic, ip) == 2)
        fn(arg, nic, ip);
    if (f)
        fclose(f);
}

/* A console that says "hello" to who comes, and what it is told. */
struct fake_monitor_console {
    struct loop *loop;
    struct loop_fd listener, client;
};

static void fake_monitor_read(struct loop_fd *w, uint32_t events)
{
    char data[256];
    ssize_t n = read(w->fd, data, sizeof(data));
    (void)events;
    if (n > 0) {
        (void)!write(w->fd, data, (size_t)n);
        return;
    }
    int fd = w->fd;
    loop_fd_remove(w);
    close(fd);
}

static void fake_monitor_accept(struct loop_fd *w, uint32_t events)
{
    struct fake_monitor_console *c = container_of(w, struct fake_monitor_console, listener);
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    (void)events;
    if (fd < 0 || c->client.loop) {
        close(fd);
        return;
    }
    (void)!write(fd, "hello\n", 6);
    c->client.ready = fake_monitor_read;
    loop_fd_add(c->loop, &c->client, fd, EPOLLIN);
}

static void fake_monitor_listen(struct fake_monitor_console *c, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    unlink(path);
    c->listener.ready = fake_monitor_accept;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4) ||
        loop_fd_add(c->loop, &c->listener, fd, EPOLLIN))
        fprintf(stderr, "error: no console\n");
}

static int fake_monitor_holds(void *vm, const char *id, struct err *err)
{
    (void)vm, (void)id, (void)err;
    return 0;
}

static int fake_monitor_busy(void *vm, const char *id, struct err *err)
{
    (void)vm;
    return err_set(err, EBUSY, "cannot detach '%s' just now", id);
}

static int fake_monitor_full_disk(void *vm, const struct vm_config_disk *disk,
                                  struct control_fds *fds, struct err *err)
{
    (void)vm, (void)fds;
    return err_set(err, ENOSPC, "no slot is free for %s", disk->id);
}

static int fake_monitor_full_nic(void *vm, const struct vm_config_nic *nic, struct control_fds *fds,
                                 struct err *err)
{
    (void)vm, (void)fds;
    return err_set(err, ENOSPC, "no slot is free for %s", nic->id);
}

static void fake_monitor_guest_is(const char *guest, struct control_ops *ops)
{
    if (!strcmp(guest, "holds"))
        ops->detach_disk = ops->detach_nic = fake_monitor_holds;
    if (!strcmp(guest, "busy"))
        ops->detach_disk = ops->detach_nic = fake_monitor_busy;
    if (!strcmp(guest, "full")) {
        ops->attach_disk = fake_monitor_full_disk;
        ops->attach_nic = fake_monitor_full_nic;
    }
}

/* For main(): when it was started as a monitor, it ends with what this returns. */
static int fake_monitor_main(const char *config_path)
{
    struct vm_config c;
    struct err err = {0};
    struct control_null vm;
    struct loop *loop = loop_create(0, &err);
    struct fake_monitor_console console = {.loop = loop};
    struct control_ops ops = control_null_ops;
    ops.counters = fake_monitor_counters;
    ops.addresses = fake_monitor_addresses;
    alarm(120); /* nothing of a failed test stays */
    vm_config_init(&c);
    if (vm_config_from_file(&c, config_path, &err) || vm_config_finish(&c, &err)) {
        fprintf(stderr, "error: %s\n", err.msg);
        return 2;
    }
    fake_monitor_guest_is(c.append ? c.append : "", &ops);
    snprintf(fake_monitor_guest, sizeof(fake_monitor_guest), "%.*s/guest",
             (int)(strrchr(c.api_socket, '/') - c.api_socket), c.api_socket);
    control_null_init(&vm);
    vm.config = c;
    const struct control_config config = {.listen_fd = control_listen(c.api_socket, &err),
                                          .allowed_uid = geteuid(),
                                          .ops = &ops,
                                          .vm = &vm,
                                          .stopped = control_null_stopped};
    struct control *control = config.listen_fd < 0 ? NULL : control_create(loop, &config, &err);
    if (!control) {
        fprintf(stderr, "error: %s\n", err.msg);
        return 3;
    }
    fake_monitor_listen(&console, c.console.path);
    control_null_ops.boot(&vm, &err);
    for (;;) {
        loop_run_once(loop, -1);
        bool off = vm.last_call && !strcmp(vm.last_call, "power-button") &&
                   !strcmp(c.append ? c.append : "", "obeys");
        if (vm.stopped || off)
            return 0;
        if (vm.last_call && !strcmp(vm.last_call, "reset"))
            return 9; /* "the guest crashed" */
    }
}

#endif
