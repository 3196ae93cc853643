/* Made by tools/apigen from the files of api/; do not edit. All of them; for what walks over every schema. */
#ifndef API_GEN_ALL_H
#define API_GEN_ALL_H

#include "api/gen/common.h"
#include "api/gen/compute.h"
#include "api/gen/identity.h"
#include "api/gen/image.h"
#include "api/gen/infra.h"
#include "api/gen/network.h"
#include "api/gen/placement.h"
#include "api/gen/storage.h"
#include "api/gen/system.h"

#define API_TYPES_OBJECTS 185
extern const struct api_types_object *const api_types_objects[API_TYPES_OBJECTS];

/* The pattern that the description gives of a format; NULL for API_FORMAT_NONE. */
extern const char *const api_types_patterns[API_FORMATS];

#endif
