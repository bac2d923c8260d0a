//! `syscall::flag`: sets of bits, as far as they are used.

use core::ops::{BitAnd, BitOr, BitOrAssign};

macro_rules! flags {
    ($name:ident { $($flag:ident = $bits:expr,)* }) => {
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $name(usize);

        impl $name {
            $(pub const $flag: Self = Self($bits);)*

            pub const fn empty() -> Self {
                Self(0)
            }
            pub const fn contains(&self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
            pub const fn intersects(&self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
        }
        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
    };
}

flags! { CallFlags {
    WRITE = 1 << 9,
    READ = 1 << 10,
} }

flags! { EventFlags {
    EVENT_READ = 1,
    EVENT_WRITE = 2,
} }
pub const EVENT_READ: EventFlags = EventFlags::EVENT_READ;

flags! { MapFlags {
    PROT_EXEC = 0x0001_0000,
    PROT_WRITE = 0x0002_0000,
    PROT_READ = 0x0004_0000,
    MAP_SHARED = 0x0001,
    MAP_PRIVATE = 0x0002,
    MAP_FIXED = 0x0004,
    MAP_FIXED_NOREPLACE = 0x000C,
} }
