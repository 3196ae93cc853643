/* The listening end: who may connect, and how many. */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/util.h"
#include "control/control_internal.h"

/* What the kernel shows for a uid that our user namespace has no number for. */
#define OVERFLOW_UID 65534

/* 0: somebody answers at the path; -errno otherwise. */
static int probe(const struct sockaddr_un *addr)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* EAGAIN: a live one whose backlog is full. */
    return connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno != EAGAIN ? -errno
                                                                                        : 0;
}

/* Makes the path free: nothing there, or a socket that nobody listens on any more. */
static int clear_path(const struct sockaddr_un *addr, struct err *err)
{
    struct stat st;
    if (lstat(addr->sun_path, &st))
        return errno == ENOENT ? 0
                               : err_sys(err, errno, "could not look at \"%s\"", addr->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EEXIST,
                       "\"%s\" exists and is not a socket: name another path for the API",
                       addr->sun_path);
    if (probe(addr) == 0)
        return err_set(err, EADDRINUSE,
                       "\"%s\" is served by a running VM: stop it or name another path",
                       addr->sun_path);
    if (unlink(addr->sun_path) && errno != ENOENT)
        return err_sys(err, errno, "could not replace the stale socket \"%s\"", addr->sun_path);
    return 0;
}

/* The socket's directory, locked: two VMs that start at once must not replace each other's. */
static int lock_directory(const char *path, struct err *err)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(dir, sizeof(dir), ".");
    else
        snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "could not open \"%s\", where the API socket goes", dir);
    if (flock(fd, LOCK_EX)) {
        int r = err_sys(err, errno, "could not lock \"%s\"", dir);
        close(fd);
        return r;
    }
    return fd;
}

int control_listen(const char *path, struct err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof(addr.sun_path))
        return err_set(err, EINVAL, "\"%.64s\" is not a socket's path: use 1 to %zu bytes", path,
                       sizeof(addr.sun_path) - 1);
    memcpy(addr.sun_path, path, strlen(path));
    CLEANUP_CLOSE int lock = lock_directory(path, err);
    if (lock < 0)
        return lock;
    int r = clear_path(&addr, err);
    if (r)
        return r;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, errno, "could not make the API socket");
    /* Linux gives the file the mode that the socket had before: never open to others, not even
     * between two calls. */
    if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
        return err_sys(err, errno, "could not bind the API socket \"%s\"", path);
    if (listen(fd, CONTROL_CONNS_MAX))
        return err_sys(err, errno, "could not listen on \"%s\"", path);
    return steal_fd(&fd);
}

static bool peer_allowed(const struct control *c, int fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return false;
    return cred.uid == 0 || cred.uid == c->allowed_uid || cred.uid == OVERFLOW_UID;
}

static void on_connect(struct loop_fd *w, uint32_t events)
{
    struct control *c = w->opaque;
    struct err err = {0};
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!peer_allowed(c, fd)) {
        LOG_LIMITED(LOG_WARN, "control", "refused a peer by its uid allowed=%u", c->allowed_uid);
        close(fd);
        return;
    }
    bool full = true;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++)
        full = full && c->conns[i];
    if (full)
        control_conn_evict(c);
    if (control_conn_create(c, fd, &err))
        LOG_LIMITED(LOG_WARN, "control", "refused a connection: %s", err.msg);
}

static void on_events(struct loop_post *p)
{
    struct control *c = p->opaque;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++)
        if (c->conns[i] && c->conns[i]->streaming)
            control_conn_stream(c->conns[i]);
}

struct control *control_create(struct loop *loop, const struct control_config *config,
                               struct err *err)
{
    CLEANUP_CLOSE int fd = config->listen_fd;
    size_t seed = 0;
    /* jansson would draw it from a file at the first object, where the sandbox has none. */
    if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
        json_object_seed(seed | 1);
    struct control *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(err, ENOMEM, "no memory for the API");
        return NULL;
    }
    c->loop = loop;
    c->ops = config->ops;
    c->vm = config->vm;
    c->stopped = config->stopped;
    c->allowed_uid = config->allowed_uid;
    c->wake_streams.run = on_events;
    c->wake_streams.opaque = c;
    c->listener.ready = on_connect;
    c->listener.opaque = c;
    c->listener.fd = -1;
    int r = fd < 0 ? 0 : loop_fd_add(loop, &c->listener, fd, EPOLLIN);
    if (r) {
        err_sys(err, -r, "could not watch the API socket");
        free(c);
        return NULL;
    }
    steal_fd(&fd);
    return c;
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < CONTROL_CONNS_MAX; i++)
        if (c->conns[i]) {
            c->conns[i]->stop_after = false;
            control_conn_destroy(c->conns[i]);
        }
    int fd = c->listener.fd;
    loop_fd_remove(&c->listener);
    if (fd >= 0)
        close(fd);
    loop_post_cancel(c->loop, &c->wake_streams);
    free(c);
}

int control_adopt(struct control *c, int fd, struct err *err)
{
    return control_conn_create(c, fd, err);
}
