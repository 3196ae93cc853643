"""What can be made, by name. Each function returns the directory of its result in the cache."""
import inspect
import os

from . import cache, debian, elf, initrd, kernel, rootfs
from .steps import run

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
GUEST = os.path.join(os.path.dirname(HERE), "guest")
RIG = os.path.join(TOP, "tests", "rig")

# What the test initrd can drive. ext4, SCSI, RTC and the serial port are built into Debian's kernels.
GUEST_MODULES = """virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_balloon
    vmw_vsock_virtio_transport virtiofs virtio_mem virtio_pmem vmgenid qemu_fw_cfg acpiphp ext4 evdev
    button""".split()
# Programs with their libraries in the tools archive that a test can add.
GUEST_TOOLS = """/usr/sbin/mke2fs /usr/sbin/e2fsck /usr/sbin/resize2fs /usr/bin/iperf3 /usr/sbin/ethtool
    /usr/bin/socat /usr/bin/strace /usr/sbin/blkdiscard""".split()


def _source(recipe, *names):
    """What a result's making depends on of our own code: files beside this one and the recipe itself."""
    return cache.digest(*(os.path.join(HERE, n) for n in names)) + inspect.getsource(recipe)


def kernel_of(flavor):
    """vmlinuz, vmlinux, config, version, modules/ of Debian's cloud or generic kernel."""
    package = kernel.image_package(flavor)
    inputs = {"code": _source(kernel_of, "kernel.py"), "packages": debian.versions(package)}
    return cache.get(f"kernel-{flavor}", inputs, lambda d: kernel.make(package, d))


def test_initrd(flavor):
    """initrd.img: busybox, the virtio modules, and an /init that runs /virga/run."""
    kern = kernel_of(flavor)
    init, outb = os.path.join(GUEST, "init"), os.path.join(GUEST, "outb.S")
    inputs = {"code": _source(test_initrd, "initrd.py"), "init": cache.digest(init, outb),
              "modules": GUEST_MODULES,
              "kernel": os.path.basename(kern), "packages": debian.versions("busybox-static")}

    def make(dest):
        tree = os.path.join(dest, "tree")
        log = os.path.join(dest, "log")
        debian.unpack(["busybox-static"], tree, log)
        run("assembling outb", ["gcc", "-nostdlib", "-static", "-s", "-o", os.path.join(dest, "outb"), outb], log)
        with open(os.path.join(dest, "initrd.img"), "wb") as f:
            ar = initrd.Cpio(f)
            for d in ("proc", "sys", "dev", "run", "tmp", "mnt", "virga", "root", "etc"):
                ar.directory(d)
            ar.node("dev/console", 5, 1)
            ar.node("dev/null", 1, 3)
            ar.copy("bin/busybox", os.path.join(tree, "bin/busybox"), 0o755)
            ar.symlink("bin/sh", "busybox")
            ar.copy("bin/outb", os.path.join(dest, "outb"), 0o755)
            ar.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n")
            initrd.Modules(os.path.join(kern, "modules")).install(ar, GUEST_MODULES)
            ar.copy("init", init, 0o755)
            ar.close()

    return cache.get(f"initrd-test-{flavor}", inputs, make)


def rig_host():
    """root.img, initrd.img, vmlinux and tree/ of the rig's host."""
    kern = kernel_of("cloud")
    packages = rootfs.read_list(os.path.join(RIG, "packages"))
    init = os.path.join(RIG, "initrd-init")
    inputs = {"code": _source(rig_host, "rootfs.py", "initrd.py"), "kernel": os.path.basename(kern),
              "init": cache.digest(init), "packages": debian.versions(*packages)}

    def make(dest):
        rootfs.make_rig_host(dest, packages, kern)
        with open(os.path.join(dest, "initrd.img"), "wb") as f:
            ar = initrd.Cpio(f)
            for d in ("proc", "sys", "dev", "root"):
                ar.directory(d)
            ar.node("dev/console", 5, 1)
            ar.copy("bin/busybox", os.path.join(dest, "tree/bin/busybox"), 0o755)
            ar.symlink("bin/sh", "busybox")
            order = initrd.Modules(os.path.join(kern, "modules")).closure(["virtio_pci", "virtio_blk"])
            for path in order:
                ar.copy("modules/" + os.path.basename(path), path)
            ar.file("modules/order", "".join(os.path.basename(p) + "\n" for p in order).encode())
            ar.copy("init", init, 0o755)
            ar.close()
        os.link(os.path.join(kern, "vmlinux"), os.path.join(dest, "vmlinux"))

    return cache.get("rig-host", inputs, make)


def guest_tools():
    """tools.img: a cpio archive with programs for guests, to be appended to the test initrd."""
    host = rig_host()
    inputs = {"code": _source(guest_tools, "elf.py", "initrd.py"), "tools": GUEST_TOOLS, "host": os.path.basename(host)}

    def make(dest):
        tree = os.path.join(host, "tree")
        with open(os.path.join(dest, "tools.img"), "wb") as f:
            ar = initrd.Cpio(f)
            for name, path in sorted(elf.closure(tree, GUEST_TOOLS).items()):
                ar.copy(name, path, 0o755)
            for link in ("mkfs.ext4", "mkfs.ext2"):
                ar.symlink("usr/sbin/" + link, "mke2fs")
            for link in ("fsck.ext4", "fsck.ext2"):
                ar.symlink("usr/sbin/" + link, "e2fsck")
            ar.close()

    return cache.get("guest-tools", inputs, make)


def debian_image():
    """disk.img, vmlinuz, initrd.img of a full Debian with a login on its serial console."""
    packages = rootfs.read_list(os.path.join(GUEST, "packages"))
    inputs = {"code": _source(debian_image) + inspect.getsource(rootfs.make_debian), "packages": debian.versions(*packages),
              "kernel": kernel.image_package("cloud")}
    return cache.get("debian", inputs, lambda d: rootfs.make_debian(d, packages))


def debian_cloud_init():
    """The same with cloud-init, which sets it up at its first boot as a cloud's image would be."""
    packages = rootfs.read_list(os.path.join(GUEST, "packages")) + ["cloud-init"]
    inputs = {"code": _source(debian_cloud_init) + inspect.getsource(rootfs.make_debian), "packages": debian.versions(*packages),
              "kernel": kernel.image_package("cloud")}
    seed = {"meta-data": "instance-id: virga-1\nlocal-hostname: virga-guest\n",
            "user-data": "#cloud-config\nusers:\n  - name: visitor\n    shell: /bin/bash\n"
                         "write_files:\n  - path: /etc/motd\n    content: set up by cloud-init\n"
                         "runcmd:\n  - [touch, /var/lib/set-up]\n"}
    return cache.get("debian-cloud-init", inputs, lambda d: rootfs.make_debian(d, packages, seed))


def debian_cloud(more=(), size_gib=2):
    """The same as it is in a cloud's catalog: what sets it up is the disk labelled CIDATA, see src/seed. With further
    packages, on a disk of that size."""
    packages = rootfs.read_list(os.path.join(GUEST, "packages")) + ["cloud-init", "cloud-guest-utils", "sudo"] + sorted(more)
    inputs = {"code": _source(debian_cloud) + inspect.getsource(rootfs.make_debian), "packages": debian.versions(*packages),
              "kernel": kernel.image_package("cloud"), "size": size_gib}
    return cache.get("debian-cloud", inputs, lambda d: rootfs.make_debian(d, packages, catalog=True, size=f"{size_gib}G"))


def workshop():
    """disk.img of a Debian with compilers and interpreters, and tree/, the same to run here."""
    packages = rootfs.read_list(os.path.join(GUEST, "workshop"))
    offered = ["bc"]
    inputs = {"code": _source(workshop) + inspect.getsource(rootfs.make_workshop),
              "packages": debian.versions(*packages, *offered)}
    return cache.get("workshop", inputs, lambda d: rootfs.make_workshop(d, packages, offered))


def stock_initrd(flavor):
    """vmlinuz and initrd.img of a kernel as Debian's own tools make them."""
    if flavor == "cloud":
        return debian_image()
    meta = "linux-image-amd64"
    inputs = {"code": _source(stock_initrd, "rootfs.py"), "packages": debian.versions(kernel.image_package(flavor))}
    return cache.get("initrd-stock-generic", inputs, lambda d: rootfs.make_stock_initrd(d, meta))


def memtest():
    """memtest.bin: memtest86+, which starts as a Linux kernel does."""
    inputs = {"code": _source(memtest), "packages": debian.versions("memtest86+")}

    def make(dest):
        tree = os.path.join(dest, "tree")
        debian.unpack(["memtest86+"], tree, os.path.join(dest, "log"))
        os.link(os.path.join(tree, "boot/memtest86+x64.bin"), os.path.join(dest, "memtest.bin"))

    return cache.get("memtest", inputs, make)


def guest():
    """One directory of links: vmlinuz, vmlinux, test.img, tools.img, stock.img, memtest.bin."""
    parts = {"vmlinuz": os.path.join(kernel_of("cloud"), "vmlinuz"),
             "vmlinux": os.path.join(kernel_of("cloud"), "vmlinux"),
             "test.img": os.path.join(test_initrd("cloud"), "initrd.img"),
             "tools.img": os.path.join(guest_tools(), "tools.img"),
             "stock.img": os.path.join(stock_initrd("cloud"), "initrd.img"),
             "memtest.bin": os.path.join(memtest(), "memtest.bin")}

    def make(dest):
        for name, path in parts.items():
            os.link(path, os.path.join(dest, name))

    return cache.get("guest", parts, make)


RECIPES = {
    "kernel-cloud": lambda: kernel_of("cloud"),
    "kernel-generic": lambda: kernel_of("generic"),
    "initrd-test": lambda: test_initrd("cloud"),
    "initrd-test-generic": lambda: test_initrd("generic"),
    "initrd-stock-generic": lambda: stock_initrd("generic"),
    "rig-host": rig_host,
    "guest-tools": guest_tools,
    "debian": debian_image,
    "guest": guest,
    "debian-cloud-init": debian_cloud_init,
    "debian-cloud": debian_cloud,
    "memtest": memtest,
    "workshop": workshop,
}
