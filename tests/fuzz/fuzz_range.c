/* Headers of ranges: what is accepted is consistent, and what is refused sets nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/server/server_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t first = -7, last = -7, total = -7;
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    if (server_range_content(text, &first, &last, &total)) {
        if (first != -7 || last != -7 || total != -7)
            abort();
    } else if (first < 0 || last < first || last >= SERVER_RANGE_MAX ||
               (total != -7 && total <= last)) {
        abort();
    }
    first = last = -7;
    if (server_range_wanted(text, &first, &last)) {
        if (first != -7 || last != -7)
            abort();
    } else if (first < 0 || (last != -1 && last < first)) {
        abort();
    }
    free(text);
    return 0;
}
