/* Where things are in the guest's address spaces and on its interrupt lines. One list, read by the
 * devices, the ACPI tables and the boot loaders, so that they cannot disagree.
 *
 *   guest-physical                                    legacy ports
 *   0x0000_0000  RAM, at most 3 GiB                   0x020/0x0a0  8259A pair
 *   0xc000_0000  PCI memory window, 32 bit            0x040        8254
 *   0xe000_0000  PCI ECAM (one bus)                   0x060/0x064  i8042 (reset only)
 *   0xfec0_0000  IOAPIC                               0x070        MC146818 RTC
 *   0xfed0_0000  platform devices (none yet)          0x3f8        16550A UART (0x2f8 second)
 *   0xfee0_0000  local APICs                          0x501        isa-debug-exit (tests)
 *   0x1_0000_0000 rest of RAM                         0x510        fw_cfg
 *   above RAM    PCI memory window, 64 bit            0x600        ACPI PM1a, PM timer, GPE0, hot
 * plug 0xcf8/0xcfc  PCI configuration, mechanism #1
 */
#ifndef BUS_MEMORY_MAP_H
#define BUS_MEMORY_MAP_H

#include <stdint.h>

#define MEMORY_MAP_PCI32_BASE   UINT64_C(0xc0000000)
#define MEMORY_MAP_PCI32_SIZE   UINT64_C(0x20000000)
#define MEMORY_MAP_ECAM_BASE    UINT64_C(0xe0000000)
#define MEMORY_MAP_ECAM_SIZE    UINT64_C(0x00100000) /* bus 0 only: 32 slots x 8 functions x 4 KiB */
#define MEMORY_MAP_IOAPIC_BASE  UINT64_C(0xfec00000)
#define MEMORY_MAP_LAPIC_BASE   UINT64_C(0xfee00000)
#define MEMORY_MAP_KVM_TSS_BASE UINT64_C(0xfffbd000) /* three pages for KVM_SET_TSS_ADDR */
#define MEMORY_MAP_KVM_IDENTITY UINT64_C(0xfffbc000)
/* The 64-bit window begins at the first GiB boundary above RAM and has this size. */
#define MEMORY_MAP_PCI64_SIZE UINT64_C(0x1000000000)

/* ACPI fixed hardware and general-purpose events, all in one I/O block. */
#define MEMORY_MAP_PM1A_EVT 0x600 /* 4 bytes: status, enable */
#define MEMORY_MAP_PM1A_CNT 0x604 /* 2 bytes */
#define MEMORY_MAP_PM_TMR   0x608 /* 4 bytes */
#define MEMORY_MAP_GPE0     0x620 /* 4 bytes: 2 status, 2 enable */
#define MEMORY_MAP_PCI_HOTPLUG                                                                     \
    0x640 /* 16 bytes: up, down, eject (32-bit slot masks), slot features */
/* SLP_TYP of the soft-off state, and what to write where for a reset. */
#define MEMORY_MAP_S5_SLP_TYP  5
#define MEMORY_MAP_RESET_PORT  0x064
#define MEMORY_MAP_RESET_VALUE 0xfe
#define MEMORY_MAP_COM1        0x3f8
#define MEMORY_MAP_COM2        0x2f8
#define MEMORY_MAP_RTC         0x070
#define MEMORY_MAP_DEBUG_EXIT  0x501
#define MEMORY_MAP_FW_CFG      0x510

/* ISA interrupt lines = IOAPIC pins, except that the 8254's IRQ 0 arrives on pin 2. */
#define MEMORY_MAP_IRQ_TIMER    0
#define MEMORY_MAP_IRQ_COM2     3
#define MEMORY_MAP_IRQ_COM1     4
#define MEMORY_MAP_IRQ_RTC      8
#define MEMORY_MAP_IRQ_SCI      9
#define MEMORY_MAP_IRQ_PCI_BASE 16 /* INTA..INTD swizzled over 16..19 */
#define MEMORY_MAP_IOAPIC_PINS  24

/* GPE0 bits. */
#define MEMORY_MAP_GPE_PCI_HOTPLUG 1
#define MEMORY_MAP_GPE_VMGENID     2

#endif
