# Functions of scripts/test and scripts/fuzz; sourced, not run. Sets `root` and an absolute CARGO_TARGET_DIR.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${CARGO_TARGET_DIR:-$root/target}"
# Cargo reads a relative directory from where it is called: settle it before changing directory.
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-$root/target}" && pwd)
export CARGO_TARGET_DIR
cd "$root"

name=${0##*/}
current_step=start
trap 'say_where $?' EXIT

say_where() {
    [ "$1" -eq 0 ] || echo "scripts/$name: FAILED at: $current_step (exit $1)" >&2
}

# step TEXT: says what comes next, and when.
step() {
    current_step=$1
    printf '\n==> [%d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$1"
}

fail() {
    printf 'scripts/%s: %s\n' "$name" "$1" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# need_packages NAME...: installs Debian packages, as root or through sudo.
need_packages() {
    [ $# -gt 0 ] || return 0
    echo "missing: $*"
    have apt-get || fail "please install: $* (there is no apt-get here to do it)"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "please install, as root: apt-get install $*"
        as_root=(sudo)
    fi
    need_lists
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"
}

# need_daemons NAME...: the same for packages whose services must not be started here.
need_daemons() {
    [ $# -gt 0 ] || return 0
    local policy=/usr/sbin/policy-rc.d as_root=() guarded=no status=0
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    # Whoever has one already has said what may be started.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" sh -c "cat >$policy && chmod 755 $policy"
        guarded=yes
    fi
    (need_packages "$@") || status=$?
    [ "$guarded" = no ] || "${as_root[@]}" rm -f "$policy"
    return $status
}

# need_lists: brings the package lists up to date, as root or through sudo.
need_lists() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "please bring the package lists up to date, as root: apt-get update"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q
}

# need_rust [COMPONENT...]: cargo and, through rustup where it is there, the named components.
need_rust() {
    have cargo || fail "please install Rust first (https://rustup.rs)"
    local component
    for component in "$@"; do
        if ! cargo "$component" --version >/dev/null 2>&1; then
            have rustup || fail "please install cargo $component"
            rustup component add "${component/fmt/rustfmt}"
        fi
    done
    cargo --version
}

# need_tool NAME VERSION: a cargo sub-command, from PATH or built once under the target directory.
need_tool() {
    export PATH="$CARGO_TARGET_DIR/tools/bin:$PATH"
    if have "$1"; then
        return 0
    fi
    # In a build directory of its own, which cargo takes away again: the target directory stays ours.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --debug \
        --root "$CARGO_TARGET_DIR/tools" --version "$2" "$1"
}
