#!/usr/bin/env python3
"""Images on hosts that are not the server's machine: fetched from it, by the hosts of the cloud only, whatever dies meanwhile."""
import contextlib
import hashlib
import json
import os
import shutil
import ssl
import subprocess

from virgatest import case, check, check_eq, main, skip, until
from virgatest.cloud import DESCRIPTION, Cloud
from virgatest.disks import make_disk
from virgatest.hosts import Host

CONTENT = os.urandom(1 << 20) * 24  # raw: no host finds anything in it
PART = 8 << 20
GRUB_CFG = """\
menuentry 'Linux' {
    linux /boot/vmlinuz-1 console=ttyS0 quiet panic=-1
    initrd /boot/initrd.img-1
}
"""


def upload(cloud, name, content):
    """An image of a content that was uploaded, when it is ready."""
    digest = hashlib.sha256(content).hexdigest()
    made = cloud.post("/images", {"name": name, "source": {"kind": "upload", "format": "raw", "size_bytes": len(content), "sha256": digest}})
    check_eq(made.status, 202, f"{made}")
    for at in range(0, len(content), PART):
        part = content[at:at + PART]
        answer = cloud.ask("PUT", f"/images/{name}/content", part, headers={
            "Content-Type": "application/octet-stream", "Content-Range": f"bytes {at}-{at + len(part) - 1}/{len(content)}"})
        check_eq(answer.status, 200, f"a part at {at}: {answer}")
    return made


@contextlib.contextmanager
def cloud_of_two():
    """A server and two hosts, neither of which knows its folders. The first one has the image `i`."""
    with Cloud() as cloud, Host(cloud, "one") as one:
        until(lambda: pool_gib(cloud), "the first host has a pool")
        op = cloud.wait(upload(cloud, "i", CONTENT))
        check_eq(op["state"], "done", f"{op}; {one.said()[-2000:]}")
        with Host(cloud, "two") as two:
            until(two.up, "the second host is up")
            flavor(cloud)
            yield cloud, one, two


def pool_gib(cloud):
    """What the hosts' pools have in all."""
    return sum(p["status"].get("size_gib", 0) for p in cloud.get("/pools").body["items"] if p["status"]["state"] == "online")


def flavor(cloud):
    """That the VMs have."""
    check_eq(cloud.post("/flavors", {"name": "f", "vcpus": 1, "memory_mib": 256, "disk_gib": 1}).status, 201, "a flavor")


def vm_on(cloud, host, name="v", image="i", start=False):
    """Begins to make a VM there: the operation."""
    return cloud.post("/vms", {"name": name, "flavor": "f", "image": image, "host": host, "nics": [], "start": start})


def disk(cloud, name="v"):
    """The state of the volume that it boots from."""
    return cloud.get("/volumes/" + cloud.get(f"/vms/{name}").body["status"]["boot_volume"]).body["status"]["state"]


def has(host, content=CONTENT):
    """Whether the host's pool has the content whole."""
    return any(data[:len(content)] == content for data in host.files().values())


def content_path(cloud, name="i"):
    """Of the agents' port; where the server keeps it."""
    image = cloud.get(f"/images/{name}").body["id"]
    return f"/v1/images/{image}/content", f"{cloud.state}/uploads/{image}"


@case
def a_vm_of_an_uploaded_image_runs_on_a_host_that_did_not_import_it():
    if not shutil.which("mke2fs", path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        skip("mke2fs is needed")
    with Cloud() as cloud, Host(cloud, "one") as one:
        until(lambda: pool_gib(cloud), "the first host has a pool")
        raw = f"{cloud.state}/disk.img"
        make_disk(raw, "echo there; sleep 100", GRUB_CFG)
        with open(raw, "rb") as f:
            content = f.read()
        check_eq(cloud.wait(upload(cloud, "i", content))["state"], "done", "uploaded")
        check(has(one, content), "the first host has it")
        with Host(cloud, "two") as two:
            until(two.up, "the second host is up")
            flavor(cloud)
            op = cloud.wait(vm_on(cloud, "two", start=True), 150)
            check_eq(op["state"], "done", f"{op}; {two.said()[-2000:]}; {cloud.logged()[-2000:]}")
            shown = cloud.get("/vms/v").body
            check_eq((shown["status"]["host"], shown["status"]["state"]), (two.id, "running"), "where it runs")
            check(has(two, content), "the second host has the same content")
            check("a host fetches an image" in cloud.logged(), "by fetching it")


@case
def only_a_host_that_was_told_to_have_it_gets_it():
    with cloud_of_two() as (cloud, one, two):
        path, _ = content_path(cloud)
        status, headers, body = one.ask(path)
        check_eq((status, body == CONTENT), (200, True), "its host gets it")
        status, part, body = one.ask(path, {"Range": f"bytes={len(CONTENT) - 100}-", "If-Match": headers["etag"]})
        check_eq((status, body), (206, CONTENT[-100:]), "the rest of it")
        check_eq(part["content-range"], f"bytes {len(CONTENT) - 100}-{len(CONTENT) - 1}/{len(CONTENT)}", "which says so")

        def refused(answer, status, word):
            problem = json.loads(answer[2])
            check_eq((answer[0], DESCRIPTION.errors(DESCRIPTION.schema("Problem"), problem)), (status, []), f"{answer}")
            check(word in problem["detail"], f"{word}: {problem}")

        refused(one.ask(path, {"If-Match": '"x"'}), 412, "begin anew")
        refused(one.ask(path, {"Range": f"bytes={len(CONTENT)}-"}), 400, "Range")
        refused(one.ask(path, {"Range": "lines=1"}), 400, "bytes=FIRST-LAST")
        refused(two.ask(path), 403, "nobody told")
        refused(two.ask(path, identity=False), 403, "certificate")
        refused(one.ask(path.replace(path[11:13], "00")), 404, "no image")
        for other, method in (("/v1/images", "GET"), (path, "PUT"), (path, "DELETE"), (path + "/", "GET"), ("/v1/images/x/content", "GET")):
            check_eq(one.ask(other, method=method)[0], 404, f"{method} {other}: nothing there for hosts")
        # Of another authority: it does not even come so far as to ask.
        foreign = f"{two.dir}/foreign.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        foreign + ".key", "-out", foreign + ".crt", "-subj", f"/CN={one.id}"], check=True, capture_output=True)
        with open(foreign, "w", encoding="ascii") as out:
            for end in (".key", ".crt"):
                with open(foreign + end, encoding="ascii") as f:
                    out.write(f.read())
        try:
            refused(one.ask(path, identity=foreign), 403, "certificate")
        except (OSError, ssl.SSLError):
            pass
        one.kill()
        until(lambda: cloud.get("/hosts/one").body["status"]["state"] == "unreachable", "the host is lost")
        fenced = cloud.post("/hosts/one/fence", {"confirmed": True})
        check(fenced.status in (200, 202), f"{fenced}")
        until(lambda: cloud.get("/hosts/one").body["status"]["state"] == "fenced", "the host is fenced")
        refused(one.ask(path), 403, "fenced")


@case
def a_fetch_goes_on_when_its_server_was_killed():
    with cloud_of_two() as (cloud, _, two):
        two.gate.hold_after(PART)
        check_eq(cloud.wait(vm_on(cloud, "two"))["state"], "done", "a VM")
        check(two.gate.held.wait(90), "half of it has come")
        cloud.kill()
        two.gate.cut()
        two.gate.release()
        cloud.start()
        until(lambda: disk(cloud) == "attached", "it is made")
        check(has(two), "whole")
        logged = cloud.logged()
        begins = [int(line.split("from=")[1].split()[0]) for line in logged.splitlines() if "fetches an image" in line and two.id in line]
        check(begins[0] == 0 and begins[-1] > 0, f"it went on where it ended: {begins}")


@case
def a_fetch_begins_again_when_its_agent_was_killed():
    with cloud_of_two() as (cloud, _, two):
        two.gate.hold_after(PART)
        check_eq(cloud.wait(vm_on(cloud, "two"))["state"], "done", "a VM")
        check(two.gate.held.wait(90), "half of it has come")
        two.kill()
        check(not has(two), "not yet")
        two.gate.cut()
        two.gate.release()
        two.start()
        until(lambda: disk(cloud) == "attached", "it is made")
        check(has(two), "whole")
        check_eq(os.listdir(f"{two.state}/incoming") if os.path.isdir(f"{two.state}/incoming") else [], [], "nothing is left of the first attempt")


@case
def what_is_not_what_was_uploaded_is_refused():
    with cloud_of_two() as (cloud, _, two):
        _, file = content_path(cloud)
        os.truncate(file, len(CONTENT) // 2)
        op = cloud.wait(vm_on(cloud, "two", start=True))
        check_eq(op["state"], "failed", f"{op}")
        check("SHA-256" in op["problem"]["detail"], f"it says why: {op}")
        check(not any(CONTENT[:PART] == data[:PART] for data in two.files().values()), "no part of it is an image")


@case
def a_server_without_the_file_says_so():
    with cloud_of_two() as (cloud, one, two):
        path, file = content_path(cloud)
        os.rename(file, file + ".away")
        status, _, body = one.ask(path)
        check_eq(status, 404, "not there")
        check("servers that share" in json.loads(body)["detail"], f"what to do: {body}")
        op = cloud.wait(vm_on(cloud, "two", start=True))
        check_eq(op["state"], "failed", f"{op}")
        check("servers that share" in op["problem"]["detail"], f"the host says why: {op}")
        os.rename(file + ".away", file)
        check_eq(cloud.wait(vm_on(cloud, "two", "w"))["state"], "done", "another VM makes the host try again")
        until(lambda: disk(cloud, "w") == "attached", "it has its disk")


@case
def a_deleted_image_goes_from_all_hosts():
    with cloud_of_two() as (cloud, one, two):
        check_eq(cloud.wait(vm_on(cloud, "two"))["state"], "done", "a VM")
        until(lambda: disk(cloud) == "attached", "it has its disk")
        check(has(one) and has(two), "both have the image")
        check_eq(cloud.wait(cloud.delete("/vms/v?purge=true"))["state"], "done", "the VM is deleted")
        until(lambda: not cloud.get("/volumes").body["items"], "its disk too")
        check_eq(cloud.wait(cloud.delete("/images/i"))["state"], "done", "the image too")
        check(not has(one) and not has(two), "nobody has it")


if __name__ == "__main__":
    main()
