"""One script as an initial-ram-disk archive ("newc"), to stand behind another archive."""


def _entry(name, mode, data=b""):
    raw = name.encode() + b"\0"
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields)
    return head + raw + b"\0" * (-(len(head) + len(raw)) % 4) + data + b"\0" * (-len(data) % 4)


def archive(files):
    """{"virga/run": bytes} with mode 755, in directories that the archive before it made."""
    out = b"".join(_entry(name, 0o100755, data) for name, data in files.items()) + _entry("TRAILER!!!", 0)
    return out + b"\0" * (-len(out) % 512)
