#!/usr/bin/env python3
"""Seed disks read by others: Linux, xorriso and isoinfo; their texts by YAML's own reader."""
import os
import random
import shutil
import subprocess
import tempfile

from virgatest import case, check, check_eq, main, program, skip

NAMES = ["meta-data", "network-config", "user-data", "vendor-data"]


def make(path, *args):
    """A seed disk; see tests/func/seed_make.c."""
    p = subprocess.run([program("tests/func/seed-make"), path, *args], stderr=subprocess.PIPE, check=False)
    check_eq(p.returncode, 0, f"seed-make's status: {p.stderr!r}")


def content(image, name):
    """A file of the disk, by xorriso."""
    if not shutil.which("xorriso"):
        skip("xorriso is not installed")
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out")
        subprocess.run(["xorriso", "-indev", image, "-osirrox", "on", "-extract", "/" + name, out], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(out, "rb") as f:
            return f.read()


def yaml_of(image, name):
    """The same as YAML has it."""
    try:
        import yaml
    except ImportError as e:
        skip(f"python3-yaml is not installed: {e}")
    return yaml.safe_load(content(image, name))


@case
def linux_mounts_it_and_shows_the_names_exactly():
    if os.geteuid() != 0:
        skip("mounting needs root")
    with tempfile.TemporaryDirectory() as tmp:
        with open(f"{tmp}/user", "wb") as f:
            f.write(b"#!/bin/sh\n\0\xff" * 1000)
        make(f"{tmp}/seed", "host=a", f"user={tmp}/user")
        os.mkdir(f"{tmp}/mnt")
        for options in ("loop,ro", "loop,ro,norock"):  # Rock Ridge, Joliet
            p = subprocess.run(["mount", "-t", "iso9660", "-o", options, f"{tmp}/seed", f"{tmp}/mnt"], stderr=subprocess.PIPE,
                               text=True, check=False)
            if p.returncode:
                skip(f"this machine mounts no ISO 9660 by loop: {p.stderr.splitlines()[0]}")
            try:
                check_eq(sorted(os.listdir(f"{tmp}/mnt")), NAMES, f"the names with {options}")
                with open(f"{tmp}/mnt/user-data", "rb") as f:
                    check_eq(f.read(), b"#!/bin/sh\n\0\xff" * 1000, "the user data")
                mode = os.stat(f"{tmp}/mnt/user-data").st_mode
                check("norock" in options or mode & 0o7777 == 0o400, f"user-data's mode is {mode:o}")
            finally:
                subprocess.run(["umount", f"{tmp}/mnt"], check=True)


@case
def blkid_finds_its_label_and_isoinfo_and_xorriso_its_names():
    with tempfile.TemporaryDirectory() as tmp:
        make(f"{tmp}/seed")
        for argv, wanted in ((["isoinfo", "-R", "-f", "-i"], NAMES), (["isoinfo", "-J", "-f", "-i"], NAMES),
                             (["isoinfo", "-f", "-i"], [n.upper().replace("-", "_") + ".;1" for n in NAMES])):
            if not shutil.which(argv[0]):
                skip(f"{argv[0]} is not installed (genisoimage)")
            out = subprocess.run(argv + [f"{tmp}/seed"], stdout=subprocess.PIPE, text=True, check=True).stdout
            check_eq(sorted(out.split()), ["/" + n for n in wanted], " ".join(argv))
        p = subprocess.run(["blkid", "-p", f"{tmp}/seed"], stdout=subprocess.PIPE, text=True, check=True,
                           env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        check(' LABEL="CIDATA"' in p.stdout and 'TYPE="iso9660"' in p.stdout, p.stdout)
        if not shutil.which("xorriso"):
            skip("xorriso is not installed")
        p = subprocess.run(["xorriso", "-indev", f"{tmp}/seed", "-find", "/", "-type", "f"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, check=True)
        check_eq(sorted(p.stdout.split()), [f"'/{n}'" for n in NAMES], "what xorriso found")
        check("FAILURE" not in p.stderr and "WARNING" not in p.stderr, p.stderr)


@case
def yaml_reads_back_what_was_said():
    with tempfile.TemporaryDirectory() as tmp:
        make(f"{tmp}/seed", "id=vm-7", "host=db.example", "key=ssh-rsa AAAA one", "key=ssh-rsa BBBB two",
             "mac=52:54:00:00:00:01", "address=10.0.0.5/24", "gateway4=10.0.0.1", "dns=9.9.9.9", "search=example", "mtu=1400",
             "mac=12:34:56:11:22:33", "dhcp4=1")
        check_eq(yaml_of(f"{tmp}/seed", "meta-data"), {"instance-id": "vm-7", "local-hostname": "db.example",
                                                       "public-keys": ["ssh-rsa AAAA one", "ssh-rsa BBBB two"]}, "meta-data")
        check_eq(yaml_of(f"{tmp}/seed", "network-config"), {"version": 2, "ethernets": {
            "eth0": {"match": {"macaddress": "52:54:00:00:00:01"}, "set-name": "eth0", "dhcp4": False, "dhcp6": False,
                     "mtu": 1400, "addresses": ["10.0.0.5/24"], "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}],
                     "nameservers": {"addresses": ["9.9.9.9"], "search": ["example"]}},
            "eth1": {"match": {"macaddress": "12:34:56:11:22:33"}, "set-name": "eth1", "dhcp4": True, "dhcp6": False}}},
            "network-config")
        check_eq(content(f"{tmp}/seed", "user-data"), b"#cloud-config\n{}\n", "user-data of none")
        check_eq(content(f"{tmp}/seed", "vendor-data"), b"#cloud-config\nmanage_etc_hosts: localhost\n", "vendor-data")


@case
def no_bytes_in_a_name_change_the_structure():
    rng = random.Random(7)
    nasty = [b'"', b"\n", b"\\", b"\nuser: evil\n", b": ", b" #", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf",
             b"\xf0\x9f\x98\x80", b"a", b"\r", b"]", b"}", b"%", b"\x07", b"\xed\xa0\x80", b"\t", b"'", b"!!python/object:x"]
    with tempfile.TemporaryDirectory() as tmp:
        for _ in range(60):
            name = b"".join(rng.choice(nasty) for _ in range(rng.randrange(12)))
            make(f"{tmp}/seed", b"host=" + name, "mac=52:54:00:00:00:01", b"search=" + name)
            meta, net = yaml_of(f"{tmp}/seed", "meta-data"), yaml_of(f"{tmp}/seed", "network-config")
            wanted = name.decode("utf-8", "replace")
            # Python makes one replacement character of a truncated sequence, we one of each byte.
            same = [s.replace("\ufffd", "") for s in (meta["local-hostname"], wanted)]
            check_eq(same[0], same[1], f"the hostname made of {name!r}")
            check_eq(sorted(meta), ["instance-id", "local-hostname", "public-keys"], f"meta-data's keys with {name!r}")
            check_eq(net["ethernets"]["eth0"]["nameservers"]["search"], [meta["local-hostname"]], f"search with {name!r}")
            check_eq((list(net), list(net["ethernets"])), (["version", "ethernets"], ["eth0"]), f"the network with {name!r}")


if __name__ == "__main__":
    main()
