//! Second-level paging and the control structures of hardware virtualization, for a kernel written in Rust.
//!
//! The tables are hvpt's and the control structures hvctl's, C headers that a small shim instantiates once; this crate
//! has a mapper generic over a frame allocator, changes that return a flush which must be flushed or unsafely ignored,
//! and handles that free what they own.
//!
//! | part | what it is |
//! |---|---|
//! | [`EptMapper`], [`NptMapper`], [`Stage2Mapper`], [`GstageMapper`] | one guest's second-level tables |
//! | [`FrameAllocator`], [`GuestFrames`] | what the kernel provides: frames; a view of them, and invalidation |
//! | [`PhysicalAddress`], [`PageFlags`], ... | addresses, and the flags of a kernel's own pages |
//! | [`EptFlags`], [`NptFlags`], ... | what a page says, from a kernel's own page flags by translation |
//! | [`vmx`] | capabilities, control words, the VMCS, its checker, exits, VMX operation |
//! | [`svm`] | the same for AMD's VMCB |
//! | [`GuestState`], [`GuestRegs`] | how a guest begins, and its registers between two runs |
//! | [`cpu::Cpu`] | the instructions, behind a trait that a test can play |
//!
//! `no_std`, stable Rust. It needs `alloc` for one small block a mapper, whose failure is an error like any other.
//!
//! ```
//! use hvpt::{testing::Arena, EptConfig, EptFlags, EptMapper, MemoryType, PhysicalAddress};
//!
//! let arena = Arena::new(64); // 64 frames of ordinary memory; a kernel has its own allocator
//! let mut ept = EptMapper::create(arena.clone(), EptConfig::default())?;
//! let ram = EptFlags::new().write(true).execute(true).memory_type(MemoryType::WriteBack);
//!
//! // SAFETY: no processor walks these tables, so it does not matter what memory they name.
//! unsafe { ept.map_range(PhysicalAddress::new(0), PhysicalAddress::new(0x4000_0000), 0x20_0000, ram)? }.flush();
//! assert_eq!(ept.translate(PhysicalAddress::new(0x1234))?.hpa, PhysicalAddress::new(0x4000_1234));
//!
//! let why = ept.explain(PhysicalAddress::new(0x1234), EptFlags::new().execute_user(true));
//! assert!(why.verdict().is_ok(), "{}", why);
//!
//! let (frame, flags, flush) = ept.unmap_phys(PhysicalAddress::new(0x1000))?; // splits the 2 MiB page
//! flush.flush();
//! assert_eq!((frame, flags.has_write()), (PhysicalAddress::new(0x4000_1000), true));
//!
//! drop(ept);
//! assert_eq!(arena.used(), 0);
//! # Ok::<(), hvpt::Error>(())
//! ```
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![warn(rust_2018_idioms)]

extern crate alloc;
#[cfg(any(doc, doctest, test))]
extern crate std;

pub mod cpu;
mod error;
#[doc(hidden)]
pub mod ffi;
mod flags;
mod flush;
mod format;
mod frames;
mod guest;
pub mod insn;
mod mapper;
mod memtype;
mod paging;
#[cfg(not(hvpt_rmm))]
mod plain;
mod report;
#[doc(hidden)]
pub mod sizes;
pub mod svm;
pub mod testing;
mod text;
mod types;
pub mod vmx;
mod walk;

/// README's example is tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use error::{ControlError, Error};
pub use flags::{EptFlags, Flags, GstageFlags, Keep, NptFlags, Stage2Flags, PAT_RESET};
pub use flush::{Flush, Invalidation, InvalidationKind};
pub use format::{
    Ept, EptConfig, EptFeatures, Gstage, GstageConfig, GstageMode, Npt, NptConfig, Policy,
    SecondLevel, Stage2, Stage2Config, Stage2Features,
};
pub use frames::{GuestFrames, OwnedFrames};
pub use guest::{Gpr, GuestRegs, GuestState, Register, Segment, SegmentName};
pub use mapper::{
    EptMapper, Explanation, GstageMapper, Mapper, Mapping, NptMapper, Stage2Mapper, Stats,
};
pub use memtype::MemoryType;
pub use paging::{GuestAccess, GuestFault, GuestPaging};
pub use report::{Failure, Report, Violation};
#[cfg(not(hvpt_rmm))]
pub use types::PAGE_SIZE;
pub use types::{
    FrameAllocator, FrameCount, FrameUsage, PageFlags, PhysicalAddress, VirtualAddress,
};
pub use walk::Visit;
