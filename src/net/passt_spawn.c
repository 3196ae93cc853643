#include "net/passt_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define CHILD_FD 3
/* The passt of the VM that just ended may have the port a moment longer. */
#define PORT_ATTEMPTS 50
#define PORT_PAUSE_NS 20000000

/* Reads a port number at *p and moves on. Returns 0 if there is none. */
static unsigned read_port(const char **p)
{
    unsigned v = 0;
    while (**p >= '0' && **p <= '9') {
        v = v * 10 + (unsigned)(*(*p)++ - '0');
        if (v > UINT16_MAX)
            return 0;
    }
    return v;
}

int passt_spawn_parse_forward(const char *text, struct passt_spawn_forward *out, struct err *err)
{
    const char *p = text;
    unsigned host = read_port(&p), guest = host;
    if (host && *p == ':') {
        p++;
        guest = read_port(&p);
    }
    bool udp = strcmp(p, "/udp") == 0;
    if (!host || !guest || (*p && !udp && strcmp(p, "/tcp") != 0))
        return err_set(
            err, EINVAL,
            "forward '%s' is not HOSTPORT:GUESTPORT with ports from 1 to 65535 (and /udp "
            "behind for UDP)",
            text);
    *out = (struct passt_spawn_forward){(uint16_t)host, (uint16_t)guest, udp};
    return 0;
}

static void add(struct passt_spawn_argv *a, const char *text)
{
    a->argv[a->argc++] = (char *)text;
    a->argv[a->argc] = NULL;
}

static void add_number(struct passt_spawn_argv *a, const char *option, unsigned v, const char *tail)
{
    char *buf = a->numbers[a->n_numbers++];
    snprintf(buf, sizeof(a->numbers[0]), "%u%s", v, tail);
    add(a, option);
    add(a, buf);
}

static int check_forwards(const struct passt_spawn_options *o, struct err *err)
{
    if (o->n_forwards > PASST_SPAWN_FORWARDS_MAX)
        return err_set(err, EINVAL, "%u port forwards: at most %d are possible", o->n_forwards,
                       PASST_SPAWN_FORWARDS_MAX);
    for (unsigned i = 0; i < o->n_forwards; i++) {
        const struct passt_spawn_forward *f = &o->forwards[i];
        if (!f->host_port || !f->guest_port)
            return err_set(err, EINVAL, "port forward %u:%u: port 0 cannot be forwarded",
                           f->host_port, f->guest_port);
        for (unsigned k = 0; k < i; k++)
            if (o->forwards[k].host_port == f->host_port && o->forwards[k].udp == f->udp)
                return err_set(err, EINVAL, "%s port %u is forwarded twice", f->udp ? "UDP" : "TCP",
                               f->host_port);
    }
    return 0;
}

int passt_spawn_argv(const struct passt_spawn_options *o, int fd, struct passt_spawn_argv *out,
                     struct err *err)
{
    int ret = check_forwards(o, err);
    if (ret)
        return ret;
    /* 1280: IPv6 needs that much; 65520: what fits a frame and is a multiple of 4. */
    if (o->mtu && (o->mtu < 1280 || o->mtu > 65520))
        return err_set(err, EINVAL, "user network MTU %u is not between 1280 and 65520", o->mtu);
    memset(out, 0, sizeof(*out));
    add(out, o->program ? o->program : "passt");
    if (!o->background)
        add(out, "--foreground");
    add(out, "--quiet");
    if (o->log_file) {
        add(out, "--log-file");
        add(out, o->log_file);
    } else if (o->stderr_fd >= 0) {
        add(out, "--stderr");
    }
    add_number(out, "--fd", (unsigned)fd, "");
    if (o->mtu)
        add_number(out, "--mtu", o->mtu, "");
    for (unsigned i = 0; i < o->n_forwards; i++) {
        char tail[8];
        snprintf(tail, sizeof(tail), ":%u", o->forwards[i].guest_port);
        add_number(out, o->forwards[i].udp ? "--udp-ports" : "--tcp-ports",
                   o->forwards[i].host_port, tail);
    }
    return 0;
}

/* Whether passt will get the port. It tells nobody but its log if it does not. */
static int try_bind(const struct passt_spawn_forward *f)
{
    static const int on = 1, off = 0;
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(f->host_port)};
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(f->host_port)};
    int type = (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
    CLEANUP_CLOSE int fd = socket(AF_INET6, type, 0);
    bool six = fd >= 0;
    if (!six)
        fd = socket(AF_INET, type, 0);
    if (fd < 0)
        return 0;
    if (six)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (!f->udp) /* connections of its last owner may be in TIME-WAIT */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int ret = six ? bind(fd, (const struct sockaddr *)&any6, sizeof(any6))
                  : bind(fd, (const struct sockaddr *)&any, sizeof(any));
    return ret < 0 && errno == EADDRINUSE ? -EADDRINUSE : 0;
}

static int check_host_ports(const struct passt_spawn_options *o, struct err *err)
{
    for (unsigned i = 0, attempts = 0; i < o->n_forwards;) {
        const struct passt_spawn_forward *f = &o->forwards[i];
        if (!try_bind(f)) {
            i++;
        } else if (++attempts < PORT_ATTEMPTS) {
            nanosleep(&(struct timespec){.tv_nsec = PORT_PAUSE_NS}, NULL);
        } else {
            return err_set(err, EADDRINUSE,
                           "%s port %u of this host is in use: forward another one, or end what "
                           "listens there",
                           f->udp ? "UDP" : "TCP", f->host_port);
        }
    }
    return 0;
}

/* The child gets its socket as descriptor 3, stderr as asked, and nothing from our stdin/stdout. */
static int start(const struct passt_spawn_argv *a, int sock, int stderr_fd, pid_t *pid)
{
    posix_spawn_file_actions_t fa;
    int e = posix_spawn_file_actions_init(&fa);
    if (e)
        return e;
    e = posix_spawn_file_actions_adddup2(&fa, sock, CHILD_FD);
    if (!e)
        e = posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!e)
        e = posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!e && stderr_fd < 0)
        e = posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    else if (!e && stderr_fd != STDERR_FILENO)
        e = posix_spawn_file_actions_adddup2(&fa, stderr_fd, STDERR_FILENO);
    if (!e)
        e = posix_spawnp(pid, a->argv[0], &fa, NULL, a->argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    return e;
}

/* The one that we started ends once another goes on in the background. */
static int wait_for_begin(pid_t pid, const char *program, struct err *err)
{
    int status;
    pid_t ended;
    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    if (ended == pid && (!WIFEXITED(status) || WEXITSTATUS(status)))
        return err_set(err, EIO,
                       "'%s' ended before it served: has the host a default route, and may it use "
                       "user namespaces?",
                       program);
    return 0;
}

int passt_spawn(const struct passt_spawn_options *o, pid_t *pid, int *fd, struct err *err)
{
    struct passt_spawn_argv a;
    int ret = passt_spawn_argv(o, CHILD_FD, &a, err);
    if (!ret)
        ret = check_host_ports(o, err);
    if (ret)
        return ret;
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
        return err_sys(err, errno, "could not make a socket pair for passt");
    CLEANUP_CLOSE int ours = sv[0];
    CLEANUP_CLOSE int theirs = sv[1];
    /* A stderr_fd of 3 would be overwritten by the socket before it is duplicated. */
    CLEANUP_CLOSE int err_fd = -1;
    if (o->stderr_fd >= 0) {
        err_fd = fcntl(o->stderr_fd, F_DUPFD_CLOEXEC, CHILD_FD + 1);
        if (err_fd < 0)
            return err_sys(err, errno, "could not duplicate descriptor %d", o->stderr_fd);
    }
    int e = start(&a, theirs, err_fd, pid);
    if (e == ENOENT)
        return err_set(err, ENOENT,
                       "cannot start '%s' for a user network: it is not installed; install the "
                       "passt package",
                       a.argv[0]);
    if (e)
        return err_sys(err, e, "could not start '%s'", a.argv[0]);
    ret = o->background ? wait_for_begin(*pid, a.argv[0], err) : 0;
    if (ret)
        return ret;
    *fd = steal_fd(&ours);
    return 0;
}
