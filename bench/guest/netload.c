/* A TCP stream in one direction, for a guest and its host:
 *   netload sink PORT                    takes one connection, counts until it closes
 *   netload source ADDRESS PORT SECONDS  sends as much as it can
 * Each prints "@result {...}" with bytes, seconds and MB/s; the sink's figure is what arrived. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[128 * 1024];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(const char *what)
{
    printf("@failed %s: %s\n", what, strerror(errno));
    return 1;
}

static int report(uint64_t bytes, double seconds)
{
    printf("@result {\"bytes\": %llu, \"seconds\": %.6f, \"mb_per_s\": %.3f}\n",
           (unsigned long long)bytes, seconds, (double)bytes / seconds / 1e6);
    return 0;
}

static int sink(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 1) < 0)
        return fail("bind");
    printf("@listening\n");
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return fail("accept");
    uint64_t bytes = 0;
    double begin = now_s(), last = begin;
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0)
            return fail("read");
        if (n == 0)
            return report(bytes, last - begin);
        bytes += (uint64_t)n;
        last = now_s();
    }
}

static int source(const char *address, const char *port, double seconds)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return fail("connect");
    uint64_t bytes = 0;
    double begin = now_s(), now = begin;
    while (now < begin + seconds) {
        ssize_t n = write(fd, buffer, sizeof(buffer));
        if (n < 0)
            return fail("write");
        bytes += (uint64_t)n;
        now = now_s();
    }
    close(fd);
    return report(bytes, now - begin);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "sink") == 0)
        return sink(argv[2]);
    if (argc == 5 && strcmp(argv[1], "source") == 0)
        return source(argv[2], argv[3], atof(argv[4]));
    fprintf(stderr, "usage: netload sink PORT | netload source ADDRESS PORT SECONDS\n");
    return 2;
}
