/* What the files of agent_core share. */
#ifndef AGENT_AGENT_CORE_INTERNAL_H
#define AGENT_AGENT_CORE_INTERNAL_H

#include "agent/agent_core.h"
#include "agent/agent_ports.h"
#include "agent/agent_vm.h"
#include "agent/agent_volumes.h"
#include "agent/usage_book.h"
#include "agent/vm_console.h"
#include "agent/vm_process.h"
#include "base/uuid.h"

#define AGENT_CORE_RESULTS 256 /* of commands, for those that come again */

struct agent_core_vm {
    struct agent_core *core;
    struct agent_vm *vm;
    struct vm_console *console;
    bool named; /* within the full set that is coming in */
    bool dirty; /* to be told */
    bool gone;  /* the server has forgotten it */
    enum vm_seen_state last;
};

/* What became of a command. */
struct agent_core_result {
    uint8_t id[16];
    bool ok;
    char reason[160];
};

struct agent_core {
    struct agent_core_config config;
    char run_root[VM_PROCESS_PATH_BYTES], usage_path[512];
    struct worker_pool *workers;
    struct agent_host host;
    struct agent_core_vm **vms;
    unsigned n_vms, vms_capacity;
    struct image_origins *images;
    struct agent_volumes *volumes;
    struct agent_ports *ports;

    bool up;
    bool collecting; /* parts of a full set are coming in */
    int64_t desired_seq;
    struct loop_timer report;
    bool say_all;

    struct usage_book *usage;
    struct loop_timer usage_timer;
    int64_t usage_ns;
    char usage_problem[256];

    struct agent_core_result results[AGENT_CORE_RESULTS];
    unsigned n_results; /* ever; the newest are kept */
};

struct agent_core_vm *agent_core_find(struct agent_core *c, const uint8_t id[16]);
/* NULL: no memory. */
struct agent_core_vm *agent_core_add(struct agent_core *c, const uint8_t id[16], struct err *err);
/* Says what has changed, soon. */
void agent_core_report_soon(struct agent_core *c);

/* agent_core_desired.c */
void agent_core_desired(struct agent_core *c, const struct link_desired *d);
void agent_core_gone(struct agent_core *c, const struct link_gone *g);
/* agent_core_report.c */
void agent_core_report(struct loop_timer *t);
/* A VM's want cannot be taken up. */
void agent_core_report_refused(struct agent_core *c, const struct link_vm_want *w, const char *why);
/* agent_core_usage.c */
int agent_core_usage_open(struct agent_core *c, struct err *err);
void agent_core_usage_start(struct agent_core *c, int64_t usage_ms);
/* Reads a VM's counters once more, while they can be. */
void agent_core_usage_read(struct agent_core_vm *v);
void agent_core_usage_ack(struct agent_core *c, const struct link_usage_ack *ack);
/* agent_core_command.c */
void agent_core_command(struct agent_core *c, const struct link_command *command);
void agent_core_stream_end(struct agent_core *c, uint32_t stream);
extern const struct vm_console_ops agent_core_console_ops;

#endif
