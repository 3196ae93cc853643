#!/usr/bin/env python3
"""Kernels of each format but bzImage, a few bytes long: they start as their specification says, and report it by
isa-debug-exit."""
import struct
import tempfile

from virgatest import VM, case, check, check_eq, main

BASE = 0x100000
CODE = BASE + 0x1000
PT_LOAD, PT_NOTE = 1, 4
MULTIBOOT_MAGIC, MULTIBOOT_FLAGS = 0x1BADB002, 0x00000002  # wants memory information
PHYS32_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY
REPORT = b"\x66\xba\x01\x05\xee\xf4\xeb\xfd"  # mov $0x501,%dx; out %al,%dx; hlt; jmp


def elf64(code, note=b""):
    """An ELF64 that lies at BASE with its code at CODE."""
    headers = [(PT_LOAD, 5, 0x1000, CODE, len(code), 16)]
    if note:
        headers.append((PT_NOTE, 4, 0x800, BASE + 0x800, len(note), 4))
    image = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, CODE, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    for kind, flags, offset, at, size, align in headers:
        image += struct.pack("<IIQQQQQQ", kind, flags, offset, at, at, size, size, align)
    return image.ljust(0x800, b"\0") + note.ljust(0x800, b"\0") + code


def elf32(code, start):
    """An ELF32 with `start` at BASE and its code at CODE."""
    image = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, CODE, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    body = start.ljust(0x1000, b"\0") + code
    image += struct.pack("<IIIIIIII", PT_LOAD, 0x1000, BASE, BASE, len(body), len(body), 5, 0x1000)
    return image.ljust(0x1000, b"\0") + body


def ends_with(image, code):
    """Runs it; the code it must report."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp", suffix=".elf") as f:
        f.write(image)
        f.flush()
        with VM(kernel=f.name, initrd=f.name, args=["--debug-exit"], api=False) as vm:
            check_eq(vm.wait(60), code << 1 | 1, f"the exit status; it said {vm.stderr()[-500:]}")


@case
def a_plain_elf_starts_in_long_mode():
    code = b"\x48\xb8" + struct.pack("<Q", 21 << 32) + b"\x48\xc1\xe8\x20"  # mov $21 << 32,%rax; shr $32,%rax
    ends_with(elf64(code + REPORT), 21)


@case
def a_pvh_kernel_starts_at_its_32_bit_entry_with_the_start_info():
    code = b"\x81\x3b" + struct.pack("<I", 0x336ec578)  # cmpl $magic,(%ebx)
    code += b"\x0f\x94\xc0\x04\x16"  # sete %al; add $22,%al
    note = struct.pack("<III4sI", 4, 4, PHYS32_ENTRY, b"Xen\0", CODE)
    ends_with(elf64(code + REPORT, note), 23)


@case
def a_multiboot_kernel_starts_with_its_magic_and_information():
    header = struct.pack("<III", MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS) & 0xffffffff)
    code = b"\x3d" + struct.pack("<I", 0x2BADB002)  # cmp $magic,%eax
    code += b"\x0f\x94\xc0"  # sete %al
    code += b"\x22\x03"  # and (%ebx),%al: bit 0 of the flags, memory information
    code += b"\x24\x01\x04\x18"  # and $1,%al; add $24,%al
    ends_with(elf32(code + REPORT, header), 25)


@case
def a_kernel_of_no_format_is_refused_by_name():
    with tempfile.NamedTemporaryFile(dir="/var/tmp", suffix=".img") as f:
        f.write(bytes(range(256)) * 64)
        f.flush()
        with VM(kernel=f.name, initrd=f.name, api=False) as vm:
            check_eq(vm.wait(60), 1, "the exit status")
            check(f.name in vm.stderr(), vm.stderr())


if __name__ == "__main__":
    main()
