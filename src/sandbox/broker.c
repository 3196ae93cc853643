/* The broker: what is left of the launcher. It connects unix sockets that its allow list names on
 * behalf of the monitor and passes the descriptor, forwards signals, and ends as the monitor did.
 * Requests come from a process that may have been taken over: they are of a fixed size, answered
 * without waiting, and can name nothing that the list does not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "sandbox/sandbox_internal.h"

#define PATH_BYTES         108 /* sun_path */
#define CLIENT_PATIENCE_MS 1000

struct broker_request {
    uint32_t sequence;
    char path[PATH_BYTES];
};

struct broker_answer {
    uint32_t sequence;
    int32_t result; /* 0 with a descriptor, or -errno */
};

/* A stream socket connected to `path` without waiting, or -errno. */
static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, len);
    /* Not blocking: a peer with a full backlog must not hold the broker up. */
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
        return -errno;
    if (fcntl(fd, F_SETFL, 0))
        return -errno;
    return steal_fd(&fd);
}

static bool is_numbered(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(path, prefix, n) != 0)
        return false;
    const char *digits = path + n;
    size_t d = strspn(digits, "0123456789");
    return d >= 1 && d <= 10 && !digits[d];
}

static bool is_allowed(const struct sandbox_config *config, const char *path)
{
    for (unsigned i = 0; i < config->n_allow_paths; i++)
        if (!strcmp(path, config->allow_paths[i]))
            return true;
    for (unsigned i = 0; i < config->n_allow_numbered; i++)
        if (is_numbered(path, config->allow_numbered[i]))
            return true;
    return false;
}

static void send_answer(int fd, const struct broker_answer *answer, int passed_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)answer, sizeof(*answer)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (passed_fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed_fd, sizeof(int));
    }
    /* A monitor that does not read its answers loses them; the broker does not wait. */
    (void)!sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One request. Returns false when the monitor's end is gone. */
static bool serve(const struct sandbox_broker *b)
{
    struct broker_request request;
    ssize_t n = recv(b->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    if (n != sizeof(request) || request.path[PATH_BYTES - 1]) {
        LOG_LIMITED(LOG_WARN, "broker", "refused a malformed request bytes=%zd", n);
        return true;
    }
    struct broker_answer answer = {.sequence = request.sequence, .result = -EACCES};
    CLEANUP_CLOSE int fd = -1;
    if (is_allowed(b->config, request.path)) {
        fd = connect_to(request.path);
        answer.result = fd < 0 ? fd : 0;
    } else {
        LOG_LIMITED(LOG_WARN, "broker", "refused a path that is not on the allow list path=%.*s",
                    (int)strnlen(request.path, PATH_BYTES), request.path);
    }
    send_answer(b->fd, &answer, fd);
    return true;
}

/* What a terminal sends reaches the monitor without us: it is in the same process group. */
static void forward_signal(const struct sandbox_broker *b)
{
    struct signalfd_siginfo info;
    if (read(b->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL)
        kill(b->child, (int)info.ssi_signo);
}

static int exit_status_of(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int sig = WTERMSIG(status);
    log_line(LOG_ERROR, "broker", "the monitor was killed by signal %d (%s)", sig, strsignal(sig));
    return 128 + sig;
}

int sandbox_broker_run(const struct sandbox_broker *b)
{
    struct pollfd fds[] = {
        {.fd = b->child_pidfd, .events = POLLIN},
        {.fd = b->fd, .events = POLLIN},
        {.fd = b->signal_fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return 1;
        if (fds[2].revents)
            forward_signal(b);
        if (fds[1].revents && !serve(b))
            fds[1].fd = -1;
        if (fds[0].revents) {
            int status;
            pid_t pid;
            while ((pid = waitpid(b->child, &status, 0)) < 0 && errno == EINTR)
                ;
            for (unsigned i = 0; i < b->config->n_remove_at_exit; i++)
                unlink(b->config->remove_at_exit[i]);
            return pid == b->child ? exit_status_of(status) : 1;
        }
    }
}

static int take_fd(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd;
}

/* Waits for the answer to `sequence`; late ones to earlier requests are dropped. */
static int await_answer(int broker_fd, uint32_t sequence)
{
    for (;;) {
        struct pollfd p = {.fd = broker_fd, .events = POLLIN};
        int n = poll(&p, 1, CLIENT_PATIENCE_MS);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -ETIMEDOUT;
        struct broker_answer answer = {0};
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {&answer, sizeof(answer)};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(broker_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got != sizeof(answer))
            return got < 0 ? -errno : -EPIPE;
        CLEANUP_CLOSE int fd = take_fd(&msg);
        if (answer.sequence != sequence)
            continue;
        if (answer.result || fd < 0)
            return answer.result ? answer.result : -EPROTO;
        return steal_fd(&fd);
    }
}

int sandbox_connect(struct sandbox *s, const char *path)
{
    if (!s->launched)
        return connect_to(path);
    struct broker_request request = {0};
    size_t len = strlen(path);
    if (len >= PATH_BYTES)
        return -ENAMETOOLONG;
    memcpy(request.path, path, len);
    pthread_mutex_lock(&s->broker_lock);
    request.sequence = ++s->broker_sequence;
    int r = send(s->broker_fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0
                ? -errno
                : await_answer(s->broker_fd, request.sequence);
    pthread_mutex_unlock(&s->broker_lock);
    return r;
}
