/* What failed, why, and what to do next: problem documents (RFC 9457) as a person reads them. */
#ifndef CLI_CLOUD_CLOUD_PROBLEM_H
#define CLI_CLOUD_CLOUD_PROBLEM_H

#include <jansson.h>
#include <stdio.h>

#include "cli/cloud/cloud.h"
#include "cli/cloud/cloud_flag.h"
#include "cli/cloud/cloud_http.h"

/* "virga: " and the text on standard error, in the shape that every failure has. */
void cloud_problem_say(const char *who, const char *what);

/* Prints a problem: the title, the detail, each error with its pointer as the flag that the person
 * gave (`flags` may be NULL), why each host was turned away, and the remedy. `who` is the command.
 * Returns the exit status that belongs to it. */
enum cloud_exit cloud_problem_show(const json_t *problem, const char *who,
                                   const struct cloud_flags *flags, FILE *out);
/* The same of an answer that is no success; one that is no problem document is said to come from
 * something that is no server of ours. */
enum cloud_exit cloud_problem_of_answer(const struct cloud_http_answer *a, const char *who,
                                        const struct cloud_flags *flags, FILE *out);
/* The exit status of a call that got no answer. */
enum cloud_exit cloud_problem_of_errno(int r);

/* Placement: where it would go, or why nowhere; with what was decided of each host. */
void cloud_problem_placement(const json_t *placement, FILE *out);

#endif
