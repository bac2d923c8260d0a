//! `syscall::data`.

use super::flag::MapFlags;

#[derive(Copy, Clone, Debug, Default)]
#[repr(C)]
pub struct Map {
    pub offset: usize,
    pub size: usize,
    pub flags: MapFlags,
    pub address: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GlobalSchemes {
    Hv = 12,
}
