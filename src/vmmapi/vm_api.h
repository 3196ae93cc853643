/* The words of the monitor's HTTP API that its server (control/) and its clients (cli/, the agent)
 * share: paths, run states, events, problem codes. See docs/arch/08-api.md and virga-vmm(8). */
#ifndef VMMAPI_VM_API_H
#define VMMAPI_VM_API_H

#define VM_API_VERSION 1

#define VM_API_PATH_VERSION  "/v1/version"
#define VM_API_PATH_VM       "/v1/vm"
#define VM_API_PATH_CONFIG   "/v1/vm/config"
#define VM_API_PATH_COUNTERS "/v1/vm/counters"
#define VM_API_PATH_EVENTS   "/v1/vm/events"
#define VM_API_PATH_CONSOLE  "/v1/vm/console"
#define VM_API_PATH_DISKS    "/v1/vm/disks"
#define VM_API_PATH_NICS     "/v1/vm/nics"
#define VM_API_PATH_BALLOON  "/v1/vm/balloon"

/* "created", "running", "paused", "stopped". */
enum vm_api_state {
    VM_API_STATE_CREATED,
    VM_API_STATE_RUNNING,
    VM_API_STATE_PAUSED,
    VM_API_STATE_STOPPED
};
const char *vm_api_state_name(enum vm_api_state state);

enum vm_api_event {
    VM_API_EVENT_STATE,         /* "state": the run state changed; text is its name */
    VM_API_EVENT_SHUTDOWN,      /* "shutdown": the guest powered itself off */
    VM_API_EVENT_RESET,         /* "reset" */
    VM_API_EVENT_DEBUG_EXIT,    /* "debug-exit" */
    VM_API_EVENT_CRASH,         /* "crash": triple fault or engine error */
    VM_API_EVENT_IO_ERROR,      /* "io-error": a disk failed */
    VM_API_EVENT_DEVICE_FAILED, /* "device-failed": its back end is gone, or its driver must reset
                                   it */
    VM_API_EVENT_ATTACHED,      /* "attached" */
    VM_API_EVENT_DETACHED,      /* "detached": the guest let the device go */
    VM_API_EVENT_SAVED,         /* "saved": the file that PUT /v1/vm/save was given is whole */
    VM_API_EVENT_SAVE_FAILED,   /* "save-failed": it is not; text says why */
    VM_API_EVENT_ADDRESSES,     /* "addresses": the guest was seen with others: GET /v1/vm */
    VM_API_EVENT_LOST,          /* "lost": the reader was slow; text says how many are missing */
};
const char *vm_api_event_name(enum vm_api_event event);

/* The stable code of a problem answer (RFC 9457) for an errno value: "invalid", "not-found",
 * "wrong-state", ...; *status receives the HTTP status. */
const char *vm_api_problem_code(int errno_value, int *status);

#endif
