#include "cli/cli.h"

#include <stdbool.h>
#include <string.h>

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

static int unknown(const struct cli_command *commands, const char *name)
{
    fprintf(stderr, "virga: \"%.64s\" is not a command: use ", name);
    for (const struct cli_command *c = commands; c->name; c++)
        fprintf(stderr, "%s, ", c->name);
    fputs("help or version\n", stderr);
    return CLI_EXIT_USAGE;
}

static int help(const struct cli_command *commands, const char *name)
{
    const struct cli_command *c = name ? find(commands, name) : NULL;
    if (name && !c)
        return unknown(commands, name);
    if (c)
        c->help(stdout);
    else
        print_help(commands, stdout);
    return 0;
}

int cli_main(const struct cli_command *commands, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_help(commands, stderr);
        return CLI_EXIT_USAGE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return help(commands, argc > 2 ? argv[2] : NULL);
    if (!strcmp(name, "--version") || !strcmp(name, "version"))
        return printf("virga %s\n", VIRGA_VERSION) < 0;
    const struct cli_command *c = find(commands, name);
    if (!c)
        return unknown(commands, name);
    if (asks_for_help(argc - 1, argv + 1))
        return help(commands, name);
    return c->run(argc - 1, argv + 1);
}
