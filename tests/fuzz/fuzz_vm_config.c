/* The VM's JSON description: whatever the document, it is read or refused; what was read is
 * written, and that reads back. The same bytes are a disk, a NIC and a command line too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmmapi/vm_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_document(const char *text, size_t size)
{
    struct vm_config c, back;
    struct err err = {0};
    vm_config_init(&c);
    if (!vm_config_from_json(&c, text, size, &err) && !vm_config_finish(&c, &err)) {
        char *json = vm_config_to_json(&c);
        vm_config_init(&back);
        if (!json || vm_config_from_json(&back, json, strlen(json), &err) ||
            vm_config_finish(&back, &err))
            abort();
        vm_config_fini(&back);
        free(json);
    }
    vm_config_fini(&c);
}

static void read_flags(const char *text, size_t size)
{
    char line[1024], *argv[16];
    int argc = 0;
    struct vm_config c;
    struct err err = {0};
    size_t n = size < sizeof(line) ? size : sizeof(line) - 1;
    memcpy(line, text, n);
    line[n] = '\0';
    for (char *p = line; argc < 16 && p < line + n; p += strlen(p) + 1) {
        p[strcspn(p, "\n")] = '\0';
        if (!strncmp(p, "--config", 8)) /* would read files */
            return;
        argv[argc++] = p;
    }
    vm_config_init(&c);
    if (!vm_options_parse(&c, argc, argv, &err))
        vm_config_finish(&c, &err);
    vm_config_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct vm_config_disk disk;
    struct vm_config_nic nic;
    read_document(text, size);
    if (!vm_config_disk_from_json(&disk, text, size, NULL))
        vm_config_disk_fini(&disk);
    if (!vm_config_nic_from_json(&nic, text, size, NULL))
        vm_config_nic_fini(&nic);
    read_flags(text, size);
    return 0;
}
