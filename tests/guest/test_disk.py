#!/usr/bin/env python3
"""A disk from inside a guest."""
import os

from virgatest import VM, case, check_eq, main, out_path


@case
def what_a_guest_writes_to_its_disk_is_in_the_image():
    image = out_path("disk-bytes.img")
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    script = """
        check the_disk_has_its_size sh -c 'test $(cat /sys/block/vda/size) = 32768'
        yes virga | head -c 1048576 >/tmp/x
        check a_write_goes_through dd if=/tmp/x of=/dev/vda bs=64k seek=4 conv=fsync
    """
    with VM(script, disks=[image]) as vm:
        vm.run(checks=2)
    with open(image, "rb") as f:
        f.seek(256 << 10)
        check_eq(f.read(12), b"virga\nvirga\n", "the image at 256 KiB")
    os.unlink(image)


if __name__ == "__main__":
    main()
