/* `virga-agent join`. */
#include <stdio.h>
#include <unistd.h>

#include "agent/host_join.h"
#include "base/uuid.h"
#include "cmd/virga-agent/agent.h"

int agent_join(const struct agent_options *o, struct err *err)
{
    char own[64] = "", text[UUID_TEXT_BYTES];
    uint8_t id[16];
    if (!o->name && gethostname(own, sizeof(own) - 1))
        own[0] = 0;
    const struct host_join_request r = {.server = o->server,
                                        .secret = o->secret,
                                        .name = o->name ? o->name : own,
                                        .authority_path = o->authority,
                                        .state_dir = o->state_dir};
    int ret = host_join(&r, id, err);
    if (ret)
        return ret;
    uuid_format(id, text);
    printf("joined %s as host %s (%s)\n", o->server, r.name, text);
    return 0;
}
