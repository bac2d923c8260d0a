//! Words in a program's memory.

use crate::syscall::{
    error::{Error, Result, EINVAL},
    usercopy::{UserSliceRo, UserSliceRw, UserSliceWo},
};

const WORD: usize = 8;

/// The first `N` words. EINVAL: there are not so many; EFAULT: they are not there.
pub fn read_ro<const N: usize>(from: UserSliceRo) -> Result<[u64; N]> {
    let mut words = [0; N];
    let from = from.limit(N * WORD).ok_or(Error::new(EINVAL))?;

    for (chunk, word) in from.in_exact_chunks(WORD).zip(&mut words) {
        let mut bytes = [0; WORD];
        chunk.copy_to_slice(&mut bytes)?;
        *word = u64::from_ne_bytes(bytes);
    }
    Ok(words)
}

pub fn read<const N: usize>(from: UserSliceRw) -> Result<[u64; N]> {
    read_ro(from.into_ro()?)
}

/// All of the words, or nothing: how many bytes that is.
pub fn write_wo(to: UserSliceWo, words: &[u64]) -> Result<usize> {
    let bytes = words.len() * WORD;
    let to = to.limit(bytes).ok_or(Error::new(EINVAL))?;

    for (chunk, word) in to.in_exact_chunks(WORD).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes())?;
    }
    Ok(bytes)
}

pub fn write(to: UserSliceRw, words: &[u64]) -> Result<usize> {
    write_wo(to.into_wo()?, words)
}

/// Is there room for so many words? To be asked before something happens that cannot be said twice.
pub fn has_room(to: UserSliceRw, words: usize) -> Result<()> {
    if to.len() < words * WORD {
        return Err(Error::new(EINVAL));
    }
    Ok(())
}
