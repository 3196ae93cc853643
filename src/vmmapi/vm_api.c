#include "vmmapi/vm_api.h"

#include <errno.h>
#include <stddef.h>

#include "base/util.h"

const char *vm_api_state_name(enum vm_api_state state)
{
    static const char *const names[] = {"created", "running", "paused", "stopped"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

const char *vm_api_event_name(enum vm_api_event event)
{
    static const char *const names[] = {
        "state",    "shutdown", "reset", "debug-exit",  "crash",     "io-error", "device-failed",
        "attached", "detached", "saved", "save-failed", "addresses", "lost"};
    return (size_t)event < ARRAY_LEN(names) ? names[event] : "unknown";
}

const char *vm_api_problem_code(int errno_value, int *status)
{
    static const struct {
        int errno_value, status;
        const char *code;
    } rows[] = {
        {EINVAL, 400, "invalid"},        {E2BIG, 400, "too-many"},    {ENOENT, 404, "not-found"},
        {EEXIST, 409, "exists"},         {EBUSY, 409, "wrong-state"}, {EADDRINUSE, 409, "in-use"},
        {ENOTSUP, 501, "not-supported"}, {EACCES, 403, "refused"},    {EPERM, 403, "refused"},
        {ENOSPC, 507, "no-room"},        {ENOMEM, 507, "no-memory"},  {ETIMEDOUT, 504, "timed-out"},
        {EAGAIN, 503, "try-again"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].errno_value == errno_value) {
            *status = rows[i].status;
            return rows[i].code;
        }
    *status = 500;
    return "failed";
}
