"""What a test sets up on its host and takes away again."""
import contextlib
import os
import subprocess

from . import tap


@contextlib.contextmanager
def tap_interface(name, address):
    """A TAP interface with an address; gives the value of --net for it. Skips the case without root."""
    if os.getuid():
        tap.skip("needs root to make a TAP interface")
    subprocess.run(f"ip tuntap add {name} mode tap vnet_hdr && ip addr add {address} dev {name} && ip link set {name} up",
                   shell=True, check=True)
    try:
        yield f"tap:{name}"
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False)
