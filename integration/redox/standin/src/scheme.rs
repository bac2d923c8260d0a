//! `scheme`: what the kernel's file-descriptor calls come down to.

use alloc::sync::Arc;

use crate::{
    context::{file::InternalFlags, memory::AddrSpaceWrapper},
    sync::CleanLockToken,
    syscall::{
        data::{GlobalSchemes, Map},
        error::{Error, Result, EBADF, EOPNOTSUPP, ESPIPE},
        flag::{CallFlags, EventFlags},
        usercopy::{UserSliceRo, UserSliceRw, UserSliceWo},
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemeId(usize);

impl SchemeId {
    pub const fn new(id: usize) -> Self {
        Self(id)
    }
    pub const fn get(self) -> usize {
        self.0
    }
}

pub enum StrOrBytes<'a> {
    Str(&'a str),
    Bytes(&'a [u8]),
}

impl StrOrBytes<'_> {
    pub fn as_str(&self) -> Result<&str, core::str::Utf8Error> {
        match self {
            StrOrBytes::Str(path) => Ok(path),
            StrOrBytes::Bytes(slice) => core::str::from_utf8(slice),
        }
    }
}

pub enum OpenResult {
    SchemeLocal(usize, InternalFlags),
}

pub struct CallerCtx {
    pub pid: usize,
    pub uid: u32,
    pub gid: u32,
}

pub trait SchemeExt {
    fn scheme_id(self) -> SchemeId;
}

impl SchemeExt for GlobalSchemes {
    fn scheme_id(self) -> SchemeId {
        SchemeId::new(self as usize)
    }
}

#[allow(unused_variables, clippy::too_many_arguments)]
pub trait KernelScheme: Send + Sync + 'static {
    fn scheme_root(&self, token: &mut CleanLockToken) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn kopenat(
        &self,
        file: usize,
        path: StrOrBytes<'_>,
        flags: usize,
        fcntl_flags: u32,
        ctx: CallerCtx,
        token: &mut CleanLockToken,
    ) -> Result<OpenResult> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn kfmap(
        &self,
        number: usize,
        addr_space: &Arc<AddrSpaceWrapper>,
        map: &Map,
        consume: bool,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn kdup(
        &self,
        old_id: usize,
        buf: UserSliceRo,
        caller: CallerCtx,
        token: &mut CleanLockToken,
    ) -> Result<OpenResult> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn kreadoff(
        &self,
        id: usize,
        buf: UserSliceWo,
        offset: u64,
        flags: u32,
        stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        if offset != u64::MAX {
            return Err(Error::new(ESPIPE));
        }
        self.kread(id, buf, flags, stored_flags, token)
    }
    fn kwrite(
        &self,
        id: usize,
        buf: UserSliceRo,
        flags: u32,
        stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        Err(Error::new(EBADF))
    }
    fn kread(
        &self,
        id: usize,
        buf: UserSliceWo,
        flags: u32,
        stored_flags: u32,
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        Err(Error::new(EBADF))
    }
    fn kfpath(&self, id: usize, buf: UserSliceWo, token: &mut CleanLockToken) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn fevent(
        &self,
        id: usize,
        flags: EventFlags,
        token: &mut CleanLockToken,
    ) -> Result<EventFlags> {
        Ok(EventFlags::empty())
    }
    fn close(&self, id: usize, token: &mut CleanLockToken) -> Result<()> {
        Ok(())
    }
    fn kcall(
        &self,
        fds: &[usize],
        payload: UserSliceRw,
        flags: CallFlags,
        metadata: &[u64],
        token: &mut CleanLockToken,
    ) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
}
