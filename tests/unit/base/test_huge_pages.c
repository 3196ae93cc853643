/* A program that starts once more, and what its heaps are told then. */
#include "base/huge_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* What this program says when it is started as `again`, after so many starts. */
static void started(const char *environment, char answer[64])
{
    char command[4300], self[4096];
    REQUIRE(realpath("/proc/self/exe", self));
    snprintf(command, sizeof(command), "env %s '%s' again", environment, self);
    FILE *f = popen(command, "r");
    REQUIRE(f);
    if (!fgets(answer, 64, f))
        answer[0] = '\0';
    CHECK_EQ(pclose(f), 0);
}

static void it_starts_once_more(void)
{
    char answer[64];
    started("-u GLIBC_TUNABLES", answer);
    CHECK_STR(answer, "glibc.malloc.hugetlb=1 2");
}

static void what_is_set_is_left_alone(void)
{
    char answer[64];
    started("GLIBC_TUNABLES=glibc.malloc.hugetlb=0", answer);
    CHECK_STR(answer, "glibc.malloc.hugetlb=0 1");
}

/* Counts its starts in the environment, which a restart keeps. */
static int again(char **argv)
{
    int starts = atoi(getenv("STARTS") ? getenv("STARTS") : "0") + 1;
    setenv("STARTS", starts == 1 ? "1" : "2", 1);
    huge_pages_restart(argv);
    printf("%s %d", getenv("GLIBC_TUNABLES"), starts);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "again"))
        return again(argv);
    TAP_RUN(it_starts_once_more);
    TAP_RUN(what_is_set_is_left_alone);
    return tap_done();
}
