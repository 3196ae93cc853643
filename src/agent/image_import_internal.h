/* One import, and its steps. */
#ifndef AGENT_IMAGE_IMPORT_INTERNAL_H
#define AGENT_IMAGE_IMPORT_INTERNAL_H

#include <sys/types.h>

#include "agent/image_import.h"

#define IMAGE_IMPORT_PATH_BYTES 512

struct image_import {
    struct image_import_config config;
    char dir[IMAGE_IMPORT_PATH_BYTES - 64]; /* absolute */
};

struct image_import_job {
    struct image_import *im;
    const struct image_import_request *request;
    struct image_import_result result;
    char dir[IMAGE_IMPORT_PATH_BYTES];
    int dir_fd, source; /* the directory; what came, or was unpacked */
    uid_t uid;          /* of the programs that read it */
    enum image_import_stage stage;
    unsigned percent;       /* as last told */
    uint64_t told_bytes;    /* received, the same */
    uint64_t written_bytes; /* unpacked */
    int unpacked;           /* the file being written, -1 */
    char line[64];          /* of qemu-img's progress */
    size_t line_bytes;
};

/* Names in a job's directory. */
#define IMAGE_IMPORT_SOURCE    "source"
#define IMAGE_IMPORT_UNPACKED  "unpacked"
#define IMAGE_IMPORT_CONVERTED "converted"

/* Tells progress: `done` of `total` (0: not known) of the stage. */
void image_import_tell(struct image_import_job *j, enum image_import_stage stage, uint64_t done,
                       uint64_t total);
/* Each step leaves what is to be imported in j->source, under the name in *name. */
int image_import_fetch(struct image_import_job *j, struct err *err);
int image_import_unpack(struct image_import_job *j, enum image_probe_format format,
                        struct err *err);
int image_import_check_qcow2(struct image_import_job *j, const char *name, struct err *err);
int image_import_convert(struct image_import_job *j, const char *name,
                         const struct image_probe *probe, struct err *err);

#endif
