#include "mgmt/server/server_numbers.h"

#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "mgmt/store/store.h"

void server_numbers_fini(struct server_numbers *n)
{
    for (uint32_t i = 0; i < n->n; i++)
        free(n->texts[i]);
    free(n->texts);
    *n = (struct server_numbers){0};
}

uint32_t server_numbers_of(struct server_numbers *n, const char *text, uint32_t max, bool add)
{
    for (uint32_t i = 0; i < n->n; i++)
        if (!strcmp(n->texts[i], text))
            return i + 1;
    if (!add || n->n == max)
        return 0;
    if (n->n == n->room) {
        uint32_t room = n->room ? n->room * 2 : 16;
        char **texts = reallocarray(n->texts, room, sizeof(*texts));
        if (!texts)
            return 0;
        n->texts = texts;
        n->room = room;
    }
    n->texts[n->n] = strdup(text);
    return n->texts[n->n] ? ++n->n : 0;
}

uint32_t server_numbers_of_id(struct server_numbers *n, const struct store_id *id, uint32_t max,
                              bool add)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(id->bytes, text);
    return server_numbers_of(n, text, max, add);
}
