# fish completion for virga(1), virga-cloud(7) and virga-vmm(8)

complete -c virga -f -n __fish_use_subcommand -a run -d 'run a VM in the foreground'
complete -c virga -f -n __fish_use_subcommand -a help -d 'what a command does'
complete -c virga -f -n __fish_use_subcommand -a version -d 'the version'
complete -c virga -f -n '__fish_seen_subcommand_from help' -a run

# The cloud's commands know themselves what may stand where.
function __virga_cloud
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c virga -f -n 'not __fish_seen_subcommand_from run help version' -a '(__virga_cloud)'

function __virga_flag
    complete -c virga-vmm $argv
    complete -c virga -n '__fish_seen_subcommand_from run' $argv
end

__virga_flag -l config -r -F -d 'read the JSON description first'
__virga_flag -l name -x -d 'the name in logs and the API'
__virga_flag -l uuid -x -d 'the identity'
__virga_flag -l kernel -r -F -d 'the kernel to boot'
__virga_flag -l initrd -r -F -d 'the initial RAM disk'
__virga_flag -l append -x -d 'the command line of the kernel'
__virga_flag -l disk -r -F -d 'a disk'
__virga_flag -l net -x -a 'user tap: vhost-user: none' -d 'a NIC'
__virga_flag -l cpus -x -d 'number of vCPUs'
__virga_flag -l pin -x -d 'host CPU of each vCPU'
__virga_flag -l cpu-model -x -d 'named CPUID template'
__virga_flag -l memory -x -a '128M 256M 512M 1G 2G 4G' -d 'guest RAM'
__virga_flag -l engine -x -a 'auto kvm soft' -d 'what executes guest code'
__virga_flag -l console -x -a 'stdio pty file: unix: none' -d 'where ttyS0 goes'
__virga_flag -l virtio-console -x -a 'stdio pty file: unix: none' -d 'adds hvc0'
__virga_flag -l share -x -a '(__fish_complete_directories)' -d 'a host directory'
__virga_flag -l vsock -x -d 'virtio-vsock'
__virga_flag -l rng -x -a 'on off' -d virtio-rng
__virga_flag -l balloon -x -a 'on off' -d virtio-balloon
__virga_flag -l api -r -F -d 'serve the API on this socket'
__virga_flag -l gdb -r -F -d 'serve gdb on this socket'
__virga_flag -l load -r -F -d 'go on with a saved VM'
__virga_flag -l paused -d 'wait for PUT /v1/vm/boot'
__virga_flag -l sandbox -x -a 'auto require off' -d 'how much protection must be had'
__virga_flag -l log -x -a 'error warn info debug' -d 'how much is logged'
__virga_flag -l debug-exit -d 'port 0x501 ends the VM'
__virga_flag -l no-reboot -d 'a reset by the guest ends the VM'
__virga_flag -l qtest -r -F -d 'serve the qtest protocol'
__virga_flag -l help -d 'what there is'

functions -e __virga_flag
