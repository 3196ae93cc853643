"""What tests that start programs share: see tests/README.md."""
from .tap import SkipCase, case, check, check_eq, main, report, skip, until  # noqa: F401
from .gdb import Gdb  # noqa: F401
from .host import tap_interface  # noqa: F401
from .scripts import WORK, rings_check  # noqa: F401
from .vm import DISK, VM, guest_file, out_path, program, write_initrd  # noqa: F401
