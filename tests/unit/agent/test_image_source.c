/* Content from folders and from a server in this process. */
#include "agent/image_source.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tap.h"
#include "web/web_server.h"

/* Of "content". */
#define SUM "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"

static char DIR_[40], FOLDER[64];
static const char *FOLDERS[2];
static struct web_loop *LOOP;
static struct web_server *SERVER;
static pthread_t THREAD;
static _Atomic unsigned percent;
static _Atomic bool stop;
static char PATH[IMAGE_SOURCE_PATH_BYTES], FETCHED[80];
static struct err err;

static const char *in_dir(const char *name)
{
    static char paths[16][120];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof(paths[0]), "%s/%s", DIR_, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static void set_up(void)
{
    char command[200];
    strcpy(DIR_, "/tmp/virga-test-XXXXXX");
    CHECK(mkdtemp(DIR_));
    snprintf(command, sizeof(command), "mkdir %s/images %s/imagesecret", DIR_, DIR_);
    CHECK_EQ(system(command), 0);
    snprintf(FOLDER, sizeof(FOLDER), "%s/images", DIR_);
    FOLDERS[0] = FOLDER;
    snprintf(FETCHED, sizeof(FETCHED), "%s/fetched", DIR_);
    put("images/a", "content");
    put("secret", "content");
    put("imagesecret/a", "content");
    CHECK_EQ(symlink(in_dir("secret"), in_dir("images/link")), 0);
    stop = false;
    err = (struct err){0};
    strcpy(PATH, "untouched");
}

static void tear_down(void)
{
    char command[80];
    snprintf(command, sizeof(command), "rm -rf %s", DIR_);
    CHECK_EQ(system(command), 0);
}

static int get(const char *path, const char *url, const char *sha256)
{
    const struct image_source_config c = {.folders = FOLDERS};
    const struct image_source s = {.path = path, .url = url, .sha256 = sha256};
    return image_source_get(&c, &s, FETCHED, PATH, &percent, &stop, &err);
}

static void a_file_of_a_folder_that_is_offered_is_taken_where_it_is(void)
{
    set_up();
    CHECK_EQ(get(in_dir("images/a"), NULL, SUM), 0);
    CHECK_STR(PATH, in_dir("images/a"));
    CHECK_EQ(get(in_dir("images/../images/a"), NULL, NULL), 0);
    tear_down();
}

static void no_other_file_is_however_it_is_named(void)
{
    set_up();
    const char *wrong[] = {in_dir("secret"), in_dir("images/../secret"), in_dir("images/link"),
                           in_dir("imagesecret/a"), "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        CHECK_EQ(get(wrong[i], NULL, NULL), -EPERM);
    CHECK_EQ(get(in_dir("images/none"), NULL, NULL), -ENOENT);
    CHECK_EQ(get("images/a", NULL, NULL), -EINVAL);
    FOLDERS[0] = NULL;
    CHECK_EQ(get(in_dir("images/a"), NULL, NULL), -EPERM);
    CHECK_STR(PATH, "untouched");
    tear_down();
}

static void content_with_another_checksum_is_refused(void)
{
    set_up();
    put("images/a", "contenT");
    CHECK_EQ(get(in_dir("images/a"), NULL, SUM), -EBADMSG);
    CHECK(strstr(err.msg, SUM) != NULL);
    CHECK_EQ(access(in_dir("images/a"), F_OK), 0); /* it is not ours to remove */
    tear_down();
}

/* ---- from a server ---- */

static void handle(void *ctx, struct web_request *r)
{
    (void)ctx;
    if (!strcmp(web_request_path(r), "/a"))
        web_reply(r, 200, "application/octet-stream", "content", 7);
    else if (!strcmp(web_request_path(r), "/moved")) {
        web_reply_header(r, "location", "/a");
        web_reply(r, 302, NULL, NULL, 0);
    } else if (!strcmp(web_request_path(r), "/file")) {
        web_reply_header(r, "location", "file:///etc/passwd");
        web_reply(r, 302, NULL, NULL, 0);
    } else {
        web_reply(r, 404, "text/plain", "none", 4);
    }
}

static void *run(void *arg)
{
    web_loop_run(arg);
    return NULL;
}

static const char *url(const char *path)
{
    static char text[4][80];
    static unsigned next;
    char *t = text[next++ % 4];
    snprintf(t, sizeof(text[0]), "http://127.0.0.1:%u%s", web_server_port(SERVER), path);
    return t;
}

static void a_url_is_fetched_and_checked(void)
{
    const struct web_config c = {
        .address = "127.0.0.1", .body_max_bytes = 100, .message_max_bytes = 100, .handle = handle};
    set_up();
    LOOP = web_loop_create(NULL);
    SERVER = web_server_create(LOOP, &c, NULL);
    REQUIRE(SERVER && !pthread_create(&THREAD, NULL, run, LOOP));
    unsetenv("http_proxy");
    CHECK_EQ(get(NULL, url("/a"), SUM), 0);
    CHECK_STR(PATH, FETCHED);
    CHECK_EQ(get(NULL, url("/moved"), SUM), 0);
    strcpy(PATH, "untouched");
    CHECK_EQ(get(NULL, url("/none"), NULL), -ECONNREFUSED);
    CHECK(strstr(err.msg, "404") != NULL);
    CHECK(get(NULL, url("/file"), NULL) < 0);
    CHECK(get(NULL, "file:///etc/passwd", NULL) < 0);
    char other[] = SUM;
    other[0] = '0';
    CHECK_EQ(get(NULL, url("/a"), other), -EBADMSG);
    CHECK(access(FETCHED, F_OK) < 0); /* nothing of it stays */
    stop = true;
    CHECK_EQ(get(NULL, url("/a"), SUM), -ECANCELED);
    CHECK_STR(PATH, "untouched");
    web_loop_stop(LOOP);
    pthread_join(THREAD, NULL);
    web_loop_destroy(LOOP);
    web_server_destroy(SERVER);
    tear_down();
}

int main(void)
{
    TAP_RUN(a_file_of_a_folder_that_is_offered_is_taken_where_it_is);
    TAP_RUN(no_other_file_is_however_it_is_named);
    TAP_RUN(content_with_another_checksum_is_refused);
    TAP_RUN(a_url_is_fetched_and_checked);
    return tap_done();
}
