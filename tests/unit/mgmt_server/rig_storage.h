/* A rig with one host that has a pool, and a user who makes what lies there. */
#ifndef TESTS_UNIT_MGMT_SERVER_RIG_STORAGE_H
#define TESTS_UNIT_MGMT_SERVER_RIG_STORAGE_H

#include "rig.h"

static struct rig rig;
static struct store_id host;
static char operation[64]; /* that the last request began */

static inline void begin(void)
{
    rig_init(&rig);
    rig_host(&rig, &host, 100);
}

/* What the last answer began. */
static inline void keep_operation(void)
{
    snprintf(operation, sizeof(operation), "%s", rig_value(&rig, "id"));
}

static inline struct store_id create(const char *path, const char *json)
{
    struct store_id id = {{0}};
    CHECK_EQ(rig_ask(&rig, "POST", path, json), 202);
    keep_operation();
    rig_id(rig_value(&rig, "resource"), &id);
    return id;
}

static inline int remove_it(const char *path)
{
    rig_ask(&rig, "DELETE", path, NULL);
    keep_operation();
    return rig.status;
}

static inline void until(const char *path, const char *state)
{
    for (int i = 0; i < 5000 && strcmp(rig_state(&rig, path), state) != 0; i++)
        usleep(1000);
    CHECK_STR(rig_value(&rig, "state"), state);
}

#endif
