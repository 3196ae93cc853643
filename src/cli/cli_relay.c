/* Bytes both ways through one small buffer each. Nothing is read while the other side has not taken
 * what came before, and what is written was found writable first: a stopped terminal stops the
 * guest's output, not this loop, which must see signals.
 *
 * Output keeps the terminal's own post-processing, so that the monitor's messages and ours on
 * standard error stay lines in raw mode. */
#include "cli/cli_relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli_escape.h"
#include "vmmapi/vm_api.h"

#define PATIENCE_MS 5000 /* from asking the monitor to end to ending it */

struct buffer {
    char bytes[4096];
    size_t n, at;
};

struct relay {
    const struct cli_relay_config *config;
    bool is_terminal;
    struct termios before;
    struct cli_escape escape;
    struct buffer to_guest, to_person;
    bool typed_out; /* standard input is at its end */
    bool hung_up;   /* the guest's end of the console is closed */
    bool asked;     /* the monitor was told to end */
    int64_t kill_at_ms;
    int status; /* of the monitor; -1 while it runs */
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int cli_relay_signals(struct err *err)
{
    static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_sys(err, errno, "could not watch for signals") : fd;
}

static void say(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void set_raw(struct relay *r)
{
    struct termios raw = r->before;
    if (!r->is_terminal)
        return;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void restore(const struct relay *r)
{
    if (r->is_terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &r->before);
}

static void ask_to_end(struct relay *r)
{
    if (r->status >= 0)
        return; /* it has ended, and its number may be another's by now */
    /* Asked twice means now. */
    kill(r->config->monitor, r->asked ? SIGKILL : SIGTERM);
    if (!r->asked)
        r->kill_at_ms = now_ms() + PATIENCE_MS;
    r->asked = true;
}

/* Best effort: a VM without an API or a virtio console has no use for it. */
static void tell_size(const struct relay *r)
{
    struct winsize size;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char request[256], body[64];
    if (!r->config->api_socket || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !size.ws_col ||
        !size.ws_row || strlen(r->config->api_socket) >= sizeof(addr.sun_path))
        return;
    strcpy(addr.sun_path, r->config->api_socket);
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
        return;
    int n = snprintf(body, sizeof(body), "{\"columns\":%u,\"rows\":%u}", size.ws_col, size.ws_row);
    n = snprintf(request, sizeof(request),
                 "PUT " VM_API_PATH_CONSOLE
                 " HTTP/1.1\r\nHost: vm\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
                 n, body);
    (void)!send(fd, request, (size_t)n, MSG_NOSIGNAL);
}

static void reap(struct relay *r)
{
    int status;
    if (r->status >= 0 || waitpid(r->config->monitor, &status, WNOHANG) != r->config->monitor)
        return;
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void on_signals(struct relay *r)
{
    struct signalfd_siginfo info;
    while (read(r->config->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(r);
            break;
        case SIGWINCH:
            tell_size(r);
            break;
        case SIGCONT:
            set_raw(r);
            break;
        default:
            ask_to_end(r);
        }
    }
}

static void on_typed(struct relay *r)
{
    char typed[sizeof(r->to_guest.bytes)];
    ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        r->typed_out = true;
        return;
    }
    r->to_guest.at = r->to_guest.n = 0;
    if (!r->is_terminal) {
        memcpy(r->to_guest.bytes, typed, (size_t)n);
        r->to_guest.n = (size_t)n;
        return;
    }
    for (size_t at = 0, used, out; at < (size_t)n; at += used) {
        enum cli_escape_wish wish = cli_escape_feed(&r->escape, typed + at, (size_t)n - at, &used,
                                                    r->to_guest.bytes + r->to_guest.n, &out);
        r->to_guest.n += out;
        if (wish == CLI_ESCAPE_QUIT)
            ask_to_end(r);
        if (wish == CLI_ESCAPE_HELP)
            say("\nvirga: Ctrl-A x ends the VM at once (twice: by force), Ctrl-A Ctrl-A types "
                "Ctrl-A\n");
    }
}

static void on_said(struct relay *r)
{
    ssize_t n =
        recv(r->config->console_fd, r->to_person.bytes, sizeof(r->to_person.bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    r->to_person.at = 0;
    r->to_person.n = n > 0 ? (size_t)n : 0;
    r->hung_up = n <= 0;
}

static void drain_to_guest(struct relay *r)
{
    struct buffer *b = &r->to_guest;
    ssize_t n =
        send(r->config->console_fd, b->bytes + b->at, b->n - b->at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        b->at = b->n; /* nobody is there to read it any more */
    if (n > 0)
        b->at += (size_t)n;
}

static void drain_to_person(struct relay *r)
{
    struct buffer *b = &r->to_person;
    ssize_t n = write(STDOUT_FILENO, b->bytes + b->at, b->n - b->at);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        b->at = b->n;
    if (n > 0)
        b->at += (size_t)n;
}

static bool holds(const struct buffer *b)
{
    return b->at < b->n;
}

static int timeout_ms(const struct relay *r)
{
    if (r->status >= 0)
        return 1000; /* the console's last words; a helper may hold its other end open */
    if (!r->asked)
        return -1;
    int64_t left = r->kill_at_ms - now_ms();
    return left < 0 ? 0 : (int)left;
}

/* One round. Returns false when all is said. */
static bool turn(struct relay *r)
{
    bool console = r->config->console_fd >= 0;
    bool type = console && !r->typed_out && !holds(&r->to_guest) && !r->hung_up;
    struct pollfd fds[] = {
        {r->config->signal_fd, POLLIN, 0},
        {type ? STDIN_FILENO : -1, POLLIN, 0},
        {console && !r->hung_up ? r->config->console_fd : -1,
         (short)((holds(&r->to_person) ? 0 : POLLIN) | (holds(&r->to_guest) ? POLLOUT : 0)), 0},
        {holds(&r->to_person) ? STDOUT_FILENO : -1, POLLOUT, 0},
    };
    if (fds[2].fd >= 0 && !fds[2].events)
        fds[2].fd = -1; /* POLLHUP would turn this loop while the terminal is stopped */
    if (r->status >= 0 && !holds(&r->to_person) && (!console || r->hung_up))
        return false;
    int n = poll(fds, ARRAY_LEN(fds), timeout_ms(r));
    if (n == 0 && r->status >= 0)
        return false;
    if (n == 0 && r->asked)
        ask_to_end(r);
    if (n <= 0)
        return true;
    if (fds[0].revents)
        on_signals(r);
    if (fds[3].revents)
        drain_to_person(r);
    if (fds[2].revents & POLLOUT)
        drain_to_guest(r);
    if (fds[2].revents & ~POLLOUT && !holds(&r->to_person))
        on_said(r);
    if (fds[1].revents)
        on_typed(r);
    return true;
}

int cli_relay_run(const struct cli_relay_config *config)
{
    struct relay r = {.config = config, .status = -1};
    r.is_terminal =
        config->console_fd >= 0 && isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &r.before);
    if (r.is_terminal) {
        char line[160];
        snprintf(line, sizeof(line),
                 "virga: this is the console of VM \"%s\"; Ctrl-A x ends it, Ctrl-A h helps\n",
                 config->name);
        say(line);
    }
    set_raw(&r);
    reap(&r);
    while (turn(&r))
        ;
    restore(&r);
    return r.status;
}
