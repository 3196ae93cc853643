/* Architectural state in and out, in KVM's structs: see engine_vcpu_get_state(). */
#ifndef ENGINE_SOFT_SOFT_STATE_H
#define ENGINE_SOFT_SOFT_STATE_H

#include "engine/soft/soft_internal.h"

int soft_state_get(struct engine_vcpu *vcpu, struct engine_vcpu_state *state, struct err *err);
int soft_state_set(struct engine_vcpu *vcpu, const struct engine_vcpu_state *state,
                   struct err *err);
int soft_state_get_regs(struct engine_vcpu *vcpu, struct kvm_regs *regs, struct kvm_sregs *sregs,
                        struct err *err);
int soft_state_set_regs(struct engine_vcpu *vcpu, const struct kvm_regs *regs,
                        const struct kvm_sregs *sregs, struct err *err);

#endif
