#include "cli/cli.h"

#include <stdbool.h>
#include <string.h>

#include "cli/cli_become.h"

static void print_help(const struct cli_command *commands, FILE *out)
{
    fputs("usage: virga COMMAND [ARGUMENTS]\n\ncommands:\n", out);
    for (const struct cli_command *c = commands; c->name; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fputs("  help       what a command does and takes\n"
          "  version    the version of this program\n\n"
          "Start with: virga run --disk FILE; see virga(1).\n",
          out);
}

/* The commands of the cloud behind our own; without virga-cloud there are none. */
static int help_all(const struct cli_command *commands)
{
    char *words[] = {(char *)"virga", (char *)"help", NULL};
    print_help(commands, stdout);
    putchar('\n');
    return cli_become_cloud(words);
}

static const struct cli_command *find(const struct cli_command *commands, const char *name)
{
    for (const struct cli_command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

int cli_main(const struct cli_command *commands, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_help(commands, stderr);
        fputs("The cloud's commands: virga help.\n", stderr);
        return CLI_EXIT_USAGE;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "version"))
        return printf("virga %s\n", VIRGA_VERSION) < 0;
    bool helps = !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");
    const struct cli_command *c = find(commands, helps && argc > 2 ? argv[2] : name);
    if (helps && argc == 2)
        return help_all(commands);
    if (!c)
        return cli_become_cloud(argv);
    if (helps || asks_for_help(argc - 1, argv + 1)) {
        c->help(stdout);
        return 0;
    }
    return c->run(argc - 1, argv + 1);
}
