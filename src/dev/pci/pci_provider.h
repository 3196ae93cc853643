/* For implementers of PCI devices. A device embeds struct pci_device as its first member, calls
 * pci_device_init(), adds BARs, capabilities and MSI-X, and hands itself to pci_root_add().
 *
 * The configuration space is an array of bytes with an array of writable bits beside it: sizing a
 * BAR, read-only fields and absent registers all follow from the mask. Callbacks run with the
 * device lock held; pci_intx_set() and pci_msix_signal() may be called from any thread. */
#ifndef DEV_PCI_PCI_PROVIDER_H
#define DEV_PCI_PCI_PROVIDER_H

#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "dev/pci/pci.h"

#define PCI_CONFIG_BYTES 256
#define PCI_BARS         6

struct pci_device_ops {
    const char *name;
    /* Optional: `len` bytes at `off` are about to be read / were written. A register whose value
     * depends on the moment is brought up to date in dev->config here. */
    void (*config_reading)(struct pci_device *dev, unsigned off, unsigned len);
    void (*config_written)(struct pci_device *dev, unsigned off, unsigned len);
    /* Optional: the BAR is now decoded at dev->bars[bar].region.base / is about to disappear. */
    void (*bar_mapped)(struct pci_device *dev, unsigned bar);
    void (*bar_unmapping)(struct pci_device *dev, unsigned bar);
    /* Optional: the machine was reset; the configuration space will be reset afterwards. */
    void (*reset)(struct pci_device *dev);
    /* Optional: writes the device's own section(s). load() is called on a fresh device. */
    void (*save)(struct pci_device *dev, struct state_writer *w);
    int (*load)(struct pci_device *dev, struct state_reader *r);
    /* Frees the object; calls pci_device_fini(). */
    void (*destroy)(struct pci_device *dev);
};

struct pci_ids {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* class << 16 | subclass << 8 | programming interface */
    uint8_t revision;
};

struct pci_bar {
    uint64_t size; /* 0: not there */
    bool is_64bit, mapped;
    struct bus_region region;
};

struct pci_msix;

struct pci_device {
    const struct pci_device_ops *ops;
    struct pci_root *root; /* NULL while not on a bus */
    struct bus *bus;
    unsigned slot;
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES];
    uint8_t last_cap, free_cap; /* offsets of the last capability and behind it */
    struct pci_bar bars[PCI_BARS];
    /* What the device wants, what the driver allows; what the bus sees, under its INTx lock. */
    _Atomic bool intx_level, intx_disabled;
    bool intx_driven;
    struct pci_msix *msix;
};

/* Fills in a zeroed device. It has interrupt pin INTA and no BARs. */
void pci_device_init(struct pci_device *dev, struct bus *bus, const struct pci_device_ops *ops,
                     const struct pci_ids *ids);
/* Releases MSI-X. The device must be off the bus (pci_root_remove() saw to that). */
void pci_device_fini(struct pci_device *dev);

/* Adds a memory BAR; `size` is a power of two of at least 4 KiB; one of 64 bits takes two numbers.
 */
void pci_device_add_bar(struct pci_device *dev, unsigned bar, uint64_t size, bool is_64bit,
                        const struct bus_region_ops *ops, void *opaque);

/* Adds a capability of `len` bytes (with the two of its header). Returns its offset. The device
 * fills in the bytes and their writable bits. */
uint8_t pci_device_add_cap(struct pci_device *dev, uint8_t id, uint8_t len);

/* Drives the device's interrupt pin (a level). Threads: any. */
void pci_intx_set(struct pci_device *dev, bool level);

/* Configuration access as the guest sees it; off + len <= 4096. */
uint32_t pci_config_read(struct pci_device *dev, unsigned off, unsigned len);
void pci_config_write(struct pci_device *dev, unsigned off, unsigned len, uint32_t value);

/* The configuration space and MSI-X, inside the device's open section. Loading refuses a space
 * whose fixed bytes differ from this device's. */
void pci_device_save(const struct pci_device *dev, struct state_writer *w);
int pci_device_load(struct pci_device *dev, struct state_reader *r);

/* ---- MSI-X. Spec: PCI Local Bus 3.0, 6.8.2 ---- */

#define PCI_MSIX_ENTRY_BYTES 16

/* Adds MSI-X with `n` vectors (at most 2048), its table and pending bits at these offsets of a BAR,
 * whose callbacks pass accesses there on to the functions below. Errors: ENOMEM, ENOSPC (routes).
 */
int pci_msix_init(struct pci_device *dev, unsigned n, unsigned bar, uint32_t table_offset,
                  uint32_t pba_offset, struct err *err);

/* Whether the driver chose MSI-X over the pin. Threads: any. */
bool pci_msix_enabled(const struct pci_device *dev);
unsigned pci_msix_vectors(const struct pci_device *dev);

/* Sends a vector's message, or sets its pending bit while it is masked. A vector that does not
 * exist is ignored. Threads: any. */
void pci_msix_signal(struct pci_device *dev, unsigned vector);
/* An eventfd that does the same for another process. Returns it, or -errno. */
int pci_msix_fd(struct pci_device *dev, unsigned vector);
/* Forgets what is pending (the device was reset). */
void pci_msix_forget(struct pci_device *dev);

/* Accesses to the table and the pending bits: any width, `off` relative to each. Beyond them reads
 * are zero and writes are ignored. */
uint64_t pci_msix_table_read(struct pci_device *dev, uint64_t off, unsigned size);
void pci_msix_table_write(struct pci_device *dev, uint64_t off, unsigned size, uint64_t value);
uint64_t pci_msix_pba_read(struct pci_device *dev, uint64_t off, unsigned size);

#endif
