#include "mgmt/server/server_operation_cancel.h"

#include <errno.h>
#include <string.h>

#include "mgmt/server/server_internal.h"

/* Add a line for a kind; NULL ends it. */
static const struct server_operation_canceller cancellers[] = {
    {"image_create", server_operation_cancel_image},
    {NULL, NULL},
};

int server_operation_cancel(struct server_call *c)
{
    struct catalog_slot *slot = server_call_object(c, CATALOG_OPERATION, 0);
    int r = slot ? server_call_wait(c, slot) : -ENOENT;
    if (r)
        return r;
    const struct api_operation *o = slot->now->doc;
    if (o->state.v >= API_OPERATION_STATE_DONE)
        return api_problem_set(&c->refusal, API_PROBLEM_CODE_OPERATION_NOT_CANCELLABLE,
                               "operation %s has ended as %s: there is nothing to cancel",
                               slot->now->id_text, api_types_operation_state.names[o->state.v]);
    for (unsigned i = 0; cancellers[i].kind && o->cancellable.is == API_VALUE && o->cancellable.v;
         i++)
        if (!strcmp(cancellers[i].kind, o->kind.v))
            return cancellers[i].cancel(c, slot);
    return api_problem_set(&c->refusal, API_PROBLEM_CODE_OPERATION_NOT_CANCELLABLE,
                           "operation %s (%s) cannot be cancelled now: wait for its end",
                           slot->now->id_text, o->kind.v);
}
