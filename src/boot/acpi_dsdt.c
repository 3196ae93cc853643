/* The DSDT: what cannot be found by probing. Kernels build an object from every name in it at each
 * boot, so it says what is needed and no more.
 *
 * PCI hot plug. The machine raises GPE 1; its method reads the UP and DOWN registers once each
 * (reading clears them) and notifies the slots: 1 "device check" for what came, 3 "eject request"
 * for what is asked to go. The guest answers a request by _EJ0, which writes the slot's bit to
 * EJECT. Slots have no _STA: kernels ask for it at boot, a port access a slot, and without one read
 * the slot's vendor id when it matters, which says the same. */
#include <stdio.h>

#include "base/util.h"
#include "boot/acpi_internal.h"
#include "boot/boot_layout.h"
#include "bus/memory_map.h"

#define PCI_SLOTS       32
#define PCI_PINS        4
#define UART_PORTS      8
#define RTC_PORTS       2
#define FW_CFG_PORTS    12
#define NOTIFY_CHECK    1
#define NOTIFY_EJECT    3
#define NOTIFY_CHANGED  0x80
#define DESCRIPTORS_MAX 160

static void declare_int(struct aml *a, const char *name, uint64_t v)
{
    aml_declare(a, name);
    aml_int(a, v);
}

static void declare_eisa_id(struct aml *a, const char *name, const char *id)
{
    aml_declare(a, name);
    aml_eisa_id(a, id);
}

static void declare_string(struct aml *a, const char *name, const char *s)
{
    aml_declare(a, name);
    aml_string(a, s);
}

static void pci_windows(struct aml *a, const struct acpi_config *c)
{
    uint8_t buf[DESCRIPTORS_MAX];
    struct aml r;
    aml_init(&r, buf, sizeof(buf));
    aml_res_bus_window(&r, 0, 0);
    aml_res_io(&r, 0xcf8, 8);
    aml_res_io_window(&r, 0, 0xcf7);
    aml_res_io_window(&r, 0xd00, 0xffff);
    aml_res_mem32_window(&r, (uint32_t)MEMORY_MAP_PCI32_BASE,
                         (uint32_t)(MEMORY_MAP_PCI32_BASE + MEMORY_MAP_PCI32_SIZE - 1));
    if (c->pci64_size_bytes)
        aml_res_mem64_window(&r, c->pci64_base, c->pci64_base + c->pci64_size_bytes - 1);
    aml_declare(a, "_CRS");
    aml_resources(a, &r);
}

/* Pin p of slot s arrives on GSI base + (s + p) mod 4. Our devices have one function and use INTA;
 * Linux evaluates all of the table for every device that it enables, so the other pins are left
 * out. */
static void pci_interrupts(struct aml *a)
{
    aml_declare(a, "_PRT");
    aml_package(a, PCI_SLOTS - 1);
    for (uint64_t slot = 1; slot < PCI_SLOTS; slot++) { /* 0 is the host bridge */
        aml_package(a, 4);
        aml_int(a, slot << 16 | 0xffff); /* any function */
        aml_int(a, 0);                   /* INTA */
        aml_int(a, 0);                   /* the next is a GSI */
        aml_int(a, MEMORY_MAP_IRQ_PCI_BASE + slot % PCI_PINS);
        aml_end(a);
    }
    aml_end(a);
}

static void slot_name(char name[5], unsigned slot)
{
    snprintf(name, 5, "S%02X_", slot & 0xff);
}

static void pci_hotplug(struct aml *a, uint32_t slots)
{
    static const char *const registers[] = {"PCIU", "PCID", "PCEJ"};
    char name[5];
    aml_io_region(a, "PCHP", MEMORY_MAP_PCI_HOTPLUG, 16);
    aml_field32(a, "PCHP", registers, ARRAY_LEN(registers));
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (!(slots & 1u << slot))
            continue;
        slot_name(name, slot);
        aml_device(a, name);
        declare_int(a, "_ADR", (uint64_t)slot << 16);
        declare_int(a, "_SUN", slot);
        aml_method(a, "_EJ0", 1);
        aml_store(a);
        aml_int(a, 1u << slot);
        aml_path(a, "PCEJ");
        aml_end(a);
        aml_end(a);
    }
    aml_method(a, "NTFY", 2); /* slots, what happened */
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        if (!(slots & 1u << slot))
            continue;
        slot_name(name, slot);
        aml_if_arg_and(a, 0, 1u << slot);
        aml_notify(a);
        aml_path(a, name);
        aml_arg(a, 1);
        aml_end(a);
    }
    aml_end(a);
}

static void pci(struct aml *a, const struct acpi_config *c)
{
    aml_device(a, "PCI0");
    declare_eisa_id(a, "_HID", "PNP0A08");
    declare_eisa_id(a, "_CID", "PNP0A03");
    declare_int(a, "_UID", 0);
    declare_int(a, "_BBN", 0);
    declare_int(a, "_SEG", 0);
    pci_windows(a, c);
    pci_interrupts(a);
    if (c->hotplug_slots)
        pci_hotplug(a, c->hotplug_slots);
    aml_end(a);
}

static void isa_device(struct aml *a, const char *name, const char *id, unsigned uid, uint16_t port,
                       uint8_t n_ports, unsigned irq)
{
    uint8_t buf[DESCRIPTORS_MAX];
    struct aml r;
    aml_init(&r, buf, sizeof(buf));
    aml_res_io(&r, port, n_ports);
    aml_res_irq(&r, irq);
    aml_device(a, name);
    declare_eisa_id(a, "_HID", id);
    declare_int(a, "_UID", uid);
    aml_declare(a, "_CRS");
    aml_resources(a, &r);
    aml_end(a);
}

static void fw_cfg(struct aml *a)
{
    uint8_t buf[DESCRIPTORS_MAX];
    struct aml r;
    aml_init(&r, buf, sizeof(buf));
    aml_res_io(&r, MEMORY_MAP_FW_CFG, FW_CFG_PORTS);
    aml_device(a, "FWCF");
    declare_string(a, "_HID", "QEMU0002");
    aml_declare(a, "_CRS");
    aml_resources(a, &r);
    aml_end(a);
}

/* Microsoft, "Virtual Machine Generation ID": found by its _CID; ADDR is the low and the high half
 * of the identifier's address. Newer kernels look for the shorter _CID, which ACPI can hold. */
static void vmgenid(struct aml *a)
{
    aml_device(a, "VGEN");
    declare_string(a, "_HID", "VRGA0001");
    aml_declare(a, "_CID");
    aml_package(a, 2);
    aml_string(a, "VM_Gen_Counter");
    aml_string(a, "VMGENCTR");
    aml_end(a);
    declare_string(a, "_DDN", "VM_Gen_Counter");
    aml_declare(a, "ADDR");
    aml_package(a, 2);
    aml_int(a, BOOT_LAYOUT_VMGENID);
    aml_int(a, 0);
    aml_end(a);
    aml_end(a);
}

static void processors(struct aml *a, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char name[5];
        snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        aml_device(a, name);
        declare_string(a, "_HID", "ACPI0007");
        declare_int(a, "_UID", i);
        aml_end(a);
    }
}

/* Edge methods: the event's status bit is cleared before they run, so that what happens while they
 * do raises it again. */
static void events(struct aml *a, const struct acpi_config *c)
{
    char name[8];
    aml_scope(a, "\\_GPE");
    if (c->hotplug_slots) {
        snprintf(name, sizeof(name), "_E%02X", MEMORY_MAP_GPE_PCI_HOTPLUG);
        aml_method(a, name, 0);
        aml_path(a, "\\_SB.PCI0.NTFY");
        aml_path(a, "\\_SB.PCI0.PCIU");
        aml_int(a, NOTIFY_CHECK);
        aml_path(a, "\\_SB.PCI0.NTFY");
        aml_path(a, "\\_SB.PCI0.PCID");
        aml_int(a, NOTIFY_EJECT);
        aml_end(a);
    }
    if (c->vmgenid) {
        snprintf(name, sizeof(name), "_E%02X", MEMORY_MAP_GPE_VMGENID);
        aml_method(a, name, 0);
        aml_notify(a);
        aml_path(a, "\\_SB.VGEN");
        aml_int(a, NOTIFY_CHANGED);
        aml_end(a);
    }
    aml_end(a);
}

void acpi_dsdt(struct aml *a, const struct acpi_config *c)
{
    aml_declare(a, "_S5");
    aml_package(a, 4);
    aml_int(a, MEMORY_MAP_S5_SLP_TYP);
    aml_int(a, MEMORY_MAP_S5_SLP_TYP);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a);

    aml_scope(a, "\\_SB");
    pci(a, c);
    if (c->com1)
        isa_device(a, "COM1", "PNP0501", 1, MEMORY_MAP_COM1, UART_PORTS, MEMORY_MAP_IRQ_COM1);
    if (c->com2)
        isa_device(a, "COM2", "PNP0501", 2, MEMORY_MAP_COM2, UART_PORTS, MEMORY_MAP_IRQ_COM2);
    isa_device(a, "RTC0", "PNP0B00", 0, MEMORY_MAP_RTC, RTC_PORTS, MEMORY_MAP_IRQ_RTC);
    if (c->vmgenid)
        vmgenid(a);
    if (c->fw_cfg)
        fw_cfg(a);
    processors(a, c->n_vcpus);
    aml_end(a);
    events(a, c);
}
