// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
//! EPT from Rust by bindgen, without the crate: maps 3 MiB, translates, and has a refused write explained.
#![allow(non_camel_case_types, non_upper_case_globals, dead_code)]
mod hvpt;
use hvpt::*;
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::os::raw::{c_uint, c_void};

/// Host memory as this program plays it: "physical" address 0 is the first byte. Tables are taken from the start.
#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; 1 << 20]>);
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new([0; 1 << 20]));

unsafe extern "C" fn alloc_frame(next: *mut c_void, order: c_uint, out: *mut hvpt_hpa) -> bool {
    let next = next as *mut u64;
    (*out).value = *next;
    *next += 4096 << order;
    *next <= 1 << 20
}

unsafe extern "C" fn free_frame(_: *mut c_void, _: hvpt_hpa, _: c_uint) {}

fn check(status: hvpt_status) {
    let words = unsafe { CStr::from_ptr(hvpt_status_text(status)) };
    assert!(status == HVPT_OK, "hvpt refused: {}", words.to_string_lossy());
}

fn gpa(value: u64) -> hvpt_gpa {
    hvpt_gpa { value }
}

fn main() {
    let mut next: u64 = 4096;
    unsafe {
        let mut hooks: hvpt_hooks = std::mem::zeroed();
        hooks.ctx = &mut next as *mut u64 as *mut c_void;
        hooks.alloc_frame = Some(alloc_frame);
        hooks.free_frame = Some(free_frame);
        hooks.linear_map = MEMORY.0.get() as *mut c_void;
        let mut config: hvpt_ept_config = std::mem::zeroed();
        config.maxphyaddr = 46;
        let mut space: hvpt_space = std::mem::zeroed();
        check(hvpt_ept_init(&mut space, &hooks, &config));

        let mut ram: hvpt_attr = std::mem::zeroed();
        ram.perm = (HVPT_READ | HVPT_WRITE | HVPT_EXEC) as u32;
        ram.memtype = HVPT_MEM_WB;
        let mut flush: hvpt_flush = std::mem::zeroed();
        check(hvpt_space_map(&mut space, gpa(0), hvpt_hpa { value: 0x200000 }, 0x300000, ram, &mut flush));
        check(hvpt_space_protect(&mut space, gpa(0x2ff000), 4096, std::mem::zeroed(), HVPT_WRITE as u32, &mut flush));
        hvpt_space_flush(&mut space, &mut flush);

        println!("EPTP bits 11:0 {:x}", hvpt_space_root(&space) & 0xfff);
        for address in [0x1000, 0x2ff000] {
            let mut at: hvpt_mapping = std::mem::zeroed();
            check(hvpt_space_translate(&space, gpa(address), &mut at));
            println!("guest {:x} is host {:x}, a page of {}", address, at.hpa.value, at.page_size);
        }
        let mut words = [0; HVPT_EXPLAIN_SIZE as usize];
        let mut buffer: hvpt_text_buffer = std::mem::zeroed();
        let text = hvpt_text_into(&mut buffer, words.as_mut_ptr(), words.len());
        hvpt_space_explain(&space, gpa(0x2ff000), HVPT_WRITE as u32, &text);
        let words = CStr::from_ptr(words.as_ptr()).to_string_lossy();
        println!("{}", words.lines().last().unwrap_or(""));
        hvpt_space_destroy(&mut space);
    }
}
