"""Pieces of guest scripts that several tests use."""

# Linux takes up what the devices offer: virtio 1, indirect descriptors, event index, packed rings
# (bits 32, 28, 29 and 34 of what it negotiated).
_RINGS = r"""
    check the_DRIVER_driver_uses_packed_rings_event_index_and_indirect_descriptors sh -eu -c '
        for d in /sys/bus/virtio/drivers/virtio_DRIVER/virtio*; do
            f=$(cat "$d/features")
            echo "$d: $f"
            test "$(echo "$f" | cut -c33)$(echo "$f" | cut -c29)$(echo "$f" | cut -c30)$(echo "$f" | cut -c35)" = 1111
        done'
"""


def rings_check(*drivers):
    """Script lines that check what each driver (blk, net, console ...) negotiated."""
    return "".join(_RINGS.replace("DRIVER", d) for d in drivers)
