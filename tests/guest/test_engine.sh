#!/bin/sh
# The tiny guests of guest/ on the kvm engine with real hardware virtualization: the same list that tests/func
# runs on this machine's own KVM, whatever that is.
exe=$VIRGA_BUILD/tests/func/test-guests
[ -x "$exe" ] || { echo "1..0 # SKIP there is no $exe"; exit 0; }
# Not a second time in the run of guests on the software engine.
[ -n "$VIRGA_RIG" ] || { echo "1..0 # SKIP tests/func runs them on this machine's KVM"; exit 0; }
exec "$exe" kvm "$VIRGA_BUILD/guest"
