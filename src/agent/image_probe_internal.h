/* The formats that are read in parts. */
#ifndef AGENT_IMAGE_PROBE_INTERNAL_H
#define AGENT_IMAGE_PROBE_INTERNAL_H

#include <stddef.h>

#include "agent/image_probe.h"

/* Up to `bytes` bytes at an offset. Returns how many there were. Errors: those of pread(2). */
int64_t image_probe_read(int fd, uint64_t offset, void *buf, size_t bytes, struct err *err);
/* A VMDK that is [offset, offset + bytes) of the file. *size_bytes: as a guest sees it. */
int image_probe_vmdk(int fd, uint64_t offset, uint64_t bytes, uint64_t *size_bytes,
                     struct err *err);
/* The disk of an OVA. */
int image_probe_ova(int fd, uint64_t bytes, struct image_probe *probe, struct err *err);

#endif
