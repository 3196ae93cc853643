#!/usr/bin/env python3
"""Pools, volumes, snapshots and images by HTTP, on a cloud that has no host yet: what is refused, and how; uploads."""
import hashlib
import os
import tempfile

from virgatest import case, check, check_eq, main
from virgatest.cloud import DESCRIPTION, Cloud

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BYTES = {"Content-Type": "application/octet-stream"}


def described(answer, schema):
    """The answer's body is as the description has it."""
    check_eq(DESCRIPTION.errors(DESCRIPTION.schema(schema), answer.body), [], f"as described: {answer}")


def refused(answer, status, code):
    """A problem document that says what to do."""
    check_eq((answer.status, answer.code), (status, code), f"refused: {answer}")
    described(answer, "Problem")
    check(answer.body.get("detail"), "it says why")


def put(cloud, path, data, content_range=None):
    """A part of an upload."""
    headers = dict(BYTES, **({"Content-Range": content_range} if content_range else {}))
    return cloud.ask("PUT", path, data, headers=headers)


@case
def a_pool_is_made_and_offline_until_a_host_has_it():
    """The five operations on pools; kinds that no driver offers."""
    with Cloud() as cloud:
        made = cloud.post("/pools", {"name": "fast", "kind": "local", "location": "/srv/fast"})
        check_eq(made.status, 201, f"made: {made}")
        shown = cloud.get("/pools/fast")
        described(shown, "Pool")
        check_eq((shown.body["status"]["state"], shown.body["status"]["promised_gib"]), ("offline", 0), "no host has it")
        check_eq(len(cloud.get("/pools").body["items"]), 1, "it is listed")
        check_eq(cloud.patch("/pools/fast", {"overcommit_ratio": 1.5}).status, 200, "changed")
        for kind in ("ceph", "nbd"):
            refused(cloud.post("/pools", {"name": "x", "kind": kind, "location": "l"}), 501, "feature.no_driver")
        refused(cloud.patch("/pools/fast", {"encryption": "required"}), 501, "feature.no_driver")
        check_eq(cloud.delete("/pools/fast").status, 204, "deleted")
        refused(cloud.get("/pools/fast"), 404, "resource.not_found")


@case
def a_volume_needs_a_place():
    """What is wrong with a request comes before what the cloud lacks; nothing is counted or kept."""
    with Cloud() as cloud:
        refused(cloud.post("/volumes", {"name": "v"}), 422, "request.invalid")
        refused(cloud.post("/volumes", {"name": "v", "size_gib": 1, "image": "none"}), 422, "reference.not_found")
        refused(cloud.post("/volumes", {"name": "v", "size_gib": 1, "encrypted": True}), 501, "feature.no_driver")
        refused(cloud.post("/volumes", {"name": "v", "size_gib": 1, "qos": {"read_iops": 1}}), 501, "feature.no_driver")
        refused(cloud.post("/volumes", {"name": "v", "size_gib": 1}), 409, "placement.no_host")
        refused(cloud.post("/volumes/v/resize", {"size_gib": 2}), 404, "resource.not_found")
        refused(cloud.post("/snapshots", {"name": "s", "volume": "v"}), 422, "reference.not_found")
        for noun in ("volumes", "snapshots", "images"):
            check_eq(cloud.get(f"/{noun}").body["items"], [], f"no {noun}")
            refused(cloud.delete(f"/{noun}/x"), 404, "resource.not_found")


@case
def an_upload_goes_on_after_a_crash():
    """Parts are kept when they are acknowledged; the checksum is that of the whole."""
    with Cloud() as cloud:
        source = {"kind": "upload", "sha256": SHA256, "size_bytes": len(CONTENT)}
        made = cloud.post("/images", {"name": "i", "source": source})
        check_eq(made.status, 202, f"an operation: {made}")
        described(made, "Operation")
        check_eq(made.body["cancellable"], True, "it can be cancelled")
        shown = cloud.get("/images/i")
        described(shown, "Image")
        check_eq(shown.body["status"]["state"], "waiting", "it waits for content")
        half = len(CONTENT) // 2
        answer = put(cloud, "/images/i/content", CONTENT[:half], f"bytes 0-{half - 1}/{len(CONTENT)}")
        described(answer, "Image")
        check_eq((answer.status, answer.body["status"]["received_bytes"]), (200, half), "half of it")
        operation = cloud.get(f"/operations/{made.body['id']}").body
        check(40 <= operation["progress_percent"] <= 60, f"progress counts bytes: {operation}")
        cloud.kill()
        cloud.start()
        check_eq(cloud.get("/images/i").body["status"]["received_bytes"], half, "half of it is there after a crash")
        refused(put(cloud, "/images/i/content", CONTENT[:half], f"bytes 0-{half - 1}/{len(CONTENT)}"), 409, "resource.wrong_state")
        answer = put(cloud, f"/images/i/content?offset_bytes={half}", CONTENT[half:])
        described(answer, "Image")
        check_eq(answer.body["status"]["state"], "importing", "all of it has come")
        check_eq(answer.body["status"]["sha256"], SHA256, "with its checksum")
        got = cloud.get("/images/i/content")
        check_eq((got.status, got.raw == CONTENT), (200, True), "it can be fetched")
        got = cloud.get("/images/i/content", headers={"Range": "bytes=1000-1999"})
        check_eq((got.status, got.raw == CONTENT[1000:2000]), (206, True), "in parts too")
        check_eq(got.headers["content-range"], f"bytes 1000-1999/{len(CONTENT)}", "which say where they are")
        cloud.wait(cloud.delete("/images/i"))
        refused(cloud.get("/images/i"), 404, "resource.not_found")


@case
def what_has_another_checksum_is_no_image():
    """The client and the operation are told so; the image stays, in error, until it is deleted."""
    with Cloud() as cloud:
        made = cloud.post("/images", {"name": "i", "source": {"kind": "upload", "sha256": "0" * 64}})
        refused(put(cloud, "/images/i/content", CONTENT), 422, "image.checksum")
        operation = cloud.wait(made)
        check_eq((operation["state"], operation["problem"]["code"]), ("failed", "image.checksum"), "the operation failed")
        check_eq(cloud.get("/images/i").body["status"]["state"], "error", "the image is in error")
        refused(cloud.post("/volumes", {"name": "v", "image": "i"}), 409, "image.not_ready")
        cloud.wait(cloud.delete("/images/i"))
        cloud.stop()
        cloud.start()
        check_eq(os.listdir(os.path.join(cloud.state, "uploads")), [], "nothing is left of it")


@case
def a_part_that_cannot_be_one_is_refused():
    """Headers and sizes that do not fit, one after the other; the image still waits."""
    with Cloud() as cloud:
        cloud.post("/images", {"name": "i", "source": {"kind": "upload", "size_bytes": 100}})
        for data, header, status in ((b"x" * 10, "bytes 0-10/100", 400), (b"x", "bytes 5-5", 400), (b"x", "bytes 9-5/100", 400),
                                     (b"x", "bytes -1-0/100", 400), (b"x", "bytes 0-0/101", 422), (b"x" * 101, None, 422),
                                     (b"x", "bytes 99999999999999999999-99999999999999999999/9", 400),
                                     (b"x", "bytes 50-50/100", 409)):
            answer = put(cloud, "/images/i/content", data, header)
            check_eq(answer.status, status, f"{header}: {answer}")
        answer = cloud.ask("PUT", "/images/i/content", b"x", headers={"Content-Type": "text/plain"})
        check_eq(answer.status, 415, "a type that is none")
        check_eq(cloud.get("/images/i").body["status"]["state"], "waiting", "it still waits")
        refused(cloud.get("/images/i/content"), 409, "image.not_ready")


@case
def a_file_is_found_in_the_import_folder_only():
    """Plain names of regular files; without a folder none."""
    with tempfile.TemporaryDirectory() as folder, Cloud("--import", folder) as cloud:
        with open(os.path.join(folder, "disk.raw"), "wb") as f:
            f.write(CONTENT)
        os.symlink("/etc/hostname", os.path.join(folder, "link"))
        made = cloud.post("/images", {"name": "i", "source": {"kind": "file", "file": "disk.raw"}})
        check_eq(made.status, 202, f"begun: {made}")
        shown = cloud.get("/images/i").body["status"]
        check_eq(shown["state"], "importing", "it waits for a host")
        check("host" in shown.get("reason", "host"), "and says so")
        for name in ("none", "link"):
            refused(cloud.post("/images", {"name": "j", "source": {"kind": "file", "file": name}}), 422, "reference.not_found")
        refused(cloud.post("/images", {"name": "j", "source": {"kind": "file", "file": "../x"}}), 422, "request.invalid")
        refused(cloud.post("/images", {"name": "j", "source": {"kind": "url", "url": "ftp://x/y"}}), 422, "request.invalid")
        refused(cloud.post("/images", {"name": "j", "source": {"kind": "url", "url": "http://x/y", "file": "f"}}), 422, "request.invalid")
        check_eq([x["name"] for x in cloud.get("/images").body["items"]], ["i"], "only what was accepted is there")
        cloud.stop()
        cloud.start()
        check_eq(cloud.get("/images/i").body["status"]["state"], "importing", "a restart changes nothing")
        cloud.wait(cloud.delete("/images/i"))
    with Cloud() as cloud:
        refused(cloud.post("/images", {"name": "j", "source": {"kind": "file", "file": "f"}}), 501, "feature.no_driver")


@case
def a_public_image_is_seen_by_every_project():
    """By its id and in lists; changed by its own project only."""
    with Cloud() as cloud:
        check_eq(cloud.post("/projects", {"name": "other"}).status, 201, "another project")
        there = {"Virga-Project": "other"}
        cloud.post("/images", {"name": "open", "visibility": "public", "source": {"kind": "debian"}})
        cloud.post("/images", {"name": "closed", "source": {"kind": "debian"}})
        check_eq([x["name"] for x in cloud.get("/images", headers=there).body["items"]], ["open"], "what the other one sees")
        opened = cloud.get("/images/open").body
        check_eq(cloud.get(f"/images/{opened['id']}", headers=there).status, 200, "by its id")
        closed = cloud.get("/images/closed").body
        refused(cloud.get(f"/images/{closed['id']}", headers=there), 404, "resource.not_found")
        refused(cloud.delete(f"/images/{opened['id']}", headers=there), 404, "resource.not_found")
        check_eq(opened["source"]["debian"]["suite"], "bookworm", "defaults are filled in")
        refused(cloud.post("/volumes", {"name": "v", "image": opened["id"]}, headers=there), 409, "image.not_ready")
        check_eq(cloud.patch("/images/open", {"deprecated": True}).status, 200, "changed by its own")
        for name, visibility, status in (("sent", "public", 200), ("kept", "project", 404)):
            made = cloud.post("/images", {"name": name, "visibility": visibility, "source": {"kind": "upload"}})
            check_eq(put(cloud, f"/images/{name}/content", CONTENT).status, 200, "sent")
            answer = cloud.get(f"/images/{made.body['resource']}/content", headers=there)
            check_eq(answer.status, status, f"content of a {visibility} image: {answer.status}")


@case
def an_import_is_cancelled():
    """At once, and only once; the image is in error and can be deleted."""
    with Cloud() as cloud:
        made = cloud.post("/images", {"name": "i", "source": {"kind": "upload", "size_bytes": 10}})
        check_eq(put(cloud, "/images/i/content", b"x", "bytes 0-0/10").status, 200, "something has come")
        path = f"/operations/{made.body['id']}/cancel"
        cancelled = cloud.post(path, {})
        described(cancelled, "Operation")
        check_eq((cancelled.status, cancelled.body["state"]), (202, "cancelled"), "cancelled")
        refused(cloud.post(path, {}), 409, "operation.not_cancellable")
        shown = cloud.get("/images/i").body["status"]
        check_eq((shown["state"], "operation" in shown), ("error", False), "the image is in error")
        refused(put(cloud, "/images/i/content", b"x", "bytes 1-1/10"), 409, "resource.wrong_state")
        cloud.wait(cloud.delete("/images/i"))
        refused(cloud.post(path.replace(made.body["id"][:8], "00000000")), 404, "resource.not_found")


@case
def what_is_protected_stays():
    """delete_protection, and If-Match, of images."""
    with Cloud() as cloud:
        cloud.post("/images", {"name": "i", "delete_protection": True, "source": {"kind": "upload"}})
        refused(cloud.delete("/images/i"), 409, "resource.protected")
        check_eq(cloud.patch("/images/i", {"delete_protection": False}).status, 200, "no longer")
        check_eq(cloud.delete("/images/i", headers={"If-Match": '"1"'}).status, 412, "another generation")
        cloud.wait(cloud.delete("/images/i", headers={"If-Match": '"2"'}))


main()
