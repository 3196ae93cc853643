#include "boot/disk_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "boot/disk_kernel_internal.h"

#define READS_MAX    (UINT64_C(1) << 18)
#define INITRD_ALIGN 4 /* where GRUB begins the next one */
#define LIST_BYTES   300

void disk_kernel_pass_over(struct disk_kernel *k, const struct disk_kernel_fs *fs, const char *what,
                           const struct err *why)
{
    if (k->passed_over.code)
        return;
    k->passed_over = *why;
    if (what)
        err_wrap(&k->passed_over, "%.200s", what);
    if (fs)
        err_wrap(&k->passed_over, "partition %u", fs->partition->number);
}

static void open_file_systems(struct disk_kernel *k)
{
    for (unsigned i = 0; i < k->gpt.n && k->n_fs < DISK_KERNEL_FS_MAX; i++) {
        const struct gpt_partition *p = &k->gpt.partitions[i];
        struct disk_reader part = disk_reader_part(&k->disk, p->offset_bytes, p->size_bytes);
        struct disk_kernel_fs *fs = &k->fs[k->n_fs];
        struct err why = {0};
        fs->partition = p;
        if (!ext4_probe(&part))
            continue;
        if (ext4_open(&part, &fs->fs, &why))
            disk_kernel_pass_over(k, fs, NULL, &why);
        else
            k->n_fs++;
    }
}

/* "no kernel found: the disk has GPT with partition 1 (FAT), partition 2 (xfs)". */
static int nothing_found(struct disk_kernel *k, struct err *err)
{
    char list[LIST_BYTES] = "";
    size_t used = 0;
    if (k->passed_over.code)
        return err_set(err, k->passed_over.code, "%s", k->passed_over.msg);
    for (unsigned i = 0; i < k->gpt.n && used < sizeof(list) - 1; i++) {
        const struct gpt_partition *p = &k->gpt.partitions[i];
        struct disk_reader part = disk_reader_part(&k->disk, p->offset_bytes, p->size_bytes);
        const char *what = disk_kernel_content(&part);
        int n = p->number ? snprintf(list + used, sizeof(list) - used, "%s partition %u (%s)",
                                     i ? "," : " and", p->number, what)
                          : snprintf(list + used, sizeof(list) - used, " and holds %s", what);
        used = MIN(used + (size_t)MAX(n, 0), sizeof(list) - 1);
    }
    return err_set(err, ENOENT,
                   "found no kernel: the disk has %s%s; kernels are looked for on ext2, ext3 and "
                   "ext4",
                   gpt_scheme_name(k->gpt.scheme), list);
}

/* Names are the guest's, messages and logs go to a terminal. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

/* ---- the command line ---- */

static bool has_option(const char *cmdline, const char *option)
{
    size_t n = strlen(option);
    for (const char *at = cmdline; at && (at = strstr(at, option)); at += n)
        if (at == cmdline || at[-1] == ' ')
            return true;
    return false;
}

static int make_cmdline(struct disk_kernel *k, const char *append, struct err *err)
{
    const char *own = k->entry.cmdline;
    append = append ? append : "";
    const char *console =
        has_option(own, "console=") || has_option(append, "console=") ? "" : " console=ttyS0";
    if (asprintf(&k->cmdline, "%s%s%s%s", own, console, *append ? " " : "", append) < 0) {
        k->cmdline = NULL;
        return err_set(err, ENOMEM, "no memory for a command line");
    }
    return 0;
}

/* ---- */

static int check_sizes(const struct disk_kernel *k, struct err *err)
{
    uint64_t kernel = disk_kernel_bytes(k), initrd = 0;
    if (!kernel || kernel > DISK_KERNEL_MAX_BYTES)
        return err_set(err, EINVAL, "kernel %s has %llu bytes, 1 to %llu are supported", k->name,
                       (unsigned long long)kernel, (unsigned long long)DISK_KERNEL_MAX_BYTES);
    for (unsigned i = 0; i < k->n_initrds; i++) {
        initrd += MIN(k->initrds[i].file.size_bytes, DISK_KERNEL_INITRD_MAX + 1);
        if (!k->initrds[i].file.size_bytes || initrd > DISK_KERNEL_INITRD_MAX)
            return err_set(
                err, EINVAL, "initrd %s beside kernel %s has %llu bytes, 1 to %llu are supported",
                k->entry.initrds[i], k->name, (unsigned long long)k->initrds[i].file.size_bytes,
                (unsigned long long)DISK_KERNEL_INITRD_MAX);
    }
    return 0;
}

int disk_kernel_find(const struct disk_reader *disk, const char *append, struct disk_kernel **found,
                     struct err *err)
{
    struct disk_kernel *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(err, ENOMEM, "no memory for the search for a kernel");
    k->disk = *disk;
    k->reads_left = READS_MAX;
    k->disk.reads_left = &k->reads_left;
    int ret = gpt_read(&k->disk, &k->gpt, err);
    if (!ret) {
        open_file_systems(k);
        if (disk_kernel_choose(k))
            ret = nothing_found(k, err);
    }
    if (!ret)
        ret = check_sizes(k, err);
    if (!ret)
        ret = make_cmdline(k, append, err);
    if (ret) {
        if (err)
            make_printable(err->msg);
        disk_kernel_destroy(k);
        return ret;
    }
    make_printable(k->name);
    make_printable(k->origin);
    *found = k;
    return 0;
}

void disk_kernel_destroy(struct disk_kernel *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < k->n_fs; i++)
        ext4_close(k->fs[i].fs);
    free(k->cmdline);
    free(k);
}

const char *disk_kernel_name(const struct disk_kernel *k)
{
    return k->name;
}

const char *disk_kernel_origin(const struct disk_kernel *k)
{
    return k->origin;
}

const char *disk_kernel_cmdline(const struct disk_kernel *k)
{
    return k->cmdline;
}

uint64_t disk_kernel_bytes(const struct disk_kernel *k)
{
    return k->kernel.file.size_bytes;
}

uint64_t disk_kernel_initrd_bytes(const struct disk_kernel *k)
{
    uint64_t end = 0;
    for (unsigned i = 0; i < k->n_initrds; i++)
        end = align_up(end, INITRD_ALIGN) + k->initrds[i].file.size_bytes;
    return end;
}

int disk_kernel_read(struct disk_kernel *k, uint64_t offset, void *buf, uint64_t bytes,
                     struct err *err)
{
    return ext4_read(k->kernel.fs, &k->kernel.file, offset, buf, bytes, err);
}

int disk_kernel_read_initrd(struct disk_kernel *k, uint64_t offset, void *buf, uint64_t bytes,
                            struct err *err)
{
    uint64_t begin = 0;
    if (!range_within(offset, bytes, disk_kernel_initrd_bytes(k)))
        return err_set(err, EINVAL, "%llu bytes at %llu are not within the initrd",
                       (unsigned long long)bytes, (unsigned long long)offset);
    memset(buf, 0, (size_t)bytes); /* what lies between two is zero */
    for (unsigned i = 0; i < k->n_initrds; i++) {
        const struct disk_kernel_file *f = &k->initrds[i];
        begin = align_up(begin, INITRD_ALIGN);
        uint64_t end = begin + f->file.size_bytes;
        uint64_t from = MAX(begin, offset), to = MIN(end, offset + bytes);
        if (from < to) {
            int ret = ext4_read(f->fs, &f->file, from - begin, (uint8_t *)buf + (from - offset),
                                to - from, err);
            if (ret)
                return ret;
        }
        begin = end;
    }
    return 0;
}
