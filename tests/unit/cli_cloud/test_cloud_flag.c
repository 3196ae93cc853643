/* The flags that follow from fields. */
#include "cli/cloud/cloud_flag.h"

#include "cli/cloud/cloud_command.h"
#include "tap.h"

static struct cloud_flags flags;

static const struct cloud_flag *find(enum api_op op, const char *text)
{
    bool negated;
    cloud_flags_build(&flags, &api_route_table[op], cloud_flag_set_of(&api_route_table[op]));
    return cloud_flags_find(&flags, text, strlen(text), &negated);
}

static const char *path(enum api_op op, const char *text)
{
    const struct cloud_flag *f = find(op, text);
    return f ? f->path : "(none)";
}

static void a_field_goes_by_its_name_and_by_shorter_ones(void)
{
    CHECK_STR(path(API_OP_FLAVOR_CREATE, "memory-mib"), "memory_mib");
    CHECK_STR(path(API_OP_FLAVOR_CREATE, "memory_mib"), "memory_mib");
    CHECK_STR(path(API_OP_FLAVOR_CREATE, "memory"), "memory_mib");
    CHECK_STR(path(API_OP_VM_CREATE, "nic"), "nics");
    CHECK_STR(path(API_OP_VM_CREATE, "nics"), "nics");
    CHECK_STR(path(API_OP_PORT_CREATE, "address"), "addresses");
    CHECK_STR(path(API_OP_VOLUME_CREATE, "read-mib-per-s"), "qos.read_mib_per_s");
    CHECK_STR(path(API_OP_VOLUME_CREATE, "qos.read-iops"), "qos.read_iops");
    CHECK_STR(path(API_OP_IMAGE_CREATE, "suite"), "source.debian.suite");
    CHECK_STR(path(API_OP_IMAGE_CREATE, "source.debian.package"), "source.debian.packages");
    CHECK_STR(path(API_OP_VM_CREATE, "no-such"), "(none)");
    CHECK_STR(path(API_OP_VM_CREATE, "memor"), "(none)");
}

static void a_name_that_two_want_is_nobodys(void)
{
    /* source.size_bytes and source.debian.size_gib would both be --size. */
    CHECK_STR(path(API_OP_IMAGE_CREATE, "size"), "(none)");
    CHECK_STR(path(API_OP_IMAGE_CREATE, "source.size-bytes"), "source.size_bytes");
    /* --volume beside --volumes would be read as one of them. */
    CHECK_STR(path(API_OP_QUOTA_PATCH, "volume"), "(none)");
    CHECK_STR(path(API_OP_QUOTA_PATCH, "volume-gib"), "limits.volume_gib");
    /* --timeout is that of waiting. */
    CHECK_EQ(find(API_OP_VM_STOP, "timeout")->place, CLOUD_FLAG_COMMON);
    CHECK_STR(path(API_OP_VM_STOP, "timeout-s"), "timeout_s");
}

static void switches_are_negated_and_nothing_else(void)
{
    bool negated;
    CHECK(find(API_OP_VM_CREATE, "start"));
    CHECK(cloud_flags_find(&flags, "no-start", 8, &negated));
    CHECK(negated);
    CHECK(cloud_flags_find(&flags, "no-wait", 7, &negated) && negated);
    CHECK(!cloud_flags_find(&flags, "no-flavor", 9, &negated));
}

/* Also that they fit, and that no two flags of a command have one name. */
static void every_command_has_flags_that_can_be_told_apart(void)
{
    struct cloud_command c;
    unsigned cursor = 0, n = 0;
    static struct cloud_flags all;
    while (cloud_command_next(&cursor, &c)) {
        n++;
        cloud_flags_build(&all, c.op < API_OPS ? &api_route_table[c.op] : NULL, c.common);
        for (size_t i = 0; i < all.n; i++)
            for (size_t j = 0; j < i; j++) {
                bool limit = all.v[j].place == CLOUD_FLAG_COMMON && all.v[j].common == CLOUD_LIMIT;
                if (!strcmp(all.v[i].name, all.v[j].name) && !limit)
                    CHECK_STR(all.v[i].name, "a name of its own");
            }
    }
    CHECK(n > 120);
}

static void pointers_become_what_was_typed(void)
{
    static const struct {
        enum api_op op;
        const char *pointer, *flag;
    } rows[] = {{API_OP_VM_CREATE, "/flavor", "--flavor"},
                {API_OP_VM_CREATE, "/nics/1/ip", "--nic (2nd) ip"},
                {API_OP_VM_CREATE, "/nics/10", "--nic (11th)"},
                {API_OP_VM_CREATE, "/labels/a/b", "--label a b"},
                {API_OP_VM_CREATE, "/disk_gib", "--disk"},
                {API_OP_VM_CREATE, "/colour", "/colour"},
                {API_OP_VM_CREATE, "", ""},
                {API_OP_VM_CREATE, "dry_run", "--dry-run"},
                {API_OP_VOLUME_CREATE, "/qos/read_iops", "--read-iops"},
                {API_OP_QUOTA_PATCH, "/limits/vms", "--vms"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        find(rows[i].op, "name");
        cloud_flags_of_pointer(&flags, rows[i].pointer, out, sizeof(out));
        CHECK_STR(out, rows[i].flag);
        cloud_flags_of_pointer(&flags, rows[i].pointer, out, 4); /* cut, not overrun */
        CHECK(strlen(out) < 4);
    }
}

int main(void)
{
    TAP_RUN(a_field_goes_by_its_name_and_by_shorter_ones);
    TAP_RUN(a_name_that_two_want_is_nobodys);
    TAP_RUN(switches_are_negated_and_nothing_else);
    TAP_RUN(every_command_has_flags_that_can_be_told_apart);
    TAP_RUN(pointers_become_what_was_typed);
    return tap_done();
}
