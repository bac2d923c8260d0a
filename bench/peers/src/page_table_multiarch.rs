// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! The `page_table_multiarch` crate: `X64PageTable`, with its calls for regions. On a hosted target it flushes nothing. It
//! frees tables only when the whole page table is dropped.

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::x86_64::X64PageTable;
use page_table_multiarch::{MappingFlags, PageSize, PagingHandler};

use crate::{frames, list, PAGE};

/// A handler has no object of its own, so what it needs is here. The benchmark's jobs for peers run in one thread.
static mut MEMORY: usize = 0;
static mut HELD: u64 = 0;

struct Handler;

impl PagingHandler for Handler {
    #[inline]
    fn alloc_frames(num: usize, _align: usize) -> Option<PhysAddr> {
        assert!(num == 1);
        let frame = frames::get()?;

        unsafe { HELD += 1 };
        Some(PhysAddr::from(frame as usize))
    }

    #[inline]
    fn dealloc_frames(paddr: PhysAddr, num: usize) {
        assert!(num == 1);
        unsafe { HELD -= 1 };
        frames::put(paddr.as_usize() as u64)
    }

    #[inline]
    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        VirtAddr::from(unsafe { MEMORY } + paddr.as_usize())
    }
}

pub struct Peer {
    table: Option<X64PageTable<Handler>>,
    max_page: u64,
}

const FLAGS: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE).union(MappingFlags::EXECUTE);

impl Peer {
    #[inline]
    fn table(&mut self) -> &mut X64PageTable<Handler> {
        match &mut self.table {
            Some(table) => table,
            None => unreachable!(),
        }
    }
}

#[no_mangle]
pub extern "C" fn bench_multiarch_create(max_page: u64) -> *mut Peer {
    unsafe { MEMORY = frames::memory() as usize };
    match X64PageTable::try_new() {
        Ok(table) => Box::into_raw(Box::new(Peer { table: Some(table), max_page })),
        Err(_) => std::ptr::null_mut(),
    }
}

/// # Safety
/// `peer` comes from create and is not used again. All calls below: `peer` comes from create.
#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_destroy(peer: *mut Peer) {
    drop(Box::from_raw(peer));
}

/// Its call for a region maps by 4K or by the largest pages that fit; where 1G pages are not wanted, its call for a page.
#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_map(peer: *mut Peer, gpa: u64, hpa: u64, size: u64) -> bool {
    const LARGE: u64 = PageSize::Size2M as u64;
    let peer = &mut *peer;
    let large_only = peer.max_page == LARGE && (gpa | hpa | size) % LARGE == 0;
    let huge = peer.max_page > LARGE;
    let mut cursor = peer.table().cursor();

    if large_only {
        return (0..size / LARGE).map(|i| i * LARGE).all(|at| {
            let (gpa, hpa) = (VirtAddr::from((gpa + at) as usize), PhysAddr::from((hpa + at) as usize));

            cursor.map(gpa, hpa, PageSize::Size2M, FLAGS).is_ok()
        });
    }
    let there = |at: VirtAddr| PhysAddr::from((at.as_usize() as u64).wrapping_sub(gpa).wrapping_add(hpa) as usize);

    cursor.map_region(VirtAddr::from(gpa as usize), there, size as usize, FLAGS, huge).is_ok()
}

/// Unmap a region and have no table of it left: its call for a region, and then a new page table for the old one. That is
/// right only because the jobs that free tables have nothing outside of the region. Where there are holes (its call
/// does not go over them), the new table alone does it.
#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_unmap(peer: *mut Peer, gpa: u64, size: u64) -> bool {
    let peer = &mut *peer;
    let _ = peer.table().cursor().unmap_region(VirtAddr::from(gpa as usize), size as usize);

    peer.table = None;
    peer.table = X64PageTable::try_new().ok();
    peer.table.is_some()
}

#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_unmap_pieces(peer: *mut Peer, gpa: u64, size: u64, piece: u64) -> bool {
    let mut cursor = (*peer).table().cursor();

    (0..size / piece)
        .map(|i| gpa + i * piece)
        .all(|at| cursor.unmap_region(VirtAddr::from((at + PAGE) as usize), (piece - PAGE) as usize).is_ok())
}

#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_map_pages(peer: *mut Peer, gpa: *const u64, count: u64, offset: u64) -> u64 {
    let mut cursor = (*peer).table().cursor();
    let mut done = 0;

    for &gpa in list(gpa, count) {
        let (from, to) = (VirtAddr::from(gpa as usize), PhysAddr::from((gpa + offset) as usize));

        done += u64::from(cursor.map(from, to, PageSize::Size4K, FLAGS).is_ok());
    }
    done
}

#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_translate(peer: *mut Peer, gpa: *const u64, count: u64) -> u64 {
    let table = (*peer).table();
    let mut sum = 0u64;

    for &gpa in list(gpa, count) {
        if let Ok((found, _, _)) = table.query(VirtAddr::from(gpa as usize)) {
            sum = sum.wrapping_add(found.as_usize() as u64);
        }
    }
    sum
}

/// `never` is 0, which is not known here: each address hangs on the answer before.
#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_translate_chain(
    peer: *mut Peer,
    gpa: *const u64,
    count: u64,
    never: u64,
) -> u64 {
    let table = (*peer).table();
    let (mut sum, mut hang) = (0u64, 0u64);

    for &gpa in list(gpa, count) {
        if let Ok((found, _, _)) = table.query(VirtAddr::from((gpa ^ hang) as usize)) {
            let found = found.as_usize() as u64;

            sum = sum.wrapping_add(found);
            hang = found & never;
        }
    }
    sum
}

/// Of all its page tables together.
#[no_mangle]
pub unsafe extern "C" fn bench_multiarch_frames(_peer: *mut Peer) -> u64 {
    HELD
}
