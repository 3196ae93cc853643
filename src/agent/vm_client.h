/* A client of one monitor's API (docs/arch/08-api.md) in an event loop: requests one after the
 * other on one connection, and the monitor's events on another. Nothing here waits.
 *
 * The monitor's socket also says whether the VM runs at all: only a process that listens there can
 * be connected to, and the kernel says which one it is. */
#ifndef AGENT_VM_CLIENT_H
#define AGENT_VM_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "io/loop.h"

#define VM_CLIENT_ANSWER_MAX_BYTES (1u << 20)
#define VM_CLIENT_EVENT_MAX_BYTES  4096
#define VM_CLIENT_TIMEOUT_MS       10000
#define VM_CLIENT_FDS_MAX          16

struct vm_client;

/* `status`: the HTTP status; or -errno: ECONNREFUSED and ENOENT (nobody listens: the VM does not
 * run), ECONNRESET (it ended meanwhile: the request may or may not have been done), ETIMEDOUT,
 * EBADMSG, ECANCELED (vm_client_destroy()). The body is terminated and valid during the call. */
typedef void vm_client_done(void *opaque, int status, const char *body, size_t bytes);
/* One event, a JSON object, terminated; NULL when the stream has ended, with `status` as above. */
typedef void vm_client_event(void *opaque, const char *line, int status);

/* `path` is copied. Does not connect yet. Errors: ENAMETOOLONG, ENOMEM. */
struct vm_client *vm_client_create(struct loop *loop, const char *path, struct err *err);
/* Ends what is under way with ECANCELED. NULL is allowed. Not from within a callback of `c`. */
void vm_client_destroy(struct vm_client *c);

/* Queues a request; `body` may be NULL. `done` is called once, never before this returns.
 * Errors: ENOMEM (and `done` is not called). */
int vm_client_request(struct vm_client *c, const char *method, const char *target, const char *body,
                      vm_client_done *done, void *opaque);

/* The same with descriptors that go along (SCM_RIGHTS). Owns: they are closed when the request is
 * over, also where this fails. Errors: also E2BIG, over VM_CLIENT_FDS_MAX. */
int vm_client_request_fds(struct vm_client *c, const char *method, const char *target,
                          const char *body, const int *fds, unsigned n_fds, vm_client_done *done,
                          void *opaque);

/* Follows the events behind number `since`. One at a time; following again ends the last, silently.
 * Errors: those of connecting, as above. */
int vm_client_follow(struct vm_client *c, uint64_t since, vm_client_event *event, void *opaque);

/* The process that listens there now. Errors: ENOENT, ECONNREFUSED: none. */
int vm_client_pid(const char *path, pid_t *pid);

#endif
