#include "cli/cli_become.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_spawn.h"

int cli_become_cloud(char **argv)
{
    char path[4200];
    struct err err = {0};
    fflush(stdout);
    if (cli_spawn_find("virga-cloud", "VIRGA_CLOUD", path, sizeof(path), &err)) {
        fprintf(stderr, "virga: \"%.64s\" is a command of the cloud, or none: %s\n", argv[1],
                err.msg);
        return CLI_EXIT_USAGE;
    }
    execv(path, argv);
    fprintf(stderr, "virga: could not start \"%.200s\": %s\n", path, strerror(errno));
    return CLI_EXIT_FAILED;
}
