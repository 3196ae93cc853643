/* Between the files of virga-vmm: main.c (order of events), files.c (what is opened before the
 * sandbox), saved.c (the VM as a file), adapter.c (the API's view of the machine). */
#ifndef CMD_VIRGA_VMM_VMM_H
#define CMD_VIRGA_VMM_VMM_H

#include "control/control.h"
#include "engine/null/qtest.h"
#include "gdb/gdb_vm.h"
#include "machine/machine.h"
#include "migrate/save_task.h"
#include "sandbox/sandbox.h"

struct vmm {
    struct vm_config config;
    struct machine_files files;
    struct sandbox *sandbox;
    struct loop *loop;
    struct machine *machine;
    struct control *control;
    const struct iothread_setup *threads; /* for threads of the program's own */
    struct save_task *save;               /* NULL unless a save goes on */
    int control_fd;
    int gdb_fd;
    int load_fd; /* the saved VM to go on with */
    struct gdb_vm *gdb;
    int qtest_fd;
    struct qtest *qtest;
    int64_t running_since_ns; /* 0 while it does not run */
    int64_t ran_ns;           /* before that */
    bool want_exit;
    int exit_code;
    char reason[ERR_MSG_BYTES]; /* why it is paused or stopped */
};

/* files.c: opens the saved VM that the config names, if any, and takes its uuid unless the config
 * has one. Before vm_config_finish(). */
int vmm_open_saved(struct vmm *v, struct err *err);
/* files.c: opens everything else the config names. Errors name the path and the flag. */
int vmm_open_files(struct vmm *v, struct err *err);

/* saved.c. Save: as control_ops.save. Load: the machine is PAUSED afterwards. */
int vmm_save(struct vmm *v, struct control_fds *fds, struct err *err);
int vmm_load(struct vmm *v, struct err *err);
/* The uuid of the open saved VM, for a config without one. */
int vmm_take_uuid(struct vmm *v, struct err *err);

/* adapter.c */
extern const struct control_ops vmm_control_ops;
extern const struct machine_callbacks vmm_machine_callbacks;

#endif
