/* The process of one VM on this host: started so that it outlives the agent, and found again by
 * whoever looks later.
 *
 * Theory of operation: a VM has a run directory, by its id. In it are `config.json`, what the
 * monitor was started with; `log`, its standard output and error; `lock`; and `api`, its socket. No
 * file records a pid, because no file can be trusted to be written between fork and death. The
 * socket can be trusted: it accepts connections exactly as long as a monitor lives, the kernel says
 * which process that is, and a second monitor refuses to start where one listens, before it runs
 * its guest. Until it listens the lock stands for it: taken before the fork, held by the descriptor
 * that the monitor inherits. So a VM never runs twice on a host, whatever died when. */
#ifndef AGENT_VM_PROCESS_H
#define AGENT_VM_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define VM_PROCESS_PATH_BYTES 100 /* of a socket: sun_path is 108 */

/* "<run_dir>/<name>", e.g. "api". Errors: ENAMETOOLONG. */
int vm_process_path(const char *run_dir, const char *name, char path[VM_PROCESS_PATH_BYTES],
                    struct err *err);

/* Writes a file of the run directory, which is made when it is not there: in place or not at all.
 * Errors: ENOSPC and others of the file system; the file is as it was then. */
int vm_process_write(const char *run_dir, const char *name, const char *text, struct err *err);

/* Starts `vmm_path` with the config, in a session of its own, with its output in the run directory
 * (made when it is not there). The config must name the API socket vm_process_path() gives.
 * *pidfd refers to the process; a child of ours: reap it by vm_process_reap().
 * Errors: EEXIST, a monitor runs there; those of fork(2), execve(2), and of the file system. */
int vm_process_start(const char *vmm_path, const char *run_dir, const char *config_json, int *pidfd,
                     struct err *err);

/* A descriptor of the monitor that lives there, whoever started it. Errors: ESRCH, none does.
 * Blocks: up to 200 ms for one between fork and exec. */
int vm_process_find(const char *run_dir, int *pidfd, struct err *err);

/* SIGKILL. A process that has ended already is fine. */
int vm_process_kill(int pidfd, struct err *err);

/* After the descriptor has become readable: the process has ended. A child's exit status, or 128
 * plus the signal; -1 for one that was not our child: init has its status. */
int vm_process_reap(int pidfd);

/* Removes the run directory. Errors: EBUSY, a monitor runs there. */
int vm_process_remove(const char *run_dir, struct err *err);

#endif
