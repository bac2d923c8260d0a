//! Rust's lists of fields, controls, exits and features, which build.rs has read from the headers' text, are what the
//! headers' functions say.

use std::{collections::BTreeSet, ffi::CStr, ptr};

use hvpt::{ffi, svm, vmx};

fn string(from: *const u8) -> Option<String> {
    if from.is_null() {
        return None;
    }
    Some(
        unsafe { CStr::from_ptr(from as *const _) }
            .to_str()
            .unwrap()
            .to_owned(),
    )
}

fn compare<N: Copy + Ord + std::fmt::Debug>(
    list: &str,
    ours: &[(&str, N)],
    theirs: Vec<(String, N)>,
) {
    let ours: BTreeSet<_> = ours
        .iter()
        .map(|(name, number)| (name.to_string(), *number))
        .collect();
    let theirs: BTreeSet<_> = theirs.into_iter().collect();

    assert!(theirs.len() > 10, "{}: the headers' list is empty", list);
    assert_eq!(
        theirs.difference(&ours).collect::<Vec<_>>(),
        Vec::<&(String, N)>::new(),
        "missing in {}",
        list
    );
    assert_eq!(
        ours.difference(&theirs).collect::<Vec<_>>(),
        Vec::<&(String, N)>::new(),
        "too many in {}",
        list
    );
}

#[test]
fn vmcs_fields() {
    let mut theirs = Vec::new();
    let (mut encoding, mut name) = (0, ptr::null());
    for row in 0.. {
        if !unsafe { ffi::hvctl_rs_vmcs_field_at(row, &mut encoding, &mut name) } {
            break;
        }
        theirs.extend(string(name).map(|name| (name, encoding)));
    }
    compare("vmx_fields", vmx::field::ALL, theirs);
}

#[test]
fn vmcs_fields_have_the_width_that_their_encoding_says() {
    // SDM vol. 3, "Structure of VMCS Component Encoding": bits 14:13
    assert_eq!(vmx::field::GUEST_ES_SELECTOR.encoding() >> 13 & 3, 0);
    let source = include_str!(concat!(env!("OUT_DIR"), "/vmx_fields.rs"));
    let mut seen = 0;
    for line in source.lines() {
        let words: Vec<_> = line.trim().trim_end_matches(';').split(' ').collect();
        if words.len() != 3 || !words[1].starts_with("0x") {
            continue;
        }
        let encoding = u32::from_str_radix(&words[1][2..], 16).unwrap();
        assert_eq!(
            words[2],
            ["u16", "u64", "u32", "u64"][encoding as usize >> 13 & 3],
            "{}",
            words[0]
        );
        seen += 1;
    }
    assert_eq!(seen, vmx::field::ALL.len());
}

#[test]
fn vmx_controls() {
    let mut number = 0;
    let theirs = (0..).map_while(|row| {
        let name = string(unsafe { ffi::hvctl_rs_vmx_control_at(row, &mut number) });
        name.map(|name| (name, number))
    });
    compare("vmx_controls", vmx::control::ALL, theirs.collect());
}

#[test]
fn vmx_exit_reasons() {
    let named = |number| {
        string(unsafe { ffi::hvctl_rs_vmx_reason_name(u32::from(number)) })
            .map(|name| (name, number))
    };
    compare(
        "vmx_reasons",
        vmx::reason::ALL,
        (0..=u16::MAX).filter_map(named).collect(),
    );
}

#[test]
fn vmcb_members() {
    let mut offset = 0;
    let theirs: Vec<_> = (0..)
        .map_while(|row| {
            let name = string(unsafe { ffi::hvctl_rs_vmcb_field_at(row, &mut offset) });
            name.map(|name| (name, offset))
        })
        .collect();
    compare("svm_fields", svm::field::ALL, theirs);
}

#[test]
fn vmcb_members_have_the_size_of_their_type() {
    let source = include_str!(concat!(env!("OUT_DIR"), "/svm_fields.rs"));
    let mut seen = 0;
    for line in source.lines() {
        let words: Vec<_> = line.trim().trim_end_matches(';').split(' ').collect();
        if words.len() != 4 || !words[2].starts_with("0x") {
            continue;
        }
        let offset = u32::from_str_radix(&words[2][2..], 16).unwrap();
        let size = match words[3] {
            "u8" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" => 8,
            _ => 16,
        };
        assert_eq!(
            unsafe { ffi::hvctl_rs_vmcb_member(offset) },
            size,
            "{}",
            words[1]
        );
        seen += 1;
    }
    assert_eq!(seen, svm::field::ALL.len());
}

#[test]
fn svm_exit_codes() {
    let named =
        |code| string(unsafe { ffi::hvctl_rs_svm_exit_name(code) }).map(|name| (name, code));
    let last = (0..4).map(|number| u64::MAX - number);
    let codes = (0..0x10000).chain([0xf000_0000]).chain(last);
    compare(
        "svm_exits",
        svm::exit::ALL,
        codes.filter_map(named).collect(),
    );
}

#[test]
fn svm_features() {
    let named =
        |bit| string(unsafe { ffi::hvctl_rs_svm_feature_name(bit) }).map(|name| (name, bit));
    compare(
        "svm_features",
        svm::feature::ALL,
        (0..64).filter_map(named).collect(),
    );
}
