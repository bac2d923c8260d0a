// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! The mappers of two crates behind functions that C can call: a job at a time, with its loop on this side, as a program
//! in Rust would have it. The names are those of `struct bench_face`.

mod frames;
mod page_table_multiarch;
mod x86_64;

/// Bytes of the smallest page.
const PAGE: u64 = 4096;

/// A list that a caller in C hands over.
///
/// # Safety
/// `gpa` points to `count` readable addresses.
unsafe fn list<'a>(gpa: *const u64, count: u64) -> &'a [u64] {
    std::slice::from_raw_parts(gpa, count as usize)
}
