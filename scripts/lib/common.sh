# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# What the scripts share: where things are, what they need, and how it gets installed. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${HVPT_BUILD:-$root/build}
jobs=${HVPT_JOBS:-$(nproc)}
export HVPT_BUILD=$build

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# What is needed, one a line: a probe that succeeds where it is there, then the Debian packages that bring it.
# a|b: the first of them that the release has. A probe is a program's name, "pc:" and a pkg-config module, or
# "path:" and a file by its pattern.
needs_build='
gcc                       gcc libc6-dev
meson                     meson
ninja                     ninja-build
pkg-config                pkgconf|pkg-config
python3                   python3
'
needs_x86_machines='
bochs                     bochs bochs-term
qemu-system-x86_64        qemu-system-x86
path:/usr/share/ovmf/OVMF.fd ovmf
'
needs_tests='
cmake                     cmake
dh                        debhelper
lintian                   lintian
sparse                    sparse
doxygen                   doxygen
g++                       g++
pc:criterion              libcriterion-dev
gcovr                     gcovr
valgrind                  valgrind
clang                     clang-21|clang-20|clang-19|clang-18|clang-17|clang-16|clang-15|clang-14
ld.lld                    lld-21|lld-20|lld-19|lld-18|lld-17|lld-16|lld-15|lld-14
aarch64-linux-gnu-gcc     gcc-aarch64-linux-gnu
riscv64-linux-gnu-gcc     gcc-riscv64-linux-gnu
'
# The page's test: a browser, and node to drive it. playwright-core comes from npm.
needs_page='
chromium                  chromium
node                      nodejs
npm                       npm
'
needs_bench='
gnuplot                   gnuplot-nox
'
# examples/languages. Zig comes from PyPI, if somebody has it.
needs_languages='
go                        golang-go
bindgen                   bindgen
path:/usr/lib/python3/dist-packages/cffi python3-cffi
path:/usr/lib/python3/dist-packages/setuptools python3-setuptools
path:/usr/include/python3*/Python.h python3-dev
'
# A module for Linux; the kernel of its version is fetched by the test and not installed.
needs_module='
path:/lib/modules/*/build linux-headers-amd64|linux-headers-generic
'
needs_other_machines='
aarch64-linux-gnu-gcc     gcc-aarch64-linux-gnu
riscv64-linux-gnu-gcc     gcc-riscv64-linux-gnu
path:/usr/aarch64-linux-gnu/lib/libc.a  libc6-dev-arm64-cross
path:/usr/riscv64-linux-gnu/lib/libc.a  libc6-dev-riscv64-cross
qemu-system-aarch64       qemu-system-arm
qemu-system-riscv64       qemu-system-riscv|qemu-system-misc
gdb-multiarch             gdb-multiarch
'
# rust-clippy and rustfmt belong to Debian's cargo; another one brings its own.
needs_redox='
cargo                     cargo rust-clippy rustfmt
'

is_there() {
    case $1 in
        path:*) compgen -G "${1#path:}" >/dev/null ;;
        pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
        clang | ld.lld) compgen -c "$1" | grep -qE "^$1(-[0-9]+)?\$" ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# First of the alternatives a|b that the package lists know, or the first one at all.
first_available() {
    local candidate
    for candidate in ${1//|/ }; do
        if apt-cache show "$candidate" >/dev/null 2>&1; then
            say "$candidate"
            return
        fi
    done
    say "${1%%|*}"
}

# What the needs in $1 lack: prints the packages, with their alternatives.
missing_packages() {
    local probe packages
    while read -r probe packages; do
        [ -z "$probe" ] || is_there "$probe" || say "$packages"
    done <<<"$1" | tr ' ' '\n'
}

# A list of packages for a person: the first of each a|b, on one line.
one_line() { sed 's/|.*//' <<<"$1" | tr '\n' ' '; }

# apt-get with arguments, as root, quiet unless it fails.
apt_run() {
    local as_root=() said
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    # sudo asks for its password on the terminal, not on stderr, so nothing that a person must see gets lost.
    said=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1) && return 0
    warn "$said"
    return 1
}

# Install what the given lists of needs lack. Goes on with a message where that is not possible: the build says what it
# cannot do without, and tests that miss a program are skipped by name.
install_needs() {
    local missing package wanted=()
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        warn "Not a Debian or Ubuntu system. Missing here, by Debian's names: $(one_line "$missing")"
        return 0
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
        warn "Neither root nor sudo, so nothing is installed. Missing here: $(one_line "$missing")"
        return 0
    fi
    apt_run update || true
    for package in $missing; do
        wanted+=("$(first_available "$package")")
    done
    say "Installing ${wanted[*]} ..."
    if ! apt_run install -y --no-install-recommends "${wanted[@]}"; then
        # One package that this release does not have must not keep the others away.
        for package in "${wanted[@]}"; do
            apt_run install -y --no-install-recommends "$package" || warn "Could not install $package."
        done
    fi
}

# The programs without which nothing can be built at all.
require_build() {
    local missing
    missing=$(missing_packages "$needs_build")
    [ -z "$missing" ] || die "Cannot build without these (Debian packages): $(one_line "$missing")"
}

# Makes the build folder, and keeps it for this run: two at once in one folder would spoil each other's figures.
claim_build() {
    # The name is a folder's, so its parent must take new ones as well (build-sanitize, logs).
    if ! mkdir -p "$build" 2>/dev/null || ! [ -w "$build" ] || ! [ -w "$(dirname "$build")" ]; then
        die "Nothing can be written to $build: set HVPT_BUILD to a folder in a place where it can."
    fi
    command -v flock >/dev/null 2>&1 || return 0
    exec 8>"$build/.in-use"
    flock --nonblock 8 || die "Another run works in $build: wait for its end, or set HVPT_BUILD to another folder."
}

# configure DIR OPTION...: set up or update a build directory, quietly unless it fails.
configure() {
    local dir=$1 log
    shift
    log=$dir.log
    mkdir -p "$(dirname "$dir")"
    # A directory of another version of meson or of the compilers cannot be updated, only wiped.
    if [ -f "$dir/build.ninja" ]; then
        meson setup --reconfigure "$dir" "$root" "$@" >"$log" 2>&1 ||
            meson setup --wipe "$dir" "$root" "$@" >"$log" 2>&1
    else
        meson setup "$dir" "$root" "$@" >"$log" 2>&1
    fi || { cat "$log" >&2; return 1; }
    rm -f "$log"
}

# playwright-core beside the build directory, if npm has it; without it the page's test skips and says so.
install_playwright() {
    local where=$build/playwright
    export HVPT_PLAYWRIGHT=$where/node_modules/playwright-core
    [ -d "$HVPT_PLAYWRIGHT" ] && return 0
    command -v npm >/dev/null 2>&1 || return 0
    mkdir -p "$where"
    npm install --prefix "$where" --no-fund --no-audit playwright-core@1 >"$where/npm.log" 2>&1 \
        || warn "playwright-core could not be installed; the page is not tried in a browser."
}

# CBMC and herd7 beside the build directory, where the machine has neither; without them their proofs skip and say so.
install_proof_tools() {
    is_there cbmc && is_there herd7 && return 0
    mkdir -p "$build"
    "$root/scripts/lib/proof-tools" "$build/proof-tools" >"$build/proof-tools.log" 2>&1 \
        || warn "CBMC or herd7 could not be had ($build/proof-tools.log); what they prove is skipped."
}
