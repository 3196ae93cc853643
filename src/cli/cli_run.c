#include "cli/cli_run.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/cli_relay.h"
#include "cli/cli_spawn.h"
#include "vmmapi/vm_options.h"

void cli_run_help(FILE *out)
{
    fputs("usage: virga run [FLAGS]\n\n"
          "Runs a VM in the foreground with its console on this terminal (Ctrl-A x ends it) and\n"
          "exits with the status that the guest chose. virga-vmm(8) explains the flags.\n\n"
          "  virga run --disk debian.img --net user --memory 1G\n"
          "  virga run --kernel vmlinuz --initrd initrd.img --append \"root=/dev/vda "
          "console=ttyS0\" \\\n            --disk debian.img --net user --memory 1G\n\nflags:\n",
          out);
    vm_options_print_help(out);
}

/* Reads the flags as the monitor will, so that what is wrong is said before anything starts. */
static int read_flags(struct vm_config *c, int argc, char **argv)
{
    struct err err = {0};
    vm_config_init(c);
    if (!vm_options_parse(c, argc, argv, &err) && !vm_config_finish(c, &err))
        return 0;
    fprintf(stderr, "virga run: %s\n", err.msg);
    return CLI_EXIT_USAGE;
}

static int start(const struct vm_config *c, char **argv, struct cli_relay_config *relay,
                 struct err *err)
{
    char path[4200];
    int pair[2] = {-1, -1};
    bool serial = c->console.kind == VM_CONFIG_CONSOLE_STDIO;
    bool virtio = c->virtio_console.kind == VM_CONFIG_CONSOLE_STDIO;
    int r = cli_spawn_find("virga-vmm", "VIRGA_VMM", path, sizeof(path), err);
    if (r)
        return r;
    relay->signal_fd = cli_relay_signals(err);
    if (relay->signal_fd < 0)
        return relay->signal_fd;
    if ((serial || virtio) && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return err_sys(err, errno, "could not make the console");
    r = cli_spawn(path, argv, serial ? pair[1] : -1, virtio ? pair[1] : -1, &relay->monitor, err);
    if (pair[1] >= 0)
        close(pair[1]);
    relay->console_fd = pair[0];
    relay->api_socket = virtio ? c->api_socket : NULL;
    return r;
}

int cli_run(int argc, char **argv)
{
    static struct vm_config config; /* too large for a stack; lives as long as the program */
    struct err err = {0};
    int status = read_flags(&config, argc - 1, argv + 1);
    struct cli_relay_config relay = {
        .console_fd = -1, .signal_fd = -1, .name = config.name, .monitor = -1};
    if (!status && start(&config, argv + 1, &relay, &err)) {
        fprintf(stderr, "virga run: %s\n", err.msg);
        status = CLI_EXIT_FAILED;
    }
    if (relay.monitor > 0)
        status = cli_relay_run(&relay);
    if (relay.console_fd >= 0)
        close(relay.console_fd);
    if (relay.signal_fd >= 0)
        close(relay.signal_fd);
    vm_config_fini(&config);
    return status;
}
