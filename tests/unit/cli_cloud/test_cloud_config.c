/* The file of profiles. */
#include "cli/cloud/cloud_config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char dir[] = "/tmp/virga-config-XXXXXX";
static char path[200];

static void use_folder(void)
{
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("VIRGA_PROFILE");
    snprintf(path, sizeof(path), "%s/a/b/config.json", dir);
    setenv("VIRGA_CONFIG", path, 1);
}

static void the_file_is_where_the_environment_says(void)
{
    char out[CLOUD_CONFIG_PATH_BYTES];
    struct err err = {0};
    use_folder();
    CHECK_EQ(cloud_config_path(out, &err), 0);
    CHECK_STR(out, path);
    unsetenv("VIRGA_CONFIG");
    setenv("HOME", "/home/x", 1);
    CHECK_EQ(cloud_config_path(out, &err), 0);
    CHECK_STR(out, "/home/x/.config/virga/config.json");
    setenv("XDG_CONFIG_HOME", "/c", 1);
    CHECK_EQ(cloud_config_path(out, &err), 0);
    CHECK_STR(out, "/c/virga/config.json");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("HOME");
    CHECK(cloud_config_path(out, &err) < 0);
    CHECK(strstr(err.msg, "HOME"));
}

static void what_is_written_is_read_and_is_the_owners_alone(void)
{
    json_t *config = NULL, *back = NULL;
    const char *name;
    struct err err = {0};
    struct stat st;
    use_folder();
    CHECK_EQ(cloud_config_read(&config, &err), 0); /* there is none yet */
    CHECK(!cloud_config_profile(config, NULL, 0, &name));
    json_t *p = cloud_config_profile(config, "x", 1, &name);
    json_object_set_new(p, "token", json_string("t"));
    umask(0);
    CHECK_EQ(cloud_config_write(config, &err), 0);
    CHECK_EQ(cloud_config_write(config, &err), 0); /* over what is there */
    REQUIRE(!stat(path, &st));
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(cloud_config_read(&back, &err), 0);
    CHECK(json_equal(config, back));
    json_decref(config);
    json_decref(back);
}

static void one_that_others_can_read_is_refused(void)
{
    json_t *config = NULL;
    struct err err = {0};
    use_folder();
    REQUIRE(!chmod(path, 0640));
    CHECK(cloud_config_read(&config, &err) < 0);
    CHECK(strstr(err.msg, "chmod 600"));
    CHECK(!chmod(path, 0600));
    CHECK_EQ(cloud_config_read(&config, &err), 0);
    json_decref(config);
}

static void profiles_are_found_by_name_environment_and_choice(void)
{
    const char *name;
    json_t *config =
        json_loads("{\"current\":\"b\",\"profiles\":{\"a\":{\"u\":1},\"b\":{\"u\":2}}}", 0, NULL);
    use_folder();
    CHECK(cloud_config_profile(config, "a", 0, &name));
    CHECK_STR(name, "a");
    CHECK(cloud_config_profile(config, NULL, 0, &name));
    CHECK_STR(name, "b");
    setenv("VIRGA_PROFILE", "a", 1);
    CHECK(cloud_config_profile(config, NULL, 0, &name));
    CHECK_STR(name, "a");
    CHECK(!cloud_config_profile(config, "c", 0, &name));
    json_decref(config);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    TAP_RUN(the_file_is_where_the_environment_says);
    TAP_RUN(what_is_written_is_read_and_is_the_owners_alone);
    TAP_RUN(one_that_others_can_read_is_refused);
    TAP_RUN(profiles_are_found_by_name_environment_and_choice);
    char command[300];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command) ? 1 : tap_done();
}
