"""What a process has in memory, by mapping."""
import os
import re

HEADER = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$")


def mappings(pid):
    """[(name, size KiB, resident KiB)] of a process."""
    out, name, size = [], "", 0
    try:
        with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
            for line in f:
                m = HEADER.match(line)
                if m:
                    name = m.group(1)
                elif line.startswith("Size:"):
                    size = int(line.split()[1])
                elif line.startswith("Rss:"):
                    out.append((name, size, int(line.split()[1])))
    except OSError:
        pass
    return out


def kind(name, size):
    """What a mapping is, for the breakdown."""
    if name.startswith("/"):
        return os.path.basename(name)
    return name or f"anonymous, {size} KiB mapped"
