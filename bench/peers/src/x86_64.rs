// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! The `x86_64` crate: `OffsetPageTable`, its mapper for a kernel that sees all memory at one offset. It has no call for a
//! range, so a range is a loop over its call for a page; no flush is asked of the processor (`ignore`).

use ::x86_64::structures::paging::mapper::{CleanUp, Mapper, OffsetPageTable, Translate, UnmapError};
use ::x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size1GiB, Size2MiB,
    Size4KiB,
};
use ::x86_64::{PhysAddr, VirtAddr};

use crate::{frames, list, PAGE};

const FLAGS: PageTableFlags =
    PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE).union(PageTableFlags::USER_ACCESSIBLE);

/// Frames, and how many of them the mapper holds.
struct Frames {
    held: u64,
}

unsafe impl FrameAllocator<Size4KiB> for Frames {
    #[inline]
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = frames::get()?;

        self.held += 1;
        Some(unsafe { PhysFrame::from_start_address_unchecked(PhysAddr::new_unsafe(frame)) })
    }
}

impl FrameDeallocator<Size4KiB> for Frames {
    #[inline]
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        self.held -= 1;
        frames::put(frame.start_address().as_u64());
    }
}

pub struct Peer {
    table: OffsetPageTable<'static>,
    frames: Frames,
    max_page: u64,
    root: PhysFrame,
}

#[inline]
fn page<S: PageSize>(gpa: u64) -> Page<S> {
    unsafe { Page::from_start_address_unchecked(VirtAddr::new_unsafe(gpa)) }
}

#[inline]
fn frame<S: PageSize>(hpa: u64) -> PhysFrame<S> {
    unsafe { PhysFrame::from_start_address_unchecked(PhysAddr::new_unsafe(hpa)) }
}

impl Peer {
    #[inline]
    fn map_one<S: PageSize>(&mut self, gpa: u64, hpa: u64) -> bool
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        match unsafe { self.table.map_to(page::<S>(gpa), frame(hpa), FLAGS, &mut self.frames) } {
            Ok(flush) => {
                flush.ignore();
                true
            }
            Err(_) => false,
        }
    }

    /// Take one page out. A page that is not there is no failure.
    #[inline]
    fn unmap_one<S: PageSize>(&mut self, gpa: u64) -> Result<(), UnmapError>
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        match self.table.unmap(page::<S>(gpa)) {
            Ok((_, flush)) => {
                flush.ignore();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The largest page that fits at gpa and has size bytes to cover.
    fn largest(&self, address: u64, size: u64) -> u64 {
        for bytes in [Size1GiB::SIZE, Size2MiB::SIZE] {
            if bytes <= self.max_page && address % bytes == 0 && size >= bytes {
                return bytes;
            }
        }
        PAGE
    }

    fn clean_up(&mut self, gpa: u64, size: u64) {
        let range = Page::range_inclusive(page(gpa), page(gpa + size - PAGE));

        unsafe { self.table.clean_up_addr_range(range, &mut self.frames) }
    }

    fn unmap_pages_of(&mut self, gpa: u64, size: u64) {
        let mut at = 0;

        if self.max_page == PAGE {
            while at < size {
                let _ = self.unmap_one::<Size4KiB>(gpa + at);
                at += PAGE;
            }
            return;
        }
        while at < size {
            let bytes = self.largest(gpa + at, size - at);
            let there = match bytes {
                Size1GiB::SIZE => self.unmap_one::<Size1GiB>(gpa + at),
                Size2MiB::SIZE => self.unmap_one::<Size2MiB>(gpa + at),
                _ => self.unmap_one::<Size4KiB>(gpa + at),
            };
            /* A table where a large page would fit: its pages one by one. */
            if let (Err(UnmapError::ParentEntryHugePage), true) = (there, bytes != PAGE) {
                let below = std::mem::replace(&mut self.max_page, bytes / 512);

                self.unmap_pages_of(gpa + at, bytes);
                self.max_page = below;
            }
            at += bytes;
        }
    }
}

#[no_mangle]
pub extern "C" fn bench_x86_64_create(max_page: u64) -> *mut Peer {
    let mut frames = Frames { held: 0 };
    let Some(root) = frames.allocate_frame() else {
        return std::ptr::null_mut();
    };
    let memory = frames::memory();
    let table = unsafe { memory.add(root.start_address().as_u64() as usize) } as *mut PageTable;

    unsafe { table.write(PageTable::new()) };
    Box::into_raw(Box::new(Peer {
        table: unsafe { OffsetPageTable::new(&mut *table, VirtAddr::from_ptr(memory)) },
        frames,
        max_page,
        root,
    }))
}

/// Free a table and those below it. The crate frees empty tables only, so this is the caller's to write.
unsafe fn free_tree(memory: *mut u8, table: PhysFrame, level: u32, frames: &mut Frames) {
    let entries = &*(memory.add(table.start_address().as_u64() as usize) as *const PageTable);

    for entry in entries.iter().filter(|entry| level > 1 && !entry.is_unused()) {
        if !entry.flags().contains(PageTableFlags::HUGE_PAGE) {
            free_tree(memory, frame(entry.addr().as_u64()), level - 1, frames);
        }
    }
    frames.deallocate_frame(table);
}

/// # Safety
/// `peer` comes from create and is not used again. All calls below: `peer` comes from create.
#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_destroy(peer: *mut Peer) {
    let mut peer = Box::from_raw(peer);

    free_tree(frames::memory(), peer.root, 4, &mut peer.frames);
}

#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_map(peer: *mut Peer, gpa: u64, hpa: u64, size: u64) -> bool {
    let peer = &mut *peer;
    let mut done = true;
    let mut at = 0;

    match peer.max_page {
        PAGE => {
            while at < size {
                done &= peer.map_one::<Size4KiB>(gpa + at, hpa + at);
                at += PAGE;
            }
        }
        _ => {
            while at < size {
                let bytes = peer.largest((gpa + at) | (hpa + at), size - at);

                done &= match bytes {
                    Size1GiB::SIZE => peer.map_one::<Size1GiB>(gpa + at, hpa + at),
                    Size2MiB::SIZE => peer.map_one::<Size2MiB>(gpa + at, hpa + at),
                    _ => peer.map_one::<Size4KiB>(gpa + at, hpa + at),
                };
                at += bytes;
            }
        }
    }
    done
}

/// Unmap the range and free its empty tables, which the crate does in a second call.
#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_unmap(peer: *mut Peer, gpa: u64, size: u64) -> bool {
    let peer = &mut *peer;

    peer.unmap_pages_of(gpa, size);
    peer.clean_up(gpa, size);
    true
}

/// No table becomes empty here, so none is looked for.
#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_unmap_pieces(peer: *mut Peer, gpa: u64, size: u64, piece: u64) -> bool {
    let peer = &mut *peer;
    let mut at = 0;

    while at < size {
        peer.unmap_pages_of(gpa + at + PAGE, piece - PAGE);
        at += piece;
    }
    true
}

#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_map_pages(peer: *mut Peer, gpa: *const u64, count: u64, offset: u64) -> u64 {
    let peer = &mut *peer;

    list(gpa, count).iter().map(|&gpa| u64::from(peer.map_one::<Size4KiB>(gpa, gpa + offset))).sum()
}

/// Tables are freed once, for the range that the pages span: asked for after each page it would cost far more.
#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_unmap_pages(peer: *mut Peer, gpa: *const u64, count: u64) -> u64 {
    let peer = &mut *peer;
    let (mut done, mut first, mut last) = (0, u64::MAX, 0);

    for &gpa in list(gpa, count) {
        done += u64::from(peer.unmap_one::<Size4KiB>(gpa).is_ok());
        first = first.min(gpa);
        last = last.max(gpa);
    }
    if first <= last {
        peer.clean_up(first, last - first + PAGE);
    }
    done
}

#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_translate(peer: *mut Peer, gpa: *const u64, count: u64) -> u64 {
    let table = &(*peer).table;
    let mut sum = 0u64;

    for &gpa in list(gpa, count) {
        if let Some(found) = table.translate_addr(VirtAddr::new_unsafe(gpa)) {
            sum = sum.wrapping_add(found.as_u64());
        }
    }
    sum
}

/// `never` is 0, which is not known here: each address hangs on the answer before.
#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_translate_chain(peer: *mut Peer, gpa: *const u64, count: u64, never: u64) -> u64 {
    let table = &(*peer).table;
    let (mut sum, mut hang) = (0u64, 0u64);

    for &gpa in list(gpa, count) {
        if let Some(found) = table.translate_addr(VirtAddr::new_unsafe(gpa ^ hang)) {
            sum = sum.wrapping_add(found.as_u64());
            hang = found.as_u64() & never;
        }
    }
    sum
}

#[no_mangle]
pub unsafe extern "C" fn bench_x86_64_frames(peer: *mut Peer) -> u64 {
    (*peer).frames.held
}
