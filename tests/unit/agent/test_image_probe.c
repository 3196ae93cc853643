/* What images are, by their content: those that qemu-img makes, and those that a tenant makes to
 * read our files. */
#include "agent/image_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"

#define IMAGE_BYTES (1 << 20)

static char DIR_[64];

static int sh(const char *what)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s && %s", DIR_, what);
    return system(command);
}

static int probe(const char *name, struct image_probe *p, struct err *err)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", DIR_, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    int ret = image_probe_file(fd, p, err);
    close(fd);
    return ret;
}

static void is(const char *name, enum image_probe_format format, uint64_t size_bytes)
{
    struct image_probe p = {0};
    struct err err = {0};
    int ret = probe(name, &p, &err);
    if (ret)
        printf("# %s: %s\n", name, err.msg);
    CHECK_EQ(ret, 0);
    CHECK_STR(image_probe_name(p.format), image_probe_name(format));
    CHECK_EQ(p.size_bytes, size_bytes);
}

/* Refused with that error, whose message has the word. */
static void is_not(const char *name, int code, const char *word)
{
    struct image_probe p = {.size_bytes = 7};
    struct err err = {0};
    int ret = probe(name, &p, &err);
    CHECK_EQ(ret, -code);
    CHECK_EQ(p.size_bytes, 7);
    if (!strstr(err.msg, word))
        printf("# %s: no \"%s\" in: %s\n", name, word, err.msg);
    CHECK(strstr(err.msg, word));
}

static bool have_qemu_img(void)
{
    return system("qemu-img --version >/dev/null 2>&1") == 0;
}

static void each_format_is_recognized_whatever_its_name(void)
{
    if (!have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    CHECK_EQ(sh("truncate -s 1M raw && for f in qcow2 vmdk vhdx vdi; do "
                "qemu-img convert -f raw -O $f raw as-$f || exit 1; done"),
             0);
    CHECK_EQ(sh("qemu-img convert -f raw -O vmdk -o subformat=streamOptimized raw stream && "
                "gzip -c raw >as-gzip && zstd -qc raw >as-zstd && xz -c raw >as-xz"),
             0);
    is("raw", IMAGE_PROBE_RAW, IMAGE_BYTES);
    is("as-qcow2", IMAGE_PROBE_QCOW2, IMAGE_BYTES);
    is("as-vmdk", IMAGE_PROBE_VMDK, IMAGE_BYTES);
    is("stream", IMAGE_PROBE_VMDK, IMAGE_BYTES);
    is("as-vhdx", IMAGE_PROBE_VHDX, 0);
    is("as-vdi", IMAGE_PROBE_VDI, IMAGE_BYTES);
    is("as-gzip", IMAGE_PROBE_GZIP, 0);
    is("as-zstd", IMAGE_PROBE_ZSTD, 0);
    is("as-xz", IMAGE_PROBE_XZ, 0);
    CHECK_EQ(sh(": >empty"), 0);
    is_not("empty", EINVAL, "empty");
}

static void a_qcow2_that_names_other_files_is_refused(void)
{
    if (!have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    CHECK_EQ(sh("truncate -s 1M base && qemu-img create -q -f qcow2 -b base -F raw over && "
                "qemu-img create -q -f qcow2 -o data_file=other,data_file_raw=on data 1M && "
                "qemu-img create -q -f qcow2 luks 1M && printf '\\2' | "
                "dd of=luks bs=1 seek=35 conv=notrunc 2>/dev/null"),
             0);
    is_not("over", EINVAL, "base");
    is_not("data", ENOTSUP, "external data file");
    is_not("luks", ENOTSUP, "encrypted");
    CHECK_EQ(sh("head -c 40 over >short"), 0);
    is_not("short", EINVAL, "header");
}

static void a_vmdk_that_names_other_files_is_refused(void)
{
    if (!have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    CHECK_EQ(sh("truncate -s 1M base.raw && qemu-img convert -f raw -O vmdk base.raw base.vmdk && "
                "qemu-img create -q -f vmdk -b base.vmdk -F vmdk over.vmdk && "
                "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat base.raw flat.vmdk && "
                "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized base.raw s.vmdk"),
             0);
    is_not("over.vmdk", EINVAL, "parent");
    is_not("flat.vmdk", ENOTSUP, "other files");
    /* A capacity of zero sends QEMU to the descriptor for extents, which may be any file. */
    CHECK_EQ(sh("cp base.vmdk zero.vmdk && head -c 8 /dev/zero | "
                "dd of=zero.vmdk bs=1 seek=12 conv=notrunc 2>/dev/null"),
             0);
    is_not("zero.vmdk", EINVAL, "capacity");
    /* The same in the footer, which is then the header that counts. */
    CHECK_EQ(sh("printf '\\377\\377\\377\\377\\377\\377\\377\\377' | "
                "dd of=s.vmdk bs=1 seek=56 conv=notrunc 2>/dev/null && "
                "head -c 512 s.vmdk >head && head -c 512 /dev/zero >none && "
                "cat s.vmdk none head none >foot.vmdk && cat s.vmdk none head >cut.vmdk && "
                "head -c 8 none | dd of=head bs=1 seek=12 conv=notrunc 2>/dev/null && "
                "cat s.vmdk none head none >zerofoot.vmdk"),
             0);
    is("foot.vmdk", IMAGE_PROBE_VMDK, IMAGE_BYTES);
    is_not("zerofoot.vmdk", EINVAL, "capacity");
    is_not("cut.vmdk", EINVAL, "cut off");
    /* QEMU reads the parent from the second sector on, also if the header knows of none there. */
    CHECK_EQ(sh("cp base.vmdk hidden.vmdk && head -c 8 /dev/zero | dd of=hidden.vmdk bs=1 seek=28 "
                "conv=notrunc 2>/dev/null && printf 'PARENTfilenamehint=\"/etc/passwd\"' | "
                "dd of=hidden.vmdk bs=1 seek=9000 conv=notrunc 2>/dev/null"),
             0);
    is_not("hidden.vmdk", EINVAL, "parent");
    CHECK_EQ(sh("printf '# Disk DescriptorFile\\nRW 2048 FLAT \"/etc/passwd\" 0\\n' >text"), 0);
    is_not("text", ENOTSUP, "other files");
    CHECK_EQ(sh("head -c 100 base.vmdk >tiny"), 0);
    is_not("tiny", EINVAL, "only 100 bytes");
}

/* An archive of disk.vmdk, and a document that says so. */
static int make_ova(const char *name, const char *reference, const char *members)
{
    char command[512];
    snprintf(command, sizeof(command),
             "printf '<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"><References>"
             "<File ovf:href=\"%s\"/></References></Envelope>' >box.ovf && "
             "tar -cf %s --format=ustar %s",
             reference, name, members);
    return sh(command);
}

static void an_ova_has_one_disk_that_its_document_names(void)
{
    struct image_probe p = {0};
    if (!have_qemu_img())
        SKIP("qemu-img is not installed (qemu-utils)");
    CHECK_EQ(sh("truncate -s 1M base.raw && qemu-img convert -f raw -O vmdk -o "
                "subformat=streamOptimized base.raw disk.vmdk && cp disk.vmdk two.vmdk && "
                "qemu-img create -q -f vmdk -b disk.vmdk -F vmdk over.vmdk"),
             0);
    CHECK_EQ(make_ova("good", "disk.vmdk", "box.ovf disk.vmdk"), 0);
    is("good", IMAGE_PROBE_OVA, IMAGE_BYTES);
    CHECK_EQ(probe("good", &p, NULL), 0);
    CHECK_EQ(p.disk_offset % 512, 0);
    CHECK(p.disk_offset >= 1536 && p.disk_bytes > 512);
    CHECK_EQ(make_ova("two", "disk.vmdk", "box.ovf disk.vmdk two.vmdk"), 0);
    is_not("two", ENOTSUP, "2 disks");
    CHECK_EQ(make_ova("none", "disk.vmdk", "box.ovf"), 0);
    is_not("none", ENOTSUP, "0 disks");
    CHECK_EQ(make_ova("plain", "disk.vmdk", "disk.vmdk"), 0);
    is_not("plain", EINVAL, ".ovf");
    CHECK_EQ(make_ova("other", "else.vmdk", "box.ovf disk.vmdk"), 0);
    is_not("other", EINVAL, "does not name");
    CHECK_EQ(make_ova("far", "http://10.0.0.1/disk.vmdk", "box.ovf disk.vmdk"), 0);
    is_not("far", EINVAL, "http://10.0.0.1/disk.vmdk");
    CHECK_EQ(make_ova("up", "../../etc/passwd", "box.ovf disk.vmdk"), 0);
    is_not("up", EINVAL, "../../etc/passwd");
    CHECK_EQ(make_ova("over", "over.vmdk", "box.ovf over.vmdk"), 0);
    is_not("over", EINVAL, "parent");
    CHECK_EQ(sh("head -c 3000 good >cut && cp good bad && printf x | dd of=bad bs=1 seek=5 "
                "conv=notrunc 2>/dev/null"),
             0);
    is_not("cut", EINVAL, "cut off");
    is_not("bad", EINVAL, "checksum");
}

static void sizes_in_an_archive_that_make_no_sense_are_refused(void)
{
    static const char *const sizes[] = {"77777777777",
                                        "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "12x45",
                                        "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t h[1024] = "disk.vmdk";
        unsigned sum = 0;
        struct image_probe p;
        memcpy(h + 124, sizes[i], i && i != 3 ? 12 : strlen(sizes[i]));
        memcpy(h + 257, "ustar", 5);
        memset(h + 148, ' ', 8);
        for (unsigned b = 0; b < 512; b++)
            sum += h[b];
        snprintf((char *)h + 148, 8, "%06o", sum);
        int fd = memfd_create("test", MFD_CLOEXEC);
        CHECK_EQ(write(fd, h, sizeof(h)), sizeof(h));
        CHECK_EQ(image_probe_file(fd, &p, NULL), -EINVAL);
        close(fd);
    }
}

int main(void)
{
    char command[128];
    strcpy(DIR_, "/var/tmp/virga-test-XXXXXX");
    if (!mkdtemp(DIR_)) {
        printf("Bail out! no directory\n");
        return 1;
    }
    TAP_RUN(each_format_is_recognized_whatever_its_name);
    TAP_RUN(a_qcow2_that_names_other_files_is_refused);
    TAP_RUN(a_vmdk_that_names_other_files_is_refused);
    TAP_RUN(an_ova_has_one_disk_that_its_document_names);
    TAP_RUN(sizes_in_an_archive_that_make_no_sense_are_refused);
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    return system(command) || tap_done();
}
