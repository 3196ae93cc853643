/* The VM's description: defaults, JSON both ways, and refusals that say where and what. */
#include "vmmapi/vm_config.h"

#include <errno.h>

#include "base/util.h"
#include "tap.h"

static int read_json(struct vm_config *c, const char *text, struct err *err)
{
    vm_config_init(c);
    int r = vm_config_from_json(c, text, strlen(text), err);
    return r ? r : vm_config_finish(c, err);
}

/* The document is refused and the message holds each of the two texts. */
static bool refused(const char *json, const char *part1, const char *part2)
{
    struct vm_config c;
    struct err err = {0};
    int r = read_json(&c, json, &err);
    vm_config_fini(&c);
    bool good = r < 0 && r == -err.code && strstr(err.msg, part1) && strstr(err.msg, part2);
    if (!good)
        printf("# %s gave %d: %s\n", json, r, err.msg);
    return good;
}

static void an_empty_document_gives_the_defaults(void)
{
    struct vm_config c;
    struct err err = {0};
    CHECK_EQ(read_json(&c, "{}", &err), 0);
    CHECK_EQ(c.cpus.count, 1);
    CHECK_EQ(c.memory.size_bytes, 256 * MIB);
    CHECK_EQ(c.console.kind, VM_CONFIG_CONSOLE_STDIO);
    CHECK_EQ(c.n_disks, 0);
    CHECK(c.rng && c.balloon.enabled && c.autostart && !c.debug_exit);
    CHECK_EQ(c.uuid[6] >> 4, 4);
    vm_config_fini(&c);
}

static const char full[] =
    "{\"name\":\"web1\",\"uuid\":\"12345678-9abc-4def-8123-456789abcdef\",\"kernel\":\"/k\","
    "\"initrd\":\"/i\",\"append\":\"console=ttyS0\",\"engine\":\"kvm\","
    "\"cpus\":{\"count\":2,\"model\":\"x86-64-v2\",\"pin\":[4,5]},"
    "\"memory\":{\"size\":\"1G\",\"hugepages\":true,\"prealloc\":true},"
    "\"disks\":[{\"path\":\"/a.qcow2\",\"cache\":\"none\",\"on_error\":\"stop\",\"serial\":\"S1\","
    "\"queues\":4,\"iops\":1000,\"bandwidth\":\"10M\"},{\"id\":\"data\",\"path\":\"/"
    "b\",\"readonly\":"
    "true}],\"nics\":[{\"kind\":\"tap\",\"tap\":\"vm0\",\"queues\":2,\"mtu\":9000},"
    "{\"kind\":\"user\",\"mac\":\"52:54:00:00:00:01\",\"forward\":[\"8080:80\",\"udp:53:5353\"]}],"
    "\"shares\":[{\"dir\":\"/srv\",\"tag\":\"srv\"}],\"console\":{\"kind\":\"file\",\"path\":\"/"
    "log\","
    "\"max\":65536},\"vsock\":{\"cid\":7,\"path\":\"/"
    "v\"},\"rng\":false,\"balloon\":{\"enabled\":false},"
    "\"api\":\"/run/x.sock\",\"autostart\":false,\"sandbox\":{\"mode\":\"require\",\"uid\":1000}}";

static void reads_every_kind_of_value(void)
{
    struct vm_config c;
    struct err err = {0};
    int r = read_json(&c, full, &err);
    printf("# %s\n", err.msg);
    CHECK_EQ(r, 0);
    CHECK_STR(c.name, "web1");
    CHECK_EQ(c.uuid[15], 0xef);
    CHECK_EQ(c.cpus.n_pins, 2);
    CHECK_EQ(c.cpus.pins[1], 5);
    CHECK_EQ(c.memory.size_bytes, GIB);
    CHECK_EQ(c.n_disks, 2);
    CHECK_STR(c.disks[0].id, "disk0");
    CHECK_EQ(c.disks[0].format, VM_CONFIG_FORMAT_QCOW2);
    CHECK_EQ(c.disks[0].cache, VM_CONFIG_CACHE_NONE);
    CHECK_EQ(c.disks[0].on_error, VM_CONFIG_ON_ERROR_STOP);
    CHECK_EQ(c.disks[0].limits.bandwidth_bytes, 10 * MIB);
    CHECK_STR(c.disks[1].id, "data");
    CHECK_EQ(c.disks[1].format, VM_CONFIG_FORMAT_RAW);
    CHECK_EQ(c.nics[0].kind, VM_CONFIG_NIC_TAP);
    CHECK_STR(c.nics[0].ifname, "vm0");
    CHECK_EQ(c.nics[0].mac[0] & 3, 2);
    CHECK_EQ(c.nics[1].n_forwards, 2);
    CHECK(c.nics[1].forwards[1].udp && c.nics[1].forwards[1].guest_port == 5353);
    CHECK(c.memory.shared); /* virtio-fs is served by another process */
    CHECK_EQ(c.console.max_bytes, 65536);
    CHECK_EQ(c.vsock.cid, 7);
    CHECK_EQ(c.sandbox.uid, 1000);
    vm_config_fini(&c);
}

static void what_it_writes_reads_back_the_same(void)
{
    struct vm_config c, back;
    struct err err = {0};
    REQUIRE(read_json(&c, full, &err) == 0);
    char *once = vm_config_to_json(&c);
    REQUIRE(once);
    CHECK_EQ(read_json(&back, once, &err), 0);
    char *twice = vm_config_to_json(&back);
    REQUIRE(twice);
    CHECK_STR(once, twice);
    CHECK_STR(back.disks[0].serial, "S1");
    free(once);
    free(twice);
    vm_config_fini(&c);
    vm_config_fini(&back);
}

static void an_unknown_key_is_refused_with_the_valid_ones(void)
{
    CHECK(refused("{\"disks\":[{\"path\":\"/x\"},{\"path\":\"/y\",\"fromat\":\"raw\"}]}",
                  "disks[1].fromat", "valid keys here: id, path, socket, format"));
    CHECK(refused("{\"cpu\":1}", "cpu is not", "cpus, memory"));
}

static void a_wrong_value_is_refused_with_place_value_and_remedy(void)
{
    CHECK(refused("{\"disks\":[{\"path\":\"/x\",\"format\":\"qcow3\"}]}",
                  "disks[0].format is \"qcow3\"", "auto, raw or qcow2"));
    CHECK(refused("{\"cpus\":{\"count\":0}}", "cpus.count is 0", "use 1 to 64"));
    CHECK(refused("{\"cpus\":{\"count\":\"two\"}}", "cpus.count is text", "a number"));
    CHECK(refused("{\"memory\":{\"size\":\"1Q\"}}", "memory.size is \"1Q\"", "K, M, G"));
    CHECK(refused("{\"memory\":{\"size\":-1}}", "memory.size is -1", "not negative"));
    CHECK(refused("{\"memory\":{\"size\":1048577}}", "memory.size is 1048577", "multiple of 4096"));
    CHECK(refused("{\"nics\":[{\"kind\":\"user\",\"mac\":\"01:00:00:00:00:00\"}]}", "nics[0].mac",
                  "unicast"));
    CHECK(refused("{\"uuid\":\"12\"}", "uuid is \"12\"", "hex digits"));
    CHECK(refused("{\"engine\":\"tcg\"}", "engine is \"tcg\"", "auto, kvm or soft"));
    CHECK(refused("{\"name\":\"../x\"}", "name is \"../x\"", "letters"));
    CHECK(refused("{\"kernel\":\"\"}", "kernel is empty", "leave it out"));
    CHECK(refused("{\"kernel\":\"a\\u0000b\"}", "", "JSON"));
    CHECK(refused("{\"rng\":1}", "rng is a number", "true or false"));
    CHECK(refused("{\"disks\":{}}", "disks is an object", "a list of objects"));
    CHECK(refused("{\"disks\":[7]}", "disks[0] is a number", "an object"));
    CHECK(refused("{\"console\":\"stdio\"}", "console is text", "an object"));
    CHECK(refused("[]", "the document is a list", "an object"));
}

static void what_contradicts_itself_is_refused(void)
{
    CHECK(
        refused("{\"disks\":[{\"path\":\"/x\"},{\"path\":\"/x\"}]}", "disks[1].path", "readonly"));
    CHECK(refused("{\"disks\":[{\"id\":\"a\",\"path\":\"/x\"},{\"id\":\"a\",\"path\":\"/y\"}]}",
                  "disks[1].id is \"a\"", "disks[0]"));
    CHECK(refused("{\"disks\":[{}]}", "disks[0] has no path", "either path or socket"));
    CHECK(refused("{\"nics\":[{\"kind\":\"tap\"}]}", "nics[0] has no tap", "interface"));
    CHECK(refused("{\"nics\":[{\"kind\":\"tap\",\"tap\":\"t\",\"mac\":\"52:54:00:00:00:01\"},"
                  "{\"kind\":\"user\",\"mac\":\"52:54:00:00:00:01\"}]}",
                  "nics[1].mac", "nics[0]"));
    CHECK(refused("{\"cpus\":{\"count\":2,\"pin\":[1]}}", "cpus.pin names 1", "each vCPU"));
    CHECK(refused("{\"virtio_console\":{\"kind\":\"stdio\"}}", "virtio_console is stdio", "pty"));
    CHECK(refused("{\"initrd\":\"/i\"}", "initrd", "no kernel"));
    CHECK(refused("{\"vsock\":{\"cid\":3}}", "vsock", "cid and path"));
    CHECK(refused("{\"autostart\":false}", "autostart", "api"));
    CHECK(refused("{\"disks\":[{\"socket\":\"/s\",\"readonly\":true}]}", "disks[0].readonly",
                  "there"));
    CHECK(refused("{\"shares\":[{\"socket\":\"/s\",\"tag\":\"t\",\"readonly\":true}]}",
                  "shares[0].readonly", "there"));
}

static void a_hostile_document_is_refused_early(void)
{
    CHECK(refused("{\"a\":[[[[[[[[[[]]]]]]]]]]}", "nests over 8", ""));
    CHECK(refused("{\"name\":\"a\",\"name\":\"b\"}", "line 1", "uplicate"));
    CHECK(refused("{\"name\":", "line 1", "not JSON"));
    CHECK(refused("{\"cpus\":{\"count\":99999999999999999999}}", "line 1", ""));
    size_t n = VM_CONFIG_JSON_MAX_BYTES + 1;
    char *big = malloc(n);
    REQUIRE(big);
    memset(big, ' ', n);
    struct vm_config c;
    struct err err = {0};
    vm_config_init(&c);
    CHECK_EQ(vm_config_from_json(&c, big, n, &err), -E2BIG);
    vm_config_fini(&c);
    free(big);
}

static void a_list_over_its_bound_is_refused(void)
{
    char json[2048] = "{\"nics\":[{\"kind\":\"user\"}";
    for (int i = 0; i < VM_CONFIG_NICS_MAX; i++)
        strcat(json, ",{\"kind\":\"user\"}");
    strcat(json, "]}");
    CHECK(refused(json, "nics[16]", "over 16"));
}

static void macs_follow_the_uuid_and_differ_between_clones(void)
{
    struct vm_config a, b, c;
    struct err err = {0};
    static const char nic[] = "\"nics\":[{\"kind\":\"user\"},{\"kind\":\"user\"}]}";
    char one[256], two[256];
    snprintf(one, sizeof(one), "{\"uuid\":\"11111111-1111-4111-8111-111111111111\",%s", nic);
    snprintf(two, sizeof(two), "{\"uuid\":\"11111111-1111-4111-8111-111111111112\",%s", nic);
    REQUIRE(!read_json(&a, one, &err) && !read_json(&b, one, &err) && !read_json(&c, two, &err));
    CHECK(!memcmp(a.nics[0].mac, b.nics[0].mac, 6));
    CHECK(memcmp(a.nics[0].mac, a.nics[1].mac, 6) != 0);
    CHECK(memcmp(a.nics[0].mac, c.nics[0].mac, 6) != 0);
    vm_config_fini(&a);
    vm_config_fini(&b);
    vm_config_fini(&c);
}

static void sizes_are_read_exactly(void)
{
    uint64_t v = 0;
    CHECK(!vm_config_parse_size("0", &v) && v == 0);
    CHECK(!vm_config_parse_size("64K", &v) && v == 65536);
    CHECK(!vm_config_parse_size("2MiB", &v) && v == 2 * MIB);
    CHECK(!vm_config_parse_size("1g", &v) && v == GIB);
    CHECK(!vm_config_parse_size("18446744073709551615", &v) && v == UINT64_MAX);
    static const char *const bad[] = {
        "", "K", "-1", "1.5G", "18446744073709551616", "99999999999T", "1MM", " 1", "0x10", "1 G"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(vm_config_parse_size(bad[i], &v), -EINVAL);
}

static void one_disk_and_one_nic_are_read_alone(void)
{
    struct vm_config_disk d;
    struct vm_config_nic n;
    struct err err = {0};
    static const char disk[] = "{\"id\":\"d9\",\"path\":\"/x.qcow2\"}";
    CHECK_EQ(vm_config_disk_from_json(&d, disk, strlen(disk), &err), 0);
    CHECK_EQ(d.format, VM_CONFIG_FORMAT_QCOW2);
    CHECK(d.own_thread && d.queues == 1);
    vm_config_disk_fini(&d);
    static const char no_id[] = "{\"path\":\"/x\"}";
    CHECK_EQ(vm_config_disk_from_json(&d, no_id, strlen(no_id), &err), -EINVAL);
    CHECK(strstr(err.msg, "id is missing"));
    static const char nic[] =
        "{\"id\":\"n9\",\"kind\":\"tap\",\"tap\":\"t0\",\"mac\":\"52:54:00:01:02:03\"}";
    CHECK_EQ(vm_config_nic_from_json(&n, nic, strlen(nic), &err), 0);
    CHECK_EQ(n.mac[5], 3);
    vm_config_nic_fini(&n);
}

/* The message with which `full`, changed so, cannot go on with a saved `full`; "" if it can. */
static const char *compared(const char *change)
{
    static struct err err;
    struct vm_config now, saved;
    memset(&err, 0, sizeof(err));
    vm_config_init(&now);
    vm_config_init(&saved);
    if (vm_config_from_json(&saved, full, strlen(full), &err) ||
        vm_config_from_json(&now, full, strlen(full), &err) ||
        vm_config_from_json(&now, change, strlen(change), &err) || vm_config_finish(&saved, &err) ||
        vm_config_finish(&now, &err))
        printf("# %s\n", err.msg);
    else
        vm_config_check_saved(&now, &saved, &err);
    vm_config_fini(&now);
    vm_config_fini(&saved);
    return err.msg;
}

static void a_saved_vm_needs_the_same_of_what_its_guest_can_tell(void)
{
    CHECK_STR(compared("{}"), "");
    CHECK_STR(compared("{\"name\":\"other\",\"kernel\":\"/k2\",\"engine\":\"soft\","
                       "\"api\":\"/a\",\"log\":\"debug\",\"load\":\"/saved\"}"),
              "");
    CHECK_STR(compared("{\"cpus\":{\"count\":3,\"pin\":[6]},\"log\":\"info\"}"),
              "cpus.count is 3, the saved VM's is 2: give the config that it was saved with");
    CHECK(strstr(compared("{\"memory\":{\"size\":\"2G\"}}"), "memory.size is 2147483648, the"));
    CHECK(strstr(compared("{\"cpus\":{\"model\":\"host\"}}"), "cpus.model is \"host\", the"));
    CHECK(strstr(compared("{\"disks\":[{\"path\":\"/c\"}]}"), "disks has 3 entries, the saved VM's "
                                                              "has 2"));
    CHECK(strstr(compared("{\"vsock\":{\"cid\":8}}"), "vsock.cid is 8, the saved VM's is 7"));
    CHECK(strstr(compared("{\"rng\":true}"), "rng is on, the saved VM's is off"));
    CHECK(strstr(compared("{\"virtio_console\":{\"kind\":\"pty\"}}"), "virtio_console is there"));
    CHECK(strstr(compared("{\"uuid\":\"12345678-9abc-4def-8123-456789abcdee\"}"), "uuid is "));
}

int main(void)
{
    TAP_RUN(an_empty_document_gives_the_defaults);
    TAP_RUN(reads_every_kind_of_value);
    TAP_RUN(what_it_writes_reads_back_the_same);
    TAP_RUN(an_unknown_key_is_refused_with_the_valid_ones);
    TAP_RUN(a_wrong_value_is_refused_with_place_value_and_remedy);
    TAP_RUN(what_contradicts_itself_is_refused);
    TAP_RUN(a_hostile_document_is_refused_early);
    TAP_RUN(a_list_over_its_bound_is_refused);
    TAP_RUN(macs_follow_the_uuid_and_differ_between_clones);
    TAP_RUN(sizes_are_read_exactly);
    TAP_RUN(one_disk_and_one_nic_are_read_alone);
    TAP_RUN(a_saved_vm_needs_the_same_of_what_its_guest_can_tell);
    return tap_done();
}
