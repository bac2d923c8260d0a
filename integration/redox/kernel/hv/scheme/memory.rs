//! Memory between a guest and programs, by the kernel's own mappings: lent to the guest, shared by a VM's file
//! descriptor, or a device's.

use alloc::{sync::Arc, vec::Vec};
use core::num::NonZeroUsize;

use super::{super::Vm, abi::rights};
use crate::{
    context::memory::{AddrSpace, AddrSpaceWrapper, Grant, PageSpan, Provider},
    memory::{Page, PageFlags, PhysicalAddress, RaiiFrame, RmmA, PAGE_SIZE},
    sync::CleanLockToken,
    syscall::{
        data::Map,
        error::{Error, Result, EINVAL, ENOMEM, EPERM},
        flag::MapFlags,
        usercopy::validate_region,
    },
};

const ONE: NonZeroUsize = match NonZeroUsize::new(1) {
    Some(one) => one,
    None => unreachable!(),
};

/// Pages of the calling program's, which a call may take. EFAULT: beyond what programs have.
fn span(address: u64, pages: u64) -> Result<PageSpan> {
    let pages = usize::try_from(pages).map_err(|_| Error::new(EINVAL))?;

    if pages == 0 || pages > Vm::MAX_PAGES_A_CALL {
        return Err(Error::new(EINVAL));
    }
    validate_region(address as usize, pages * PAGE_SIZE)
}

/// A number of pages as the VM takes it; the VM knows what is too many.
pub fn count(pages: u64) -> Result<usize> {
    usize::try_from(pages).map_err(|_| Error::new(EINVAL))
}

pub fn gpa(address: u64) -> PhysicalAddress {
    PhysicalAddress::new(address as usize)
}

/// Flags of write-back memory with these rights. A page that cannot be read is none that the tables of every CPU have.
pub fn flags(of: u64) -> Result<PageFlags<RmmA>> {
    if of & !(rights::READ | rights::WRITE | rights::EXECUTE) != 0 || of & rights::READ == 0 {
        return Err(Error::new(EINVAL));
    }
    Ok(PageFlags::new()
        .write(of & rights::WRITE != 0)
        .execute(of & rights::EXECUTE != 0))
}

/// Memory of the caller's own, each page by a reference.
pub fn lend(
    vm: &Vm,
    to: u64,
    pages: u64,
    [address, rights]: [u64; 2],
    token: &mut CleanLockToken,
) -> Result<()> {
    let (span, flags) = (span(address, pages)?, flags(rights)?);
    let process = AddrSpace::current()?;

    vm.map_user(&process, span.base, span.count, gpa(to), flags, token)
}

/// A device's memory, as the caller has it: no more rights, and the same memory type. EPERM: it is memory after all, or
/// the caller does not have the right; EINVAL: it is not mapped, or not in one piece.
pub fn lend_device(
    vm: &Vm,
    to: u64,
    pages: u64,
    [address, rights]: [u64; 2],
    token: &mut CleanLockToken,
) -> Result<()> {
    let (span, wanted) = (span(address, pages)?, flags(rights)?);
    let process = AddrSpace::current()?;
    let (device, found) = mapping(&process, span, token)?;

    if wanted.has_write() && !found.has_write() || wanted.has_execute() && !found.has_execute() {
        return Err(Error::new(EPERM));
    }
    let flags = found
        .write(wanted.has_write())
        .execute(wanted.has_execute());
    vm.map_device(device, span.count, gpa(to), flags, token)?;
    Ok(())
}

/// Where a span of a program leads, if it is one piece with one set of flags. The flags are the grant's: in the program's
/// own tables the kernel sets the right to write only when it is first used.
fn mapping(
    process: &AddrSpaceWrapper,
    span: PageSpan,
    token: &mut CleanLockToken,
) -> Result<(PhysicalAddress, PageFlags<RmmA>)> {
    let mut token = token.token();
    let space = process.acquire_read(token.downgrade());
    let at = |number: usize| -> Result<_> {
        let page = span.base.next_by(number);
        let (base, grant) = space.grants.contains(page).ok_or(Error::new(EINVAL))?;
        let phys = match &grant.provider {
            Provider::PhysBorrowed { base: frame } => {
                Some(frame.base().add(page.offset_from(base) * PAGE_SIZE))
            }
            // a driver's scheme may have passed it on
            _ => space
                .table
                .utable
                .translate(page.start_address())
                .map(|(phys, _)| phys),
        };
        Ok((phys.ok_or(Error::new(EINVAL))?, grant.flags()))
    };
    let (first, flags) = at(0)?;

    for number in 1..span.count {
        let (phys, other) = at(number)?;
        if phys != first.add(number * PAGE_SIZE) || other.data() != flags.data() {
            return Err(Error::new(EINVAL));
        }
    }
    Ok((first, flags))
}

/// Map guest memory into a program, which need not be the one that lent it: `offset` is the guest-physical address. All
/// of the range must be the guest's memory; what the guest may do with it does not count. The pages stay when the
/// guest's go.
pub fn share(
    vm: &Vm,
    process: &Arc<AddrSpaceWrapper>,
    map: &Map,
    token: &mut CleanLockToken,
) -> Result<usize> {
    let count = map.size / PAGE_SIZE;
    let fixed = MapFlags::MAP_FIXED | MapFlags::MAP_FIXED_NOREPLACE;

    // Anywhere, shared, and never code of the program's.
    if map.size % PAGE_SIZE != 0
        || map.offset % PAGE_SIZE != 0
        || count == 0
        || count > Vm::MAX_PAGES_A_CALL
        || map.offset.checked_add(map.size).is_none()
        || !map.flags.contains(MapFlags::MAP_SHARED)
        || map.flags.intersects(fixed | MapFlags::PROT_EXEC)
    {
        return Err(Error::new(EINVAL));
    }
    let mut frames = Vec::new();
    frames
        .try_reserve_exact(count)
        .map_err(|_| Error::new(ENOMEM))?;
    for number in 0..count {
        frames.push(vm.borrow(PhysicalAddress::new(map.offset + number * PAGE_SIZE), token)?);
    }
    let (base, done) = grant(process, &frames, map.flags, token)?;
    if done < count {
        // Not all: what is there goes again. Nothing of it has been seen.
        let _ = process.munmap(PageSpan::new(base, done), false, token);
        return Err(Error::new(ENOMEM));
    }
    Ok(base.start_address().data())
}

/// A grant for each frame, one behind the other; how many came about.
fn grant(
    process: &Arc<AddrSpaceWrapper>,
    frames: &[RaiiFrame],
    flags: MapFlags,
    token: &mut CleanLockToken,
) -> Result<(Page, usize)> {
    let mut token = token.token();
    let mut space = process.acquire_write(token.downgrade());
    let free = space
        .grants
        .find_free(space.mmap_min, frames.len())
        .ok_or(Error::new(ENOMEM))?;
    let mut done = 0;

    for frame in frames {
        let page = free.base.next_by(done);
        let made = space.mmap(
            process,
            Some(page),
            ONE,
            flags | MapFlags::MAP_FIXED_NOREPLACE,
            None,
            |page, flags, mapper, flusher| {
                Grant::allocated_shared_one_page(frame.get(), page, flags, mapper, flusher, false)
            },
        );
        if made.is_err() {
            break;
        }
        done += 1;
    }
    Ok((free.base, done))
}
