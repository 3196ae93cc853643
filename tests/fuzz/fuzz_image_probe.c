/* An image that says anything, looked at before any program opens it. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/image_probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_probe p = {0};
    struct err err = {0};
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    int ret = image_probe_file(fd, &p, &err);
    if (ret ? err.code != -ret || !err.msg[0]
            : p.disk_offset > size || p.disk_bytes > size - p.disk_offset)
        abort();
    close(fd);
    return 0;
}
