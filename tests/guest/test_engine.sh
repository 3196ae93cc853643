#!/bin/sh
# The tiny guests of guest/ on the kvm engine with real hardware virtualization: the same programs that tests/func
# runs on this machine's own KVM, whatever that is. Not those that look at the CPU alone (guests-cpu, guests-modes): the
# rig's is QEMU's TCG, which has no segment limits and other error codes.
# Not a second time in the run of guests on the software engine.
[ -n "$VIRGA_RIG" ] || { echo "1..0 # SKIP tests/func runs them on this machine's KVM"; exit 0; }
for name in guests guests-state guests-apic guests-debugger; do
    "$VIRGA_BUILD/tests/func/test-$name" kvm "$VIRGA_BUILD/guest" || echo "not ok 0 - test-$name ended with status $?"
done | awk '
    /^1\.\.[0-9]/ { next }
    /^(not )?ok / { sub(/ok [0-9]+/, "ok " ++n) }
    { print; fflush() }
    END { print "1.." n }'
