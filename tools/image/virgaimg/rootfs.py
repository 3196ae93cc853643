"""Root file systems: the small host of the test rig, and a full Debian for a guest."""
import os
import shutil

from . import debian
from .steps import run

HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"


def read_list(path):
    """Words of a file, one or more a line, # begins a comment."""
    with open(path, encoding="utf-8") as f:
        return [w for line in f for w in line.split("#")[0].split()]


def _write(root, name, text, mode=0o644):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def disk_image(title, tree, out, size, label, log):
    """An ext4 image of the tree; sparse, so it takes on disk what it holds."""
    options = ["-q", "-t", "ext4", "-L", label, "-E", "lazy_itable_init=0,root_owner=0:0", "-O", "^orphan_file"]
    run(title, ["mke2fs"] + options + ["-d", tree, out, size], log)


def make_rig_host(dest, packages, kernel):
    """root.img: packages unpacked, never configured, with the kernel's modules; no init of its own."""
    log = os.path.join(dest, "log")
    tree = os.path.join(dest, "tree")
    debian.bootstrap("making the rig's host image", tree, log, packages,
                     ["--variant=extract", "--hook-dir=" + HOOKS])
    for name in ("passwd", "group"):
        shutil.copy(os.path.join(tree, "usr/share/base-passwd", name + ".master"), os.path.join(tree, "etc", name))
    with open(os.path.join(tree, "etc/passwd"), "a", encoding="ascii") as f:
        f.write("tester:x:1000:1000::/tmp:/bin/sh\n")
    with open(os.path.join(tree, "etc/group"), "a", encoding="ascii") as f:
        f.write("tester:x:1000:\nkvm:x:106:tester\n")
    _write(tree, "etc/hostname", "rig\n")
    _write(tree, "etc/hosts", "127.0.0.1 localhost rig\n::1 localhost\n")
    _write(tree, "etc/ld.so.conf", "/usr/local/lib\n/usr/lib/x86_64-linux-gnu\n")
    for d in ("rig", "out", "proc", "sys", "dev", "run", "tmp", "mnt"):
        os.makedirs(os.path.join(tree, d), exist_ok=True)
    version = os.listdir(os.path.join(kernel, "modules"))[0]
    run("adding kernel modules", ["cp", "-a", os.path.join(kernel, "modules"), os.path.join(tree, "lib/")], log)
    run("indexing kernel modules", ["chroot", tree, "/sbin/depmod", version], log)
    # Under emulation compiling Python's library at each start costs more than the tests it runs.
    run("compiling Python's library", ["chroot", tree, "/usr/bin/python3", "-c",
        "import argparse, fcntl, http.client, json, re, selectors, shutil, signal, socket, subprocess, tempfile, "
        "threading, traceback, unittest"], log)
    run("indexing libraries", ["chroot", tree, "/sbin/ldconfig"], log)
    # Programs whose names packages set as alternatives when they are configured (awk, nc, vi ...).
    have = {n for d in ("usr/bin", "usr/sbin") for n in os.listdir(os.path.join(tree, d))}
    applets = os.popen(f"chroot '{tree}' /bin/busybox --list").read().split()
    for name in applets:
        if name not in have:
            os.symlink("busybox", os.path.join(tree, "usr/bin", name))
    disk_image("packing the rig's host image", tree, os.path.join(dest, "root.img"), "6G", "rig-root", log)
    # The guests' tools are taken from this tree, so it stays; what only the image needs does not.
    shutil.rmtree(os.path.join(tree, "lib/modules"))
    shutil.rmtree(os.path.join(tree, "usr/share"))


_NETWORK = "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n"
_ISSUE = "Debian GNU/Linux 12 on Virga (\\l): log in as root with the password virga\n\n"


# What a release's cloud-init would do, and for which this image lacks the packages: generate a locale.
_CLOUD_CFG = "locale: false\n"


def make_debian(dest, packages, seed=None, catalog=False, size="2G"):
    """disk.img: a whole Debian with a login on ttyS0, root's password virga; vmlinuz, initrd.img.
    seed: {name: text} of what cloud-init finds as its NoCloud data source. catalog: nobody has a password and nothing
    has a name; all that is for cloud-init to say, and the network is systemd-networkd's alone."""
    log = os.path.join(dest, "log")
    tree = os.path.join(dest, "tree")
    extras = os.path.join(dest, "extras")
    os.makedirs(extras)
    _write(extras, "hostname", "virga-guest\n")
    name = "" if catalog else "127.0.1.1 virga-guest\n"
    _write(extras, "hosts", f"127.0.0.1 localhost\n{name}::1 localhost\n")
    _write(extras, "fstab", "LABEL=virga-root / ext4 defaults 0 1\n")
    _write(extras, "issue", "Debian GNU/Linux on Virga (\\l)\n\n" if catalog else _ISSUE)
    _write(extras, "95_virga.cfg", _CLOUD_CFG)
    _write(extras, "20-dhcp.network", _NETWORK)
    hooks = [
        f"cp {extras}/hostname {extras}/hosts {extras}/fstab {extras}/issue \"$1/etc/\"",
        f"cp {extras}/20-dhcp.network \"$1/etc/systemd/network/\"",
        "chroot \"$1\" passwd -q -l root" if catalog else "echo root:virga | chroot \"$1\" chpasswd",
        "chroot \"$1\" systemctl -q enable systemd-networkd systemd-resolved serial-getty@ttyS0",
        "chroot \"$1\" systemctl -q disable apt-daily.timer apt-daily-upgrade.timer",
        ": > \"$1/etc/machine-id\"",
    ]
    if catalog:  # with ifupdown there cloud-init would choose it, and nothing would read what it writes
        hooks += ["chroot \"$1\" dpkg --purge ifupdown", "rm -f \"$1/etc/ssh/\"ssh_host_*",
                  f"install -D -m 644 {extras}/95_virga.cfg \"$1/etc/cloud/cloud.cfg.d/95_virga.cfg\""]
    for name, text in (seed or {}).items():
        _write(extras, name, text)
        hooks.append(f"install -D -m 644 {extras}/{name} \"$1/var/lib/cloud/seed/nocloud/{name}\"")
    options = ["--variant=important"] + ["--customize-hook=" + h for h in hooks]
    debian.bootstrap("making a Debian disk image", tree, log, packages, options)
    boot = os.path.join(tree, "boot")
    for name in sorted(os.listdir(boot)):
        if name.startswith("vmlinuz-"):
            shutil.copy(os.path.join(boot, name), os.path.join(dest, "vmlinuz"))
        if name.startswith("initrd.img-"):
            shutil.copy(os.path.join(boot, name), os.path.join(dest, "initrd.img"))
    disk_image("packing the Debian disk image", tree, os.path.join(dest, "disk.img"), size, "virga-root", log)
    shutil.rmtree(tree)
    shutil.rmtree(extras)


def make_workshop(dest, packages, offered):
    """disk.img and tree/: a Debian with compilers and interpreters, to be run in by chroot, here and in a guest; in
    its /repo an apt archive of the packages that are offered."""
    log = os.path.join(dest, "log")
    tree = os.path.join(dest, "tree")
    debian.bootstrap("making the workshop's image", tree, log, packages, ["--variant=minbase"])
    repo = os.path.join(tree, "repo")
    os.makedirs(repo)
    os.chmod(repo, 0o777)
    run(f"downloading {' '.join(offered)}", ["apt-get", "download"] + list(offered), log, cwd=repo)
    os.chmod(repo, 0o755)
    run("indexing them", ["sh", "-c", f"cd '{repo}' && dpkg-scanpackages . >Packages"], log)
    _write(tree, "etc/apt/sources.list", "deb [trusted=yes] file:/repo ./\n")
    shutil.rmtree(os.path.join(tree, "usr/share/doc"))
    disk_image("packing the workshop's image", tree, os.path.join(dest, "disk.img"), "2G", "workshop", log)


def make_stock_initrd(dest, meta):
    """initrd.img of a kernel package exactly as Debian's update-initramfs makes it; vmlinuz beside it."""
    log = os.path.join(dest, "log")
    tree = os.path.join(dest, "tree")
    debian.bootstrap(f"making the initrd of {meta}", tree, log, [meta], ["--variant=minbase"])
    boot = os.path.join(tree, "boot")
    for name in os.listdir(boot):
        for kind in ("vmlinuz", "initrd.img"):
            if name.startswith(kind + "-"):
                shutil.copy(os.path.join(boot, name), os.path.join(dest, kind))
    shutil.rmtree(tree)
