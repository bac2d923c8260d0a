# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The Rust side, integration/rust and integration/redox, for scripts/test: tests, doc tests, the package, lints, form. Sourced, not run.
# shellcheck shell=bash

# Each test of cargo as a case; a run that fails without a failed test is a case of its own.
redox_tests() {
    local label=$1 log=$2 failed=false line
    shift 2
    "$@" >"$log" 2>&1 || failed=true
    while read -r line; do
        case $line in
            "test "*" ... ok") line=${line#test }; case_ok "redox, $label: ${line% ... ok}" ;;
            "test "*" ... FAILED") line=${line#test }; case_failed "redox, $label: ${line% ... FAILED} ($log)"; failed=false ;;
        esac
    done <"$log"
    ! $failed || { tail -n 30 "$log" >&2; case_failed "redox, $label ($log)"; }
}

# A run that is one case.
redox_case() {
    local label=$1 log=$2
    shift 2
    if "$@" >"$log" 2>&1; then
        case_ok "redox: $label"
    else
        tail -n 30 "$log" >&2
        case_failed "redox: $label ($log)"
    fi
}

# The package that a registry would take: it builds from its tarball, and its tests pass there.
rust_package() {
    local crate=$1 logs=$2 version
    redox_case "cargo package: the crate builds from its tarball" "$logs/package.log" \
        cargo package --offline --locked --allow-dirty --manifest-path "$crate/Cargo.toml"
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$crate/Cargo.toml")
    redox_case "the package has the headers and the licence, and the project's version" "$logs/package-list.log" \
        eval "ls $CARGO_TARGET_DIR/package/hvpt-$version/{LICENSE,README.md,include/hvpt/hvpt.h,include/hvctl/unit.c} &&
            grep -q \"version: '$version'\" $root/meson.build"
    redox_tests "crate from its package" "$logs/package-tests.log" \
        cargo test --offline --locked --manifest-path "$CARGO_TARGET_DIR/package/hvpt-$version/Cargo.toml"
    rust_fresh "$CARGO_TARGET_DIR/package/hvpt-$version" "$logs"
}

# What a new user's resolver takes, without this project's Cargo.lock: nothing that needs a later Rust than the crate says.
rust_fresh() {
    local package=$1 logs=$2 least
    least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$package/Cargo.toml")
    rm -f "$package/Cargo.lock"
    if ! CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=allow \
        cargo metadata --format-version 1 --manifest-path "$package/Cargo.toml" >"$logs/fresh.json" 2>"$logs/fresh.log"; then
        case_skipped "redox: a fresh resolve needs no later Rust" "cargo reaches no registry ($logs/fresh.log)"
        return 0
    fi
    redox_case "a fresh resolve needs no later Rust" "$logs/fresh-versions.log" \
        eval "{ grep -o '\"rust_version\":\"[0-9.]*\"' '$logs/fresh.json' | cut -d'\"' -f4; echo $least; } |
            sort -V | tee /dev/stderr | tail -n 1 | grep -qxE '$least(\.0)?'"
}

# The guide's first commands, in a tree that has an rmm and a Cargo.lock as the kernel's has: the crate builds from the copy.
redox_taken_in() {
    local workspace=$1 tree=$2
    rm -rf "$tree"
    mkdir -p "$tree/src"
    cp -r "$workspace/standin/rmm" "$tree/"
    cp "$workspace/Cargo.lock" "$tree/"
    printf '%s\n' '[workspace]' '[package]' 'name = "kernel"' 'version = "0.1.0"' 'edition = "2021"' \
        '[dependencies]' 'hvpt-redox = { path = "vendor/hvpt-redox" }' >"$tree/Cargo.toml"
    echo 'fn main() { println!("{}", hvpt::PhysicalAddress::new(4096).data()); }' >"$tree/src/main.rs"
    (
        cd "$tree" || exit
        awk '/```sh/ { on = 1; next } /```/ && on { exit } on' "$workspace/kernel/README.md" >take-in.sh
        HVPT=$root bash -eux take-in.sh
        cargo build --offline
        test -f src/hv/mod.rs
    )
}

# What the crate asks of the resolver of the tree that takes it in: no bound on a version, no least Rust.
redox_asks_nothing() {
    ! grep -nE '^rust-version|"[^"]*<' "$1/hvpt-redox/Cargo.toml"
}

redox() {
    local crate=$root/integration/rust/hvpt
    local workspace=$root/integration/redox logs=$build/redox manifest=()
    command -v cargo >/dev/null 2>&1 || { case_skipped redox "no cargo (Debian: cargo)"; return 0; }
    say "== redox"
    mkdir -p "$logs"
    manifest=(--manifest-path "$workspace/Cargo.toml")
    export CARGO_TARGET_DIR=$logs/target
    if ! cargo fetch --locked "${manifest[@]}" >"$logs/fetch.log" 2>&1; then
        case_skipped redox "cargo cannot fetch the crate cc ($logs/fetch.log)"
        unset CARGO_TARGET_DIR
        return 0
    fi
    {
        redox_tests crate "$logs/crate.log" cargo test --locked --manifest-path "$crate/Cargo.toml"
        rust_package "$crate" "$logs"
        redox_tests "rmm-second-level" "$logs/rmm.log" \
            cargo test --locked "${manifest[@]}" --package rmm-second-level
        redox_case "the second level for rmm is under 1,000 lines" "$logs/rmm-lines.log" \
            awk 'END { print NR; exit NR >= 1000 }' "$workspace"/rmm-second-level/src/*.rs
        redox_tests "crate in rmm's types" "$logs/rmm.log" cargo test --locked "${manifest[@]}" --package hvpt-redox
        redox_case "the crate builds where the guide puts it" "$logs/taken-in.log" redox_taken_in "$workspace" "$logs/tree"
        redox_case "the crate leaves the resolver of that tree alone" "$logs/asks.log" redox_asks_nothing "$workspace"
        redox_tests "client" "$logs/client.log" cargo test --locked "${manifest[@]}" --package redox-hv
        if [ "$(uname -m)" = x86_64 ]; then
            redox_case "the first program of a kernel, and its loader" "$logs/boot.log" \
                make -C "$workspace/boot" OUT="$logs/boot" programs
        fi
        redox_tests module "$logs/module.log" cargo test --locked "${manifest[@]}" --package redox-standin
        RUSTDOCFLAGS='-D warnings' redox_case "cargo doc has nothing to say" "$logs/doc.log" \
            cargo doc --locked --no-deps --manifest-path "$crate/Cargo.toml"
        RUSTDOCFLAGS='-D warnings' redox_case "cargo doc has nothing to say of Redox's crates" "$logs/doc-redox.log" \
            cargo doc --locked --no-deps "${manifest[@]}" --package hvpt-redox --package rmm-second-level --package redox-hv
        if cargo clippy --version >/dev/null 2>&1; then
            redox_case "clippy has nothing to say of the crate" "$logs/clippy-crate.log" \
                cargo clippy --locked --manifest-path "$crate/Cargo.toml" --all-targets -- -D warnings -A clippy::precedence
            redox_case "clippy has nothing to say" "$logs/clippy.log" \
                cargo clippy --locked "${manifest[@]}" --package hvpt-redox --package rmm-second-level --package redox-hv \
                --package redox-standin --all-targets -- -D warnings -A clippy::precedence # 1.85 wants brackets of shifts
        else
            case_skipped "redox: clippy" "no cargo-clippy (Debian: rust-clippy)"
        fi
        if cargo fmt --version >/dev/null 2>&1; then
            redox_case "rustfmt changes nothing in the crate" "$logs/fmt-crate.log" \
                cargo fmt --manifest-path "$crate/Cargo.toml" --all --check
            redox_case "rustfmt changes nothing" "$logs/fmt.log" cargo fmt "${manifest[@]}" --all --check
        else
            case_skipped "redox: rustfmt" "no rustfmt (Debian: rustfmt)"
        fi
    }
    unset CARGO_TARGET_DIR
}
