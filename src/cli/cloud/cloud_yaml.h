/* YAML and JSON as one: what --from reads and -o yaml prints. */
#ifndef CLI_CLOUD_CLOUD_YAML_H
#define CLI_CLOUD_CLOUD_YAML_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"

#define CLOUD_YAML_DEPTH_MAX 32
#define CLOUD_YAML_MAX_BYTES (4u << 20)

/* One document, YAML or JSON (which is YAML too). Scalars mean what YAML 1.2's core schema says;
 * no anchors, aliases or tags. Owns: json_decref(). Errors: EINVAL, with the line. */
int cloud_yaml_read(const char *text, size_t bytes, json_t **value, struct err *err);

/* Errors: EIO. */
int cloud_yaml_write(const json_t *value, FILE *out);

#endif
