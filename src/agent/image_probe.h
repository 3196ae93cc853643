/* What an image is, by its content and never by its name, and whether it is whole in itself. A
 * tenant's image that names other files (a backing file, an extent, a parent) is refused here, for
 * whoever opens it by such a name would read files of the host.
 *
 * Spec: qcow2: QEMU's docs/interop/qcow2.txt. VMDK: VMware, Virtual Disk Format 5.0. OVA: DMTF
 * DSP0243 (a tar archive, POSIX 1003.1 ustar). gzip: RFC 1952. zstd: RFC 8878. xz: .xz 1.1.0. */
#ifndef AGENT_IMAGE_PROBE_H
#define AGENT_IMAGE_PROBE_H

#include <stdint.h>

#include "base/err.h"

enum image_probe_format {
    IMAGE_PROBE_RAW, /* all that is nothing else */
    IMAGE_PROBE_QCOW2,
    IMAGE_PROBE_VMDK,
    IMAGE_PROBE_OVA,
    IMAGE_PROBE_VHDX,
    IMAGE_PROBE_VDI,
    IMAGE_PROBE_GZIP,
    IMAGE_PROBE_ZSTD,
    IMAGE_PROBE_XZ,
    IMAGE_PROBE_N
};

/* "raw", "qcow2", ...; also what qemu-img calls those that it reads. */
const char *image_probe_name(enum image_probe_format format);

struct image_probe {
    enum image_probe_format format;
    uint64_t size_bytes; /* as a guest will see it; 0: only a conversion tells */
    /* Of an OVA: where in the file its disk, a VMDK, is. Of others: the whole file. */
    uint64_t disk_offset, disk_bytes;
};

/* Looks at an open file. Reads at most some MiB of it.
 * Errors: EINVAL (it refers to another file, which is named; a field makes no sense), ENOTSUP (of
 * a kind that is not read here), those of pread(2). Threads: any. */
int image_probe_file(int fd, struct image_probe *probe, struct err *err);

#endif
