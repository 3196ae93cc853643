/* The CPUID that a guest sees, as a pure function of what the host offers, a named template, and
 * which vCPU of how many it is.
 *
 *   host        all that the engine can offer, less what a saved state could not carry (nested
 *               virtualization, performance counters)
 *   x86-64-v2   the micro-architecture levels of the x86-64 psABI (3.1.1), plus a short list of
 *   x86-64-v3   system features where the host has them. Family, model, brand, cache and address
 *               sizes are fixed for each vendor, so that a guest may move between unlike hosts.
 *   rig-v1      an AMD of level x86-64-v3 with a list of features that is fixed to the last bit:
 *               the same under KVM and under the software engine, so that a guest may move between
 *               engines. No time stolen, no PV spinlocks, nothing that only one of them has.
 *
 * The topology is one socket of n cores with one thread each; the vCPU's index is its APIC id. */
#ifndef X86_CPUID_H
#define X86_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Turns `entries`, *n of them as an engine supports them, into those of vCPU `index` of `n_vcpus`.
 * `max` is the room in `entries`; a few are added. Errors: EINVAL (no such template, named with
 * those there are), ENOTSUP (the host lacks a feature of the template, named), ENOSPC. */
int cpuid_build(struct kvm_cpuid_entry2 *entries, unsigned *n, unsigned max,
                const char *template_name, unsigned index, unsigned n_vcpus, struct err *err);

/* Whether there is a template of this name. */
bool cpuid_template_exists(const char *template_name);

/* The entry for leaf `function`, sub-leaf `sub` (ignored where the leaf has none); NULL if absent.
 * Borrowed from `entries`. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid_entry2 *entries, unsigned n, uint32_t function,
                                    uint32_t sub);
/* A register of an entry. */
uint32_t *cpuid_reg(struct kvm_cpuid_entry2 *entry, enum cpuid_register reg);

#endif
