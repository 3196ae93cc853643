/* Opens what the VM needs, before the sandbox: images, kernel, TAPs, sockets, consoles, and the
 * helper processes (passt, virtiofsd) that have sockets to us. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/util.h"
#include "cmd/virga-vmm/vmm.h"
#include "dev/virtio/virtio_vsock_path.h"
#include "net/passt_spawn.h"
#include "net/tap.h"
#include "vhu/virtiofsd.h"

static int open_file(const char *path, int flags, const char *what, int *fd, struct err *err)
{
    *fd = open(path, flags | O_CLOEXEC, 0600);
    return *fd < 0 ? err_sys(err, errno, "could not open %s '%s'", what, path) : 0;
}

static int unix_address(const char *path, struct sockaddr_un *a, struct err *err)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a->sun_path))
        return err_set(err, ENAMETOOLONG, "socket path '%s' is longer than %zu bytes", path,
                       sizeof(a->sun_path) - 1);
    memcpy(a->sun_path, path, strlen(path) + 1);
    return 0;
}

static int connect_unix(const char *path, int *fd, struct err *err)
{
    struct sockaddr_un a;
    int ret = unix_address(path, &a, err);
    if (ret)
        return ret;
    CLEANUP_CLOSE int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
        return err_sys(err, errno, "could not connect to '%s'", path);
    *fd = steal_fd(&s);
    return 0;
}

static int open_disk(const struct vm_config_disk *c, struct machine_disk_files *f, struct err *err)
{
    static const enum image_format formats[] = {[VM_CONFIG_FORMAT_AUTO] = IMAGE_AUTO,
                                                [VM_CONFIG_FORMAT_RAW] = IMAGE_RAW,
                                                [VM_CONFIG_FORMAT_QCOW2] = IMAGE_QCOW2};
    if (c->socket)
        return connect_unix(c->socket, &f->vhost_user_fd, err);
    struct image_options options = {
        .read_only = c->readonly,
        .format = formats[c->format],
        .cache = c->cache == VM_CONFIG_CACHE_NONE ? IMAGE_DIRECT : IMAGE_WRITEBACK,
    };
    f->image = calloc(1, sizeof(*f->image));
    if (!f->image)
        return err_set(err, ENOMEM, "could not allocate the image of disk '%s'", c->id);
    int ret = image_open(c->path, &options, f->image, err);
    f->image->no_flush = c->cache == VM_CONFIG_CACHE_UNSAFE;
    return ret ? err_wrap(err, "disk '%s'", c->id) : 0;
}

static int spawn_passt(const struct vm_config_nic *c, struct machine_nic_files *f, struct err *err)
{
    struct passt_spawn_options o = {.mtu = c->mtu, .n_forwards = c->n_forwards, .stderr_fd = -1};
    for (unsigned i = 0; i < c->n_forwards; i++)
        o.forwards[i] = (struct passt_spawn_forward){.host_port = c->forwards[i].host_port,
                                                     .guest_port = c->forwards[i].guest_port,
                                                     .udp = c->forwards[i].udp};
    pid_t pid;
    return passt_spawn(&o, &pid, &f->fds[0], err);
}

static int open_nic(const struct vm_config_nic *c, struct machine_nic_files *f, struct err *err)
{
    int ret = 0;
    f->n_fds = 1;
    switch (c->kind) {
    case VM_CONFIG_NIC_TAP:
        f->n_fds = c->queues ? c->queues : 1;
        ret = tap_open(c->ifname, f->n_fds, f->fds, err);
        break;
    case VM_CONFIG_NIC_USER:
        ret = spawn_passt(c, f, err);
        break;
    case VM_CONFIG_NIC_VHOST_USER:
        ret = connect_unix(c->socket, &f->fds[0], err);
        break;
    case VM_CONFIG_NIC_NONE:
        f->n_fds = 0;
        break;
    }
    return ret ? err_wrap(err, "nic '%s'", c->id) : 0;
}

static int open_pty(struct machine_console_files *f, struct err *err)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    char name[64];
    if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, sizeof(name)))
        return err_sys(err, errno, "could not open a pty for the console");
    struct termios t;
    if (!tcgetattr(fd, &t)) {
        cfmakeraw(&t);
        tcsetattr(fd, TCSANOW, &t);
    }
    /* Stays open for good: with no other end, the line would hang up whenever a reader leaves. */
    if (open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) < 0)
        return err_sys(err, errno, "could not open the console's pty '%s'", name);
    /* Not a log line: whoever asked for a pty cannot do without its name. */
    fprintf(stderr, "virga-vmm: the console is at %s\n", name);
    f->in_fd = f->out_fd = fd;
    return 0;
}

static int open_console(const struct vm_config_console *c, struct machine_console_files *f,
                        struct err *err)
{
    switch (c->kind) {
    case VM_CONFIG_CONSOLE_NONE:
        return 0;
    case VM_CONFIG_CONSOLE_STDIO:
        f->in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        f->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        return 0;
    case VM_CONFIG_CONSOLE_FD:
        if (fcntl((int)c->fd, F_SETFD, FD_CLOEXEC) < 0)
            return err_sys(err, errno, "cannot use descriptor %u for the console", c->fd);
        f->in_fd = f->out_fd = (int)c->fd;
        return 0;
    case VM_CONFIG_CONSOLE_FILE:
        return open_file(c->path, O_RDWR | O_CREAT, "console log", &f->out_fd, err);
    case VM_CONFIG_CONSOLE_UNIX:
        f->listen_fd = control_listen(c->path, err);
        return f->listen_fd < 0 ? f->listen_fd : 0;
    case VM_CONFIG_CONSOLE_PTY:
        return open_pty(f, err);
    }
    return 0;
}

static int open_share(const struct vm_config_share *c, int *fd, struct err *err)
{
    if (c->socket)
        return connect_unix(c->socket, fd, err);
    struct virtiofsd server;
    int ret = virtiofsd_spawn(&server, NULL, c->dir, c->readonly, err);
    if (ret)
        return err_wrap(err, "share '%s'", c->tag);
    *fd = server.fd;
    return 0;
}

static int open_kernel(struct vmm *v, struct err *err)
{
    int ret = 0;
    if (v->config.kernel)
        ret = open_file(v->config.kernel, O_RDONLY, "kernel", &v->files.kernel_fd, err);
    if (!ret && v->config.initrd)
        ret = open_file(v->config.initrd, O_RDONLY, "initrd", &v->files.initrd_fd, err);
    return ret;
}

int vmm_open_saved(struct vmm *v, struct err *err)
{
    if (!v->config.load)
        return 0;
    int ret = open_file(v->config.load, O_RDONLY, "saved VM", &v->load_fd, err);
    return ret ? ret : vmm_take_uuid(v, err);
}

int vmm_open_files(struct vmm *v, struct err *err)
{
    const struct vm_config *c = &v->config;
    struct machine_files *f = &v->files;
    /* First, so that a descriptor that was not passed is not one that we opened, and one that was
     * is not passed on to the helpers below. */
    int ret = open_console(&c->console, &f->serial, err);
    if (!ret)
        ret = open_console(&c->virtio_console, &f->virtio_console, err);
    /* Whether KVM is there and of use is the engine's to say, in its own words. */
    f->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (!ret)
        ret = open_kernel(v, err);
    for (unsigned i = 0; !ret && i < c->n_disks; i++)
        ret = open_disk(&c->disks[i], &f->disks[i], err);
    for (unsigned i = 0; !ret && i < c->n_nics; i++)
        ret = open_nic(&c->nics[i], &f->nics[i], err);
    for (unsigned i = 0; !ret && i < c->n_shares; i++)
        ret = open_share(&c->shares[i], &f->share_fds[i], err);
    if (!ret && c->vsock.path) {
        f->vsock_listen_fd = virtio_vsock_path_listen(c->vsock.path, err);
        ret = f->vsock_listen_fd < 0 ? f->vsock_listen_fd : 0;
    }
    if (!ret && c->qtest)
        ret = connect_unix(c->qtest, &v->qtest_fd, err);
    if (!ret && c->api_socket) {
        v->control_fd = control_listen(c->api_socket, err);
        ret = v->control_fd < 0 ? v->control_fd : 0;
    }
    if (!ret && c->gdb_socket) {
        v->gdb_fd = control_listen(c->gdb_socket, err);
        ret = v->gdb_fd < 0 ? v->gdb_fd : 0;
    }
    return ret;
}
