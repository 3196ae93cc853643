/* Between the files of the machine: machine.c (create, destroy), machine_run.c (run states),
 * machine_chipset.c, machine_devices.c (virtio) with machine_disks.c, machine_nics.c and
 * machine_misc.c, machine_boot.c with machine_populate.c and machine_disk_kernel.c,
 * machine_snapshot.c with machine_cpuid.c. */
#ifndef MACHINE_MACHINE_INTERNAL_H
#define MACHINE_MACHINE_INTERNAL_H

#include "apic/irqchip.h"
#include "blk/aio.h"
#include "boot/boot.h"
#include "dev/chipset/acpi_pm.h"
#include "dev/chipset/debug_exit.h"
#include "dev/chipset/fw_cfg.h"
#include "dev/chipset/mc146818.h"
#include "dev/chipset/pci_hotplug.h"
#include "dev/chipset/reset_ports.h"
#include "dev/chipset/uart16550.h"
#include "dev/chipset/vmgenid.h"
#include "dev/pci/pci.h"
#include "dev/virtio/vhu_device.h"
#include "dev/virtio/virtio.h"
#include "machine/machine.h"
#include "machine/serial_port.h"
#include "machine/vcpus.h"

#define MACHINE_DEVICES_MAX 32

/* A back end's trouble, noted by an I/O thread for the main thread. */
struct machine_failure {
    char device[VM_CONFIG_ID_BYTES];
    struct err why; /* code 0: none noted */
};

/* One PCI device of the machine, on the heap: its back end's callbacks keep a pointer to it. */
struct machine_device {
    struct machine *machine;
    char id[VM_CONFIG_ID_BYTES];
    const char *kind; /* "disk", "nic", "share", "rng" ... */
    unsigned slot;
    bool remote;                                    /* another process serves it (vhost-user) */
    struct virtio_device *dev;                      /* owned by the PCI bus */
    struct iothread *threads[VM_CONFIG_QUEUES_MAX]; /* its own: none, one, or one a NIC queue */
    unsigned n_threads;
    struct aio *aio;   /* of its own thread, or NULL */
    char *socket_path; /* of a vhost-user back end, for reconnects */
    struct vhu_connector connector;
    struct machine_failure failure; /* the first not yet reported */
};

/* Threads that serve the devices without one of their own. */
enum machine_thread {
    MACHINE_THREAD_DISKS,
    MACHINE_THREAD_NICS,
    MACHINE_THREAD_MISC,
    MACHINE_THREADS
};

/* What other threads ask the main thread to do; bits of machine.requests. */
enum machine_request {
    MACHINE_REQUEST_RESET = 1 << 0,
    MACHINE_REQUEST_POWER_OFF = 1 << 1,
    MACHINE_REQUEST_CRASH = 1 << 2,
    MACHINE_REQUEST_DEBUG_EXIT = 1 << 3,
    MACHINE_REQUEST_IO_ERROR = 1 << 4,
    MACHINE_REQUEST_EJECT = 1 << 5,
    MACHINE_REQUEST_DEVICE_FAILED = 1 << 6,
    MACHINE_REQUEST_DEBUGGER = 1 << 7,
    MACHINE_REQUEST_ADDRESSES = 1 << 8,
};
/* Those after which the guest must not go on before the main thread has acted. */
#define MACHINE_REQUESTS_HOLD                                                                      \
    (MACHINE_REQUEST_RESET | MACHINE_REQUEST_POWER_OFF | MACHINE_REQUEST_CRASH |                   \
     MACHINE_REQUEST_DEBUG_EXIT | MACHINE_REQUEST_IO_ERROR | MACHINE_REQUEST_DEBUGGER)

/* RAM that the kernel is about to write, made resident by a thread: it costs a page fault and a
 * page of zeroes each, which the vCPU would else wait for. */
#define MACHINE_POPULATE_MAX 16
struct machine_populate {
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of what follows */
    unsigned n;
    struct {
        uint64_t gpa, len;
    } ranges[MACHINE_POPULATE_MAX];
};

struct machine {
    const struct vm_config *config;
    struct machine_setup setup;
    enum machine_state state;
    bool held; /* machine_hold() */

    struct guest_mem mem;
    struct bus bus;
    const struct engine *engine;
    struct engine_vm *vm;
    struct vcpus vcpus;
    int pins[ENGINE_VCPUS_MAX];
    struct engine_vcpu_state *power_on[ENGINE_VCPUS_MAX]; /* what a reset goes back to */
    struct kvm_cpuid_entry2 *cpuid;                       /* of vCPU 0 */
    unsigned n_cpuid;

    struct irqchip irqchip;
    struct mc146818 rtc;
    struct acpi_pm pm;
    struct reset_ports reset_ports;
    struct pci_hotplug hotplug;
    struct debug_exit debug_exit;
    struct fw_cfg fw_cfg;
    struct vmgenid vmgenid;
    struct uart16550 uart;
    struct serial_port *serial, *virtio_console_port;
    struct pci_root *pci;
    struct virtio_device *virtio_console; /* NULL: none. Changed in the loop of its port */

    struct iothread *shared_threads[MACHINE_THREADS]; /* created when first needed */
    struct aio *shared_aio;                           /* of the shared disk thread */
    unsigned n_devices;
    struct machine_device *devices[MACHINE_DEVICES_MAX];

    int kernel_fd, initrd_fd; /* kept: a reset loads them again; -1: from a disk, or none */
    struct boot_result boot;
    int64_t boot_search_ns; /* what it took to find the kernel on a disk */
    struct machine_populate populate;
    bool booted_before;   /* the vCPUs have left their power-on state */
    int64_t ready_cpu_ns; /* what this process had used when the guest first began */

    struct loop_post request_post;
    _Atomic unsigned requests;
    _Atomic int debug_exit_code;
    _Atomic uint32_t eject_slots;
    pthread_mutex_t failure_lock;            /* a leaf */
    const struct machine_debugger *debugger; /* NULL: none. The main thread's, and under the lock */
    int debug_vcpu;                          /* which has stopped first, -1: none not yet told */
    struct kvm_debug_exit_arch debug_exit_info;
    _Atomic bool addresses_changed;         /* and the main thread has not yet told it */
    struct loop_timer addresses_timer;      /* the main thread's, as the next */
    int64_t addresses_told_ns;              /* 0: never */
    struct machine_failure crash, io_error; /* the first of each not yet reported */
};

/* machine_run.c: asks the main thread. Threads: any, with or without the device lock. */
void machine_request(struct machine *m, unsigned requests);
void machine_requests_run(struct loop_post *p);
/* Notes a failure and makes the request that goes with it. Threads: any. */
void machine_fail(struct machine *m, struct machine_failure *which, enum machine_request request,
                  const char *device, const struct err *why);
/* EBUSY, "cannot VERB ...", while the machine is held. */
int machine_check_free(const struct machine *m, const char *verb, struct err *err);
void machine_emit(struct machine *m, enum machine_event_kind kind, const char *device,
                  const char *text, int value);
extern const struct vcpus_ops machine_vcpus_ops;

/* machine_chipset.c */
extern const struct engine_irqchip_ops machine_irqchip_ops;
int machine_chipset_init(struct machine *m, struct machine_files *files, struct err *err);
void machine_chipset_fini(struct machine *m);
void machine_chipset_reset(struct machine *m); /* device lock held */

/* machine_devices.c */
int machine_devices_init(struct machine *m, struct machine_files *files, struct err *err);
void machine_devices_fini(struct machine *m);
void machine_devices_pause(struct machine *m); /* device lock held */
void machine_devices_resume(struct machine *m);
/* The guest let go of the devices in these slots. */
void machine_devices_eject(struct machine *m, uint32_t slots);
struct machine_device *machine_device_find(struct machine *m, const char *id);
/* A new device in three steps: reserve its name, make it (on machine_device_loop()), plug it in;
 * machine_device_abandon() when a step fails. Plugging takes `dev` in any case. */
int machine_device_reserve(struct machine *m, const char *kind, const char *id,
                           struct machine_device **device, struct err *err);
struct loop *machine_device_loop(struct machine_device *d, enum machine_thread shared, bool own,
                                 struct err *err);
int machine_device_plug(struct machine_device *d, struct virtio_device *dev, struct err *err);
void machine_device_abandon(struct machine_device *d);
/* The broken() of a plugged device: tells the machine's owner. Threads: any. */
void machine_device_failed(void *opaque, const struct err *why);
/* For vhost-user devices: a connector that asks the program for `path`, or NULL. */
const struct vhu_connector *machine_device_connector(struct machine_device *d, const char *path);

/* machine_addresses.c. What a NIC's guest was seen with has changed; `opaque` is the device.
 * Threads: any. */
void machine_addresses_changed(void *opaque);
/* The main thread's part of it. */
void machine_addresses_request(struct machine *m);

/* machine_misc.c: the devices besides disks and NICs, from the config. */
int machine_misc_add(struct machine *m, struct machine_files *files, struct err *err);

/* machine_cpuid.c: what each vCPU's guest sees of its CPU, kept of vCPU 0; the section that says it
 * of a saved VM, and the comparison with what this machine has. */
int machine_cpuid_init(struct machine *m, struct machine_files *files, struct err *err);
void machine_cpuid_save(const struct machine *m, struct state_writer *w);
int machine_cpuid_check(const struct machine *m, struct state_reader *r);

/* machine_populate.c. The first is boot_config.will_use. */
void machine_populate(void *machine, uint64_t gpa, uint64_t len);
void machine_populate_end(struct machine *m);

/* machine_disk_kernel.c: completes the config with the kernel, initrd and command line of the first
 * disk that has them, and loads those. No vCPU runs. Errors: ENOENT, and what was wrong with the
 * first disk. */
int machine_disk_kernel_load(struct machine *m, struct boot_config *config, struct err *err);

/* machine_boot.c: puts kernel, tables and vCPU registers in place, from power-on state. */
int machine_boot_load(struct machine *m, struct err *err);

#endif
