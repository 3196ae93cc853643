/* A main() for a fuzz target built without libFuzzer: gives it every file of the directories and
 * files named on the command line, one TAP result each. A finding is a crash, which the file's
 * name on the last line of output explains. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional in a target; libFuzzer calls it once. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int replayed, failed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX_BYTES);
    replayed++;
    if (!f || !data) {
        printf("not ok %d - %s cannot be read\n", replayed, path);
        failed++;
    } else {
        printf("# %s\n", path);
        fflush(stdout);
        size_t size = fread(data, 1, INPUT_MAX_BYTES, f);
        /* An exact copy, so that a read past the end is a read past the allocation. */
        uint8_t *exact = malloc(size ? size : 1);
        if (exact) {
            memcpy(exact, data, size);
            LLVMFuzzerTestOneInput(exact, size);
            free(exact);
        }
        const char *slash = strrchr(path, '/');
        printf("ok %d - survives %s\n", replayed, slash ? slash + 1 : path);
    }
    free(data);
    if (f)
        fclose(f);
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_path(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return;
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, alphasort);
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        replay_file(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        replay_path(argv[i]);
    if (replayed)
        printf("1..%d\n", replayed);
    else
        printf("1..0 # SKIP no seeds in the corpus\n");
    return failed != 0;
}
