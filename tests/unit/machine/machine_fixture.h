/* A machine on the null engine, with a kernel of a few bytes. */
#ifndef TESTS_UNIT_MACHINE_FIXTURE_H
#define TESTS_UNIT_MACHINE_FIXTURE_H

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "engine/null/null_engine.h"
#include "machine/machine_internal.h"

#define FIXTURE_EVENTS_MAX 32

struct fixture {
    struct vm_config config;
    struct machine_files files;
    struct loop *loop;
    struct machine *machine;
    unsigned n_events;
    struct machine_event events[FIXTURE_EVENTS_MAX];
    char texts[FIXTURE_EVENTS_MAX][128];
};

static const struct engine *const fixture_engines[] = {&null_engine, NULL};

static inline void fixture_event(void *opaque, const struct machine_event *e)
{
    struct fixture *f = opaque;
    if (f->n_events == FIXTURE_EVENTS_MAX)
        return;
    f->events[f->n_events] = *e;
    snprintf(f->texts[f->n_events], sizeof(f->texts[0]), "%s", e->text ? e->text : "");
    f->n_events++;
}

/* A plain ELF64 whose one segment is a hlt at 1 MiB. */
static inline int fixture_kernel(void)
{
    struct {
        Elf64_Ehdr eh;
        Elf64_Phdr ph;
        uint8_t code[8];
    } k = {0};
    memcpy(k.eh.e_ident, ELFMAG, SELFMAG);
    k.eh.e_ident[EI_CLASS] = ELFCLASS64;
    k.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    k.eh.e_ident[EI_VERSION] = EV_CURRENT;
    k.eh.e_type = ET_EXEC;
    k.eh.e_machine = EM_X86_64;
    k.eh.e_version = EV_CURRENT;
    k.eh.e_entry = 0x100000;
    k.eh.e_phoff = sizeof(k.eh);
    k.eh.e_ehsize = sizeof(k.eh);
    k.eh.e_phentsize = sizeof(k.ph);
    k.eh.e_phnum = 1;
    k.ph.p_type = PT_LOAD;
    k.ph.p_offset = sizeof(k.eh) + sizeof(k.ph);
    k.ph.p_vaddr = k.ph.p_paddr = 0x100000;
    k.ph.p_filesz = k.ph.p_memsz = sizeof(k.code);
    memset(k.code, 0xf4, sizeof(k.code));
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    if (write(fd, &k, sizeof(k)) != (ssize_t)sizeof(k))
        abort();
    return fd;
}

static inline void fixture_init(struct fixture *f)
{
    struct err err = {0};
    memset(f, 0, sizeof(*f));
    vm_config_init(&f->config);
    f->config.kernel = strdup("kernel");
    strcpy(f->config.engine, "null");
    f->config.memory.size_bytes = 16 * MIB;
    f->config.cpus.count = 2;
    f->config.debug_exit = true;
    if (vm_config_finish(&f->config, &err))
        printf("# %s\n", err.msg);
    machine_files_init(&f->files);
    f->files.kernel_fd = fixture_kernel();
    f->loop = loop_create(0, &err);
}

/* Creates the machine; false with the reason printed. */
static inline bool fixture_create(struct fixture *f)
{
    struct err err = {0};
    struct machine_setup setup = {.engines = fixture_engines,
                                  .loop = f->loop,
                                  .callbacks = {.event = fixture_event, .opaque = f}};
    f->machine = machine_create(&f->config, &setup, &f->files, &err);
    if (!f->machine)
        printf("# %s\n", err.msg);
    return f->machine;
}

static inline void fixture_fini(struct fixture *f)
{
    machine_destroy(f->machine);
    machine_files_fini(&f->files);
    loop_destroy(f->loop);
    vm_config_fini(&f->config);
}

/* Lets the main loop do what other threads asked for, until the event has come. */
static inline bool fixture_wait(struct fixture *f, enum machine_event_kind kind)
{
    for (unsigned rounds = 0; rounds < 1000; rounds++) {
        for (unsigned i = 0; i < f->n_events; i++)
            if (f->events[i].kind == kind)
                return true;
        loop_run_once(f->loop, 10);
    }
    return false;
}

static inline const char *fixture_text(const struct fixture *f, enum machine_event_kind kind)
{
    for (unsigned i = f->n_events; i-- > 0;)
        if (f->events[i].kind == kind)
            return f->texts[i];
    return "(no such event)";
}

#endif
