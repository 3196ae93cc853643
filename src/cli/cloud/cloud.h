/* The command line of the cloud: `virga NOUN VERB`, a client of the REST API.
 *
 * Driven by data. Which nouns, verbs and flags there are follows from the description of the API:
 * the route table and the tables of fields (src/api/gen), and what they mean in words
 * (cloud_help.h). By hand are only the things that a person needs more of: default columns, names
 * of verbs that read better, commands that are more than one call (cloud_command.h).
 *
 * The program is virga-cloud, which `virga` becomes when it is asked for anything but its own
 * commands: a VM in the foreground does not pay for HTTP and TLS. */
#ifndef CLI_CLOUD_CLOUD_H
#define CLI_CLOUD_CLOUD_H

/* What virga-cloud exits with. These numbers are documented and do not change. */
enum cloud_exit {
    CLOUD_EXIT_DONE = 0,
    CLOUD_EXIT_FAILED = 1,       /* the server failed, or something on this machine did */
    CLOUD_EXIT_USAGE = 2,        /* the command line is wrong; nothing was sent */
    CLOUD_EXIT_UNREACHABLE = 3,  /* no server answers, or not as one of ours */
    CLOUD_EXIT_SIGN_IN = 4,      /* 401: nobody is signed in */
    CLOUD_EXIT_FORBIDDEN = 5,    /* 403: the role or the token does not allow it */
    CLOUD_EXIT_NOT_FOUND = 6,    /* 404, 410: there is no such thing */
    CLOUD_EXIT_CONFLICT = 7,     /* 409, 412: the state of things does not allow it */
    CLOUD_EXIT_REFUSED = 8,      /* 400, 413, 415, 422: values that the server does not take */
    CLOUD_EXIT_BUSY = 9,         /* 429, 503: not now */
    CLOUD_EXIT_NOT_OFFERED = 10, /* 404 of a path, 405, 501: this server does not have it */
    CLOUD_EXIT_OPERATION = 11,   /* the operation failed or was cancelled */
    CLOUD_EXIT_TIME_OUT = 12,    /* --timeout is over; the operation goes on */
};

/* argv[1] is the noun. Prints what failed and returns the exit status. */
int cloud_main(int argc, char **argv);

#endif
