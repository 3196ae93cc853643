/* Between the two sides of the fork. */
#ifndef AGENT_IMAGE_CHILD_INTERNAL_H
#define AGENT_IMAGE_CHILD_INTERNAL_H

#include "agent/image_child.h"

/* What the child says of itself when it could not begin. */
enum image_child_step {
    IMAGE_CHILD_FILES, /* working directory, descriptors */
    IMAGE_CHILD_LIMITS,
    IMAGE_CHILD_UID,
    IMAGE_CHILD_LANDLOCK,
    IMAGE_CHILD_EXEC,
};

struct image_child_failure {
    enum image_child_step step;
    int code;
};

/* In the child, after fork() in a process with threads: system calls and nothing else. `fds`
 * become its standard descriptors. Returns only if it fails. */
struct image_child_failure image_child_begin(const struct image_child *c, const int fds[3]);

#endif
