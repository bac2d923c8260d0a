//! What a VM holds: as words for its owner, and as text for whoever looks. And what a handle is called.

use alloc::{sync::Arc, vec::Vec};
use core::fmt::{self, Write};

use super::{
    super::{percpu, Vm, VmStats},
    abi::stats,
};
use crate::{memory::used_frames, sync::CleanLockToken};

/// The words of [`stats`].
pub fn words(of: &VmStats, vcpus: usize) -> [u64; stats::WORDS] {
    let mut words = [0; stats::WORDS];
    let first = [of.held, of.peak, of.memory, of.used_frames, vcpus].map(|number| number as u64);
    let all = first
        .into_iter()
        .chain(of.tables.pages)
        .chain(of.tables.tables);

    for (word, value) in words.iter_mut().zip(all) {
        *word = value;
    }
    words
}

/// One line a VM, and one for all of them.
pub fn stat(vms: &[(usize, Arc<Vm>, usize)], token: &mut CleanLockToken) -> Vec<u8> {
    let mut text = Text(Vec::new());
    let mut frames = 0;

    for (id, vm, vcpus) in vms {
        let stats = vm.stats(token);
        frames += stats.held + stats.memory;
        text.line(format_args!(
            "vm {}: vcpus {}, memory {}, tables and control {}, at most {}, pages by level {:?}",
            id, vcpus, stats.memory, stats.held, stats.peak, stats.tables.pages
        ));
    }
    text.line(format_args!(
        "guests {}, frames {}, for CPUs {}, of {} in use",
        vms.len(),
        frames,
        percpu::frames(),
        used_frames()
    ));
    text.0
}

/// A handle's path.
pub fn path(name: impl fmt::Display) -> Vec<u8> {
    let mut text = Text(Vec::new());

    let _ = write!(text, "/scheme/hv/{}", name); // a vector takes everything
    text.0
}

struct Text(Vec<u8>);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = self.write_fmt(line); // a vector takes everything
        self.0.push(b'\n');
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
