/* A saved VM's file, as the monitor reads it: the header, the state's place, RAM. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/saved_vm.h"

#define RAM (UINT64_C(64) << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest_mem mem;
    struct err err;
    void *state = NULL;
    size_t state_bytes = 0;
    int fd = memfd_create("saved", MFD_CLOEXEC);
    if (fd < 0 || guest_mem_init(&mem, RAM, 0, &err))
        abort();
    if (write(fd, data, size) != (ssize_t)size)
        abort();
    /* The size that the header speaks of, with holes: else no input would have all of its RAM. */
    if (size >= 64 && size < 4096 && ftruncate(fd, 4096 + RAM))
        abort();
    if (!saved_vm_read(fd, "fuzzed", &mem, &state, &state_bytes, &err) &&
        state_bytes > SAVED_VM_STATE_MAX_BYTES)
        abort();
    free(state);
    guest_mem_fini(&mem);
    close(fd);
    return 0;
}
