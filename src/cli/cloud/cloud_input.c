/* Files and the terminal as places that values come from. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#include "base/util.h"
#include "cli/cloud/cloud_value.h"

int cloud_value_read_file(const char *path, size_t max_bytes, char **text, size_t *bytes,
                          struct err *err)
{
    CLEANUP_CLOSE int opened = -1;
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0)
        fd = opened = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "could not open %.200s", path);
    size_t n = 0, size = 4096;
    CLEANUP_FREE char *out = malloc(size + 1);
    while (out) {
        ssize_t got = read(fd, out + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, errno, "could not read %.200s", path);
        n += (size_t)got;
        if (!got)
            break;
        if (n > max_bytes)
            return err_set(err, EFBIG, "%.200s holds more than %zu bytes", path, max_bytes);
        if (n == size) {
            char *larger = realloc(out, size * 2 + 1);
            if (!larger)
                return err_set(err, ENOMEM, "no memory to read %.200s", path);
            out = larger;
            size *= 2;
        }
    }
    if (!out)
        return err_set(err, ENOMEM, "no memory to read %.200s", path);
    out[n] = '\0';
    *bytes = n;
    *text = steal_ptr(&out);
    return 0;
}

int cloud_value_read_line(char **text, struct err *err)
{
    char line[4096];
    size_t n = 0;
    /* A byte a call: a second secret may stand in the next line. */
    while (n < sizeof(line) - 1) {
        ssize_t got = read(STDIN_FILENO, line + n, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || line[n] == '\n')
            break;
        n++;
    }
    line[n] = '\0';
    line[strcspn(line, "\r")] = '\0';
    *text = line[0] ? strdup(line) : NULL;
    explicit_bzero(line, sizeof(line));
    return *text ? 0 : err_set(err, ENODATA, "standard input holds no line");
}

static void on_signal(int number)
{
    (void)number; /* only so that read() returns and the terminal is put back */
}

/* A line without echo. An interrupt ends the reading, not the program. */
static ssize_t read_silently(int fd, const struct termios *before, const char *prompt, char *line,
                             size_t bytes)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    struct sigaction quiet = {.sa_handler = on_signal}, old[ARRAY_LEN(numbers)];
    struct termios silent = *before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ICANON | ISIG;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaction(numbers[i], &quiet, &old[i]);
    tcsetattr(fd, TCSAFLUSH, &silent);
    dprintf(fd, "%s: ", prompt); /* who is asked may type: nothing is shown any more */
    ssize_t n = read(fd, line, bytes);
    tcsetattr(fd, TCSAFLUSH, before);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaction(numbers[i], &old[i], NULL);
    return n;
}

int cloud_value_ask_secret(const char *prompt, char **text, struct err *err)
{
    struct termios before;
    CLEANUP_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0 || tcgetattr(fd, &before))
        return err_set(err, ENOTTY, "there is no terminal to ask for a secret");
    char line[1024];
    ssize_t n = read_silently(fd, &before, prompt, line, sizeof(line) - 1);
    dprintf(fd, "\n");
    if (n <= 0)
        return err_set(err, EINTR, "nothing was typed");
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    *text = strdup(line);
    explicit_bzero(line, sizeof(line));
    return *text ? 0 : err_set(err, ENOMEM, "no memory");
}
