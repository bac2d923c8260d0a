# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Programs of another Debian suite in a folder: fetched by apt and unpacked with the C library and all they need, not
# installed, by any user. Sourced, not run; after it suite_archives is where the packages lie until the shell ends.
# shellcheck shell=bash

# Where this machine's own Debian packages come from; nothing on a system that is not Debian.
debian_mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
        | sed -n 's/^Debian|Debian|//p' | head -n 1
}

# unpack_suite MIRROR SUITE FOLDER STALE PACKAGE...: FOLDER becomes a root that holds them. STALE, true or false: take
# package lists whose date is over. A package a|b is the first of them that the suite has.
unpack_suite() {
    local mirror=$1 suite=$2 folder=$3 stale=$4 made keyring=/usr/share/keyrings/debian-archive-keyring.gpg package packages=()
    shift 4
    [ -n "$mirror" ] || { echo "This machine's packages do not come from Debian: name a mirror." >&2; return 2; }
    for package in apt-get dpkg-deb; do
        command -v "$package" >/dev/null 2>&1 || { echo "$package is missing: a Debian or Ubuntu system is needed." >&2; return 2; }
    done
    [ -e "$keyring" ] || { echo "Debian's keys are missing (package debian-archive-keyring)." >&2; return 2; }

    # An apt of its own: no package is there, so that all that is needed is fetched, the C library with it.
    made=$(mktemp -d "${TMPDIR:-/tmp}/hvpt-suite-XXXXXX")
    suite_archives=$made/cache/archives
    # shellcheck disable=SC2064
    trap "rm -rf '$made'" EXIT
    mkdir -p "$made"/{state/lists/partial,cache/archives/partial,etc/preferences.d,etc/apt.conf.d,etc/trusted.gpg.d,log}
    : >"$made/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite" >"$made/etc/sources.list"
    cat >"$made/apt.conf" <<CONF
Dir::Etc "$made/etc";
Dir::State "$made/state";
Dir::State::status "$made/status";
Dir::Cache "$made/cache";
Dir::Log "$made/log";
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Debug::NoLocking "true";
CONF
    ! $stale || printf 'Acquire::Check-Valid-Until "false";\n' >>"$made/apt.conf"
    APT_CONFIG=$made/apt.conf apt-get -qq update || { echo "The package lists of $suite cannot be had from $mirror." >&2; return 2; }
    for package; do
        [ "$package" = "${package%%|*}" ] ||
            [ -n "$(APT_CONFIG=$made/apt.conf apt-cache --names-only search "^${package%%|*}\$")" ] || package=${package#*|}
        packages+=("${package%%|*}")
    done
    if ! APT_CONFIG=$made/apt.conf apt-get -qq -y --download-only install base-files "${packages[@]}" >"$made/said" 2>&1; then
        cat "$made/said" >&2
        echo "${packages[*]} of $suite cannot be had." >&2
        return 2
    fi
    mkdir -p "$folder"
    dpkg-deb --fsys-tarfile "$suite_archives"/base-files_*.deb | tar -x -C "$folder" # the links /lib and /bin come first
    for package in "$suite_archives"/*.deb; do
        dpkg-deb --fsys-tarfile "$package" |
            tar -x -C "$folder" --keep-directory-symlink --no-same-owner --exclude='./usr/share/doc*' \
                --exclude='./usr/share/man*' --exclude='./usr/share/locale*' --exclude='./dev*'
    done
}
