"""A guest that needs no disk."""
import struct


def kernel(path):
    """A guest that says "ready" on the serial port, and then back what it is told: an ELF with a PVH entry."""
    code = b"\x66\xba\xf8\x03"  # mov dx, 0x3f8
    for ch in b"ready\n":
        code += b"\xb0" + bytes([ch]) + b"\xee"  # mov al, ch; out dx, al
    loop = len(code)
    code += b"\x66\xba\xfd\x03\xec\xa8\x01"  # mov dx, 0x3fd; in al, dx; test al, 1
    code += b"\xf3\x90"  # pause
    code += b"\x74" + bytes([(loop - len(code) - 2) & 0xff])  # jz loop
    code += b"\x66\xba\xf8\x03\xec\xee"  # mov dx, 0x3f8; in al, dx; out dx, al
    code += b"\xeb" + bytes([(loop - len(code) - 2) & 0xff])  # jmp loop
    entry, at = 0x100000, 0x1000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, at, entry, entry, len(code), 4096, 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 0x200, 0, 0, len(note), len(note), 4)
    image = bytearray(at) + code
    image[:len(head + load + notes)] = head + load + notes
    image[0x200:0x200 + len(note)] = note
    with open(path, "wb") as f:
        f.write(image)
