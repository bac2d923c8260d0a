//! Compiles the C shim over the headers, for the host or with a kernel's flags, and makes Rust's lists of the headers'.

use std::{env, fs, path::PathBuf};

#[path = "shim/lists.rs"]
mod lists;

/// The sizes that Rust reserves for the headers' structs; the C compiler compares them with the structs.
#[allow(dead_code)]
mod sizes {
    include!("src/sizes.rs");
}

/// Where the headers are: in the crate's own folder, as in a package or a copy, else in this project.
fn headers() -> PathBuf {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let candidates = [here.join("include"), here.join("../../../include")];
    let found = match env::var_os("HVPT_INCLUDE") {
        Some(given) => PathBuf::from(given),
        None => candidates
            .iter()
            .find(|path| path.join("hvpt").is_dir())
            .cloned()
            .unwrap_or_else(|| {
                panic!(
                    "no headers: put hvpt's include folder beside Cargo.toml, or set HVPT_INCLUDE"
                )
            }),
    };
    for half in ["hvpt", "hvctl"] {
        println!("cargo:rerun-if-changed={}", found.join(half).display());
    }
    found
}

fn main() {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap();
    let kernel = env::var("CARGO_CFG_TARGET_OS").unwrap() == "none";
    let bare = kernel || env::var_os("CARGO_FEATURE_BARE_METAL").is_some();
    let mut build = cc::Build::new();

    // The package of these files that depends on rmm takes its types.
    println!("cargo:rustc-check-cfg=cfg(hvpt_rmm)");
    if env::var("CARGO_PKG_NAME").unwrap() == "hvpt-redox" {
        println!("cargo:rustc-cfg=hvpt_rmm");
    }
    println!("cargo:rerun-if-env-changed=HVPT_INCLUDE");
    println!("cargo:rerun-if-changed=shim");
    build
        .include(headers())
        .warnings(false)
        .flag("-std=c11")
        .flag("-ffreestanding")
        .flag_if_supported("-Wall");
    if bare {
        // What a kernel is compiled with, and what code has that no one unwinds and no dynamic linker sees.
        build.pic(false).opt_level(2);
        for flag in [
            "-fno-pie",
            "-fno-stack-protector",
            "-fno-asynchronous-unwind-tables",
            "-fno-unwind-tables",
            "-fno-omit-frame-pointer",
        ] {
            build.flag_if_supported(flag);
        }
        if arch == "x86_64" {
            build
                .flag("-mno-red-zone")
                .flag("-mgeneral-regs-only")
                .flag_if_supported("-fcf-protection=none");
        }
        if kernel && arch == "x86_64" {
            build.flag("-mcmodel=kernel");
        }
        if arch == "aarch64" {
            build.flag("-mgeneral-regs-only");
        }
    }
    for (name, words) in [
        ("SPACE", sizes::SPACE),
        ("VMX_CAPS", sizes::VMX_CAPS),
        ("SVM_CAPS", sizes::SVM_CAPS),
        ("VMCS_IMAGE", sizes::VMCS_IMAGE),
        ("REPORT", sizes::REPORT),
        ("GUEST_STATE", sizes::GUEST_STATE),
        ("VMX_CPU", sizes::VMX_CPU),
        ("SVM_CPU", sizes::SVM_CPU),
        ("TAG_POOL", sizes::TAG_POOL),
        ("TAG", sizes::TAG),
        ("GUEST_WORDS", sizes::GUEST_WORDS),
    ] {
        build.define(
            &format!("HVPT_RS_SIZE_{}", name),
            words.to_string().as_str(),
        );
    }
    let printed = build.clone().file("shim/lists.c").expand();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    for (name, list) in lists::print(&String::from_utf8_lossy(&printed)) {
        fs::write(out.join(name).with_extension("rs"), list).unwrap();
    }
    for file in ["paging", "vmx", "svm", "cpu"] {
        build.file(format!("shim/{}.c", file));
    }
    build.compile("hvpt_shim");
}
