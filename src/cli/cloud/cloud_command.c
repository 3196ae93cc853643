#include "cli/cloud/cloud_command.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "cli/cloud/cloud_flag.h"
#include "cli/cloud/cloud_help.h"
#include "cli/cloud/cloud_run.h"

#define BIT CLOUD_FLAG_BIT

/* Operations that are called otherwise, ask first, or do more than their call. A NULL noun hides:
 * something else makes the call. */
static const struct {
    enum api_op op;
    const char *noun, *verb;
    unsigned flags, common;
    int (*run)(struct cloud_run *r);
} changed[] = {
    {API_OP_VM_CONSOLE, "vm", "console", 0, 0, cloud_run_console},
    {API_OP_VM_CONSOLE_LOG, "vm", "log", 0, 0, cloud_run_console_log},
    {API_OP_VM_REBUILD, "vm", "rebuild", CLOUD_COMMAND_ASK, BIT(CLOUD_YES), NULL},
    {API_OP_VOLUME_RESTORE, "volume", "restore", CLOUD_COMMAND_ASK, BIT(CLOUD_YES), NULL},
    {API_OP_HOST_FENCE, "host", "fence", CLOUD_COMMAND_ASK, BIT(CLOUD_YES), NULL},
    {API_OP_USER_SET_PASSWORD, "user", "password", 0, 0, NULL},
    {API_OP_QUOTA_GET, "quota", "show", CLOUD_COMMAND_PROJECT_WORD, 0, NULL},
    {API_OP_IMAGE_UPLOAD, "image", "upload", 0, 0, cloud_run_image_upload},
    {API_OP_OPERATION_WAIT, "operation", "wait", 0, BIT(CLOUD_TIMEOUT), cloud_run_operation_wait},
    {API_OP_EVENT_LIST, "event", "ls", 0, 0, cloud_run_event_list},
    {API_OP_EVENT_STREAM, NULL, NULL, 0, 0, NULL},
    {API_OP_SESSION_CREATE, NULL, NULL, 0, 0, NULL},
    {API_OP_SESSION_DELETE, NULL, NULL, 0, 0, NULL},
    {API_OP_TICKET_CREATE, NULL, NULL, 0, 0, NULL},
    {API_OP_WHOAMI_GET, "whoami", NULL, 0, 0, NULL},
    {API_OP_VERSION_GET, "server", "version", 0, 0, NULL},
    {API_OP_HEALTH_GET, "server", "health", 0, 0, NULL},
    {API_OP_OPENAPI_GET, "server", "openapi", 0, 0, NULL},
};

static const struct cloud_command more[] = {
    {"up", NULL, "Turn this machine into a cloud, or see to it that it is one",
     "Starts the server and an agent in the background, signs in (profile local), makes a network. "
     "What is done already is left as it is.",
     API_OPS, CLOUD_FLAG_ALWAYS | BIT(CLOUD_STATE) | BIT(CLOUD_PORT), CLOUD_COMMAND_LOCAL, "",
     cloud_run_up},
    {"down", NULL, "End the cloud's server and agent on this machine",
     "VMs that run go on; virga up takes them up again. Nothing is lost.", API_OPS,
     CLOUD_FLAG_ALWAYS | BIT(CLOUD_STATE), CLOUD_COMMAND_LOCAL, "", cloud_run_down},
    {"login", NULL, "Sign in to a server and keep the session in a profile",
     "The password is asked for on the terminal. Without a URL the profile's server is meant.",
     API_OPS,
     CLOUD_FLAG_ALWAYS | BIT(CLOUD_USER) | BIT(CLOUD_PASSWORD_STDIN) | BIT(CLOUD_CA_FILE) |
         BIT(CLOUD_FINGERPRINT) | BIT(CLOUD_PROJECT),
     CLOUD_COMMAND_LOCAL, "[URL]", cloud_run_login},
    {"logout", NULL, "Sign out and forget the session", "", API_OPS, CLOUD_FLAG_ALWAYS, 0, "",
     cloud_run_logout},
    {"profile", "ls", "List the profiles", "", API_OPS, CLOUD_FLAG_ALWAYS, CLOUD_COMMAND_LOCAL, "",
     cloud_run_profile_ls},
    {"profile", "use", "Use a profile from now on", "", API_OPS, CLOUD_FLAG_ALWAYS,
     CLOUD_COMMAND_LOCAL, "NAME", cloud_run_profile_use},
    {"profile", "set", "Change a profile's project or certificates", "", API_OPS,
     CLOUD_FLAG_ALWAYS | BIT(CLOUD_PROJECT) | BIT(CLOUD_CA_FILE), CLOUD_COMMAND_LOCAL, "[NAME]",
     cloud_run_profile_set},
    {"profile", "rm", "Forget a profile", "", API_OPS, CLOUD_FLAG_ALWAYS, CLOUD_COMMAND_LOCAL,
     "NAME", cloud_run_profile_rm},
    {"image", "import", "Make an image from a file here, a URL, or Debian's archive",
     "SOURCE is a file, http(s)://..., or debian:SUITE, which the server builds.",
     API_OP_IMAGE_CREATE, 0, 0, "NAME SOURCE", cloud_run_image_import},
    {"event", "watch", "Show events as they happen",
     "Goes on where it was when the connection is lost; ends with Ctrl-C, or after --limit events.",
     API_OP_EVENT_LIST, 0, 0, "", cloud_run_event_watch},
    {"vm", "ssh", "Open a shell in a VM by SSH",
     "Becomes ssh(1) to the VM's address, or to the port of its host that is forwarded to the "
     "guest's port 22; what stands behind -- is for ssh. Host keys are known by the VM, not by "
     "the address, and taken when the VM is first seen.",
     API_OPS, CLOUD_FLAG_ALWAYS | BIT(CLOUD_PROJECT) | BIT(CLOUD_USER) | BIT(CLOUD_IDENTITY), 0,
     "VM [-- ARGUMENTS]", cloud_run_ssh},
    {"api", NULL, "Call the API by hand",
     "The path begins with /v1/; a body is taken from --from. The answer is printed as it came.",
     API_OPS, CLOUD_FLAG_ALWAYS | BIT(CLOUD_FROM) | BIT(CLOUD_PROJECT) | BIT(CLOUD_IF_MATCH), 0,
     "METHOD PATH", cloud_run_api},
};

/* In the order of help. Those that the API has and this table has not come behind. */
static const struct cloud_noun nouns[] = {
    {"vm", "Virtual machines", "name,flavor,status.state,status.addresses.ip,zone,created_at"},
    {"image", "Images: what disks are made from",
     "name,os,visibility,status.state,status.virtual_size_bytes,created_at"},
    {"flavor", "Sizes of VMs", "name,vcpus,memory_mib,disk_gib,cpu_policy,enabled"},
    {"keypair", "Keys for SSH into guests", "name,fingerprint,created_at"},
    {"volume", "Disks that outlive VMs", "name,size_gib,pool,status.state,status.vm,created_at"},
    {"snapshot", "Volumes as they were", "name,volume,status.state,status.size_gib,created_at"},
    {"pool", "Where volumes lie",
     "name,kind,location,status.state,status.size_gib,status.used_gib,enabled"},
    {"network", "Networks", "name,kind,shared,status.state,status.ports"},
    {"subnet", "Addresses of networks", "name,network,cidr,gateway,dhcp,status.used"},
    {"port", "Where NICs are plugged in",
     "name,network,status.mac,status.addresses,status.state,status.vm"},
    {"security-group", "Rules of what is let through", "name,description,status.ports"},
    {"floating-ip", "Addresses outside that lead to ports", "id,status.ip,port,status.state"},
    {"server-group", "VMs that belong together or apart",
     "name,policy,by,strength,status.violations"},
    {"reservation", "Room that is kept", "name,flavor,count,zone,status.state,status.used,ends_at"},
    {"zone", "Hosts that fail together", "name,enabled,default,status.hosts,status.hosts_up"},
    {"host", "Machines that run VMs",
     "name,zone,mode,status.state,status.cpus,status.claimed_vcpus,status.memory_mib,"
     "status.claimed_memory_mib,status.vms"},
    {"host-join-token", "Lets hosts join", "name,zone,uses,max_uses,expires_at"},
    {"aggregate", "Hosts with something in common", "name,zone,hosts,traits,dedicated_to"},
    {"project", "Tenants", "name,enabled,description,created_at"},
    {"user", "Who signs in", "name,email,enabled,default_project,last_login_at"},
    {"role", "Who may do what", "id,user,role,on_project"},
    {"token", "Secrets for programs", "name,scopes,expires_at,last_used_at"},
    {"quota", "What a project may hold", "limits,used"},
    {"quota-defaults", "The limits of new projects", "vms,vcpus"},
    {"usage", "What was used", "meter,resource_name,quantity,unit,begin,end"},
    {"operation", "Work that takes a while",
     "id,kind,state,progress_percent,resource_kind,resource,created_at"},
    {"event", "What happened", "id,time,type,subject"},
    {"audit", "Who did what", "number,time,principal_name,operation,resource,outcome,status"},
    {"settings", "How the cloud is set", "cloud_name,placement_policy"},
    {"server", "What the server is", "version"},
    {"backup", "Copies of the store", "path,size_bytes,seq,created_at"},
    {"profile", "Servers and sessions that this program knows", "name,current,url,user,project"},
    {"up", "Turn this machine into a cloud", ""},
    {"down", "End the cloud on this machine", ""},
    {"login", "Sign in", ""},
    {"logout", "Sign out", ""},
    {"whoami", "Who is signed in", ""},
    {"api", "Call the API by hand", ""},
};

static bool of_operation(enum api_op op, struct cloud_command *out)
{
    const struct api_route *route = &api_route_table[op];
    const struct cloud_help_op *help = &cloud_help_ops[op];
    *out = (struct cloud_command){.noun = help->noun,
                                  .verb = help->verb,
                                  .summary = help->summary,
                                  .description = help->description,
                                  .op = op,
                                  .common = cloud_flag_set_of(route)};
    if (route->method == API_METHOD_DELETE)
        out->flags = CLOUD_COMMAND_ASK;
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        if (changed[i].op != op)
            continue;
        out->noun = changed[i].noun;
        out->verb = changed[i].verb;
        out->flags |= changed[i].flags;
        out->common |= changed[i].common;
        out->run = changed[i].run;
    }
    return out->noun;
}

bool cloud_command_next(unsigned *cursor, struct cloud_command *out)
{
    while (*cursor < API_OPS)
        if (of_operation((enum api_op)(*cursor)++, out))
            return true;
    if (*cursor >= API_OPS + ARRAY_LEN(more))
        return false;
    *out = more[(*cursor)++ - API_OPS];
    if (!out->common)
        out->common = cloud_flag_set_of(&api_route_table[out->op]);
    if (out->run == cloud_run_event_watch)
        out->common |= BIT(CLOUD_LIMIT);
    if (out->run == cloud_run_image_import)
        out->common |= BIT(CLOUD_WAIT) | BIT(CLOUD_TIMEOUT);
    return true;
}

int cloud_command_find(const char *noun, const char *verb, struct cloud_command *out)
{
    unsigned cursor = 0;
    while (cloud_command_next(&cursor, out))
        if (!strcmp(noun, out->noun) && (out->verb && verb ? !strcmp(verb, out->verb) : !out->verb))
            return 0;
    return -ENOENT;
}

struct cloud_noun cloud_command_noun(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
        if (!strcmp(nouns[i].name, name))
            return nouns[i];
    return (struct cloud_noun){name, "", "name,id,status.state,created_at"};
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
        if (!strcmp(nouns[i].name, name))
            return true;
    return false;
}

const char *cloud_command_noun_name(unsigned i)
{
    struct cloud_command c;
    const char *before = "";
    unsigned cursor = 0;
    if (i < ARRAY_LEN(nouns))
        return nouns[i].name;
    i -= ARRAY_LEN(nouns);
    /* Operations of a noun lie together in the table. */
    while (cloud_command_next(&cursor, &c)) {
        if (is_known(c.noun) || !strcmp(c.noun, before))
            continue;
        before = c.noun;
        if (!i--)
            return c.noun;
    }
    return NULL;
}
