#include "cli/cloud/cloud_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

int cloud_config_path(char path[CLOUD_CONFIG_PATH_BYTES], struct err *err)
{
    const char *given = getenv("VIRGA_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
               *home = getenv("HOME");
    int n = 0;
    if (given && *given)
        n = snprintf(path, CLOUD_CONFIG_PATH_BYTES, "%s", given);
    else if (xdg && *xdg == '/')
        n = snprintf(path, CLOUD_CONFIG_PATH_BYTES, "%s/virga/config.json", xdg);
    else if (home && *home)
        n = snprintf(path, CLOUD_CONFIG_PATH_BYTES, "%s/.config/virga/config.json", home);
    else
        return err_set(err, ENOENT, "HOME is not set: set it, or name the file in VIRGA_CONFIG");
    return n < CLOUD_CONFIG_PATH_BYTES ? 0
                                       : err_set(err, ENAMETOOLONG,
                                                 "the path of config.json is too "
                                                 "long");
}

int cloud_config_read(json_t **config, struct err *err)
{
    char path[CLOUD_CONFIG_PATH_BYTES];
    json_error_t why;
    struct stat st;
    int r = cloud_config_path(path, err);
    if (r)
        return r;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *config = json_object();
        return 0;
    }
    if (fd < 0 || fstat(fd, &st))
        return err_sys(err, errno, "could not open %.300s", path);
    if (st.st_mode & 077)
        return err_set(err, EACCES,
                       "%.200s holds tokens and others may read it (mode %04o): chmod 600 %.200s",
                       path, st.st_mode & 07777, path);
    json_t *read = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(read)) {
        json_decref(read);
        return err_set(err, EINVAL,
                       "%.200s is not a configuration of virga (line %d: %.100s): correct it, or "
                       "remove it and sign in again by virga login",
                       path, read ? 1 : why.line, read ? "no object" : why.text);
    }
    *config = read;
    return 0;
}

static int make_folders(const char *path, struct err *err)
{
    char part[CLOUD_CONFIG_PATH_BYTES];
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
        if (mkdir(part, 0700) && errno != EEXIST)
            return err_sys(err, errno, "could not make the folder %.300s", part);
    }
    return 0;
}

int cloud_config_write(json_t *config, struct err *err)
{
    char path[CLOUD_CONFIG_PATH_BYTES], temporary[CLOUD_CONFIG_PATH_BYTES + 8];
    int r = cloud_config_path(path, err);
    r = r ? r : make_folders(path, err);
    if (r)
        return r;
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    CLEANUP_CLOSE int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return err_sys(err, errno, "could not write %.300s", path);
    if (json_dumpfd(config, fd, JSON_INDENT(2)) || write(fd, "\n", 1) != 1 || fsync(fd) ||
        rename(temporary, path)) {
        r = err_sys(err, errno, "could not write %.300s", path);
        unlink(temporary);
    }
    return r;
}

json_t *cloud_config_profile(json_t *config, const char *wanted, int make, const char **name)
{
    const char *env = getenv("VIRGA_PROFILE");
    const char *current = json_string_value(json_object_get(config, "current"));
    if (!wanted)
        wanted = env && *env ? env : current ? current : "default";
    *name = wanted;
    json_t *profiles = json_object_get(config, "profiles");
    if (!json_is_object(profiles)) {
        if (!make)
            return NULL;
        json_object_set_new(config, "profiles", profiles = json_object());
    }
    json_t *profile = json_object_get(profiles, wanted);
    if (!json_is_object(profile) && make)
        json_object_set_new(profiles, wanted, profile = json_object());
    return json_is_object(profile) ? profile : NULL;
}
