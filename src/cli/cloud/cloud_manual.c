/* virga-cloud(7), from the tables: what the commands are cannot differ from what it says. */
#include <ctype.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_command.h"
#include "cli/cloud/cloud_complete.h"
#include "cli/cloud/cloud_flag.h"
#include "cli/cloud/cloud_help.h"

static const char head[] =
    ".\\\" Made by virga-cloud __manual; do not edit.\n"
    ".Dd December 1, 2026\n.Dt VIRGA-CLOUD 7\n.Os Virga\n"
    ".Sh NAME\n.Nm virga-cloud\n.Nd the command line of a Virga cloud\n"
    ".Sh SYNOPSIS\n.Nm virga\n.Ar noun verb\n.Op Ar words\n.Op Ar flags\n"
    ".Nm virga\n.Ar noun verb\n.Fl -help\n"
    ".Sh DESCRIPTION\n"
    "Every command is a noun and a verb:\n.Ql virga vm create web --flavor small .\n"
    "A thing is named by its name or its id.\n"
    "Each flag is a field of the API: its name with dashes, lists in the singular and repeated,\n"
    "switches with\n.Fl -no- Ns Ar NAME\n"
    "for false.\nA number whose unit is part of the field's name is also taken without it and "
    "with\n"
    "another unit:\n.Fl -memory Cm 2GiB\nis\n.Fl -memory-mib Cm 2048 .\n"
    "An object is given as\n.Ar key Ns = Ns Ar value\nwith commas between, as in\n"
    ".Fl -nic Cm network=front,ip=10.0.0.5 .\n"
    "Texts and user data are read from a file by\n.Cm @ Ns Ar FILE .\n"
    "Secrets are never taken from the command line: they are read from\n.Cm @ Ns Ar FILE ,\nfrom "
    "standard input by\n.Cm - ,\nor asked for on the terminal.\n.Pp\n"
    "What takes a while is an operation, and its end is waited for, with a bar on a terminal;\n"
    ".Fl -no-wait\nprints the operation at once.\n"
    "Interrupting the wait does not end the operation.\n.Pp\n"
    "A change by\n.Cm set\nis made only if nobody else has changed the thing meanwhile.\n"
    "Requests are sent again, a few times and at growing intervals, when the connection is lost "
    "or\n"
    "the server is busy; none has its effect twice.\n";

static const char tail[] =
    ".Sh ENVIRONMENT\n.Bl -tag -width VIRGA_PROJECT\n"
    ".It Ev VIRGA_URL\nThe server: https://HOST:PORT, unix:/PATH, or http:// to this machine.\n"
    "A profile's session is sent to the profile's own server only.\n"
    ".It Ev VIRGA_TOKEN\nThe token, instead of the profile's session.\n"
    ".It Ev VIRGA_PROJECT\nThe project.\n"
    ".It Ev VIRGA_PROFILE\nThe profile.\n"
    ".It Ev VIRGA_CA_FILE\nThe certificates (PEM) that alone are trusted.\n"
    ".It Ev VIRGA_CONFIG\nThe file of profiles.\n"
    ".It Ev NO_COLOR\nNo colours, whatever its value.\n.El\n"
    ".Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.config/virga/config.json\n"
    "Profiles with their sessions; mode 0600.\n"
    ".It Pa ~/.config/virga/ca-PROFILE.pem\nThe certificate that was pinned by its "
    "fingerprint.\n.El\n";

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {CLOUD_EXIT_DONE, "Done."},
    {CLOUD_EXIT_FAILED, "The server failed, or something on this machine did."},
    {CLOUD_EXIT_USAGE, "The command line is wrong; nothing was sent."},
    {CLOUD_EXIT_UNREACHABLE, "No server answers, or something else does."},
    {CLOUD_EXIT_SIGN_IN, "Nobody is signed in, or no server is known."},
    {CLOUD_EXIT_FORBIDDEN, "The role or the token does not allow it."},
    {CLOUD_EXIT_NOT_FOUND, "There is no such thing."},
    {CLOUD_EXIT_CONFLICT,
     "The state of things does not allow it: a name that is taken, a quota, no "
     "host, a change by somebody else."},
    {CLOUD_EXIT_REFUSED, "The server does not take the values."},
    {CLOUD_EXIT_BUSY, "The server cannot take it now."},
    {CLOUD_EXIT_NOT_OFFERED, "This server does not have the command, or no driver offers it."},
    {CLOUD_EXIT_OPERATION, "The operation failed or was cancelled."},
    {CLOUD_EXIT_TIME_OUT, "The time of --timeout is over; the operation goes on."},
};

/* Text for mdoc: no line begins with a dot, no backslash escapes, a sentence begins a line. */
static void put(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '.' && text[1] == ' ' && isupper((unsigned char)text[2])) {
            fputs(".\n", out);
            text++;
        } else {
            fputc(*text, out);
        }
    }
}

static void put_commands(const char *noun, FILE *out)
{
    struct cloud_command c;
    unsigned cursor = 0;
    struct cloud_noun n = cloud_command_noun(noun);
    fprintf(out, ".Ss %s\n", noun);
    if (n.summary[0]) {
        put(n.summary, out);
        fputs(".\n", out);
    }
    fputs(".Bl -tag -width Ds -compact\n", out);
    while (cloud_command_next(&cursor, &c)) {
        char words[160];
        if (strcmp(c.noun, noun) != 0)
            continue;
        cloud_help_words(&c, words, sizeof(words));
        fprintf(out, ".It Nm virga Cm %s%s%s", c.noun, c.verb ? " " : "", c.verb ? c.verb : "");
        fprintf(out, "%s%s\n", words[0] ? " Ar " : "", words);
        put(c.summary, out);
        fputs(".\n", out);
        if (c.description && c.description[0]) {
            put(c.description, out);
            fputc('\n', out);
        }
    }
    fputs(".El\n", out);
}

static void put_flags(FILE *out)
{
    fputs(".Sh COMMON FLAGS\nEach command takes those of these that make sense for it; "
          "\n.Fl -help\nlists them with its own.\n.Bl -tag -width Ds\n",
          out);
    for (unsigned i = 0; i < CLOUD_COMMON_N; i++) {
        const struct cloud_flag_fact *f = &cloud_flag_facts[i];
        fputs(".It ", out);
        if (f->letter)
            fprintf(out, "Fl %c , ", f->letter);
        fprintf(out, "Fl -%s", f->name);
        if (f->value)
            fprintf(out, " Ar %s", f->value);
        fputc('\n', out);
        put(f->text, out);
        fputc('\n', out);
    }
    fputs(".El\n", out);
}

int cloud_complete_manual(FILE *out)
{
    const char *name;
    fputs(head, out);
    fputs(".Sh COMMANDS\n", out);
    for (unsigned i = 0; (name = cloud_command_noun_name(i)); i++)
        put_commands(name, out);
    put_flags(out);
    fputs(tail, out);
    fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n", out);
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        fprintf(out, ".It %d\n%s\n", statuses[i].status, statuses[i].text);
    fputs(".El\n.Sh EXAMPLES\n.Bd -literal\n"
          "virga login https://cloud.example:8443 --user ada --fingerprint SHA256\n"
          "virga image import debian debian.qcow2\n"
          "virga vm create web --flavor small --image debian --keypair ada \\e\n"
          "    --nic network=front,ip=10.0.0.5 --label tier=web\n"
          "virga vm ls --filter 'status.state eq \"running\"' -o json\n"
          "virga vm ssh web -- uptime\n"
          ".Ed\n.Sh SEE ALSO\n.Xr virga 1 ,\n.Xr virga-vmm 8\n",
          out);
    return CLOUD_EXIT_DONE;
}
