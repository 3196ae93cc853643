/* boot/disk_kernel.h: which kernel of a disk is chosen, on disks of several layouts. */
#include "boot/disk_kernel.h"

#include "disk_images.h"
#include "tap.h"

#define FS_BYTES (4 * MIB)

static struct scratch scratch;

/* A new, empty tree. */
static void begin_tree(void)
{
    shell("rm -rf %s/tree; mkdir %s/tree", scratch.path, scratch.path);
}

static void link_to(const char *target, const char *path)
{
    char full[256];
    snprintf(full, sizeof(full), "%s/tree%s", scratch.path, path);
    if (symlink(target, full))
        abort();
}

static bool make(struct disk_image *d, uint64_t offset)
{
    return make_file_system(&scratch, "-t ext4 -b 1024 -U 01020304-0506-0708-090a-0b0c0d0e0f10",
                            FS_BYTES, offset, d);
}

static int find(struct disk_image *d, const char *append, struct disk_kernel **k, struct err *err)
{
    struct disk_reader r = disk_image_reader(d);
    *k = NULL;
    return disk_kernel_find(&r, append, k, err);
}

/* Finds and compares; content is that of the kernel and of the initrds, one after the other. */
static void expect(struct disk_image *d, const char *name, const char *origin, const char *cmdline,
                   const char *kernel, const char *initrd)
{
    struct disk_kernel *k;
    struct err err = {0};
    char buf[256] = "";
    if (find(d, NULL, &k, &err)) {
        printf("# %s\n", err.msg);
        CHECK(!"found");
        return;
    }
    CHECK_STR(disk_kernel_name(k), name);
    CHECK_STR(disk_kernel_origin(k), origin);
    CHECK_STR(disk_kernel_cmdline(k), cmdline);
    CHECK_EQ(disk_kernel_bytes(k), strlen(kernel));
    CHECK_EQ(disk_kernel_initrd_bytes(k), strlen(initrd));
    CHECK_EQ(disk_kernel_read(k, 0, buf, disk_kernel_bytes(k), &err), 0);
    CHECK_STR(buf, kernel);
    memset(buf, 0, sizeof(buf));
    CHECK_EQ(disk_kernel_read_initrd(k, 0, buf, disk_kernel_initrd_bytes(k), &err), 0);
    CHECK_STR(buf, initrd);
    CHECK(disk_kernel_read_initrd(k, 1, buf, disk_kernel_initrd_bytes(k), &err) == -EINVAL);
    disk_kernel_destroy(k);
}

static void grub_on_a_whole_disk(void)
{
    struct disk_image d = {0};
    begin_tree();
    scratch_text(&scratch, "/boot/vmlinuz-1", "kernel one");
    scratch_text(&scratch, "/boot/vmlinuz-2", "kernel two");
    scratch_text(&scratch, "/boot/initrd.img-1", "ABCD");
    scratch_text(&scratch, "/boot/microcode", "abcdefgh");
    scratch_text(&scratch, "/boot/grub/grub.cfg",
                 "menuentry x {\nlinux /boot/vmlinuz-1 root=/dev/vda quiet\n"
                 "initrd /boot/microcode /boot/initrd.img-1\n}\n");
    REQUIRE(make(&d, 0));
    expect(&d, "/boot/vmlinuz-1", "/boot/grub/grub.cfg", "root=/dev/vda quiet console=ttyS0",
           "kernel one", "abcdefghABCD");
    disk_image_fini(&d);
}

static void the_users_words_come_last_and_a_console_is_named_once(void)
{
    struct disk_image d = {0};
    struct disk_kernel *k;
    begin_tree();
    scratch_text(&scratch, "/boot/vmlinuz-1", "k");
    scratch_text(&scratch, "/boot/grub/grub.cfg",
                 "menuentry x {\nlinux /boot/vmlinuz-1 ro netconsole=x\n}\n");
    REQUIRE(make(&d, 0));
    REQUIRE(!find(&d, "debug", &k, NULL));
    CHECK_STR(disk_kernel_cmdline(k), "ro netconsole=x console=ttyS0 debug");
    disk_kernel_destroy(k);
    REQUIRE(!find(&d, "console=hvc0", &k, NULL));
    CHECK_STR(disk_kernel_cmdline(k), "ro netconsole=x console=hvc0");
    disk_kernel_destroy(k);
    disk_image_fini(&d);
}

/* GPT: something that is not looked into, /boot, the root. */
static void a_boot_partition_of_its_own(void)
{
    static const uint64_t ranges[][2] = {
        {64, 127}, {2048, 2048 + FS_BYTES / 512 - 1}, {16384, 16384 + FS_BYTES / 512 - 1}};
    struct disk_image d;
    disk_image_init(&d, 16 * MIB);
    put_gpt(&d, 512, ranges, 3);
    memcpy(d.data + 64 * 512 + 0x52, "FAT32   ", 8);
    begin_tree();
    scratch_text(&scratch, "/vmlinuz-3", "kernel three");
    scratch_text(&scratch, "/initrd.img-3", "initrd three");
    scratch_text(
        &scratch, "/grub/grub.cfg",
        "menuentry x {\nlinux /vmlinuz-3 root=UUID=1 console=tty0\ninitrd /initrd.img-3\n}\n");
    REQUIRE(make(&d, 2048 * 512));
    begin_tree();
    scratch_text(&scratch, "/etc/fstab", "");
    link_to("boot/vmlinuz-3", "/vmlinuz"); /* leads nowhere: that is on the other partition */
    REQUIRE(make(&d, 16384 * 512));
    expect(&d, "/vmlinuz-3 of partition 2", "/grub/grub.cfg", "root=UUID=1 console=tty0",
           "kernel three", "initrd three");
    /* Its grub.cfg gone, by the name alone; and the root is not where the kernel is. */
    begin_tree();
    scratch_text(&scratch, "/vmlinuz-3", "kernel three");
    scratch_text(&scratch, "/vmlinuz-20.old", "left over");
    scratch_text(&scratch, "/vmlinuz-10", "kernel ten");
    scratch_text(&scratch, "/initramfs-10.img", "initrd ten");
    REQUIRE(make_file_system(&scratch, "-t ext2 -b 1024", FS_BYTES, 2048 * 512, &d));
    expect(&d, "/vmlinuz-10 of partition 2", "being the newest",
           "root=UUID=01020304-0506-0708-090a-0b0c0d0e0f10 ro console=ttyS0", "kernel ten",
           "initrd ten");
    disk_image_fini(&d);
}

static void fedoras_entries_by_version_or_as_saved(void)
{
    struct disk_image d = {0};
    begin_tree();
    scratch_text(&scratch, "/boot/vmlinuz-9", "kernel nine");
    scratch_text(&scratch, "/boot/vmlinuz-10", "kernel ten");
    scratch_text(&scratch, "/boot/vmlinuz-0-rescue", "rescue");
    scratch_text(&scratch, "/boot/grub2/grub.cfg",
                 "load_env\nblscfg\nmenuentry 'UEFI' {\nfwsetup\n}\n");
    scratch_text(&scratch, "/boot/grub2/grubenv",
                 "# GRUB\nkernelopts=root=LABEL=x ro\nsaved_entry=a-9\n");
    scratch_text(&scratch, "/boot/loader/entries/a-9.conf",
                 "linux /vmlinuz-9\noptions $kernelopts\n");
    scratch_text(&scratch, "/boot/loader/entries/a-10.conf",
                 "linux /vmlinuz-10\noptions $kernelopts q\n");
    scratch_text(&scratch, "/boot/loader/entries/z-rescue.conf", "linux /vmlinuz-0-rescue\n");
    REQUIRE(make(&d, 0));
    expect(&d, "/vmlinuz-9", "/boot/loader/entries/a-9.conf", "root=LABEL=x ro console=ttyS0",
           "kernel nine", "");
    scratch_text(&scratch, "/boot/grub2/grubenv", "kernelopts=root=LABEL=x ro\n");
    REQUIRE(make(&d, 0));
    expect(&d, "/vmlinuz-10", "/boot/loader/entries/a-10.conf", "root=LABEL=x ro q console=ttyS0",
           "kernel ten", "");
    disk_image_fini(&d);
}

/* MBR with a logical partition, a kernel without an initrd: it knows partitions by PARTUUID only.
 */
static void debians_links_on_a_logical_partition(void)
{
    struct disk_image d;
    disk_image_init(&d, 8 * MIB);
    le32_write(d.data + 440, 0x12345678);
    put_mbr_entry(d.data, 1, 0x05, 1000, 15000);
    put_mbr_entry(d.data + 1000 * 512, 0, 0x83, 1048, FS_BYTES / 512);
    begin_tree();
    scratch_text(&scratch, "/boot/vmlinuz-5", "kernel five");
    scratch_text(&scratch, "/boot/vmlinuz-6", "kernel six");
    link_to("boot/vmlinuz-5", "/vmlinuz");
    REQUIRE(make(&d, 2048 * 512));
    expect(&d, "/vmlinuz of partition 5", "the link /vmlinuz",
           "root=PARTUUID=12345678-05 ro console=ttyS0", "kernel five", "");
    disk_image_fini(&d);
}

static void an_entry_whose_files_are_gone_is_passed_over_and_named_last(void)
{
    struct disk_image d = {0};
    struct disk_kernel *k;
    struct err err = {0};
    begin_tree();
    scratch_text(&scratch, "/boot/grub/grub.cfg", "menuentry x {\nlinux /boot/gone\n}\n");
    REQUIRE(make(&d, 0));
    CHECK_EQ(find(&d, NULL, &k, &err), -ENOENT);
    CHECK(strstr(err.msg, "/boot/grub/grub.cfg: '/boot/gone' is on none"));
    scratch_text(&scratch, "/boot/vmlinuz-7", "kernel seven");
    REQUIRE(make(&d, 0));
    expect(&d, "/boot/vmlinuz-7", "being the newest",
           "root=UUID=01020304-0506-0708-090a-0b0c0d0e0f10 ro console=ttyS0", "kernel seven", "");
    disk_image_fini(&d);
}

static void disks_without_a_kernel_say_what_they_have(void)
{
    static const uint64_t ranges[][2] = {{64, 2047}, {2048, 2048 + FS_BYTES / 512 - 1}};
    struct disk_image d;
    struct disk_kernel *k;
    struct err err = {0};
    disk_image_init(&d, 8 * MIB);
    CHECK_EQ(find(&d, NULL, &k, &err), -ENOENT);
    CHECK(strstr(err.msg, "no partition table and holds nothing known"));
    memcpy(d.data + 0x10040, "_BHRfS_M", 8);
    CHECK_EQ(find(&d, NULL, &k, &err), -ENOENT);
    CHECK(strstr(err.msg, "holds btrfs"));
    put_gpt(&d, 512, ranges, 2);
    memcpy(d.data + 64 * 512, "XFSB", 4);
    begin_tree();
    scratch_text(&scratch, "/etc/passwd", "root");
    REQUIRE(make(&d, 2048 * 512));
    CHECK_EQ(find(&d, NULL, &k, &err), -ENOENT);
    CHECK(strstr(err.msg, "GPT and partition 1 (xfs), partition 2 (ext4)"));
    disk_image_fini(&d);
}

static void absurd_files_and_hostile_names_are_refused_in_plain_letters(void)
{
    struct disk_image d = {0};
    struct disk_kernel *k;
    struct err err = {0};
    char path[256];
    begin_tree();
    scratch_text(&scratch, "/boot/vmlinuz-8", "");
    REQUIRE(make(&d, 0));
    CHECK_EQ(find(&d, NULL, &k, &err), -EINVAL);
    CHECK(strstr(err.msg, "/boot/vmlinuz-8 has 0 bytes"));
    snprintf(path, sizeof(path), "%s/tree/boot/vmlinuz-8", scratch.path);
    CHECK_EQ(truncate(path, (off_t)(129 * MIB)), 0);
    REQUIRE(make(&d, 0));
    CHECK_EQ(find(&d, NULL, &k, &err), -EINVAL);
    CHECK(strstr(err.msg, "135266304 bytes, 1 to 134217728"));
    begin_tree();
    scratch_text(&scratch, "/boot/grub/grub.cfg", "menuentry x {\nlinux /boot/\x1b[31mgone\n}\n");
    REQUIRE(make(&d, 0));
    CHECK_EQ(find(&d, NULL, &k, &err), -ENOENT);
    CHECK(strstr(err.msg, "'/boot/?[31mgone'"));
    disk_image_fini(&d);
}

int main(void)
{
    if (!have_mke2fs()) {
        printf("1..0 # SKIP no mke2fs here: install e2fsprogs\n");
        return 0;
    }
    scratch_init(&scratch);
    TAP_RUN(grub_on_a_whole_disk);
    TAP_RUN(the_users_words_come_last_and_a_console_is_named_once);
    TAP_RUN(a_boot_partition_of_its_own);
    TAP_RUN(fedoras_entries_by_version_or_as_saved);
    TAP_RUN(debians_links_on_a_logical_partition);
    TAP_RUN(an_entry_whose_files_are_gone_is_passed_over_and_named_last);
    TAP_RUN(disks_without_a_kernel_say_what_they_have);
    TAP_RUN(absurd_files_and_hostile_names_are_refused_in_plain_letters);
    scratch_fini(&scratch);
    return tap_done();
}
