/* What can be cancelled. */
#ifndef MGMT_SERVER_SERVER_OPERATION_CANCEL_H
#define MGMT_SERVER_SERVER_OPERATION_CANCEL_H

struct catalog_slot;
struct server_call;

/* Of one kind of operation. */
struct server_operation_canceller {
    const char *kind; /* the operationId that begins it */
    /* Begins to undo it, and sees to the answer (202 with the operation), as a handler does. The
     * operation has not ended and says that it is cancellable. */
    int (*cancel)(struct server_call *c, struct catalog_slot *operation);
};

/* An image's import. */
int server_operation_cancel_image(struct server_call *c, struct catalog_slot *operation);

/* The handler of operation_cancel. */
int server_operation_cancel(struct server_call *c);

#endif
