/* Writes ACPI Machine Language, the byte code of the DSDT, into a buffer of the caller's. Terms are
 * appended in the order in which they are executed or declared; what has a length is opened and
 * closed by aml_end(). A buffer that is too small is remembered: ask aml_ok() once at the end.
 *
 *   aml_device(&a, "COM1");
 *       aml_declare(&a, "_HID");
 *       aml_eisa_id(&a, "PNP0501");
 *   aml_end(&a);
 *
 * Spec: ACPI 6.4, chapter 20 (AML), 6.4 (resource descriptors). */
#ifndef BOOT_AML_H
#define BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH_MAX 8

struct aml {
    uint8_t *data;
    size_t cap_bytes, len_bytes;
    bool failed; /* out of room, or nested too deeply */
    unsigned depth;
    size_t open[AML_DEPTH_MAX]; /* where the package length of each open term belongs */
};

void aml_init(struct aml *a, uint8_t *buf, size_t cap_bytes);
/* Whether everything fitted and every term was closed. */
bool aml_ok(const struct aml *a);

/* Terms that hold others, until aml_end(). Paths are as in ASL: "\\_SB.PCI0", "_ADR". */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned n_args);
void aml_package(struct aml *a, unsigned n_elements);
/* If (ArgN & mask). */
void aml_if_arg_and(struct aml *a, unsigned arg, uint64_t mask);
void aml_end(struct aml *a);

/* Name (NAME, value): the value is the next thing written. */
void aml_declare(struct aml *a, const char *name);
/* Values. */
void aml_int(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0A08" */
void aml_path(struct aml *a,
              const char *path); /* a reference, or a method whose arguments follow */
void aml_arg(struct aml *a, unsigned n);
/* Statements: what they take is written after them (Store: value, then target; Notify: object,
 * then value). */
void aml_store(struct aml *a);
void aml_notify(struct aml *a);

/* OperationRegion (NAME, SystemIO, base, size) and a Field of 32-bit registers in it, from its
 * beginning on. */
void aml_io_region(struct aml *a, const char *name, uint16_t base, uint16_t size_bytes);
void aml_field32(struct aml *a, const char *region, const char *const *names, unsigned n);

/* A resource template: descriptors are written into a writer of their own, which aml_resources()
 * then appends as a buffer. */
void aml_resources(struct aml *a, const struct aml *descriptors);
void aml_res_io(struct aml *r, uint16_t base, uint8_t size_bytes);
void aml_res_irq(struct aml *r, unsigned irq); /* edge-triggered, active high */
/* Windows that a bridge forwards. `last` is inclusive. */
void aml_res_bus_window(struct aml *r, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml *r, uint16_t first, uint16_t last);
void aml_res_mem32_window(struct aml *r, uint32_t first, uint32_t last);
void aml_res_mem64_window(struct aml *r, uint64_t first, uint64_t last);

#endif
