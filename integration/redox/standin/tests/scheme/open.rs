//! Who opens what.

use crate::world::{both, EBADF, ROOT};
use redox_hv::{abi::op, Calls, Errno};

#[test]
fn only_root_opens_and_only_what_there_is() {
    both(|mut world| {
        let program = &world.program;
        for path in ["", "/"] {
            assert_eq!(program.openat(ROOT, path), Ok(ROOT));
        }
        for path in ["vm2", "v", "vm/0", "..", "\u{0}"] {
            assert_eq!(program.openat(ROOT, path), Err(Errno::ENOENT), "{:?}", path);
        }
        let vm = program.openat(ROOT, "vm").unwrap();
        assert_eq!(program.openat(vm, "vm"), Err(Errno::EACCES), "below a VM");
        assert_eq!(
            program.openat(1000, "vm"),
            Err(Errno::EACCES),
            "below nothing"
        );
        program.close(vm);
        for fd in [vm, 0, 77] {
            assert_eq!(program.dup(fd, "vcpu/0"), Err(EBADF));
            assert_eq!(program.call(fd, &mut [], [op::UNMAP, 0, 1]), Err(EBADF));
            assert_eq!(program.read(fd, &mut [0]), Err(EBADF));
        }
        world.program.uid = 1000;
        for path in ["vm", "stat", ""] {
            assert_eq!(world.program.openat(ROOT, path), Err(Errno::EACCES));
        }
        world.ends();
    });
}

#[test]
fn a_virtual_cpu_has_a_number_of_its_own() {
    both(|world| {
        let program = &world.program;
        let vm = program.openat(ROOT, "vm").unwrap();
        let other = program.openat(ROOT, "vm").unwrap();
        for name in [
            "",
            "vcpu",
            "vcpu/",
            "vcpu/x",
            "vcpu/-1",
            "vcpu/0x1",
            "vcpu/99999999999",
            "\u{e9}",
        ] {
            assert_eq!(program.dup(vm, name), Err(Errno::ENOENT), "{:?}", name);
        }
        assert_eq!(program.dup(vm, "vcpu/255"), Err(Errno::EINVAL));
        let first = program.dup(vm, "vcpu/7").unwrap();
        assert_eq!(program.dup(vm, "vcpu/7"), Err(Errno::EEXIST));
        let second = program.dup(other, "vcpu/7").unwrap();
        assert_eq!(program.dup(first, "vcpu/1"), Err(EBADF), "of a virtual CPU");
        program.close(first);
        let again = program.dup(vm, "vcpu/7").unwrap();
        [vm, other, second, again]
            .iter()
            .for_each(|fd| program.close(*fd));
        world.ends();
    });
}
