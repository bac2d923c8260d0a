//! `cpu_set`: numbers of CPUs.

use core::fmt;

#[derive(Clone, Copy, Eq, PartialEq, Hash)]
pub struct LogicalCpuId(u32);

impl LogicalCpuId {
    pub const BSP: Self = Self::new(0);

    pub const fn new(inner: u32) -> Self {
        Self(inner)
    }
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for LogicalCpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[logical cpu #{}]", self.0)
    }
}

impl fmt::Display for LogicalCpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

pub const MAX_CPU_COUNT: u32 = 128;
