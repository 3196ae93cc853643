#!/usr/bin/env python3
"""A stock Debian with cloud-init and one of our seed disks: it becomes what the seed says, with no hand work.

For the software engine, on this machine; VIRGA_LONG=1, as a first boot takes a minute or two.
"""
import os
import subprocess
import tempfile

from virgatest import DISK, VM, case, check_eq, main, program, skip

TOP = os.environ["VIRGA_TOP"]
MAC, KEY = "52:54:00:aa:00:01", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakedKeyOfATest0000000000000000000000000 tester@example"

# What the guest tells on its console, each line between marks: first thing of the user data, then at the end of the boot.
TELL = r"""
tell() { echo "told $1: $(shift; "$@" 2>&1 | tr '\n' '|')"; }
{
    tell hostname hostname
    tell fqdn hostname -f
    tell written cat /root/said
    tell keys cat /home/debian/.ssh/authorized_keys
    tell address ip -br -4 addr show dev eth0
    tell mtu cat /sys/class/net/eth0/mtu
    tell mac cat /sys/class/net/eth0/address
    tell route ip -4 route show default
    tell dns resolvectl dns eth0
    tell domain resolvectl domain eth0
    tell instance cat /var/lib/cloud/data/instance-id
    tell sudo su debian -c 'sudo -n id -un'
    tell names sh -c 'mount -o ro /dev/vdb /mnt && ls /mnt && umount /mnt'
    tell errors sh -c "cloud-init status --long | grep -A9 '^status: error'"
    echo "told all"
} >/dev/ttyS0 2>&1
"""
USER_DATA = """#cloud-config
write_files:
  - path: /root/said
    content: from user data
  - path: /root/tell
    content: |
%s
runcmd:
  - [sh, /root/tell]
"""


def boots(disk, seed, timeout):
    """What a boot tells, {word: text}."""
    with VM(kernel=DISK, disks=[disk, f"{seed},readonly"], nets=[f"user,mac={MAC}"], memory="512M") as vm:
        vm.expect("^told all$", timeout)
        told = dict(line[5:].split(": ", 1) for line in vm.text.split("\n") if line.startswith("told ") and ": " in line)
        return {k: v.strip("|").split("|") for k, v in told.items()}


@case
def debian_becomes_what_its_seed_says():
    if os.environ.get("VIRGA_RIG"):
        skip("for the software engine: the rig has no room for the image")
    if not os.environ.get("VIRGA_LONG"):
        skip("a first boot takes a minute or two: ./check --long")
    if os.getuid():
        skip("making the image needs root")
    made = subprocess.run([os.path.join(TOP, "tools/image/build"), "debian-cloud"], stdout=subprocess.PIPE, text=True, check=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        with open(f"{tmp}/user", "w", encoding="utf-8") as f:
            f.write(USER_DATA % "".join(f"      {line}\n" for line in TELL.strip("\n").split("\n")))
        subprocess.run([program("tests/func/seed-make"), f"{tmp}/seed", "id=vm-1", "host=web-7.virga.example", f"key={KEY}",
                        f"user={tmp}/user", f"mac={MAC}", "address=10.88.0.5/24", "gateway4=10.88.0.1", "dns=10.88.0.53",
                        "search=virga.example", "mtu=1400"], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                        os.path.join(made.stdout.strip().split("\n")[-1], "disk.img"), f"{tmp}/disk.qcow2"], check=True)
        told = boots(f"{tmp}/disk.qcow2", f"{tmp}/seed", 600)
        check_eq(told["hostname"], ["web-7"], "the host's name")
        check_eq(told["fqdn"], ["web-7.virga.example"], "its whole name")
        check_eq(told["written"], ["from user data"], "what user data had written")
        check_eq(told["keys"], [KEY], "the default user's keys")
        check_eq(told["address"][0].split()[2:], ["10.88.0.5/24"], "the NIC's address")
        check_eq((told["mac"], told["mtu"]), ([MAC], ["1400"]), "the NIC's MAC address and MTU")
        check_eq(told["route"][0].split()[:3], ["default", "via", "10.88.0.1"], "the default route")
        check_eq(told["dns"][0].split()[-1:], ["10.88.0.53"], "the DNS server")
        check_eq(told["domain"][0].split()[-1:], ["virga.example"], "the search domain")
        check_eq(told["instance"], ["vm-1"], "the instance's id")
        check_eq(told["sudo"], ["root"], "what the default user may become")
        check_eq(told["names"], ["meta-data", "network-config", "user-data", "vendor-data"], "the names on the disk")
        check_eq(told["errors"], [""], "what cloud-init complains of")


if __name__ == "__main__":
    main()
