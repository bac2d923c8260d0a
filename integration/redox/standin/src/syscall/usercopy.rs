//! `syscall::usercopy`: memory of the program that made the system call. Where the kernel would fault, this looks: into
//! the pages of the current address space.

use crate::{
    context::memory::{AddrSpace, PageSpan},
    memory::{Page, RmmA, RmmArch, VirtualAddress, PAGE_SIZE},
    syscall::error::{Error, Result, EFAULT, EINVAL},
    USER_END_OFFSET,
};

#[derive(Clone, Copy)]
pub struct UserSlice<const READ: bool, const WRITE: bool> {
    base: usize,
    len: usize,
}

pub type UserSliceRo = UserSlice<true, false>;
pub type UserSliceWo = UserSlice<false, true>;
pub type UserSliceRw = UserSlice<true, true>;

impl<const READ: bool, const WRITE: bool> UserSlice<READ, WRITE> {
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub fn addr(&self) -> usize {
        self.base
    }
    pub fn new(base: usize, len: usize) -> Result<Self> {
        if base >= USER_END_OFFSET || base.saturating_add(len) >= USER_END_OFFSET {
            return Err(Error::new(EFAULT));
        }
        Ok(Self { base, len })
    }
    pub fn split_at(self, idx: usize) -> Option<(Self, Self)> {
        if idx > self.len {
            return None;
        }
        Some((
            Self {
                base: self.base,
                len: idx,
            },
            Self {
                base: self.base + idx,
                len: self.len - idx,
            },
        ))
    }
    pub fn advance(self, by: usize) -> Option<Self> {
        Some(self.split_at(by)?.1)
    }
    pub fn limit(self, to: usize) -> Option<Self> {
        Some(self.split_at(to)?.0)
    }
    pub fn in_exact_chunks(self, chunk_size: usize) -> impl Iterator<Item = Self> {
        (0..self.len / chunk_size).map(move |i| Self {
            base: self.base + i * chunk_size,
            len: chunk_size,
        })
    }
}

impl<const WRITE: bool> UserSlice<true, WRITE> {
    pub fn copy_to_slice(self, slice: &mut [u8]) -> Result<()> {
        if self.len != slice.len() {
            return Err(Error::new(EINVAL));
        }
        // SAFETY: each piece is in a frame of the process's, and in the slice.
        each_piece(self.base, self.len, false, |at, offset, length| unsafe {
            core::ptr::copy_nonoverlapping(at, slice[offset..][..length].as_mut_ptr(), length);
        })
    }
    pub fn copy_common_bytes_to_slice(self, slice: &mut [u8]) -> Result<usize> {
        let min = self.len.min(slice.len());
        self.limit(min)
            .expect("min(len, x) is always <= len")
            .copy_to_slice(&mut slice[..min])?;
        Ok(min)
    }
}

impl<const READ: bool> UserSlice<READ, true> {
    pub fn copy_from_slice(self, slice: &[u8]) -> Result<()> {
        if self.len != slice.len() {
            return Err(Error::new(EINVAL));
        }
        // SAFETY: as copy_to_slice.
        each_piece(self.base, self.len, true, |at, offset, length| unsafe {
            core::ptr::copy_nonoverlapping(slice[offset..][..length].as_ptr(), at, length);
        })
    }
    pub fn copy_common_bytes_from_slice(self, slice: &[u8]) -> Result<usize> {
        let min = self.len.min(slice.len());
        self.limit(min)
            .expect("min(len, x) is always <= len")
            .copy_from_slice(&slice[..min])?;
        Ok(min)
    }
}

impl UserSliceRo {
    pub fn ro(base: usize, size: usize) -> Result<Self> {
        Self::new(base, size)
    }
}
impl UserSliceWo {
    pub fn wo(base: usize, size: usize) -> Result<Self> {
        Self::new(base, size)
    }
}
impl UserSliceRw {
    pub fn rw(base: usize, size: usize) -> Result<Self> {
        Self::new(base, size)
    }
    pub fn into_ro(self) -> Result<UserSliceRo> {
        UserSliceRo::ro(self.base, self.len)
    }
    pub fn into_wo(self) -> Result<UserSliceWo> {
        UserSliceWo::wo(self.base, self.len)
    }
}

/// Page by page: where the bytes are, how many lie before them, how many they are. Bytes before a page that is not
/// there are copied, as the kernel's copy does.
fn each_piece(
    base: usize,
    len: usize,
    write: bool,
    mut each: impl FnMut(*mut u8, usize, usize),
) -> Result<()> {
    let mut done = 0;

    if len == 0 {
        return Ok(());
    }
    let process = AddrSpace::current().map_err(|_| Error::new(EFAULT))?;
    while done < len {
        let at = base + done;
        let length = (PAGE_SIZE - at % PAGE_SIZE).min(len - done);
        let page = Page::containing_address(VirtualAddress::new(at));
        let (phys, flags) = process.look(page).ok_or(Error::new(EFAULT))?;
        if write && !flags.has_write() {
            return Err(Error::new(EFAULT));
        }
        each(
            (RmmA::phys_to_virt(phys).data() as *mut u8).wrapping_add(at % PAGE_SIZE),
            done,
            length,
        );
        done += length;
    }
    Ok(())
}

pub fn validate_region(address: usize, size: usize) -> Result<PageSpan> {
    if address % PAGE_SIZE != 0 || size % PAGE_SIZE != 0 || size == 0 {
        return Err(Error::new(EINVAL));
    }
    if address.saturating_add(size) > USER_END_OFFSET {
        return Err(Error::new(EFAULT));
    }
    Ok(PageSpan::new(
        Page::containing_address(VirtualAddress::new(address)),
        size / PAGE_SIZE,
    ))
}
