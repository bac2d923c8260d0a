//! Numbers of file descriptors: the kernel has the program choose them.

use core::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = 16;

/// [`Numbers::COUNT`] numbers from `first` on, a bit each: set while it is taken.
#[derive(Debug)]
pub struct Numbers {
    first: usize,
    taken: [AtomicU64; WORDS],
}

impl Numbers {
    /// So many file descriptors are open at a time.
    pub const COUNT: usize = WORDS * 64;

    pub const fn new(first: usize) -> Self {
        #[allow(clippy::declare_interior_mutable_const)] // what an array is made of, never a variable
        const FREE: AtomicU64 = AtomicU64::new(0);

        Self {
            first,
            taken: [FREE; WORDS],
        }
    }

    /// A number that is nobody's; none when all are taken.
    pub fn take(&self) -> Option<usize> {
        for (index, word) in self.taken.iter().enumerate() {
            let mut seen = word.load(Ordering::Relaxed);

            while seen != u64::MAX {
                let bit = seen.trailing_ones();
                let taken = seen | 1 << bit;

                match word.compare_exchange_weak(seen, taken, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => return Some(self.first + index * 64 + bit as usize),
                    Err(now) => seen = now,
                }
            }
        }
        None
    }

    /// What [`Numbers::take`] has given is nobody's again. Other numbers are left alone.
    pub fn give_back(&self, number: usize) {
        let index = number.wrapping_sub(self.first);

        if let Some(word) = self.taken.get(index / 64) {
            word.fetch_and(!(1 << (index % 64)), Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;
    use std::{collections::BTreeSet, thread, vec::Vec};

    #[test]
    fn numbers_come_back_and_run_out() {
        let numbers = Numbers::new(100);
        let all: Vec<usize> = core::iter::from_fn(|| numbers.take()).collect();

        assert_eq!(all, (100..100 + Numbers::COUNT).collect::<Vec<_>>());
        numbers.give_back(777);
        numbers.give_back(99); // never given
        numbers.give_back(100 + Numbers::COUNT);
        assert_eq!((numbers.take(), numbers.take()), (Some(777), None));
    }

    #[test]
    fn no_two_threads_have_the_same() {
        static NUMBERS: Numbers = Numbers::new(5);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    let mut kept = Vec::new();
                    for round in 0..2000 {
                        let number = NUMBERS.take().unwrap();
                        if round % 10 == 0 {
                            kept.push(number);
                        } else {
                            NUMBERS.give_back(number);
                        }
                    }
                    kept
                })
            })
            .collect();
        let kept: Vec<usize> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();

        assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), 800);
        assert_eq!(kept.len(), 800);
    }
}
