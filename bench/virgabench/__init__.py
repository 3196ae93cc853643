"""What the benches share: see bench/README.md."""
from .report import Table, median, summary  # noqa: F401
from . import guest, memory  # noqa: F401
from .rig import arguments, artefact, inside, mark, on_rig, out_file, warm  # noqa: F401
from .vmm import PEERS, Process, processes_below, virga_argv  # noqa: F401
