# Sourced by ./quickstart and ./check: installs what is missing from Debian and says what it is.

# To build, to make images and to run the rig.
NEEDS_BUILD="gcc libc6-dev meson ninja-build pkg-config python3 libjansson-dev liburing-dev libzstd-dev zlib1g-dev
    libseccomp-dev libcap-dev libwebsockets-dev libmnl-dev libssl-dev libsqlite3-dev libpq-dev libargon2-dev
    libcurl4-openssl-dev libyaml-dev"
NEEDS_IMAGES="dpkg-dev mmdebstrap e2fsprogs lz4 zstd"
NEEDS_RUN="qemu-system-x86 qemu-system-common passt qemu-utils xz-utils"
# To check: a second compiler, sanitizers, the programs that tests run against ours.
NEEDS_CHECK="git binutils clang-14 libclang-rt-14-dev clang-format-14 qemu-utils iproute2 iperf3 socat strace
    gdb dpdk-dev acpica-tools mandoc libzydis-dev python3-yaml postgresql-15 genisoimage xorriso openssh-client openssl
    zsh fish faketime"

# run_shown TITLE COMMAND...: runs a command with its output in a file, shows that it is alive, and shows
# the file's end when it fails.
run_shown() {
    title=$1
    shift
    log=$(mktemp)
    begin=$(date +%s)
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    n=0
    while kill -0 $pid 2>/dev/null; do
        sleep 0.2
        n=$((n + 1))
        if [ $((n % 25)) -eq 0 ]; then
            printf '%s ... %s s  %s\n' "$title" "$(($(date +%s) - begin))" "$(tail -n 1 "$log" | cut -c1-80)" >&2
        fi
    done
    if wait $pid; then
        printf '%s ... done in %s s\n' "$title" "$(($(date +%s) - begin))" >&2
        rm -f "$log"
        return 0
    fi
    printf '%s ... FAILED after %s s:\n' "$title" "$(($(date +%s) - begin))" >&2
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "this needs root: $*; run it as root or install sudo" >&2
        return 1
    fi
}

# Debian's PostgreSQL makes a database and starts a server when it is installed. Our tests start their own; where
# nobody had PostgreSQL before, its programs are enough.
without_a_cluster() {
    case $1 in *postgresql-*) ;; *) return 0 ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' postgresql-common 2>/dev/null)" = installed ] && return 0
    run_shown "apt-get install postgresql-common" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends postgresql-common || return 1
    as_root sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
}

# need PACKAGE...: installs those that are missing, without what they merely recommend.
need() {
    missing=
    for p in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
            installed) ;;
            *) missing="$missing $p" ;;
        esac
    done
    if [ -z "$missing" ]; then
        echo "packages: all there"
        return 0
    fi
    echo "packages: installing$missing"
    [ "$(id -u)" -eq 0 ] || as_root true || return 1 # asks for the password where it can be seen
    run_shown "apt-get update" as_root apt-get -q update || return 1
    without_a_cluster "$missing" || return 1
    # shellcheck disable=SC2086
    run_shown "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends $missing
}
