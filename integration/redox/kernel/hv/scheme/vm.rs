//! Calls on a VM.

use alloc::vec::Vec;

use super::{
    super::Vm,
    abi::op,
    memory::{count, flags, gpa, lend, lend_device},
    words,
};
use crate::{
    sync::CleanLockToken,
    syscall::{
        error::{Error, Result, EINVAL, ENOMEM, EOPNOTSUPP},
        usercopy::UserSliceRw,
    },
};

pub fn call(
    vm: &Vm,
    op: u64,
    m1: u64,
    m2: u64,
    payload: UserSliceRw,
    token: &mut CleanLockToken,
) -> Result<usize> {
    match op {
        op::MAP => lend(vm, m1, m2, words::read(payload)?, token)?,
        op::MAP_DEVICE => lend_device(vm, m1, m2, words::read(payload)?, token)?,
        op::UNMAP => vm.unmap(gpa(m1), count(m2)?, token)?,
        op::PROTECT => {
            let [rights] = words::read(payload)?;
            vm.protect(gpa(m1), count(m2)?, flags(rights)?, token)?;
        }
        op::DIRTY => return dirty(vm, m1, m2, payload, token),
        _ => return Err(Error::new(EOPNOTSUPP)),
    }
    Ok(0)
}

fn dirty(
    vm: &Vm,
    m1: u64,
    m2: u64,
    payload: UserSliceRw,
    token: &mut CleanLockToken,
) -> Result<usize> {
    let pages = count(m2)?;
    let mut bitmap = Vec::new();

    if pages > Vm::MAX_PAGES_A_CALL {
        return Err(Error::new(EINVAL));
    }
    let length = (pages + 63) / 64;
    // Before anything counts as clean.
    words::has_room(payload, length)?;
    bitmap
        .try_reserve_exact(length)
        .map_err(|_| Error::new(ENOMEM))?;
    bitmap.resize(length, 0);
    words::write(payload, &bitmap)?;
    vm.dirty(gpa(m1), pages, &mut bitmap, token)?;
    words::write(payload, &bitmap)
}
