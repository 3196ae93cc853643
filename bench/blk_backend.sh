#!/bin/sh
# Our raw backend against fio with io_uring, on the same file: 4 KiB random reads, 32 in flight.
# Runs alternate. Usage: bench/blk_backend.sh [BUILD=build] [FILE: made, 1 GiB, if not given]
set -eu
build=${1:-build}
file=${2:-}
if [ -z "$file" ]; then
    file=$(mktemp /var/tmp/virga-bench-XXXXXX)
    trap 'rm -f "$file"' EXIT
    dd if=/dev/urandom of="$file" bs=1M count=1024 status=none
fi
fio_run() {
    fio --name=f --filename="$file" --readonly --rw=randread --bs=4k --iodepth=32 --ioengine=io_uring \
        --direct="$1" --runtime=3 --time_based --norandommap --gtod_reduce=1 --output-format=json |
        python3 -c "import json,sys; j=json.load(sys.stdin)['jobs'][0]; c=(j['usr_cpu']+j['sys_cpu'])/100; \
i=j['read']['iops']; print('{\"bench\": \"fio\", \"depth\": 32, \"direct\": %s, \"aio\": \"io_uring\", \
\"iops\": %.0f, \"cpu_us_per_request\": %.2f}' % ('true' if $1 else 'false', i, c*1e6/i))"
}
for mode in direct cached; do
    for i in 1 2 3; do
        "$build/bench/bench-blk_backend" "$file" 32 3 $mode uring
        fio_run "$([ $mode = direct ] && echo 1 || echo 0)"
    done
    "$build/bench/bench-blk_backend" "$file" 32 3 $mode threads
done
