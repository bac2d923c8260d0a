//! Both sides of the shim agree: sizes of buffers, and numbers that Rust repeats.

use hvpt::{
    ffi, sizes, Ept, EptConfig, EptFeatures, Flags, Gstage, GstageConfig, Npt, NptConfig, Policy,
    SecondLevel, Stage2, Stage2Config, Stage2Features,
};

#[test]
fn buffers_hold_the_structs_and_little_more() {
    let (vmx, svm) = unsafe {
        let vmx = |n| ffi::hvctl_rs_sizeof_vmx(n) as usize;
        let svm = |n| ffi::hvctl_rs_sizeof_svm(n) as usize;
        (
            [vmx(0), vmx(2), vmx(3), vmx(4), vmx(5)],
            [svm(0), svm(1), svm(2), svm(3)],
        )
    };
    let pairs = [
        (
            "space",
            sizes::SPACE,
            unsafe { ffi::hvpt_rs_sizeof_space() } as usize,
        ),
        ("VMX capabilities", sizes::VMX_CAPS, vmx[0]),
        ("VMCS image", sizes::VMCS_IMAGE, vmx[1]),
        ("report", sizes::REPORT, vmx[2]),
        ("guest state", sizes::GUEST_STATE, vmx[3]),
        ("VMX CPU", sizes::VMX_CPU, vmx[4]),
        ("SVM capabilities", sizes::SVM_CAPS, svm[0]),
        ("SVM CPU", sizes::SVM_CPU, svm[1]),
        ("tag pool", sizes::TAG_POOL, svm[2]),
        ("tag", sizes::TAG, svm[3]),
    ];
    for (name, words, bytes) in pairs {
        assert!(
            bytes <= words * 8,
            "{}: {} bytes in {} words",
            name,
            bytes,
            words
        );
        assert!(
            words * 8 <= 2 * bytes + 64,
            "{}: {} bytes waste {} words",
            name,
            bytes,
            words
        );
    }
}

fn constants() -> Vec<u64> {
    (0..61)
        .map(|n| unsafe { ffi::hvpt_rs_constant(n) })
        .collect()
}

fn features<A: SecondLevel>(config: A::Config) -> u64 {
    A::config_words(&config)[3]
}

/// A flag's bit in words[2], seen through Debug, which prints the word as it is.
fn flag_bit<A: SecondLevel>(flags: Flags<A>) -> u64 {
    let text = format!("{:?}", flags);
    let at = text.find("flags 0x").expect("a flag is set") + 8;
    u64::from_str_radix(text[at..].split(' ').next().unwrap(), 16).unwrap()
}

#[test]
fn numbers_are_those_of_the_headers() {
    let c = constants();
    // rights, in the order of the list: READ, WRITE, EXEC, EXEC_USER, ACCESSED, DIRTY, LOGGED, JOINED, CHANGE_*
    assert_eq!(c[..11], [1, 2, 4, 8, 1, 2, 4, 8, 1 << 24, 1 << 25, 1 << 26]);

    let new = Flags::<Ept>::new();
    let ept = [
        new.ignore_pat(true),
        new.suppress_ve(true),
        new.verify_guest_paging(true),
        new.paging_write(true),
        new.shadow_stack(true),
        new.sub_page_write(true),
    ];
    assert_eq!(
        ept.iter().map(|f| flag_bit(*f)).collect::<Vec<_>>(),
        c[11..17]
    );

    let ept = |features| {
        self::features::<Ept>(EptConfig {
            features,
            ..Default::default()
        })
    };
    let off = EptFeatures::default();
    assert_eq!(
        ept(EptFeatures {
            accessed_dirty: true,
            ..off
        }),
        c[17]
    );
    assert_eq!(
        ept(EptFeatures {
            shadow_stack: true,
            ..off
        }),
        c[18]
    );
    assert_eq!(
        ept(EptFeatures {
            mode_based_execute: true,
            ..off
        }),
        c[19]
    );
    assert_eq!(
        ept(EptFeatures {
            violation_ve: true,
            ..off
        }),
        c[20]
    );
    assert_eq!(
        ept(EptFeatures {
            verify_guest_paging: true,
            ..off
        }),
        c[21]
    );
    assert_eq!(
        ept(EptFeatures {
            paging_write: true,
            ..off
        }),
        c[22]
    );
    assert_eq!(
        ept(EptFeatures {
            sub_page_write: true,
            ..off
        }),
        c[23]
    );
    assert_eq!(
        features::<Npt>(NptConfig {
            no_nx: true,
            ..Default::default()
        }),
        c[24]
    );

    let s2 = |features| {
        self::features::<Stage2>(Stage2Config {
            features,
            ..Default::default()
        })
    };
    let off = Stage2Features::default();
    assert_eq!(s2(Stage2Features { fwb: true, ..off }), c[25]);
    assert_eq!(s2(Stage2Features { xnx: true, ..off }), c[26]);
    assert_eq!(
        s2(Stage2Features {
            hardware_af: true,
            ..off
        }),
        c[27]
    );
    assert_eq!(
        s2(Stage2Features {
            hardware_dirty: true,
            ..off
        }),
        c[28]
    );
    assert_eq!(s2(Stage2Features { lpa2: true, ..off }), c[29]);
    assert_eq!(
        s2(Stage2Features {
            contiguous: true,
            ..off
        }),
        c[30]
    );
    assert_eq!(
        s2(Stage2Features {
            vmid16: true,
            ..off
        }),
        c[31]
    );
    assert_eq!(
        flag_bit(Flags::<Stage2>::new().outer_shareable(true)),
        c[32]
    );
    assert_eq!(flag_bit(Flags::<Stage2>::new().non_shareable(true)), c[33]);

    assert_eq!(
        features::<Gstage>(GstageConfig {
            svpbmt: true,
            ..Default::default()
        }),
        c[34]
    );
    assert_eq!(
        features::<Gstage>(GstageConfig {
            svnapot: true,
            ..Default::default()
        }),
        c[35]
    );
    assert_eq!(
        features::<Gstage>(GstageConfig {
            svadu: true,
            ..Default::default()
        }),
        c[36]
    );

    let policy = |policy| {
        Ept::config_words(&EptConfig {
            policy,
            ..Default::default()
        })[4]
    };
    assert_eq!(
        policy(Policy {
            execute_4k_only: true,
            ..Policy::default()
        }),
        c[37]
    );
    assert_eq!(
        policy(Policy {
            guard_tables: true,
            ..Policy::default()
        }),
        c[38]
    );
    assert_eq!(hvpt::PAT_RESET, c[39]);
    assert_eq!(c[40..44], [1 << 2, 1 << 8, 15 << 59, 5]);
}

/// Whatever a config can say in C it can say in Rust: a bit that is added there is missed here.
#[test]
fn configs_say_all_that_the_headers_know() {
    let c = constants();
    let npt = |config| features::<Npt>(config);
    let off = NptConfig::default();
    let (mut gmet, mut stack, mut all) = (off.clone(), off.clone(), off);
    gmet.gmet = true;
    stack.shadow_stack = true;
    (all.no_nx, all.gmet, all.shadow_stack) = (true, true, true);
    assert_eq!([npt(gmet), npt(stack), npt(all)], c[44..47]);
    assert_eq!(flag_bit(Flags::<Npt>::new().shadow_stack(true)), c[47]);
    assert_eq!(flag_bit(Flags::<Npt>::new().encrypted(true)), c[48]);

    let s2 = |set: fn(&mut Stage2Features)| {
        let mut config = Stage2Config::default();
        set(&mut config.features);
        features::<Stage2>(config)
    };
    assert_eq!(
        [
            s2(|on| on.bbm2 = true),
            s2(|on| on.bbm1 = true),
            s2(|on| on.table_af = true),
            s2(|on| on.hdbss = true),
            s2(|on| on.indirect = true),
            s2(|on| {
                *on = Stage2Features {
                    fwb: true,
                    xnx: true,
                    hardware_af: true,
                    hardware_dirty: true,
                    lpa2: true,
                    contiguous: true,
                    vmid16: true,
                    bbm2: true,
                    bbm1: true,
                    table_af: true,
                    hdbss: true,
                    indirect: true,
                }
            }),
        ],
        c[49..55]
    );

    let gstage = |set: fn(&mut GstageConfig)| {
        let mut config = GstageConfig::default();
        set(&mut config);
        features::<Gstage>(config)
    };
    let most = |on: &mut GstageConfig| {
        (on.svpbmt, on.svnapot, on.svadu) = (true, true, true);
        (on.svvptc, on.svrsw60t59b) = (true, true);
    };
    assert_eq!(
        [
            gstage(|on| on.svvptc = true),
            gstage(|on| on.svrsw60t59b = true),
            gstage(most)
        ],
        c[55..58]
    );

    let policy = |own_marks, others| {
        let policy = Policy {
            execute_4k_only: others,
            guard_tables: others,
            own_marks,
        };
        let config = EptConfig {
            policy,
            ..Default::default()
        };
        Ept::config_words(&config)[4]
    };
    let policies = [policy(true, false), policy(true, true)];
    assert_eq!(policies, c[58..60]);
    let ept = EptFeatures {
        accessed_dirty: true,
        shadow_stack: true,
        mode_based_execute: true,
        violation_ve: true,
        verify_guest_paging: true,
        paging_write: true,
        sub_page_write: true,
    };
    let config = EptConfig {
        features: ept,
        ..Default::default()
    };
    assert_eq!(features::<Ept>(config), c[60]);
}
