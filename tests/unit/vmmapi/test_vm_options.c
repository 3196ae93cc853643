/* The flags that virga-vmm and `virga run` share. */
#include "vmmapi/vm_options.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

#define ARGV_MAX 40

/* Reads the flags of a NULL-terminated list and finishes the config. */
static int parse(struct vm_config *c, struct err *err, const char *const *args)
{
    char *argv[ARGV_MAX];
    int argc = 0;
    while (args[argc] && argc < ARGV_MAX) {
        argv[argc] = (char *)args[argc];
        argc++;
    }
    vm_config_init(c);
    int r = vm_options_parse(c, argc, argv, err);
    return r ? r : vm_config_finish(c, err);
}
#define PARSE(c, err, ...) parse(c, err, (const char *const[]){__VA_ARGS__, NULL})

static bool refused_as(const char *const *args, const char *part)
{
    struct vm_config c;
    struct err err = {0};
    int r = parse(&c, &err, args);
    vm_config_fini(&c);
    if (r < 0 && strstr(err.msg, part))
        return true;
    printf("# %s %s gave %d: %s\n", args[0], args[1] ? args[1] : "", r, err.msg);
    return false;
}
#define REFUSED(part, ...) CHECK(refused_as((const char *const[]){__VA_ARGS__, NULL}, part))

static void reads_the_line_of_the_manual(void)
{
    struct vm_config c;
    struct err err = {0};
    int r = PARSE(&c, &err, "--kernel", "vmlinuz", "--initrd=initrd", "--append",
                  "console=ttyS0 root=/dev/vda", "--disk", "a.img,readonly,format=qcow2", "--disk",
                  "b.qcow2", "--net", "user,forward=8080:80,forward=udp:53:53", "--net",
                  "tap:vm0,mac=52:54:00:12:34:56,queues=2", "--cpus", "2", "--pin", "2-3",
                  "--memory", "1G,hugepages", "--engine", "kvm", "--console", "file:/tmp/x,max=1M",
                  "--share", "/srv:srv", "--api", "/run/a.sock", "--name", "web");
    printf("# %s\n", err.msg);
    CHECK_EQ(r, 0);
    CHECK_STR(c.kernel, "vmlinuz");
    CHECK_STR(c.initrd, "initrd");
    CHECK_STR(c.append, "console=ttyS0 root=/dev/vda");
    CHECK_EQ(c.n_disks, 2);
    CHECK(c.disks[0].readonly && c.disks[0].format == VM_CONFIG_FORMAT_QCOW2);
    CHECK_EQ(c.disks[1].format, VM_CONFIG_FORMAT_QCOW2);
    CHECK_EQ(c.nics[0].forwards[0].host_port, 8080);
    CHECK(c.nics[0].forwards[1].udp);
    CHECK_STR(c.nics[1].ifname, "vm0");
    CHECK_EQ(c.cpus.pins[1], 3);
    CHECK(c.memory.hugepages && c.memory.size_bytes == GIB);
    CHECK_EQ(c.console.kind, VM_CONFIG_CONSOLE_FILE);
    CHECK_STR(c.console.path, "/tmp/x");
    CHECK_EQ(c.console.max_bytes, MIB);
    CHECK_STR(c.shares[0].tag, "srv");
    vm_config_fini(&c);
}

static void a_doubled_comma_is_part_of_a_path(void)
{
    struct vm_config c;
    struct err err = {0};
    CHECK_EQ(PARSE(&c, &err, "--disk", "a,,b.img,readonly"), 0);
    CHECK_STR(c.disks[0].path, "a,b.img");
    CHECK(c.disks[0].readonly);
    vm_config_fini(&c);
}

static void vhost_user_sockets_share_the_guests_memory(void)
{
    struct vm_config c;
    struct err err = {0};
    CHECK_EQ(PARSE(&c, &err, "--disk", "vhost-user:/run/d.sock,queues=4", "--net",
                   "vhost-user:/run/n.sock", "--share", "vhost-user:/run/fs.sock:data"),
             0);
    CHECK_STR(c.disks[0].socket, "/run/d.sock");
    CHECK(!c.disks[0].path);
    CHECK_STR(c.nics[0].socket, "/run/n.sock");
    CHECK_STR(c.shares[0].socket, "/run/fs.sock");
    CHECK(c.memory.shared);
    vm_config_fini(&c);
}

static void net_none_is_no_nic_and_with_a_mac_an_unplugged_one(void)
{
    struct vm_config c;
    struct err err = {0};
    CHECK_EQ(PARSE(&c, &err, "--net", "none"), 0);
    CHECK_EQ(c.n_nics, 0);
    vm_config_fini(&c);
    CHECK_EQ(PARSE(&c, &err, "--net", "none,mac=52:54:00:12:34:56"), 0);
    CHECK_EQ(c.n_nics, 1);
    vm_config_fini(&c);
}

static void what_is_wrong_is_named_with_the_remedy(void)
{
    REFUSED("--frobnicate is not a known flag", "--frobnicate");
    REFUSED("all begin with --", "disk.img");
    REFUSED("--cpus has no value", "--cpus");
    REFUSED("--cpus is 65: use 1 to 64", "--cpus", "65");
    REFUSED("--cpus is given twice", "--cpus", "1", "--cpus", "2");
    REFUSED("--disk fromat is not a known key", "--disk", "x,fromat=raw");
    REFUSED("--disk format is \"vmdk\": use auto, raw or qcow2", "--disk", "x,format=vmdk");
    REFUSED("--disk format has no value", "--disk", "x,format");
    REFUSED("--net is \"bridge\": use user, tap", "--net", "bridge");
    REFUSED("nics[0] has no tap", "--net", "tap");
    REFUSED("--net forward is \"80\"", "--net", "user,forward=80");
    REFUSED("--net forward is \"0:80\"", "--net", "user,forward=0:80");
    REFUSED("--net forward is \"65536:80\"", "--net", "user,forward=65536:80");
    REFUSED("use DIR:TAG", "--share", "/srv");
    REFUSED("use CID:PATH", "--vsock", "3");
    REFUSED("--vsock is 2", "--vsock", "2:/x");
    REFUSED("--console is \"tty\"", "--console", "tty");
    REFUSED("console has no path", "--console", "file");
    REFUSED("--console is empty", "--console", "file:");
    REFUSED("--pin is \"1,x\"", "--pin", "1,x");
    REFUSED("over 64", "--pin", "0-4000000000");
    REFUSED("--debug-exit takes no value", "--debug-exit=1");
    REFUSED("could not open the config", "--config", "/nonexistent/x.json");
}

static void every_flag_of_the_table_is_read(void)
{
    for (const struct vm_options_flag *f = vm_options_flags; f->name; f++) {
        struct vm_config c;
        struct err err = {0};
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s", f->name);
        char *argv[] = {flag, "\x01"};
        vm_config_init(&c);
        int r = vm_options_parse(&c, f->value ? 2 : 1, argv, &err);
        /* A control character is a fine path or kernel command line, and no other value. */
        bool path = r == 0;
        CHECK(path || strstr(err.msg, f->name) || strstr(err.msg, "config"));
        CHECK(!strstr(err.msg, "not a known flag"));
        vm_config_fini(&c);
    }
}

static void the_help_names_every_flag(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    REQUIRE(f);
    vm_options_print_help(f);
    fclose(f);
    for (const struct vm_options_flag *v = vm_options_flags; v->name; v++)
        CHECK(strstr(text, v->name));
    free(text);
}

int main(void)
{
    TAP_RUN(reads_the_line_of_the_manual);
    TAP_RUN(a_doubled_comma_is_part_of_a_path);
    TAP_RUN(vhost_user_sockets_share_the_guests_memory);
    TAP_RUN(net_none_is_no_nic_and_with_a_mac_an_unplugged_one);
    TAP_RUN(what_is_wrong_is_named_with_the_remedy);
    TAP_RUN(every_flag_of_the_table_is_read);
    TAP_RUN(the_help_names_every_flag);
    return tap_done();
}
