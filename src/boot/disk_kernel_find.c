/* Which kernel: the guest's boot loader configuration, then what its files' names say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "boot/bls.h"
#include "boot/disk_kernel_internal.h"
#include "boot/grub_cfg.h"

#define GRUB_CFG_MAX_BYTES (1 * MIB)
#define SMALL_MAX_BYTES    (64 * KIB) /* of an entry file or a grubenv */
#define ENTRY_SUFFIX       ".conf"

static bool is_absent(int ret)
{
    return ret == -ENOENT || ret == -ENOTDIR;
}

/* ---- files by name ---- */

static int look_up(struct ext4 *fs, const char *path, struct ext4_file *file, struct err *err)
{
    int ret = ext4_lookup(fs, path, file, err);
    if (!ret && !ext4_is_regular(file))
        ret = err_set(err, EINVAL, "%.200s is no regular file", path);
    return ret;
}

/* A whole text file, with a NUL behind it. */
static int load_text(struct ext4 *fs, const char *path, uint64_t max_bytes, char **text,
                     size_t *bytes, struct err *err)
{
    struct ext4_file file;
    int ret = look_up(fs, path, &file, err);
    if (ret)
        return ret;
    if (file.size_bytes > max_bytes)
        return err_set(err, E2BIG, "%.200s has %llu bytes, at most %llu are read", path,
                       (unsigned long long)file.size_bytes, (unsigned long long)max_bytes);
    char *buf = malloc((size_t)file.size_bytes + 1);
    if (!buf)
        return err_set(err, ENOMEM, "no memory for %.200s", path);
    ret = ext4_read(fs, &file, 0, buf, file.size_bytes, err);
    if (ret) {
        free(buf);
        return err_wrap(err, "%.200s", path);
    }
    buf[file.size_bytes] = 0;
    *text = buf;
    *bytes = (size_t)file.size_bytes;
    return 0;
}

/* The file on this file system, or on the next, with /boot and without: what is /boot/vmlinuz to
 * the guest is /vmlinuz of a partition for /boot. */
static int locate(struct disk_kernel *k, unsigned first, const char *path,
                  struct disk_kernel_file *file, unsigned *where, struct err *err)
{
    char with[BOOT_ENTRY_PATH_BYTES + 8];
    snprintf(with, sizeof(with), "/boot/%s", path);
    const char *paths[3] = {path, with, NULL};
    if (strncmp(path, "/boot/", 6) == 0)
        paths[1] = path + 5;
    for (unsigned p = 0; paths[p]; p++) {
        for (unsigned i = 0; i < k->n_fs; i++) {
            unsigned n = (first + i) % k->n_fs;
            struct err why = {0};
            int ret = look_up(k->fs[n].fs, paths[p], &file->file, &why);
            if (!ret) {
                file->fs = k->fs[n].fs;
                *where = n;
                return 0;
            }
            if (!is_absent(ret))
                disk_kernel_pass_over(k, &k->fs[n], NULL, &why);
        }
    }
    return err_set(err, ENOENT, "'%.200s' is on none of the disk's file systems", path);
}

/* Takes the entry if its files are there. */
static int take_entry(struct disk_kernel *k, unsigned fs, const char *origin, struct err *err)
{
    unsigned where = fs, ignored;
    int ret = locate(k, fs, k->entry.kernel, &k->kernel, &where, err);
    for (unsigned i = 0; !ret && i < k->entry.n_initrds; i++)
        ret = locate(k, fs, k->entry.initrds[i], &k->initrds[i], &ignored, err);
    if (ret)
        return ret;
    k->n_initrds = k->entry.n_initrds;
    unsigned number = k->fs[where].partition->number;
    if (number)
        snprintf(k->name, sizeof(k->name), "%s of partition %u", k->entry.kernel, number);
    else
        snprintf(k->name, sizeof(k->name), "%s", k->entry.kernel);
    snprintf(k->origin, sizeof(k->origin), "%s", origin);
    return 0;
}

/* ---- what boot loaders are told ---- */

static int try_grub(struct disk_kernel *k, unsigned i, const char *directory, struct grub_cfg *g,
                    struct err *err)
{
    char path[64], env_path[64];
    char *text = NULL, *env = NULL;
    size_t bytes, env_bytes;
    snprintf(path, sizeof(path), "%s/grub.cfg", directory);
    snprintf(env_path, sizeof(env_path), "%s/grubenv", directory);
    int ret = load_text(k->fs[i].fs, path, GRUB_CFG_MAX_BYTES, &text, &bytes, err);
    if (ret)
        return ret;
    memset(g, 0, sizeof(*g));
    if (!load_text(k->fs[i].fs, env_path, SMALL_MAX_BYTES, &env, &env_bytes, NULL))
        grub_cfg_load_env(g, env, env_bytes);
    ret = grub_cfg_run(g, text, bytes, &k->entry, err);
    if (!ret && g->uses_bls)
        ret = -ENOENT; /* its entries are files; what else it has comes after them */
    else if (!ret)
        ret = take_entry(k, i, path, err);
    if (ret && !g->uses_bls)
        disk_kernel_pass_over(k, &k->fs[i], path, err);
    free(text);
    free(env);
    return ret;
}

struct choice {
    const char *prefix, *suffix;
    const char *saved; /* is taken whatever its version */
    char name[EXT4_NAME_MAX + 1];
};

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n > s && strcmp(name + n - s, suffix) == 0;
}

static int consider(void *arg, const char *name)
{
    static const char *const left_over[] = {".old",      ".bak",     ".dpkg-bak",
                                            ".dpkg-new", ".rpmsave", "~"};
    struct choice *c = arg;
    size_t n = strlen(name) - strlen(c->suffix);
    if (strncmp(name, c->prefix, strlen(c->prefix)) != 0 ||
        (*c->suffix && !ends_in(name, c->suffix)))
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(left_over); i++)
        if (ends_in(name, left_over[i]))
            return 0;
    bool saved = *c->saved && strlen(c->saved) == n && strncmp(name, c->saved, n) == 0;
    if (strstr(name, "rescue") && !saved)
        return 0; /* to be chosen by a person */
    if (saved || !c->name[0] || boot_entry_compare_versions(name, c->name) > 0)
        snprintf(c->name, sizeof(c->name), "%s", name);
    return saved;
}

static int choose_name(struct disk_kernel *k, unsigned i, const char *directory, struct choice *c)
{
    struct ext4_file dir;
    struct err why = {0};
    int ret = ext4_lookup(k->fs[i].fs, directory, &dir, &why);
    if (!ret)
        ret = ext4_list(k->fs[i].fs, &dir, consider, c, &why);
    if (ret < 0 && !is_absent(ret))
        disk_kernel_pass_over(k, &k->fs[i], directory, &why);
    return ret < 0 ? ret : c->name[0] ? 0 : -ENOENT;
}

static int try_bls(struct disk_kernel *k, unsigned i, const char *directory,
                   const struct grub_cfg *g)
{
    struct choice c = {
        .prefix = "", .suffix = ENTRY_SUFFIX, .saved = grub_cfg_get(g, "saved_entry")};
    char path[EXT4_NAME_MAX + 64];
    char *text;
    size_t bytes;
    struct err why = {0};
    int ret = choose_name(k, i, directory, &c);
    if (ret)
        return ret;
    snprintf(path, sizeof(path), "%s/%s", directory, c.name);
    ret = load_text(k->fs[i].fs, path, SMALL_MAX_BYTES, &text, &bytes, &why);
    if (!ret) {
        ret = bls_parse(g, text, bytes, &k->entry, &why);
        free(text);
    }
    if (!ret)
        ret = take_entry(k, i, path, &why);
    if (ret)
        disk_kernel_pass_over(k, &k->fs[i], path, &why);
    return ret;
}

static int by_configuration(struct disk_kernel *k, unsigned i, struct grub_cfg *g)
{
    static const char *const grub[] = {"/boot/grub", "/grub", "/boot/grub2", "/grub2"};
    static const char *const bls[] = {"/boot/loader/entries", "/loader/entries"};
    memset(g, 0, sizeof(*g));
    for (unsigned d = 0; d < ARRAY_LEN(grub); d++) {
        struct err why = {0};
        int ret = try_grub(k, i, grub[d], g, &why);
        if (!ret)
            return 0;
        if (!is_absent(ret)) /* unless it is noted already */
            disk_kernel_pass_over(k, &k->fs[i], NULL, &why);
        if (g->uses_bls)
            break; /* with this one's variables */
    }
    for (unsigned d = 0; d < ARRAY_LEN(bls); d++)
        if (!try_bls(k, i, bls[d], g))
            return 0;
    return -ENOENT;
}

/* ---- what names say ---- */

static bool exists(struct ext4 *fs, const char *path)
{
    struct ext4_file file;
    return ext4_lookup(fs, path, &file, NULL) == 0;
}

/* A kernel that no configuration names: where is its root? With an initrd by the file system's
 * UUID; the kernel alone knows only the partition's. */
static int make_root(struct disk_kernel *k, unsigned i, struct err *err)
{
    static const char *const signs[] = {"/etc/fstab", "/sbin/init", "/etc"};
    char option[64];
    unsigned root = i;
    for (unsigned s = 0; s < ARRAY_LEN(signs); s++) {
        unsigned n = 0;
        while (n < k->n_fs && !exists(k->fs[(i + n) % k->n_fs].fs, signs[s]))
            n++;
        if (n < k->n_fs) {
            root = (i + n) % k->n_fs;
            break;
        }
    }
    if (!k->entry.n_initrds && k->fs[root].partition->partuuid[0])
        snprintf(option, sizeof(option), "root=PARTUUID=%s", k->fs[root].partition->partuuid);
    else
        snprintf(option, sizeof(option), "root=UUID=%s", ext4_uuid(k->fs[root].fs));
    int ret = boot_entry_add_option(&k->entry, option, err);
    return ret ? ret : boot_entry_add_option(&k->entry, "ro", err);
}

/* `kernel` is there; the first of the initrds that is there goes with it. */
static int take_files(struct disk_kernel *k, unsigned i, const char *kernel,
                      const char (*initrds)[BOOT_ENTRY_PATH_BYTES], unsigned n_initrds,
                      const char *origin)
{
    struct err why = {0};
    memset(&k->entry, 0, sizeof(k->entry));
    int ret = boot_entry_set_kernel(&k->entry, kernel, &why);
    for (unsigned n = 0; !ret && n < n_initrds && !k->entry.n_initrds; n++)
        if (exists(k->fs[i].fs, initrds[n]))
            ret = boot_entry_add_initrd(&k->entry, initrds[n], &why);
    if (!ret)
        ret = make_root(k, i, &why);
    if (!ret)
        ret = take_entry(k, i, origin, &why);
    if (ret)
        disk_kernel_pass_over(k, &k->fs[i], kernel, &why);
    return ret;
}

static int by_links(struct disk_kernel *k, unsigned i)
{
    static const char initrds[][BOOT_ENTRY_PATH_BYTES] = {"/initrd.img", "/boot/initrd.img"};
    static const char *const kernels[] = {"/vmlinuz", "/boot/vmlinuz"};
    for (unsigned n = 0; n < ARRAY_LEN(kernels); n++)
        if (exists(k->fs[i].fs, kernels[n]) &&
            !take_files(k, i, kernels[n], initrds, ARRAY_LEN(initrds), "the link /vmlinuz"))
            return 0;
    return -ENOENT;
}

static int by_version(struct disk_kernel *k, unsigned i)
{
    static const char *const directories[] = {"/boot", "/"};
    for (unsigned d = 0; d < ARRAY_LEN(directories); d++) {
        struct choice c = {.prefix = "vmlinuz-", .suffix = "", .saved = ""};
        char initrds[4][BOOT_ENTRY_PATH_BYTES];
        char kernel[BOOT_ENTRY_PATH_BYTES];
        if (choose_name(k, i, directories[d], &c))
            continue;
        const char *slash = d ? "/" : "/boot/", *version = c.name + strlen(c.prefix);
        snprintf(kernel, sizeof(kernel), "%s%s", slash, c.name);
        snprintf(initrds[0], sizeof(initrds[0]), "%sinitrd.img-%s", slash, version);
        snprintf(initrds[1], sizeof(initrds[1]), "%sinitramfs-%s.img", slash, version);
        snprintf(initrds[2], sizeof(initrds[2]), "%sinitrd-%s", slash, version);
        snprintf(initrds[3], sizeof(initrds[3]), "%sinitramfs-%s", slash, version);
        if (!take_files(k, i, kernel, (const char(*)[BOOT_ENTRY_PATH_BYTES])initrds,
                        ARRAY_LEN(initrds), "being the newest"))
            return 0;
    }
    return -ENOENT;
}

int disk_kernel_choose(struct disk_kernel *k)
{
    struct grub_cfg *g = malloc(sizeof(*g));
    int ret = g ? -ENOENT : -ENOMEM;
    for (unsigned i = 0; g && ret && i < k->n_fs; i++)
        ret = by_configuration(k, i, g);
    for (unsigned i = 0; g && ret && i < k->n_fs; i++)
        ret = by_links(k, i);
    for (unsigned i = 0; g && ret && i < k->n_fs; i++)
        ret = by_version(k, i);
    free(g);
    return ret;
}
