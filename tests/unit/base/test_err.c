#include "base/err.h"

#include <errno.h>

#include "tap.h"

static void a_failure_carries_its_code_and_words(void)
{
    struct err e = {0};
    CHECK_EQ(err_set(&e, EINVAL, "size %d is odd", 3), -EINVAL);
    CHECK_EQ(e.code, EINVAL);
    CHECK_STR(e.msg, "size 3 is odd");
}

static void a_failed_system_call_is_explained(void)
{
    struct err e = {0};
    CHECK_EQ(err_sys(&e, ENOENT, "could not open '%s'", "/x"), -ENOENT);
    CHECK_STR(e.msg, "could not open '/x': No such file or directory");
}

static void context_goes_in_front(void)
{
    struct err e = {0};
    err_set(&e, EIO, "cause");
    CHECK_EQ(err_wrap(&e, "disk %d", 1), -EIO);
    CHECK_EQ(err_wrap(&e, "VM '%s'", "a"), -EIO);
    CHECK_STR(e.msg, "VM 'a': disk 1: cause");
}

static void nobody_need_listen(void)
{
    CHECK_EQ(err_set(NULL, EBUSY, "x"), -EBUSY);
    CHECK_EQ(err_sys(NULL, EBUSY, "x"), -EBUSY);
    CHECK_EQ(err_wrap(NULL, "x"), -EIO);
    struct err e = {0};
    CHECK_EQ(err_wrap(&e, "x"), -EIO);
    CHECK_STR(e.msg, "");
}

static void what_is_too_long_is_cut(void)
{
    struct err e = {0};
    char longest[2 * ERR_MSG_BYTES];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    err_set(&e, EIO, "%s", longest);
    CHECK_EQ(strlen(e.msg), ERR_MSG_BYTES - 1);
    CHECK_EQ(err_wrap(&e, "where"), -EIO);
    CHECK_EQ(strlen(e.msg), ERR_MSG_BYTES - 1);
    CHECK(!strncmp(e.msg, "where: aaa", 10));
    CHECK_EQ(err_wrap(&e, "%s", longest), -EIO);
    CHECK_EQ(strlen(e.msg), ERR_MSG_BYTES - 1);
    /* The reason of the system is kept, however long the words before it. */
    err_sys(&e, ENOENT, "%s", longest);
    CHECK(strstr(e.msg, ": No such file or directory"));
}

int main(void)
{
    TAP_RUN(a_failure_carries_its_code_and_words);
    TAP_RUN(a_failed_system_call_is_explained);
    TAP_RUN(context_goes_in_front);
    TAP_RUN(nobody_need_listen);
    TAP_RUN(what_is_too_long_is_cut);
    return tap_done();
}
