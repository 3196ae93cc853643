/* Creating and destroying a machine. The order of creation is the order of dependence: RAM, buses,
 * engine, chip set, devices, vCPUs; destruction is the reverse and takes half-built machines. */
#include "machine/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "machine/machine_internal.h"

void machine_files_init(struct machine_files *files)
{
    memset(files, 0, sizeof(*files));
    files->kvm_fd = files->kernel_fd = files->initrd_fd = files->vsock_listen_fd = -1;
    for (unsigned i = 0; i < ARRAY_LEN(files->disks); i++)
        files->disks[i].vhost_user_fd = -1;
    for (unsigned i = 0; i < ARRAY_LEN(files->nics); i++)
        for (unsigned q = 0; q < ARRAY_LEN(files->nics[i].fds); q++)
            files->nics[i].fds[q] = -1;
    for (unsigned i = 0; i < ARRAY_LEN(files->share_fds); i++)
        files->share_fds[i] = -1;
    files->serial = files->virtio_console =
        (struct machine_console_files){.in_fd = -1, .out_fd = -1, .listen_fd = -1};
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(steal_fd(fd));
}

static void close_console(struct machine_console_files *c)
{
    if (c->out_fd == c->in_fd)
        c->out_fd = -1;
    close_if_open(&c->in_fd);
    close_if_open(&c->out_fd);
    close_if_open(&c->listen_fd);
}

void machine_files_fini(struct machine_files *files)
{
    close_if_open(&files->kvm_fd);
    close_if_open(&files->kernel_fd);
    close_if_open(&files->initrd_fd);
    close_if_open(&files->vsock_listen_fd);
    for (unsigned i = 0; i < ARRAY_LEN(files->disks); i++) {
        if (files->disks[i].image)
            image_close(files->disks[i].image);
        free(steal_ptr(&files->disks[i].image));
        close_if_open(&files->disks[i].vhost_user_fd);
    }
    for (unsigned i = 0; i < ARRAY_LEN(files->nics); i++)
        for (unsigned q = 0; q < ARRAY_LEN(files->nics[i].fds); q++)
            close_if_open(&files->nics[i].fds[q]);
    for (unsigned i = 0; i < ARRAY_LEN(files->share_fds); i++)
        close_if_open(&files->share_fds[i]);
    close_console(&files->serial);
    close_console(&files->virtio_console);
}

static int init_mem(struct machine *m, struct err *err)
{
    const struct vm_config *c = m->config;
    unsigned flags = (c->memory.shared ? GUEST_MEM_SHARED : 0) |
                     (c->memory.hugepages ? GUEST_MEM_HUGEPAGES : 0) |
                     (c->memory.prealloc ? GUEST_MEM_PREALLOC : 0);
    return guest_mem_init(&m->mem, c->memory.size_bytes, flags, err);
}

static int init_engine(struct machine *m, struct machine_files *files, struct err *err)
{
    struct engine_probe_input in = {.kvm_fd = files->kvm_fd};
    m->engine = engine_select(m->setup.engines, m->config->engine, &in, err);
    if (!m->engine)
        return -(err && err->code ? err->code : ENODEV);
    struct engine_vm_config config = {
        .n_vcpus = m->config->cpus.count,
        .mem = &m->mem,
        .bus = &m->bus,
        .irqchip = &machine_irqchip_ops,
        .irqchip_opaque = &m->irqchip,
    };
    if (m->setup.thread_setup) {
        config.thread_enter = m->setup.thread_setup->enter;
        config.thread_opaque = m->setup.thread_setup->opaque;
    }
    int ret = engine_vm_create(m->engine, &in, &config, &m->vm, err);
    if (!ret)
        bus_set_engine(&m->bus, engine_vm_bus_ops(m->vm), m->vm);
    return ret;
}

static int init_vcpus(struct machine *m, struct machine_files *files, struct err *err)
{
    const struct vm_config *c = m->config;
    for (unsigned i = 0; i < c->cpus.count; i++)
        m->pins[i] = c->cpus.n_pins ? (int)c->cpus.pins[i] : -1;
    int ret = vcpus_init(&m->vcpus, m->vm, c->cpus.count, m->pins, m->setup.thread_setup,
                         &machine_vcpus_ops, m, err);
    if (!ret)
        ret = machine_cpuid_init(m, files, err);
    for (unsigned i = 0; !ret && i < c->cpus.count; i++) {
        m->power_on[i] = calloc(1, sizeof(*m->power_on[i]));
        if (!m->power_on[i])
            return err_set(err, ENOMEM, "could not allocate the power-on state of vCPU %u", i);
        ret = engine_vcpu_get_state(m->vcpus.v[i].vcpu, m->power_on[i], err);
    }
    return ret;
}

static int check_config(const struct vm_config *c, const struct machine_files *files,
                        struct err *err)
{
    /* Before it is started by the API, a VM may still get a disk. */
    if (files->kernel_fd < 0 && !c->n_disks && c->autostart && strcmp(c->engine, "null") != 0)
        return err_set(err, EINVAL,
                       "no kernel given, and no disk to find one on: use --disk with an image "
                       "that has one, or --kernel (and --initrd) with files of the host");
    if (c->cpus.count > ENGINE_VCPUS_MAX)
        return err_set(err, EINVAL, "%u vCPUs are more than the %d supported", c->cpus.count,
                       ENGINE_VCPUS_MAX);
    return 0;
}

struct machine *machine_create(const struct vm_config *config, const struct machine_setup *setup,
                               struct machine_files *files, struct err *err)
{
    if (check_config(config, files, err))
        return NULL;
    struct machine *m = calloc(1, sizeof(*m));
    if (!m) {
        err_set(err, ENOMEM, "could not allocate a machine");
        return NULL;
    }
    m->config = config;
    m->setup = *setup;
    m->mem.fd = -1;
    m->kernel_fd = steal_fd(&files->kernel_fd);
    m->initrd_fd = steal_fd(&files->initrd_fd);
    m->request_post = (struct loop_post){.run = machine_requests_run, .opaque = m};
    pthread_mutex_init(&m->failure_lock, NULL);
    pthread_mutex_init(&m->populate.lock, NULL);
    m->debug_vcpu = -1;
    bus_init(&m->bus);
    int ret = init_mem(m, err);
    if (!ret)
        ret = init_engine(m, files, err);
    if (!ret)
        ret = machine_chipset_init(m, files, err);
    if (!ret)
        ret = machine_devices_init(m, files, err);
    if (!ret)
        ret = init_vcpus(m, files, err);
    if (ret) {
        machine_destroy(m);
        return NULL;
    }
    return m;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    machine_populate_end(m);
    if (m->pci) { /* a request that fails in its thread would kick vCPUs that are gone */
        vcpus_hold(&m->vcpus);
        bus_lock(&m->bus);
        machine_devices_pause(m);
        bus_unlock(&m->bus);
    }
    vcpus_fini(&m->vcpus);
    machine_devices_fini(m);
    loop_post_cancel(m->setup.loop, &m->request_post);
    loop_timer_cancel(m->setup.loop, &m->addresses_timer);
    machine_chipset_fini(m);
    engine_vm_destroy(m->vm);
    bus_fini(&m->bus);
    guest_mem_fini(&m->mem);
    for (unsigned i = 0; i < ARRAY_LEN(m->power_on); i++)
        free(m->power_on[i]);
    free(m->cpuid);
    close_if_open(&m->kernel_fd);
    close_if_open(&m->initrd_fd);
    pthread_mutex_destroy(&m->failure_lock);
    pthread_mutex_destroy(&m->populate.lock);
    free(m);
}

const char *machine_engine_name(const struct machine *m)
{
    return engine_name(m->engine);
}

struct engine_vm *machine_engine_vm(struct machine *m)
{
    return m->vm;
}

struct guest_mem *machine_mem(struct machine *m)
{
    return &m->mem;
}

unsigned machine_n_vcpus(const struct machine *m)
{
    return m->vcpus.n;
}

struct engine_vcpu *machine_vcpu(struct machine *m, unsigned index)
{
    return m->vcpus.v[index].vcpu;
}
