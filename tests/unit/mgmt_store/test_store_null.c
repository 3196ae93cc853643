/* The store in memory: the conformance suite, and what it fails on demand. */
#include "mgmt/store/null/store_null.h"

#include "store_suite.h"

static struct store *open_null(const struct store_config *config)
{
    return store_null_create(config, NULL);
}

static void fails_an_operation_and_its_group(void)
{
    SUITE_OPEN(s);
    store_null_fail(s, STORE_NULL_FAIL_OP, 2, 1);
    struct store_op ops[2] = {rig_add(1, "n", 1, -1), rig_row(STORE_EVENT, "e", "", 1)};
    CHECK_EQ(rig_run(s, ops, 2, NULL), -EAGAIN);
    suite_check_load(s, "");
    struct store_status st;
    store_status(s, &st);
    CHECK_EQ(st.failed, 1);
    CHECK_EQ(st.last.code, EAGAIN);
    CHECK_EQ(rig_run(s, ops, 2, NULL), 0);
    store_status(s, &st);
    CHECK_EQ(st.last.code, 0);
    suite_check_load(s, "1 counter 1.n=1\n");
    store_close(s);
}

static void fails_commits_as_often_as_told(void)
{
    SUITE_OPEN(s);
    store_null_fail(s, STORE_NULL_FAIL_COMMIT, 2, 2);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "a", "", 1)), 0);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "b", "", 1)), -EAGAIN);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "b", "", 1)), -EAGAIN);
    CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "c", "", 1)), 0);
    struct rig_text t = rig_rows(s, STORE_AUDIT_TRAIL);
    CHECK_EQ(t.n, 2);
    rig_text_free(&t);
    CHECK_EQ(store_audit_verify(s, NULL), 0);
    store_close(s);
}

static void finds_out_what_a_doubtful_commit_did(void)
{
    SUITE_OPEN(s);
    store_null_fail(s, STORE_NULL_DOUBT_DONE, 1, 3);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), 0);
    store_null_fail(s, STORE_NULL_DOUBT_UNDONE, 1, 3);
    CHECK_EQ(rig_one(s, rig_add(1, "n", 1, -1)), -EAGAIN);
    suite_check_load(s, "1 counter 1.n=1\n");
    store_close(s);
}

static void verifying_finds_an_altered_row(void)
{
    SUITE_OPEN(s);
    struct err err;
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(rig_one(s, rig_row(STORE_AUDIT, "vm.delete", "{\"vm\":1}", i)), 0);
    CHECK_EQ(store_audit_verify(s, &err), 0);
    CHECK_EQ(store_null_tamper(s, 1), 0);
    CHECK_EQ(store_audit_verify(s, &err), -EBADMSG);
    CHECK(strstr(err.msg, "link 2 does not match its rows"));
    store_close(s);
}

int main(void)
{
    suite_open = open_null;
    suite_run();
    TAP_RUN(fails_an_operation_and_its_group);
    TAP_RUN(fails_commits_as_often_as_told);
    TAP_RUN(finds_out_what_a_doubtful_commit_did);
    TAP_RUN(verifying_finds_an_altered_row);
    return tap_done();
}
