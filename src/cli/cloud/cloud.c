#include "cli/cloud/cloud.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud_command.h"
#include "cli/cloud/cloud_complete.h"
#include "cli/cloud/cloud_help.h"
#include "cli/cloud/cloud_problem.h"
#include "cli/cloud/cloud_run.h"
#include "cli/cloud/cloud_text.h"

/* What other programs call it. */
static const struct {
    const char *typed, *verb;
} synonyms[] = {{"list", "ls"},   {"get", "show"},   {"info", "show"},  {"describe", "show"},
                {"delete", "rm"}, {"remove", "rm"},  {"destroy", "rm"}, {"update", "set"},
                {"edit", "set"},  {"new", "create"}, {"add", "create"}, {"run", "create"},
                {"kill", "stop"}, {"off", "stop"},   {"on", "start"},   {"restart", "reboot"},
                {"logs", "log"},  {"shell", "ssh"},  {"exec", "ssh"},   {"follow", "watch"}};

static bool is_noun(const char *name)
{
    struct cloud_command c;
    unsigned cursor = 0;
    while (cloud_command_next(&cursor, &c))
        if (!strcmp(c.noun, name))
            return true;
    return false;
}

static int unknown_noun(const char *typed)
{
    struct cloud_text_guess guess = {.typed = typed};
    char text[200];
    const char *name;
    cloud_text_guess(&guess, "run"); /* of virga itself */
    for (unsigned i = 0; (name = cloud_command_noun_name(i)); i++)
        cloud_text_guess(&guess, name);
    snprintf(text, sizeof(text), "\"%.64s\" is not a command%s%s%s (virga help lists them)", typed,
             guess.best ? "; did you mean \"" : "", guess.best ? guess.best : "",
             guess.best ? "\"?" : "");
    cloud_problem_say("", text);
    return CLOUD_EXIT_USAGE;
}

static int unknown_verb(const char *noun, const char *typed)
{
    struct cloud_text_guess guess = {.typed = typed};
    struct cloud_command c;
    char text[240];
    unsigned cursor = 0;
    while (cloud_command_next(&cursor, &c))
        if (!strcmp(c.noun, noun) && c.verb)
            cloud_text_guess(&guess, c.verb);
    for (size_t i = 0; i < ARRAY_LEN(synonyms); i++)
        if (!strcmp(synonyms[i].typed, typed) && !cloud_command_find(noun, synonyms[i].verb, &c))
            guess.best = synonyms[i].verb;
    snprintf(text, sizeof(text), "\"%s\" has no \"%.64s\"%s%s%s (virga %s lists its verbs)", noun,
             typed, guess.best ? "; did you mean \"" : "", guess.best ? guess.best : "",
             guess.best ? "\"?" : "", noun);
    cloud_problem_say("", text);
    return CLOUD_EXIT_USAGE;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

static int help(char **argv)
{
    struct cloud_command c;
    if (!argv[0]) {
        cloud_help_nouns(stdout);
        return CLOUD_EXIT_DONE;
    }
    if (!is_noun(argv[0]))
        return unknown_noun(argv[0]);
    if (!cloud_command_find(argv[0], argv[1], &c))
        cloud_help_command(&c, stdout);
    else if (argv[1])
        return unknown_verb(argv[0], argv[1]);
    else
        cloud_help_noun(argv[0], stdout);
    return CLOUD_EXIT_DONE;
}

int cloud_main(int argc, char **argv)
{
    struct cloud_command c;
    if (argc < 2) {
        cloud_help_nouns(stderr);
        return CLOUD_EXIT_USAGE;
    }
    if (is_help(argv[1]))
        return help(argv + 2);
    if (!strcmp(argv[1], CLOUD_COMPLETE_WORD))
        return cloud_complete(argv + 2, stdout);
    if (!strcmp(argv[1], CLOUD_COMPLETE_MANUAL))
        return cloud_complete_manual(stdout);
    if (!strcmp(argv[1], CLOUD_COMPLETE_TABLE))
        return cloud_complete_table(stdout);
    if (!is_noun(argv[1]))
        return unknown_noun(argv[1]);
    if (!cloud_command_find(argv[1], NULL, &c))
        return cloud_run(&c, argv + 2);
    if (!argv[2] || is_help(argv[2])) {
        cloud_help_noun(argv[1], argv[2] ? stdout : stderr);
        return argv[2] ? CLOUD_EXIT_DONE : CLOUD_EXIT_USAGE;
    }
    if (cloud_command_find(argv[1], argv[2], &c))
        return unknown_verb(argv[1], argv[2]);
    return cloud_run(&c, argv + 3);
}
