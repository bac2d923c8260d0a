//! The calls as system calls of x86-64, for programs without a runtime under them.

use core::arch::asm;

use crate::{numbers::Numbers, Calls, Errno};

const OPENAT_INTO: usize = 0x1010_03db;
const DUP_INTO: usize = 0x2010_03dc;
const CLOSE: usize = 0x2000_0006;
const READ: usize = 0x2200_0003;
const WRITE: usize = 0x2100_0004;
const CALL: usize = 0x2300_ca11;
const FMAP: usize = 0x2100_0384;

const CALL_READ_WRITE: usize = 3 << 9;
const METADATA_WORDS: usize = 3;
const MAP_SHARED: usize = 1;
const PROT_READ: usize = 0x4_0000;
const PROT_WRITE: usize = 0x2_0000;

/// System calls. The kernel has programs number their file descriptors; these are [`Native::FILES`] from `first` on.
#[derive(Debug)]
pub struct Native {
    numbers: Numbers,
}

impl Native {
    /// So many file descriptors are open at a time; the next one is [`Errno::EMFILE`].
    pub const FILES: usize = Numbers::COUNT;

    /// Nobody else in the program uses the file descriptors from `first` on. The kernel has 65,536, and its table is as
    /// long as the highest one.
    pub const fn new(first: usize) -> Self {
        Self {
            numbers: Numbers::new(first),
        }
    }

    /// A new file descriptor: `open` is told its number.
    fn open(&self, open: impl FnOnce(usize) -> Result<usize, Errno>) -> Result<usize, Errno> {
        let number = self.numbers.take().ok_or(Errno::EMFILE)?;

        match open(number) {
            Ok(_) => Ok(number),
            Err(error) => {
                self.numbers.give_back(number);
                Err(error)
            }
        }
    }
}

/// The arguments are rdi, rsi, rdx, r10, r8, r9.
///
/// # Safety
/// The kernel does what the call is for with the memory that the arguments name.
unsafe fn syscall(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    let [rdi, rsi, rdx, r10, r8, r9] = args;
    let answer: usize;

    // SAFETY: the caller's promise; the kernel keeps every register but these.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") rdi,
            in("rsi") rsi,
            in("rdx") rdx,
            in("r10") r10,
            in("r8") r8,
            in("r9") r9,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    match answer.wrapping_neg() {
        errno @ 1..=4095 => Err(Errno(errno as i32)),
        _ => Ok(answer),
    }
}

impl Native {
    fn raw_call(
        fd: usize,
        payload: *mut u8,
        size: usize,
        metadata: [u64; METADATA_WORDS],
    ) -> Result<usize, Errno> {
        let how = CALL_READ_WRITE | METADATA_WORDS;

        // SAFETY: the scheme reads and writes the payload, which is the caller's, and reads the metadata.
        unsafe {
            syscall(
                CALL,
                [
                    fd,
                    payload as usize,
                    size,
                    how,
                    metadata.as_ptr() as usize,
                    0,
                ],
            )
        }
    }
}

impl Calls for Native {
    fn openat(&self, fd: usize, path: &str) -> Result<usize, Errno> {
        // SAFETY: the kernel reads the path.
        self.open(|new| unsafe {
            syscall(
                OPENAT_INTO,
                [fd, path.as_ptr() as usize, path.len(), 0, 0, new],
            )
        })
    }

    fn dup(&self, fd: usize, name: &str) -> Result<usize, Errno> {
        // SAFETY: the kernel reads the name.
        self.open(|new| unsafe {
            syscall(
                DUP_INTO,
                [fd, name.as_ptr() as usize, name.len(), new, 0, 0],
            )
        })
    }

    fn call(&self, fd: usize, payload: &mut [u64], metadata: [u64; 3]) -> Result<usize, Errno> {
        Self::raw_call(
            fd,
            payload.as_mut_ptr() as *mut u8,
            payload.len() * 8,
            metadata,
        )
    }

    fn call_bytes(
        &self,
        fd: usize,
        payload: &mut [u8],
        metadata: [u64; 3],
    ) -> Result<usize, Errno> {
        Self::raw_call(fd, payload.as_mut_ptr(), payload.len(), metadata)
    }

    fn read(&self, fd: usize, words: &mut [u64]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes the words.
        unsafe {
            syscall(
                READ,
                [fd, words.as_mut_ptr() as usize, words.len() * 8, 0, 0, 0],
            )
        }
    }

    fn write(&self, fd: usize, words: &[u64]) -> Result<usize, Errno> {
        // SAFETY: the kernel reads the words.
        unsafe {
            syscall(
                WRITE,
                [fd, words.as_ptr() as usize, words.len() * 8, 0, 0, 0],
            )
        }
    }

    fn map(&self, fd: usize, offset: usize, size: usize, write: bool) -> Result<usize, Errno> {
        let flags = MAP_SHARED | PROT_READ | if write { PROT_WRITE } else { 0 };
        let map = [offset, size, flags, 0];

        // SAFETY: the kernel reads the four words, and maps where nothing is.
        unsafe { syscall(FMAP, [fd, map.as_ptr() as usize, 32, 0, 0, 0]) }
    }

    fn close(&self, fd: usize) {
        // SAFETY: no memory is named. That a file descriptor does not close is nothing that could be mended here.
        let _ = unsafe { syscall(CLOSE, [fd, 0, 0, 0, 0, 0]) };
        self.numbers.give_back(fd);
    }
}
