/* virga-agent: one per host of a cloud. What it keeps and drives is in src/agent; this names the
 * drivers and reads the flags. */
#include <curl/curl.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/huge_pages.h"
#include "cmd/virga-agent/agent.h"

int main(int argc, char **argv)
{
    static struct agent_options o;
    struct err err = {0};
    int ret = agent_options_parse(&o, argc, argv, &err);
    if (ret == 1)
        return 0;
    bool misused = ret;
    if (!ret && o.simulate)
        huge_pages_restart(argv);
    if (!ret)
        ret = fault_setup_from_env(&err);
    if (!ret) {
        log_setup(2, o.log, NULL);
        curl_global_init(CURL_GLOBAL_DEFAULT);
        ret = o.joins      ? agent_join(&o, &err)
              : o.simulate ? agent_simulate(&o, &err)
                           : agent_service(&o, &err);
        curl_global_cleanup();
    }
    if (ret)
        fprintf(stderr, "virga-agent: %s\n", err.msg);
    return misused ? 2 : ret ? 1 : 0;
}
