/* A VM that is not there, behind the API's seam: for tests of the server and of its clients. It has
 * the run states, remembers what it was asked, and keeps attached devices by id. */
#ifndef CONTROL_CONTROL_NULL_H
#define CONTROL_CONTROL_NULL_H

#include "control/control.h"

struct control_null {
    struct vm_config config; /* with the devices that were attached */
    enum vm_api_state state;
    unsigned n_calls;      /* of slots that change something */
    const char *last_call; /* "pause" */
    uint64_t balloon_bytes;
    const char *address; /* that its guest has on "net0"; NULL: none. Borrowed */
    uint16_t columns, rows;
    int kept_fd;   /* the first descriptor of the last attach; -1 */
    int fail_next; /* an errno with which the next such slot fails; 0 */
    bool stopped;  /* control_config.stopped was called */
};

extern const struct control_ops control_null_ops;

void control_null_init(struct control_null *vm);
void control_null_fini(struct control_null *vm);
/* For control_config.stopped. */
void control_null_stopped(void *vm);

#endif
