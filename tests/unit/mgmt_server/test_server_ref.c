#include "mgmt/server/server_ref.h"

#include "still.h"

static struct server *S;
static struct server_call C;

static struct server_txn *begin(void)
{
    C = (struct server_call){.s = S};
    api_problem_init(&C.refusal);
    return server_txn_begin(S, &C);
}

static struct catalog_object *aggregate(void)
{
    static const struct store_id nobody;
    struct store_id id = catalog_id(server_now_ms());
    return catalog_new(CATALOG_AGGREGATE, &id, &nobody);
}

static void a_name_becomes_an_id_and_what_it_names_is_kept(void)
{
    struct catalog_slot *zone = still_first(S, CATALOG_ZONE), *found = NULL;
    struct catalog_object *v = aggregate();
    struct server_txn *t = begin();
    struct api_text ref = {API_VALUE, "default"}, absent = {.is = API_ABSENT};
    CHECK_EQ(server_ref_wait(&C, zone), 0);
    REQUIRE(!server_ref_one(t, v, CATALOG_ZONE, &ref, "/zone", &found));
    CHECK(found == zone);
    CHECK_STR(ref.v, zone->now->id_text);
    CHECK(server_ref_is(&ref, zone->now));
    CHECK_EQ(server_ref_wait(&C, zone), SERVER_WAIT);
    CHECK_EQ(C.wait_kind, CATALOG_ZONE);
    CHECK(!memcmp(&C.wait_id, &zone->now->id, sizeof(C.wait_id)));
    CHECK_EQ(server_ref_one(t, v, CATALOG_ZONE, &absent, "/zone", &found), 0);
    CHECK(!found);
    server_txn_abandon(t);
    CHECK_EQ(server_ref_wait(&C, zone), 0);
    catalog_unref(v);
}

static void what_is_being_removed_is_waited_for(void)
{
    struct catalog_slot *zone = still_first(S, CATALOG_ZONE), *found;
    struct catalog_object *v = aggregate();
    struct server_txn *removal = server_txn_begin(S, NULL), *t = begin();
    struct api_text ref = {API_VALUE, "default"};
    server_txn_remove(removal, zone);
    CHECK_EQ(server_ref_one(t, v, CATALOG_ZONE, &ref, "/zone", &found), SERVER_WAIT);
    CHECK_STR(ref.v, "default");
    server_txn_abandon(removal);
    CHECK_EQ(server_ref_one(t, v, CATALOG_ZONE, &ref, "/zone", &found), 0);
    server_txn_abandon(t);
    catalog_unref(v);
}

static void what_is_being_changed_can_be_referred_to(void)
{
    struct catalog_slot *zone = still_first(S, CATALOG_ZONE), *found;
    struct catalog_object *v = aggregate();
    struct server_txn *change = server_txn_begin(S, NULL), *t = begin();
    struct api_text ref = {API_VALUE, "default"};
    server_txn_put(change, zone, catalog_copy(zone->now), true);
    REQUIRE(!server_txn_commit(change, NULL, NULL));
    CHECK_EQ(server_ref_one(t, v, CATALOG_ZONE, &ref, "/zone", &found), 0);
    still_settle(S);
    server_txn_abandon(t);
    catalog_unref(v);
}

static void lists_hold_each_once_and_say_which_is_missing(void)
{
    const struct catalog_list *flavors = catalog_all(S->catalog, CATALOG_FLAVOR);
    REQUIRE(flavors->n >= 2);
    struct catalog_object *v = aggregate();
    struct server_txn *t = begin();
    const char *names[] = {flavors->slots[1]->now->name, flavors->slots[0]->now->id_text,
                           flavors->slots[0]->now->name, flavors->slots[1]->now->id_text};
    struct api_texts refs = {API_VALUE, 4, names};
    REQUIRE(!server_ref_list(t, v, CATALOG_FLAVOR, &refs, "/flavors"));
    REQUIRE(refs.n == 2);
    CHECK(server_ref_has(&refs, flavors->slots[0]->now));
    CHECK(server_ref_has(&refs, flavors->slots[1]->now));
    CHECK(!server_ref_has(&refs, still_first(S, CATALOG_ZONE)->now));
    CHECK_STR(names[0], flavors->slots[1]->now->name); /* the list that was given stays */
    const char *wrong[] = {flavors->slots[0]->now->name, "nothing"};
    struct api_texts bad = {API_VALUE, 2, wrong};
    CHECK(server_ref_list(t, v, CATALOG_FLAVOR, &bad, "/flavors") < 0);
    CHECK_EQ(C.refusal.code, API_PROBLEM_CODE_REFERENCE_NOT_FOUND);
    CHECK_STR(C.refusal.errors[0].pointer, "/flavors/1");
    server_txn_abandon(t);
    catalog_unref(v);
}

static void who_refers_is_named(void)
{
    const struct catalog_slot *project = still_first(S, CATALOG_PROJECT);
    server_txn_abandon(begin());
    CHECK(server_ref_unused(&C, project->now, CATALOG_USER, "default_project") < 0);
    CHECK_EQ(C.refusal.code, API_PROBLEM_CODE_RESOURCE_IN_USE);
    CHECK(strstr(C.refusal.detail, "user admin"));
    server_txn_abandon(begin());
    CHECK_EQ(server_ref_unused(&C, project->now, CATALOG_FLAVOR, "projects"), 0);
}

int main(void)
{
    S = still_create();
    TAP_RUN(a_name_becomes_an_id_and_what_it_names_is_kept);
    TAP_RUN(what_is_being_removed_is_waited_for);
    TAP_RUN(what_is_being_changed_can_be_referred_to);
    TAP_RUN(lists_hold_each_once_and_say_which_is_missing);
    TAP_RUN(who_refers_is_named);
    server_destroy(S);
    return tap_done();
}
