/* What probe_guest.S and kvm_probe.c agree on. */
#ifndef ENGINE_KVM_PROBE_GUEST_H
#define ENGINE_KVM_PROBE_GUEST_H

#define PROBE_PORT             0xf4
#define PROBE_STAGE_CMPXCHG16B 1
#define PROBE_STAGE_INT3       2
#define PROBE_STAGE_XRSTOR     3
#define PROBE_STAGE_DONE       4
#define PROBE_STAGE_WRONG      5

#endif
