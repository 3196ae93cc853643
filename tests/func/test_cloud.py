#!/usr/bin/env python3
"""A cloud of real programs: an image comes in, a VM made from it boots, and is reached through its host."""
# run-tests: 3600 s
import hashlib
import http.client
import http.server
import os
import re
import shutil
import subprocess
import threading
import time

from virgatest import case, check, check_eq, main, skip
from virgatest.cli import on_terminal
from virgatest.disks import make_disk
from virgatest.hostcloud import HostCloud, monitors

PATIENCE_S = 150  # a first boot by the software engine, on a machine that does much else

GRUB_CFG = """\
menuentry 'Linux' {
    linux /boot/vmlinuz-1 console=ttyS0 quiet panic=-1
    initrd /boot/initrd.img-1
}
"""


def seen_addresses(cloud, vm):
    """Those that its guest is seen to use."""
    return [a for a in cloud.get(f"/vms/{vm}").body["status"].get("addresses", []) if a.get("seen")]


# The guest tells by HTTP what it is: what its seed says, how large its disk is, how often it was booted.
GUEST = r"""
    mkdir -p /disk /www
    mount -t ext4 /dev/vda1 /disk
    echo boot >>/disk/boots
    sync
    {
        grep -a '^local-hostname' /dev/vdb
        echo "sectors: $(cat /sys/class/block/vda/size)"
        echo "boots: $(wc -l </disk/boots)"
    } >/www/told
    cat >/tmp/dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router" dev "$interface"
END
    sed '/default/d' /tmp/dhcp >/tmp/dhcp1
    chmod 755 /tmp/dhcp /tmp/dhcp1
    ip link set eth0 up
    udhcpc -i eth0 -n -q -t 10 -s /tmp/dhcp
    echo "telling"
    httpd -p 80 -h /www
    while :; do
        {
            for i in /sys/class/block/*; do
                echo "${i##*/}: $(cat $i/serial 2>/dev/null) $(cat $i/size) $(cat $i/ro)"
            done
            for i in /sys/class/net/*; do
                echo "${i##*/}: $(cat $i/address)"
            done
        } >/www/now.new
        mv /www/now.new /www/now
        # Who is given a disk writes to it, and has its network given by the new NIC, too.
        [ -e /sys/class/block/vdc ] && [ ! -e /tmp/written ] && echo "written by the guest" >/dev/vdc && sync && touch /tmp/written
        [ -e /sys/class/net/eth1 ] && [ ! -e /tmp/up ] && ip link set eth1 up && udhcpc -i eth1 -n -q -t 5 -s /tmp/dhcp1 && touch /tmp/up
        [ -e /tmp/up ] && touch /www/up
        sleep 1
    done
"""


def convert(raw, path, form):
    """Another format of a disk."""
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", form, raw, path], check=True)
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def ask(port, what="/told"):
    """What the guest says behind a port of this machine; None: it does not serve yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", what)
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def forwarded(cloud, vm, guest_port):
    """The port of the host that leads to the guest's."""
    nic = cloud.get(f"/vms/{vm}").body["nics"][0]
    forwards = cloud.get(f"/ports/{nic['port']}").body["status"]["forwards"]
    return next(f["host_port"] for f in forwards if f["guest_port"] == guest_port)


def serve(folder):
    """A web server of a folder's files; its URL."""
    handler = lambda *a: http.server.SimpleHTTPRequestHandler(*a, directory=folder)  # noqa: E731
    http.server.SimpleHTTPRequestHandler.log_message = lambda *a: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


@case
def a_vm_from_an_image_boots_and_is_reached_through_its_host():
    if not shutil.which("qemu-img") or not shutil.which("passt"):
        skip("qemu-img and passt are needed")
    with HostCloud() as cloud:
        raw = f"{cloud.state}/disk.img"
        make_disk(raw, GUEST, GRUB_CFG)
        sums = {form: convert(raw, f"{cloud.state}/disk.{form}", form) for form in ("qcow2", "vmdk")}
        cloud.virga("image", "import", "sent", f"{cloud.state}/disk.qcow2")
        url = serve(cloud.state)
        cloud.virga("image", "import", "fetched", f"{url}/disk.vmdk", "--format", "vmdk")
        for name, form in (("sent", "qcow2"), ("fetched", "vmdk")):
            status = cloud.get(f"/images/{name}").body["status"]
            check_eq((status["state"], status["format"], status["sha256"], status["virtual_size_bytes"]),
                     ("ready", form, sums[form], os.path.getsize(raw)), name)
        # What cannot be taken says why, with the checksum that it has.
        code, _, err = cloud.home.run("image", "import", "other", f"{url}/disk.qcow2", "--sha256", "0" * 64)
        check(code != 0 and sums["qcow2"] in err, err)
        code, _, err = cloud.home.run("image", "import", "wrong", f"{url}/disk.qcow2", "--format", "vmdk")
        check(code != 0 and "qcow2, not vmdk" in err, err)

        cloud.virga("flavor", "create", "f", "--vcpus", "1", "--memory-mib", "256", "--disk-gib", "1")
        nic = {"network": "default", "forwards": [{"guest_port": 80}]}
        begin = time.monotonic()
        made = cloud.wait(cloud.post("/vms", {"name": "web", "flavor": "f", "image": "fetched", "nics": [nic]}))
        check_eq(made["state"], "done", f"{made}; {cloud.agent_said()[-1000:]}")
        port = forwarded(cloud, "web", 80)
        told = cloud.until("the guest tells", lambda: ask(port), PATIENCE_S)
        print(f"# it serves after {time.monotonic() - begin:.0f} s")
        check_eq((told["local-hostname"].strip('"'), told["sectors"], told["boots"]), ("web", str((1 << 30) // 512), "1"), "what it is")

        # Which addresses passt has given it, nobody but the guest knows.
        nic = cloud.get(f"/ports/{cloud.get('/vms/web').body['nics'][0]['port']}").body["status"]
        seen = cloud.until("its addresses are seen", lambda: seen_addresses(cloud, "web"))
        check_eq({(a["source"], a["mac"]) for a in seen}, {("guest", nic["mac"])}, f"{seen}")

        # It outlives its agent; stopped and started it has what it wrote.
        before = monitors(cloud.state)
        cloud.agent.kill()
        cloud.agent.wait()
        check_eq(ask(port)["boots"], "1", "without an agent")
        cloud.start_agent()
        cloud.until("the host is heard of", lambda: cloud.get("/vms/web").body["status"]["state"] == "running")
        check_eq(monitors(cloud.state), before, "monitors")
        cloud.until("its addresses are seen by another agent", lambda: {a["ip"] for a in seen} <= {a["ip"] for a in seen_addresses(cloud, "web")})
        check_eq(cloud.wait(cloud.post("/vms/web/stop", {"force": True}))["state"], "done", "stop")
        check_eq(monitors(cloud.state), [], "monitors")
        check_eq(seen_addresses(cloud, "web"), [], "of a guest that does not run")
        check_eq(cloud.wait(cloud.post("/vms/web/start"))["state"], "done", "start")
        check_eq(cloud.until("the guest tells again", lambda: ask(port), PATIENCE_S)["boots"], "2", "boots")


@case
def a_guest_that_runs_is_given_a_disk_and_a_nic_and_lets_them_go():
    if not shutil.which("qemu-img") or not shutil.which("passt"):
        skip("qemu-img and passt are needed")
    with HostCloud() as cloud:
        raw = f"{cloud.state}/disk.img"
        make_disk(raw, GUEST, GRUB_CFG)
        cloud.virga("image", "import", "disk", raw)
        cloud.virga("flavor", "create", "f", "--vcpus", "1", "--memory-mib", "256", "--disk-gib", "1")
        nic = {"network": "default", "forwards": [{"guest_port": 80}]}
        made = cloud.wait(cloud.post("/vms", {"name": "web", "flavor": "f", "image": "disk", "nics": [nic]}))
        check_eq(made["state"], "done", f"{made}; {cloud.agent_said()[-1000:]}")
        port = forwarded(cloud, "web", 80)
        cloud.until("the guest tells", lambda: ask(port, "/now"), PATIENCE_S)
        # It is a qcow2 over a snapshot where the pool cannot share extents: a chain of files goes to the monitor.
        cloud.virga("volume", "create", "base", "--size", "1G")
        cloud.virga("snapshot", "create", "kept", "--volume", "base")
        cloud.virga("volume", "create", "data", "--snapshot", "kept")

        def guest(what, does):
            return cloud.until(what, lambda: does(ask(port, "/now") or {}), 60)

        for turn in (1, 2):
            cloud.virga("vm", "attach-volume", "web", "data")
            serial = cloud.get("/volumes/data").body["status"]["device_id"]
            guest("the disk is in the guest", lambda now: now.get("vdc") == f"{serial} {(1 << 30) // 512} 0")
            before = {p["id"] for p in cloud.get("/ports").body["items"]}
            cloud.virga("vm", "attach-nic", "web", "--network", "default", "--forward", "guest_port=80")
            new = next(p for p in cloud.get("/ports").body["items"] if p["id"] not in before)
            guest("the NIC is in the guest", lambda now: now.get("eth1") == new["status"]["mac"])
            if turn == 1:
                cloud.until("the NIC has a network", lambda: ask(port, "/up") is not None, 60)
                cloud.agent.kill()
                cloud.agent.wait()
                cloud.start_agent()
                cloud.until("the host is heard of", lambda: cloud.get("/vms/web").body["status"]["state"] == "running")
            cloud.virga("vm", "detach-volume", "web", "data")
            guest("the disk has left", lambda now: now and "vdc" not in now)
            cloud.virga("vm", "detach-nic", "web", new["id"])
            guest("the NIC has left", lambda now: "eth0" in now and "eth1" not in now)
            check_eq(cloud.get("/volumes/data").body["status"]["state"], "available", "free")
        check_eq(cloud.get("/vms/web").body["status"]["state"], "running", "it runs")
        # What cannot come is taken back.
        cloud.virga("vm", "attach-volume", "web", "data", "--readonly")
        guest("the disk is read-only", lambda now: now.get("vdc", "").endswith(" 1"))
        check_eq(cloud.wait(cloud.post("/vms/web/stop", {"force": True}))["state"], "done", "stop")


@case
def a_debian_image_is_built_and_a_vm_made_from_it_answers_on_its_console_and_over_ssh():
    if os.getuid():
        skip("making the image needs root")
    if not shutil.which("mmdebstrap") or not shutil.which("passt"):
        skip("mmdebstrap and passt are needed")
    with HostCloud() as cloud:
        begin = time.monotonic()
        image = cloud.wait(cloud.post("/images", {"name": "debian", "source": {"kind": "debian", "debian": {"suite": "bookworm"}}}), 1800)
        check_eq(image["state"], "done", f"{image}")
        print(f"# the image is there after {time.monotonic() - begin:.0f} s", flush=True)
        cloud.virga("keypair", "create", "k", "--save", "k.pem")
        cloud.virga("vm", "create", "web", "--image", "debian", "--flavor", "small", "--keypair", "k")
        on_terminal(cloud.home, ["vm", "console", "web"], [(b"login: ", b"\x1d")], b"login: ", limit_s=900)
        print(f"# it asks for a login after {time.monotonic() - begin:.0f} s", flush=True)

        def shell(command):
            p = subprocess.run(["virga", "vm", "ssh", "-u", "debian", "-i", "k.pem", "web", "--", command], cwd=cloud.home.dir,
                               executable=os.path.join(os.environ["VIRGA_BUILD"], "virga"), env=cloud.home.env,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
            return p.stdout if p.returncode == 0 else None
        cloud.until("a shell", lambda: shell("true") is not None, 900)
        print(f"# it answers over SSH after {time.monotonic() - begin:.0f} s", flush=True)
        cloud.until("the end of cloud-init", lambda: "done" in (shell("cloud-init status --wait") or ""), 900)
        check_eq(shell("hostname").strip(), "web", "its name")
        size = int(re.search(r"\d+", shell("df --output=size -B1 /").split("\n")[1]).group())
        check(size > 9 << 30, f"the file system has {size} bytes of 10 GiB: it was not grown")
        check_eq(shell("sudo cloud-init schema --system >/dev/null 2>&1; echo $?").strip(), "0", "what cloud-init was told is valid")


if __name__ == "__main__":
    main()
