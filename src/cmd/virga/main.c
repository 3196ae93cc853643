/* virga: the person's front end. Which commands there are is said here and nowhere else. */
#include "cli/cli.h"
#include "cli/cli_run.h"

static const struct cli_command commands[] = {
    {"run", "run a VM in the foreground, its console on this terminal", cli_run, cli_run_help},
    {0},
};

int main(int argc, char **argv)
{
    return cli_main(commands, argc, argv);
}
