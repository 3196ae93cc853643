#include "base/huge_pages.h"

#include <stdlib.h>
#include <unistd.h>

void huge_pages_restart(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0 || getenv(name) || setenv(name, "glibc.malloc.hugetlb=1", 0))
        return;
    self[n] = '\0';
    execv(self, argv);
}
