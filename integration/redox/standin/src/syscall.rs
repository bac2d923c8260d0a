//! `syscall`: error numbers, and what programs pass.

pub mod data;
pub mod flag;
pub mod usercopy;

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
    pub const ESRCH: i32 = 3;
    pub const EIO: i32 = 5;
    pub const EBADF: i32 = 9;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EBUSY: i32 = 16;
    pub const EEXIST: i32 = 17;
    pub const ENODEV: i32 = 19;
    pub const EISDIR: i32 = 21;
    pub const EINVAL: i32 = 22;
    pub const ESPIPE: i32 = 29;
    pub const EOPNOTSUPP: i32 = 95;
}
