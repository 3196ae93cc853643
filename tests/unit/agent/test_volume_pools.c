/* Two pools of the null driver as one; and the drivers of networks as one. */
#include "agent/volume_pools.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "agent/network_kinds.h"
#include "agent/network_null.h"
#include "agent/volume_null.h"
#include "base/util.h"
#include "tap.h"

static const uint8_t A[16] = {1}, B[16] = {2}, IMAGE[16] = {3};

static struct volume_driver *pools, *fast, *big;

static void set_up(void)
{
    pools = volume_pools_open(NULL);
    fast = volume_null_open(NULL);
    big = volume_null_open(NULL);
    CHECK_EQ(volume_pools_add(pools, "fast", fast, NULL), 0);
    CHECK_EQ(volume_pools_add(pools, "big", big, NULL), 0);
}

static struct volume_spec spec(const uint8_t id[16], const char *pool)
{
    struct volume_spec s = {.size_bytes = MIB};
    memcpy(s.id, id, 16);
    strcpy(s.pool, pool);
    return s;
}

static bool note(void *opaque, const struct volume_info *info)
{
    char *names = opaque;
    strcat(names, info->pool);
    strcat(names, " ");
    return true;
}

static void a_volume_is_made_where_it_belongs_and_found_wherever_it_is(void)
{
    struct volume_info info;
    char names[64] = "";
    set_up();
    struct volume_spec a = spec(A, ""), b = spec(B, "big"), c = spec(B, "none");
    CHECK_EQ(pools->ops->create(pools, &a, NULL), 0);
    CHECK_EQ(pools->ops->create(pools, &b, NULL), 0);
    CHECK_EQ(pools->ops->create(pools, &c, NULL), -ENOENT);
    CHECK_EQ(fast->ops->info(fast, VOLUME_VOLUME, A, &info, NULL), 0);
    CHECK_EQ(big->ops->info(big, VOLUME_VOLUME, B, &info, NULL), 0);
    REQUIRE(!pools->ops->info(pools, VOLUME_VOLUME, B, &info, NULL));
    CHECK_STR(info.pool, "big");
    CHECK_EQ(pools->ops->info(pools, VOLUME_IMAGE, B, &info, NULL), -ENOENT);
    CHECK_EQ(pools->ops->list(pools, note, names, NULL), 0);
    CHECK_STR(names, "fast big ");
    struct err err = {0};
    CHECK_EQ(pools->ops->grow(pools, B, 2 * MIB, &err), 0);
    CHECK_EQ(err.code, 0); /* though the first pool has no such volume */
    CHECK_EQ(big->ops->info(big, VOLUME_VOLUME, B, &info, NULL), 0);
    CHECK_EQ(info.size_bytes, 2 * MIB);
    CHECK_EQ(pools->ops->snapshot(pools, B, IMAGE, NULL), 0);
    CHECK_EQ(big->ops->info(big, VOLUME_SNAPSHOT, IMAGE, &info, NULL), 0);
    CHECK_EQ(pools->ops->remove(pools, VOLUME_VOLUME, B, NULL), 0);
    CHECK_EQ(pools->ops->info(pools, VOLUME_VOLUME, B, &info, NULL), -ENOENT);
    pools->ops->close(pools);
}

static void a_name_is_taken_once_and_an_unknown_one_is_refused(void)
{
    struct err err = {0};
    set_up();
    CHECK_EQ(volume_pools_add(pools, "big", volume_null_open(NULL), &err), -EEXIST);
    CHECK_EQ(volume_pools_add(pools, "", volume_null_open(NULL), &err), -ENAMETOOLONG);
    CHECK(volume_pools_find(pools, "big", NULL) == big);
    CHECK(volume_pools_find(pools, NULL, NULL) == fast);
    CHECK(!volume_pools_find(pools, "slow", &err));
    CHECK(strstr(err.msg, "slow") != NULL);
    pools->ops->close(pools);
}

static bool count(void *opaque, const uint8_t id[16])
{
    (void)id;
    ++*(unsigned *)opaque;
    return true;
}

static unsigned ports(struct network_driver *d)
{
    unsigned n = 0;
    d->ops->list(d, count, &n, NULL);
    return n;
}

static void a_port_is_plugged_by_the_driver_that_it_needs(void)
{
    static const char *const OFFERED[] = {"br0", NULL};
    struct network_driver *user = network_null_open(NULL), *bridge = network_null_open(NULL);
    struct network_driver *both = network_kinds_open(user, bridge, OFFERED, NULL);
    struct network_port a = {.id = {1}}, b = {.id = {2}, .bridge = "br0"};
    struct vm_config_nic nic;
    struct err err = {0};
    CHECK_EQ(both->ops->plug(both, &a, &nic, NULL), 0);
    CHECK_EQ(both->ops->plug(both, &b, &nic, NULL), 0);
    CHECK_EQ(ports(user), 1);
    CHECK_EQ(ports(bridge), 1);
    CHECK_EQ(ports(both), 2);
    strcpy(b.bridge, "br1");
    CHECK_EQ(both->ops->plug(both, &b, &nic, &err), -EPERM);
    CHECK_EQ(both->ops->unplug(both, b.id, NULL), 0);
    CHECK_EQ(both->ops->unplug(both, a.id, NULL), 0);
    CHECK_EQ(ports(both), 0);
    both->ops->close(both);
    both = network_kinds_open(network_null_open(NULL), NULL, NULL, NULL);
    CHECK_EQ(both->ops->plug(both, &b, &nic, &err), -ENOTSUP);
    both->ops->close(both);
}

/* ---- threads ---- */

struct slow {
    struct volume_driver driver;
    _Atomic int inside;
    _Atomic bool overlapped;
};

static int slow_create(struct volume_driver *d, const struct volume_spec *s, struct err *err)
{
    struct slow *slow = container_of(d, struct slow, driver);
    (void)s, (void)err;
    if (++slow->inside > 1)
        slow->overlapped = true;
    for (unsigned i = 0; i < 200; i++)
        sched_yield();
    slow->inside--;
    return 0;
}

static int slow_remove(struct volume_driver *d, enum volume_kind kind, const uint8_t id[16],
                       struct err *err)
{
    (void)kind, (void)id;
    return slow_create(d, NULL, err);
}

static void slow_close(struct volume_driver *d)
{
    (void)d;
}

static void *use_slow(void *arg)
{
    struct volume_spec s = spec(*(int *)arg ? A : B, "");
    s.from_source = true;
    memcpy(s.source, IMAGE, 16);
    for (unsigned i = 0; i < 20; i++) {
        pools->ops->create(pools, &s, NULL);
        pools->ops->remove(pools, VOLUME_IMAGE, IMAGE, NULL);
    }
    return NULL;
}

/* Two threads for each of two volumes, which are made of one image that goes. */
static void what_is_in_one_hand_waits_for_it(void)
{
    static const struct volume_driver_ops ops = {
        .create = slow_create, .remove = slow_remove, .close = slow_close};
    static int which[4] = {0, 1, 0, 1};
    struct slow slow = {.driver = {&ops}};
    pthread_t threads[4];
    pools = volume_pools_open(NULL);
    CHECK_EQ(volume_pools_add(pools, "slow", &slow.driver, NULL), 0);
    for (unsigned i = 0; i < 4; i++)
        REQUIRE(!pthread_create(&threads[i], NULL, use_slow, &which[i]));
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(!slow.overlapped);
    pools->ops->close(pools);
}

int main(void)
{
    TAP_RUN(a_volume_is_made_where_it_belongs_and_found_wherever_it_is);
    TAP_RUN(a_name_is_taken_once_and_an_unknown_one_is_refused);
    TAP_RUN(a_port_is_plugged_by_the_driver_that_it_needs);
    TAP_RUN(what_is_in_one_hand_waits_for_it);
    return tap_done();
}
