//! A program of user space (the stand-in's own): the client crate's calls, made to the scheme from a process whose
//! payloads lie in its own memory.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use redox_hv::{Calls, Errno};

use crate::{
    context::{
        memory::{set_current, AddrSpaceWrapper},
        thread::{Files, Thread},
    },
    control,
    hv::scheme::HvScheme,
    memory::{Page, RmmA, RmmArch, VirtualAddress, PAGE_SIZE},
    scheme::{CallerCtx, KernelScheme, OpenResult, StrOrBytes},
    sync::CleanLockToken,
    syscall::{
        data::Map,
        error::{Error, Result, ESRCH},
        flag::{CallFlags, MapFlags},
        usercopy::{UserSliceRo, UserSliceRw, UserSliceWo},
    },
};

/// What a thread that was killed in a call is told here; the real one is told nothing any more.
pub const KILLED: Errno = Errno(3);

/// A thread of a process. File descriptors are the scheme's handles.
#[derive(Clone)]
pub struct Program {
    pub scheme: &'static HvScheme,
    pub process: Arc<AddrSpaceWrapper>,
    pub thread: Arc<Thread>,
    pub uid: u32,
    /// Pages of the process where the thread's payloads lie.
    buffer: usize,
    size: usize,
}

fn errno(error: Error) -> Errno {
    Errno(error.errno)
}

impl Program {
    /// The first thread of a process. `buffer`: pages of the process that this thread alone uses.
    pub fn new(
        scheme: &'static HvScheme,
        process: &Arc<AddrSpaceWrapper>,
        buffer: Page,
        pages: usize,
    ) -> Result<Self> {
        set_current(Some(Arc::clone(process)));
        Self::with(scheme, process, Files::new(scheme), buffer, pages)
    }

    /// Another one, with the same file descriptors. ESRCH: this one is dead.
    pub fn another(&self, buffer: Page, pages: usize) -> Result<Self> {
        let files = self.thread.files().ok_or(Error::new(ESRCH))?;

        Self::with(self.scheme, &self.process, files, buffer, pages)
    }

    fn with(
        scheme: &'static HvScheme,
        process: &Arc<AddrSpaceWrapper>,
        files: Arc<Files>,
        buffer: Page,
        pages: usize,
    ) -> Result<Self> {
        process.grow(buffer, pages)?;
        Ok(Self {
            scheme,
            process: Arc::clone(process),
            thread: Thread::new(files),
            uid: 0,
            buffer: buffer.start_address().data(),
            size: pages * PAGE_SIZE,
        })
    }

    /// The same for another process, which is given nothing: it passes no payloads.
    pub fn of(&self, process: &Arc<AddrSpaceWrapper>) -> Self {
        Self {
            process: Arc::clone(process),
            ..self.clone()
        }
    }

    /// The address of a buffer of so many bytes; it ends where the pages end, so that what goes beyond is not there.
    pub fn place(&self, size: usize) -> usize {
        self.buffer + self.size - size
    }

    fn token() -> CleanLockToken {
        // SAFETY: a system call begins.
        unsafe { CleanLockToken::new() }
    }

    fn caller(&self) -> CallerCtx {
        CallerCtx {
            pid: 1,
            uid: self.uid,
            gid: self.uid,
        }
    }

    fn put(&self, bytes: &[u8]) -> usize {
        let at = self.place(bytes.len());

        let to = UserSliceWo::wo(at, bytes.len()).and_then(|to| to.copy_from_slice(bytes));
        to.expect("the program's own buffer");
        at
    }

    fn fetch(&self, at: usize, bytes: &mut [u8]) {
        let from = UserSliceRo::ro(at, bytes.len()).and_then(|from| from.copy_to_slice(bytes));

        from.expect("the program's own buffer");
    }

    /// SYS_CALL with whatever payload.
    pub fn raw_call(
        &self,
        fds: &[usize],
        address: usize,
        size: usize,
        metadata: &[u64],
    ) -> Result<usize> {
        let payload = UserSliceRw::rw(address, size)?;
        let flags = CallFlags::READ | CallFlags::WRITE;

        self.scheme
            .kcall(fds, payload, flags, metadata, &mut Self::token())
    }

    /// Read with whatever buffer, from an offset.
    pub fn raw_read(&self, fd: usize, address: usize, size: usize, offset: u64) -> Result<usize> {
        let to = UserSliceWo::wo(address, size)?;

        self.scheme
            .kreadoff(fd, to, offset, 0, 0, &mut Self::token())
    }

    /// All of a file's text.
    pub fn text(&self, fd: usize) -> Vec<u8> {
        let mut all = Vec::new();

        loop {
            let mut bytes = [0; 40];
            let at = self.place(bytes.len());
            let count = self
                .raw_read(fd, at, bytes.len(), all.len() as u64)
                .expect("a file that is open");
            self.fetch(at, &mut bytes);
            all.extend_from_slice(&bytes[..count]);
            if count == 0 {
                return all;
            }
        }
    }
}

impl Program {
    /// A call of the program's, and the end of the thread with it where it is to be killed.
    fn system_call<T>(&self, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        assert!(!self.thread.is_dead(), "a dead thread makes no call");
        let result = call();

        if self.thread.leave_kernel() {
            return Err(KILLED);
        }
        control::user_mode();
        result
    }

    /// An interrupt in user mode. True: the thread was killed there.
    pub fn interrupted(&self) -> bool {
        self.thread.leave_kernel()
    }

    /// Numbers and paths of what the process has open, as `sys:iostat` shows them.
    pub fn iostat(&self) -> Vec<(usize, String)> {
        let open = self.thread.files().map_or(Vec::new(), |files| files.open());
        let path = |fd: usize| {
            let at = self.place(64);
            let to = UserSliceWo::wo(at, 64)?;
            let length = self.scheme.kfpath(fd, to, &mut Self::token())?;
            let mut bytes = [0; 64];
            self.fetch(at, &mut bytes);
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };

        open.into_iter()
            .map(|fd| {
                (
                    fd,
                    path(fd).unwrap_or_else(|error: Error| format!("{}", error.errno)),
                )
            })
            .collect()
    }

    /// A file descriptor that a call has opened.
    fn opened(&self, result: Result<OpenResult>) -> Result<usize, Errno> {
        let number = local(result)?;

        if let Some(files) = self.thread.files() {
            files.insert(number);
        }
        Ok(number)
    }
}

fn local(result: Result<OpenResult>) -> Result<usize, Errno> {
    let OpenResult::SchemeLocal(number, _) = result.map_err(errno)?;

    Ok(number)
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn words_from(bytes: &[u8], words: &mut [u64]) {
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().expect("eight bytes"));
    }
}

impl Calls for Program {
    fn openat(&self, fd: usize, path: &str) -> Result<usize, Errno> {
        let path = StrOrBytes::Str(path);
        let open = || {
            let token = &mut Self::token();
            self.opened(self.scheme.kopenat(fd, path, 0, 0, self.caller(), token))
        };

        self.system_call(open)
    }

    fn dup(&self, fd: usize, name: &str) -> Result<usize, Errno> {
        self.system_call(|| {
            let at = self.put(name.as_bytes());
            let name = UserSliceRo::ro(at, name.len()).map_err(errno)?;
            let token = &mut Self::token();

            self.opened(self.scheme.kdup(fd, name, self.caller(), token))
        })
    }

    fn call(&self, fd: usize, payload: &mut [u64], metadata: [u64; 3]) -> Result<usize, Errno> {
        let mut bytes = bytes_of(payload);
        let answer = self.call_bytes(fd, &mut bytes, metadata)?;

        words_from(&bytes, payload);
        Ok(answer)
    }

    fn call_bytes(
        &self,
        fd: usize,
        payload: &mut [u8],
        metadata: [u64; 3],
    ) -> Result<usize, Errno> {
        self.system_call(|| {
            let at = self.put(payload);
            let answer = self
                .raw_call(&[fd], at, payload.len(), &metadata)
                .map_err(errno)?;

            self.fetch(at, payload);
            Ok(answer)
        })
    }

    fn read(&self, fd: usize, words: &mut [u64]) -> Result<usize, Errno> {
        self.system_call(|| {
            let mut bytes = bytes_of(words);
            let at = self.put(&bytes);
            let count = self
                .raw_read(fd, at, bytes.len(), u64::MAX)
                .map_err(errno)?;

            self.fetch(at, &mut bytes);
            words_from(&bytes, words);
            Ok(count)
        })
    }

    fn write(&self, fd: usize, words: &[u64]) -> Result<usize, Errno> {
        self.system_call(|| {
            let bytes = bytes_of(words);
            let from = UserSliceRo::ro(self.put(&bytes), bytes.len()).map_err(errno)?;

            self.scheme
                .kwrite(fd, from, 0, 0, &mut Self::token())
                .map_err(errno)
        })
    }

    fn map(&self, fd: usize, offset: usize, size: usize, write: bool) -> Result<usize, Errno> {
        let mut flags = MapFlags::MAP_SHARED | MapFlags::PROT_READ;
        if write {
            flags |= MapFlags::PROT_WRITE;
        }
        let map = Map {
            offset,
            size,
            flags,
            address: 0,
        };

        self.system_call(|| {
            self.scheme
                .kfmap(fd, &self.process, &map, false, &mut Self::token())
                .map_err(errno)
        })
    }

    /// What is left of a dead thread here closes nothing: its process has.
    fn close(&self, fd: usize) {
        if let Some(files) = self.thread.files() {
            files.remove(fd);
            drop(files);
            let _ = self.system_call(|| {
                let _ = self.scheme.close(fd, &mut Self::token());
                Ok(())
            });
        }
    }
}

/// Memory of a process at the addresses where the kernel sees it, so that the program is this very code. Of
/// neighbouring frames, which the allocator must have.
pub fn memory_of(process: &AddrSpaceWrapper, pages: usize) -> Result<*mut u8> {
    let frames = crate::memory::neighbours(pages)?;
    let first = frames
        .first()
        .map_or(0, |frame| RmmA::phys_to_virt(frame.get().base()).data());

    for (number, frame) in frames.into_iter().enumerate() {
        let page = Page::containing_address(VirtualAddress::new(first + number * PAGE_SIZE));
        process.give(page, frame);
    }
    Ok(first as *mut u8)
}
