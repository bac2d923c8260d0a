//! `syscall`: error numbers.

pub mod error {
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct Error {
        pub errno: i32,
    }

    pub type Result<T, E = Error> = core::result::Result<T, E>;

    impl Error {
        pub fn new(errno: i32) -> Self {
            Self { errno }
        }
    }

    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const EIO: i32 = 5;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EBUSY: i32 = 16;
    pub const EEXIST: i32 = 17;
    pub const ENODEV: i32 = 19;
    pub const EINVAL: i32 = 22;
    pub const EOPNOTSUPP: i32 = 95;
}
