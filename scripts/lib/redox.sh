# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The Rust side of integration/redox, for scripts/test: tests, doc tests, lints, form. Sourced, not run.
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

redox() {
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
        redox_tests crate "$logs/crate.log" cargo test --locked "${manifest[@]}" --package hvpt-redox
        redox_tests "rmm-second-level" "$logs/rmm.log" \
            cargo test --locked "${manifest[@]}" --package rmm-second-level
        redox_case "the second level for rmm is under 1,000 lines" "$logs/rmm-lines.log" \
            awk 'END { print NR; exit NR >= 1000 }' "$workspace"/rmm-second-level/src/*.rs
        redox_tests "crate in rmm's types" "$logs/rmm.log" cargo test --locked "${manifest[@]}" --package hvpt-redox --features rmm
        redox_tests module "$logs/module.log" cargo test --locked "${manifest[@]}" --package redox-standin
        RUSTDOCFLAGS='-D warnings' redox_case "cargo doc has nothing to say" "$logs/doc.log" \
            cargo doc --locked --no-deps "${manifest[@]}" --package hvpt-redox --package rmm-second-level --package redox-hv
        if cargo clippy --version >/dev/null 2>&1; then
            redox_case "clippy has nothing to say" "$logs/clippy.log" \
                cargo clippy --locked "${manifest[@]}" --package hvpt-redox --package rmm-second-level --package redox-hv \
                --package redox-standin --all-targets -- -D warnings -A clippy::precedence # 1.85 wants brackets of shifts
        else
            case_skipped "redox: clippy" "no cargo-clippy (Debian: rust-clippy)"
        fi
        if cargo fmt --version >/dev/null 2>&1; then
            redox_case "rustfmt changes nothing" "$logs/fmt.log" cargo fmt "${manifest[@]}" --all --check
        else
            case_skipped "redox: rustfmt" "no rustfmt (Debian: rustfmt)"
        fi
    }
    unset CARGO_TARGET_DIR
}
