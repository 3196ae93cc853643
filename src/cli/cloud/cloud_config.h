/* Which server and as whom: profiles in ~/.config/virga/config.json, and the environment.
 *
 *   {"current": "default", "profiles": {"default": {"url": ..., "token": ..., "user": ...,
 *    "project": ..., "ca_file": ..., "expires_at": ...}}}
 *
 * The file holds tokens: it is written whole with mode 0600, and one that others can read is
 * refused. */
#ifndef CLI_CLOUD_CLOUD_CONFIG_H
#define CLI_CLOUD_CLOUD_CONFIG_H

#include <jansson.h>

#include "base/err.h"

#define CLOUD_CONFIG_PATH_BYTES 4096

/* $VIRGA_CONFIG, or virga/config.json in $XDG_CONFIG_HOME or ~/.config. Errors: ENOENT. */
int cloud_config_path(char path[CLOUD_CONFIG_PATH_BYTES], struct err *err);
/* The whole; an empty one where there is no file. Owns: json_decref(). Errors: EACCES: others can
 * read it; EINVAL: not ours. */
int cloud_config_read(json_t **config, struct err *err);
int cloud_config_write(json_t *config, struct err *err);

/* The profile of that name (NULL: $VIRGA_PROFILE, or the current one), made if `make`. Borrowed
 * from the config; *name too. NULL: there is none. */
json_t *cloud_config_profile(json_t *config, const char *wanted, int make, const char **name);

#endif
