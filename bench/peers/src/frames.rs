// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! Frames of the benchmark's arena: the same list of free frames that every other contestant takes from.

extern "C" {
    fn bench_peers_frame_get(frame: *mut u64) -> bool;
    fn bench_peers_frame_put(frame: u64);
    fn bench_peers_memory() -> *mut u8;
}

/// A frame of 4 KiB with undefined contents, by its physical address.
pub fn get() -> Option<u64> {
    let mut frame = 0;

    unsafe { bench_peers_frame_get(&mut frame) }.then_some(frame)
}

/// Give a frame back.
pub fn put(frame: u64) {
    unsafe { bench_peers_frame_put(frame) }
}

/// Where physical address 0 is seen.
pub fn memory() -> *mut u8 {
    unsafe { bench_peers_memory() }
}
