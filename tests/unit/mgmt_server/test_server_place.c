/* Placement through the server: what a request names, what hosts are, where VMs go; and refusals,
 * which name the rule, and for each host what it lacks. */
#include "mgmt/server/server_place.h"

#include "server_rig.h"

static char other_project[UUID_TEXT_BYTES];

/* Asks for a VM of flavor0 with more; the answer's status. */
static int dry_run(const char *more)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"name\":\"dry\",\"flavor\":\"flavor0\",\"image\":\"image\"%s}",
             more);
    return rig_ask("POST", "/v1/vms?dry_run=true&explain=true", body);
}

/* The number of the host where a VM is; RIG_HOSTS: nowhere. */
static unsigned where(const char *name)
{
    struct store_id id = catalog_parent(rig_vm(name)->now);
    unsigned i = 0;
    while (i < RIG_HOSTS && memcmp(&rig.hosts[i], &id, sizeof(id)) != 0)
        i++;
    return i;
}

/* Its explanation of a host, up to the next one. */
static bool says_of(unsigned host, const char *rule, const char *detail)
{
    char name[32], why[320];
    snprintf(name, sizeof(name), "\"name\":\"host%u\"", host);
    snprintf(why, sizeof(why), "\"turned_away_by\":\"%s\",\"detail\":\"%s\"", rule, detail);
    const char *at = strstr(rig_answer.text, name);
    const char *found = at ? strstr(at, why) : NULL;
    const char *next = at ? strstr(at + 1, "\"name\":\"host") : NULL;
    return found && (!next || found < next);
}

static bool fits(unsigned host)
{
    char name[64];
    snprintf(name, sizeof(name), "\"name\":\"host%u\"}", host);
    return strstr(rig_answer.text, name);
}

static bool counts(const char *rule, unsigned hosts)
{
    char text[96];
    snprintf(text, sizeof(text), "{\"filter\":\"%s\",\"hosts\":%u", rule, hosts);
    return strstr(rig_answer.text, text);
}

static void patch(const char *what, const char *body)
{
    char target[64];
    snprintf(target, sizeof(target), "/v1/%s", what);
    CHECK_EQ(rig_ask("PATCH", target, body), 200);
}

static void another_project(void)
{
    CHECK_EQ(rig_ask("POST", "/v1/projects", "{\"name\":\"other\"}"), 201);
    const struct catalog_list *all = catalog_all(rig.s->catalog, CATALOG_PROJECT);
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->slots[i]->now->name, "other"))
            memcpy(other_project, all->slots[i]->now->id_text, sizeof(other_project));
}

/* ---- what a request names ---- */

static void a_vm_goes_to_its_zone(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_ask("POST", "/v1/zones", "{\"name\":\"west\"}"), 201);
    CHECK_EQ(rig_create("none", ",\"zone\":\"west\""), 409);
    CHECK(strstr(rig_answer.text, "placement.no_host"));
    CHECK(strstr(rig_answer.text, "no host is in the zone"));
    CHECK_EQ(rig_create("none", ",\"zone\":\"nowhere\""), 422);
    patch("hosts/host1", "{\"zone\":\"west\"}");
    CHECK_EQ(rig_create("a", ",\"zone\":\"west\""), 202);
    CHECK_EQ(where("a"), 1);
    CHECK_EQ(dry_run(",\"zone\":\"west\""), 200);
    CHECK(strstr(rig_answer.text, "\"placed\":true"));
    CHECK(counts("zone", 2));
    CHECK(says_of(0, "zone", "zone: in other zones"));
    CHECK(fits(1));
    CHECK(says_of(2, "zone", "zone: in other zones"));
    patch("zones/west", "{\"enabled\":false}");
    CHECK_EQ(rig_create("b", ",\"zone\":\"west\""), 409);
    CHECK(strstr(rig_answer.text, "1 not enabled (state)"));
    CHECK(strstr(rig_answer.text, "\"filter\":\"state\""));
    CHECK_EQ(rig_create("b", ""), 202);
    CHECK(where("b") != 1);
    rig_check();
    rig_fini();
}

static void a_flavors_traits_are_the_hosts_or_its_aggregates(void)
{
    REQUIRE(rig_init());
    static const char vm[] = "{\"name\":\"%s\",\"flavor\":\"gpu\",\"image\":\"image\"}";
    char body[128];
    CHECK_EQ(rig_ask("POST", "/v1/flavors",
                     "{\"name\":\"gpu\",\"vcpus\":1,\"memory_mib\":64,\"traits\":[\"gpu\"]}"),
             201);
    snprintf(body, sizeof(body), vm, "a");
    CHECK_EQ(rig_ask("POST", "/v1/vms", body), 409);
    CHECK(strstr(rig_answer.text, "no host has the trait gpu"));
    patch("hosts/host2", "{\"traits\":[\"gpu\",\"ssd\"]}");
    CHECK_EQ(rig_ask("POST", "/v1/vms", body), 202);
    CHECK_EQ(where("a"), 2);
    patch("hosts/host2", "{\"traits\":null}");
    CHECK_EQ(rig_ask("POST", "/v1/aggregates",
                     "{\"name\":\"agg\",\"hosts\":[\"host0\"],\"traits\":[\"gpu\"]}"),
             201);
    snprintf(body, sizeof(body), vm, "b");
    CHECK_EQ(rig_ask("POST", "/v1/vms?dry_run=true&explain=true", body), 200);
    CHECK(counts("trait", 2));
    CHECK(says_of(1, "trait", "traits: without a required trait"));
    CHECK_EQ(rig_ask("POST", "/v1/vms", body), 202);
    CHECK_EQ(where("b"), 0);
    rig_check();
    rig_fini();
}

static void one_host_is_asked_for(void)
{
    REQUIRE(rig_init());
    for (unsigned i = 0; i < RIG_HOSTS; i++) {
        char more[32], name[8];
        snprintf(more, sizeof(more), ",\"host\":\"host%u\"", i);
        snprintf(name, sizeof(name), "v%u", i);
        CHECK_EQ(rig_create(name, more), 202);
        CHECK_EQ(where(name), i);
    }
    CHECK_EQ(dry_run(",\"host\":\"host1\""), 200);
    CHECK(counts("host", 2));
    CHECK(says_of(0, "host", "only: not among the hosts asked for"));
    rig_host_state(1, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK_EQ(rig_create("late", ",\"host\":\"host1\""), 409);
    CHECK(strstr(rig_answer.text, "\"filter\":\"state\",\"hosts\":1"));
    rig_check();
    rig_fini();
}

/* ---- who hosts are for ---- */

static void a_dedicated_host_takes_its_project_only(void)
{
    REQUIRE(rig_init());
    another_project();
    for (unsigned i = 0; i < 2; i++) {
        char target[32];
        snprintf(target, sizeof(target), "hosts/host%u", i);
        patch(target, "{\"dedicated_to\":\"other\"}");
    }
    CHECK_EQ(dry_run(""), 200);
    CHECK(counts("dedicated", 2));
    CHECK(says_of(0, "dedicated", "project: dedicated to other projects"));
    CHECK_EQ(rig_create("a", ""), 202);
    CHECK_EQ(where("a"), 2);
    rig_obey();
    CHECK_EQ(rig_delete("a", true), 202);
    rig_obey();
    patch("hosts/host2", "{\"dedicated_to\":\"other\"}");
    CHECK_EQ(rig_create("b", ""), 409);
    CHECK(strstr(rig_answer.text, "3 dedicated to other projects (project)"));
    patch("hosts/host1", "{\"dedicated_to\":\"default\"}");
    CHECK_EQ(rig_create("b", ""), 202);
    CHECK_EQ(where("b"), 1);
    rig_check();
    rig_fini();
}

static void a_dedicated_aggregate_takes_its_projects_only(void)
{
    REQUIRE(rig_init());
    another_project();
    CHECK_EQ(
        rig_ask("POST", "/v1/aggregates",
                "{\"name\":\"a\",\"hosts\":[\"host0\",\"host1\"],\"dedicated_to\":[\"other\"]}"),
        201);
    CHECK_EQ(dry_run(""), 200);
    CHECK(counts("dedicated", 2));
    CHECK(says_of(1, "dedicated", "not-aggregates: in an unwanted aggregate"));
    CHECK(fits(2));
    CHECK_EQ(rig_create("a", ""), 202);
    CHECK_EQ(where("a"), 2);
    rig_host_state(2, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK_EQ(rig_create("b", ""), 409);
    patch("aggregates/a", "{\"dedicated_to\":[\"other\",\"default\"]}");
    CHECK_EQ(rig_create("b", ""), 202);
    patch("aggregates/a", "{\"dedicated_to\":[]}");
    CHECK_EQ(rig_create("c", ""), 409); /* nobody's */
    patch("aggregates/a", "{\"dedicated_to\":null}");
    CHECK_EQ(rig_create("c", ""), 202);
    rig_check();
    rig_fini();
}

/* Two aggregates keep each its own hosts, whichever was there first. */
static void an_aggregate_that_goes_leaves_the_others_as_they_are(void)
{
    REQUIRE(rig_init());
    another_project();
    CHECK_EQ(rig_ask("POST", "/v1/aggregates", "{\"name\":\"first\",\"hosts\":[\"host0\"]}"), 201);
    CHECK_EQ(rig_ask("POST", "/v1/aggregates",
                     "{\"name\":\"a\",\"hosts\":[\"host1\"],\"dedicated_to\":[\"other\"]}"),
             201);
    patch("aggregates/first", "{\"hosts\":[]}");
    CHECK_EQ(rig_ask("DELETE", "/v1/aggregates/first", NULL), 204);
    CHECK_EQ(dry_run(""), 200);
    CHECK(counts("dedicated", 1));
    CHECK(fits(0));
    CHECK(says_of(1, "dedicated", "not-aggregates: in an unwanted aggregate"));
    rig_fini();
}

/* ---- what hosts are at ---- */

static void hosts_that_are_no_longer_active_take_nothing(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_ask("POST", "/v1/hosts/host0/cordon", NULL), 200);
    CHECK_EQ(rig_ask("POST", "/v1/hosts/host1/maintenance", NULL), 202);
    rig_host_state(2, API_HOST_STATUS_STATE_UNREACHABLE);
    CHECK_EQ(rig_create("a", ""), 409);
    CHECK(strstr(rig_answer.text, "a: 3 hosts: 3 not enabled (state)"));
    CHECK_EQ(dry_run(""), 200);
    CHECK(strstr(rig_answer.text, "\"placed\":false"));
    CHECK(strstr(rig_answer.text, "\"hosts_considered\":3"));
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        CHECK(says_of(i, "state", "state: not enabled"));
    CHECK_EQ(rig_ask("POST", "/v1/hosts/host1/activate", NULL), 200);
    CHECK_EQ(rig_create("a", ""), 202);
    CHECK_EQ(where("a"), 1);
    rig_check();
    rig_fini();
}

static void what_is_full_says_how_much_is_left(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_ask("POST", "/v1/flavors", "{\"name\":\"fat\",\"vcpus\":1,\"memory_mib\":16000}"),
             201);
    CHECK_EQ(rig_ask("POST", "/v1/flavors", "{\"name\":\"many\",\"vcpus\":33,\"memory_mib\":64}"),
             201);
    CHECK_EQ(rig_ask("POST", "/v1/vms",
                     "{\"name\":\"a\",\"flavor\":\"fat\",\"image\":\"image\",\"host\":\"host1\"}"),
             202);
    CHECK_EQ(dry_run(""), 200);
    CHECK(says_of(1, "memory", "memory: needs 1024 MiB, 384 free"));
    CHECK(counts("memory", 1));
    CHECK_EQ(rig_ask("POST", "/v1/vms?dry_run=true&explain=true",
                     "{\"name\":\"b\",\"flavor\":\"many\",\"image\":\"image\"}"),
             200);
    CHECK(says_of(0, "vcpus", "vcpus: needs 33 vCPUs, 32 free"));
    CHECK(says_of(1, "vcpus", "vcpus: needs 33 vCPUs, 31 free"));
    CHECK(counts("vcpus", 3));
    CHECK_EQ(dry_run(",\"disk_gib\":1001"), 200);
    CHECK(says_of(0, "disk", "disk: needs 1001 GiB, 1000 free"));
    CHECK(says_of(1, "memory", "memory: needs 1024 MiB, 384 free"));
    CHECK_EQ(rig_ask("POST", "/v1/vms", "{\"name\":\"b\",\"flavor\":\"many\",\"image\":\"image\"}"),
             409);
    CHECK(strstr(rig_answer.text, "b: 3 hosts: 3 with too few vCPUs free (vcpus)"));
    CHECK(strstr(rig_answer.text, "\"explanation\":"));
    CHECK(!strstr(rig_answer.text, "kept for reservations"));
    rig_check();
    rig_fini();
}

static int64_t vcpus_free(unsigned i)
{
    struct sched_free left;
    const struct server_host *host = server_host_find(rig.s, &rig.hosts[i]);
    return sched_free(rig.s->sched, host->number, &left) ? -1 : left.cpu_hundredths / 100;
}

static void ratios_are_the_hosts_or_the_least_of_its_aggregates(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(vcpus_free(0), 32);
    CHECK_EQ(rig_ask("POST", "/v1/aggregates",
                     "{\"name\":\"a\",\"hosts\":[\"host0\",\"host1\"],"
                     "\"overcommit\":{\"vcpu_ratio\":2}}"),
             201);
    CHECK_EQ(rig_ask("POST", "/v1/aggregates",
                     "{\"name\":\"b\",\"hosts\":[\"host0\"],\"overcommit\":{\"vcpu_ratio\":8}}"),
             201);
    CHECK_EQ(vcpus_free(0), 16);
    CHECK_EQ(vcpus_free(1), 16);
    CHECK_EQ(vcpus_free(2), 32);
    patch("hosts/host0", "{\"overcommit\":{\"vcpu_ratio\":1}}");
    CHECK_EQ(vcpus_free(0), 8);
    patch("hosts/host0", "{\"overcommit\":null,\"reserved_vcpus\":3}");
    CHECK_EQ(vcpus_free(0), 10);
    rig_fini();
}

/* ---- where among those that fit ---- */

static void the_settings_say_whether_vms_are_packed_or_spread(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("a", ""), 202);
    CHECK_EQ(rig_create("b", ""), 202);
    CHECK_EQ(where("b"), where("a"));
    CHECK_EQ(rig_ask("PATCH", "/v1/settings", "{\"placement_policy\":\"spread\"}"), 200);
    CHECK_EQ(rig_create("c", ""), 202);
    CHECK_EQ(rig_create("d", ""), 202);
    CHECK(where("c") != where("a") && where("d") != where("a") && where("c") != where("d"));
    rig_check();
    rig_fini();
}

static void a_dry_run_names_the_next_best(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(dry_run(""), 200);
    CHECK(strstr(rig_answer.text, "\"placed\":true"));
    const char *alternates = strstr(rig_answer.text, "\"alternates\":[");
    REQUIRE(alternates);
    const char *end = strchr(alternates, ']');
    CHECK_EQ(end - alternates, (long)(strlen("\"alternates\":[") + 2 * 38 + 1));
    CHECK(!rig_vm("dry"));
    rig_check();
    rig_fini();
}

/* ---- groups ---- */

static void a_group_keeps_its_vms_together_or_apart(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_ask("POST", "/v1/server-groups", "{\"name\":\"near\",\"policy\":\"affinity\"}"),
             201);
    CHECK_EQ(
        rig_ask("POST", "/v1/server-groups", "{\"name\":\"far\",\"policy\":\"anti_affinity\"}"),
        201);
    CHECK_EQ(rig_create("n0", ",\"server_group\":\"near\",\"host\":\"host1\""), 202);
    CHECK_EQ(rig_create("n1", ",\"server_group\":\"near\""), 202);
    CHECK_EQ(where("n1"), 1);
    CHECK_EQ(rig_create("n2", ",\"server_group\":\"near\",\"host\":\"host0\""), 409);
    CHECK(strstr(rig_answer.text, "\"filter\":\"affinity\",\"hosts\":1"));
    CHECK_EQ(rig_create("f0", ",\"server_group\":\"far\""), 202);
    CHECK_EQ(rig_create("f1", ",\"server_group\":\"far\""), 202);
    CHECK_EQ(dry_run(",\"server_group\":\"far\""), 200);
    CHECK(counts("anti_affinity", 2));
    CHECK(says_of(where("f0"), "anti_affinity", "group: ruled out by the server group"));
    CHECK_EQ(rig_create("f2", ",\"server_group\":\"far\""), 202);
    CHECK_EQ(rig_create("f3", ",\"server_group\":\"far\""), 409);
    CHECK(strstr(rig_answer.text, "3 ruled out by the server group (group)"));
    CHECK(where("f0") + where("f1") + where("f2") == 3 && where("f0") != where("f1"));
    REQUIRE(rig_restart());
    CHECK_EQ(rig_create("f3", ",\"server_group\":\"far\""), 409);
    rig_check();
    rig_fini();
}

static unsigned on_host(unsigned i)
{
    return (unsigned)catalog_under(rig.s->catalog, CATALOG_VM, &rig.hosts[i])->n;
}

/* Hard: refused; soft: as far as it can be had. After a restart too. */
static void so_many_of_a_group_share_a_host(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_ask("POST", "/v1/server-groups",
                     "{\"name\":\"g\",\"policy\":\"anti_affinity\",\"max_per_host\":2}"),
             201);
    CHECK_EQ(rig_ask("POST", "/v1/server-groups",
                     "{\"name\":\"s\",\"policy\":\"anti_affinity\",\"max_per_host\":2,"
                     "\"strength\":\"soft\"}"),
             201);
    char name[16];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "g%u", i);
        CHECK_EQ(rig_create(name, ",\"server_group\":\"g\""), 202);
    }
    REQUIRE(rig_restart());
    CHECK_EQ(rig_create("g4", ",\"server_group\":\"g\""), 202);
    CHECK_EQ(rig_create("g5", ",\"server_group\":\"g\""), 202);
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        CHECK_EQ(on_host(i), 2);
    CHECK_EQ(rig_create("g6", ",\"server_group\":\"g\""), 409);
    CHECK(strstr(rig_answer.text, "\"filter\":\"anti_affinity\",\"hosts\":3"));
    for (unsigned i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        CHECK_EQ(rig_create(name, ",\"server_group\":\"s\""), 202);
        if (i == 5)
            REQUIRE(rig_restart());
    }
    for (unsigned i = 0; i < RIG_HOSTS; i++)
        CHECK_EQ(on_host(i), 5);
    rig_check();
    rig_fini();
}

static void racks_count_as_one(void)
{
    REQUIRE(rig_init());
    patch("hosts/host0", "{\"rack\":\"r1\"}");
    patch("hosts/host1", "{\"rack\":\"r1\"}");
    CHECK_EQ(rig_ask("POST", "/v1/server-groups",
                     "{\"name\":\"far\",\"policy\":\"anti_affinity\",\"by\":\"rack\"}"),
             201);
    CHECK_EQ(rig_create("a", ",\"server_group\":\"far\",\"host\":\"host0\""), 202);
    CHECK_EQ(rig_create("b", ",\"server_group\":\"far\""), 202);
    CHECK_EQ(where("b"), 2);
    CHECK_EQ(rig_create("c", ",\"server_group\":\"far\""), 409);
    rig_fini();
}

/* ---- batches ---- */

static int batch(const char *prefix, unsigned n, const char *mode, const char *query)
{
    static char body[16384];
    char target[64];
    size_t at = (size_t)snprintf(body, sizeof(body), "{\"mode\":\"%s\",\"vms\":[", mode);
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(body + at, sizeof(body) - at,
                               "%s{\"name\":\"%s%u\",\"flavor\":\"flavor0\",\"image\":\"image\"}",
                               i ? "," : "", prefix, i);
    snprintf(body + at, sizeof(body) - at, "]}");
    snprintf(target, sizeof(target), "/v1/vm-batches%s", query);
    return rig_ask("POST", target, body);
}

/* Of 48 that there is room for. */
static void a_batch_is_made_whole_or_as_far_as_there_is_room(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(batch("a", 49, "all_or_nothing", ""), 409);
    CHECK(strstr(rig_answer.text, "a48: 3 hosts: 3 with too little memory free (memory)"));
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 0);
    rig_check();
    CHECK_EQ(batch("a", 49, "all_or_nothing", "?dry_run=true"), 200);
    rig_check();
    CHECK_EQ(batch("a", 40, "all_or_nothing", ""), 202);
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 40);
    rig_check();
    CHECK_EQ(batch("b", 10, "best_effort", ""), 202);
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 48);
    CHECK(rig_vm("b7") && !rig_vm("b8"));
    CHECK(strstr(rig_answer.text, "\"code\":\"placement.no_host\""));
    CHECK_EQ(batch("c", 2, "best_effort", ""), 202); /* none of them */
    CHECK_EQ(catalog_all(rig.s->catalog, CATALOG_VM)->n, 48);
    rig_check();
    rig_fini();
}

/* ---- again ---- */

static void a_vm_that_comes_back_is_placed_where_its_disk_is(void)
{
    REQUIRE(rig_init());
    CHECK_EQ(rig_create("a", ",\"host\":\"host1\""), 202);
    rig_obey();
    CHECK_STR(rig_state("a"), "running");
    CHECK_EQ(rig_act("a", "shelve", NULL), 202);
    rig_obey();
    CHECK_EQ(rig_ask("POST", "/v1/flavors", "{\"name\":\"all\",\"vcpus\":1,\"memory_mib\":16384}"),
             201);
    CHECK_EQ(rig_ask("POST", "/v1/vms",
                     "{\"name\":\"b\",\"flavor\":\"all\",\"image\":\"image\",\"host\":\"host1\"}"),
             202);
    rig_obey();
    CHECK_EQ(rig_act("a", "unshelve?dry_run=true&explain=true", NULL), 200);
    CHECK(says_of(1, "memory", "memory: needs 1024 MiB, 0 free"));
    CHECK(says_of(0, "host", "only: not among the hosts asked for"));
    CHECK_EQ(rig_act("a", "unshelve", NULL), 409);
    CHECK(strstr(rig_answer.text, "\"filter\":\"memory\",\"hosts\":1"));
    CHECK_EQ(rig_delete("b", true), 202);
    rig_obey();
    CHECK_EQ(rig_act("a", "unshelve", NULL), 202);
    rig_obey();
    CHECK_EQ(where("a"), 1);
    rig_check();
    rig_fini();
}

int main(void)
{
    TAP_RUN(a_vm_goes_to_its_zone);
    TAP_RUN(a_flavors_traits_are_the_hosts_or_its_aggregates);
    TAP_RUN(one_host_is_asked_for);
    TAP_RUN(a_dedicated_host_takes_its_project_only);
    TAP_RUN(a_dedicated_aggregate_takes_its_projects_only);
    TAP_RUN(an_aggregate_that_goes_leaves_the_others_as_they_are);
    TAP_RUN(hosts_that_are_no_longer_active_take_nothing);
    TAP_RUN(what_is_full_says_how_much_is_left);
    TAP_RUN(ratios_are_the_hosts_or_the_least_of_its_aggregates);
    TAP_RUN(the_settings_say_whether_vms_are_packed_or_spread);
    TAP_RUN(a_dry_run_names_the_next_best);
    TAP_RUN(a_group_keeps_its_vms_together_or_apart);
    TAP_RUN(so_many_of_a_group_share_a_host);
    TAP_RUN(racks_count_as_one);
    TAP_RUN(a_batch_is_made_whole_or_as_far_as_there_is_room);
    TAP_RUN(a_vm_that_comes_back_is_placed_where_its_disk_is);
    return tap_done();
}
