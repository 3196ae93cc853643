#include "agent/host_identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/state_file.h"
#include "base/util.h"
#include "base/uuid.h"
#include "pki/pki.h"

static int path_of(const char *dir, const char *name, char path[HOST_IDENTITY_PATH_BYTES],
                   struct err *err)
{
    if (snprintf(path, HOST_IDENTITY_PATH_BYTES, "%s/%s", dir, name) >= HOST_IDENTITY_PATH_BYTES)
        return err_set(err, ENAMETOOLONG, "the path of the state directory %.60s is too long", dir);
    return 0;
}

int host_identity_load(const char *state_dir, struct host_identity *out, struct err *err)
{
    struct host_identity h = {.server = ""};
    struct pki_info info;
    char path[HOST_IDENTITY_PATH_BYTES];
    size_t bytes;
    int ret = path_of(state_dir, "identity.pem", h.cert_path, err);
    if (!ret)
        ret = path_of(state_dir, "authority.pem", h.authority_path, err);
    if (!ret)
        ret = path_of(state_dir, "server", path, err);
    if (ret)
        return ret;
    CLEANUP_FREE char *pem = state_file_read(h.cert_path, &bytes, err);
    if (!pem)
        return err_wrap(err, "this host has not joined a cloud: run virga-agent join");
    ret = pki_read(pem, &info, err);
    pki_wipe(pem);
    if (ret)
        return err_wrap(err, "%.200s", h.cert_path);
    if (uuid_parse(info.name, h.id))
        return err_set(err, EINVAL, "%.200s is the certificate of %.64s, which is no host's id",
                       h.cert_path, info.name);
    h.begins_s = info.begins_s;
    h.ends_s = info.ends_s;
    CLEANUP_FREE char *server = state_file_read(path, &bytes, NULL);
    if (server)
        snprintf(h.server, sizeof(h.server), "%.*s", (int)strcspn(server, "\n"), server);
    *out = h;
    return 0;
}

static int store_pair(const char *dir, const char *key_pem, const char *cert_pem, struct err *err)
{
    char path[HOST_IDENTITY_PATH_BYTES], *both;
    int ret = path_of(dir, "identity.pem", path, err);
    if (ret)
        return ret;
    int n = asprintf(&both, "%s%s%s", cert_pem,
                     cert_pem[0] && cert_pem[strlen(cert_pem) - 1] == '\n' ? "" : "\n", key_pem);
    if (n < 0)
        return err_set(err, ENOMEM, "could not allocate an identity");
    ret = state_file_write(path, both, (size_t)n, err);
    pki_wipe(both);
    free(both);
    return ret;
}

static int store_text(const char *dir, const char *name, const char *text, struct err *err)
{
    char path[HOST_IDENTITY_PATH_BYTES];
    int ret = path_of(dir, name, path, err);
    return ret ? ret : state_file_write(path, text, strlen(text), err);
}

int host_identity_store(const char *state_dir, const char *key_pem, const char *cert_pem,
                        const char *authority_pem, const char *server, struct err *err)
{
    if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "could not make the directory %s", state_dir);
    int ret = store_text(state_dir, "authority.pem", authority_pem, err);
    if (!ret)
        ret = store_text(state_dir, "server", server, err);
    /* Last: with it the host has joined. */
    return ret ? ret : store_pair(state_dir, key_pem, cert_pem, err);
}

int host_identity_renew(const char *state_dir, const uint8_t id[16], const char *key_pem,
                        const char *cert_pem, const char *authority_pem, struct err *err)
{
    struct pki_info info;
    char name[UUID_TEXT_BYTES];
    uuid_format(id, name);
    int ret = pki_verify(cert_pem, authority_pem, PKI_CLIENT, time(NULL), err);
    if (!ret)
        ret = pki_read(cert_pem, &info, err);
    if (ret)
        return ret;
    if (strcmp(info.name, name) != 0)
        return err_set(err, EACCES, "the new certificate is of %.64s, and this host is %s",
                       info.name, name);
    ret = store_text(state_dir, "authority.pem", authority_pem, err);
    return ret ? ret : store_pair(state_dir, key_pem, cert_pem, err);
}

bool host_identity_is_old(const struct host_identity *h, int64_t now_s)
{
    return now_s >= h->begins_s + (h->ends_s - h->begins_s) / 3 * 2;
}
