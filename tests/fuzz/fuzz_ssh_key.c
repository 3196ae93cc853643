/* A line that may be a public key for SSH. */
#include "pki/pki_ssh.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pki_ssh_key key;
    char *line = malloc(size + 1);
    if (!line)
        return 0;
    memcpy(line, data, size);
    line[size] = 0;
    if (!pki_ssh_read(line, &key, NULL) && strlen(key.fingerprint) != PKI_SSH_FINGERPRINT_BYTES - 1)
        abort();
    free(line);
    return 0;
}
