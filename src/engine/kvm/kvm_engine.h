/* The `kvm` engine: guest code runs on the host CPU through Linux KVM. See docs/arch/02-engine.md.
 *
 * Split irqchip: local APICs in the kernel, IOAPIC, 8259 and 8254 in this process (apic/).
 * Signals: one real-time signal (KVM_ENGINE_KICK_SIGNAL) with an empty handler, installed when a
 * VM is created, makes vCPU threads leave the guest. */
#ifndef ENGINE_KVM_KVM_ENGINE_H
#define ENGINE_KVM_KVM_ENGINE_H

#include <signal.h>

#include "engine/engine.h"

#define KVM_ENGINE_KICK_SIGNAL (SIGRTMIN + 1)

extern const struct engine kvm_engine;

#endif
