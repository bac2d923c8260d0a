//! Flags of a first-level page.

use core::{fmt, marker::PhantomData};

use crate::Arch;

#[derive(Clone, Copy)]
pub struct PageFlags<A> {
    data: usize,
    arch: PhantomData<A>,
}

impl<A: Arch> PageFlags<A> {
    pub fn new() -> Self {
        let data = A::ENTRY_FLAG_DEFAULT_PAGE
            | A::ENTRY_FLAG_READONLY
            | A::ENTRY_FLAG_NO_EXEC
            | A::ENTRY_FLAG_NO_GLOBAL;
        Self {
            data,
            arch: PhantomData,
        }
    }
    pub unsafe fn from_data(data: usize) -> Self {
        Self {
            data,
            arch: PhantomData,
        }
    }
    pub fn data(&self) -> usize {
        self.data
    }
    #[must_use]
    pub fn custom_flag(mut self, flag: usize, value: bool) -> Self {
        if value {
            self.data |= flag;
        } else {
            self.data &= !flag;
        }
        self
    }
    #[must_use]
    pub fn device_memory(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_DEVICE_MEMORY, value)
    }
    #[must_use]
    pub fn uncacheable(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_UNCACHEABLE, value)
    }
    #[must_use]
    pub fn write_combining(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_WRITE_COMBINING, value)
    }
    pub fn has_flag(&self, flag: usize) -> bool {
        self.data & flag == flag
    }
    pub fn has_present(&self) -> bool {
        self.has_flag(A::ENTRY_FLAG_PRESENT)
    }
    #[must_use]
    pub fn user(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_PAGE_USER, value)
    }
    pub fn has_user(&self) -> bool {
        self.has_flag(A::ENTRY_FLAG_PAGE_USER)
    }
    #[must_use]
    pub fn write(self, value: bool) -> Self {
        let cleared = self.custom_flag(A::ENTRY_FLAG_READONLY | A::ENTRY_FLAG_READWRITE, false);
        cleared.custom_flag(
            if value {
                A::ENTRY_FLAG_READWRITE
            } else {
                A::ENTRY_FLAG_READONLY
            },
            true,
        )
    }
    pub fn has_write(&self) -> bool {
        self.data & (A::ENTRY_FLAG_READONLY | A::ENTRY_FLAG_READWRITE) == A::ENTRY_FLAG_READWRITE
    }
    #[must_use]
    pub fn execute(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_NO_EXEC, !value)
            .custom_flag(A::ENTRY_FLAG_EXEC, value)
    }
    pub fn has_execute(&self) -> bool {
        self.data & (A::ENTRY_FLAG_NO_EXEC | A::ENTRY_FLAG_EXEC) == A::ENTRY_FLAG_EXEC
    }
    #[must_use]
    pub fn global(self, value: bool) -> Self {
        self.custom_flag(A::ENTRY_FLAG_NO_GLOBAL, !value)
            .custom_flag(A::ENTRY_FLAG_GLOBAL, value)
    }
    pub fn is_global(&self) -> bool {
        self.data & (A::ENTRY_FLAG_GLOBAL | A::ENTRY_FLAG_NO_GLOBAL) == A::ENTRY_FLAG_GLOBAL
    }
}

impl<A: Arch> fmt::Debug for PageFlags<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageFlags")
            .field("present", &self.has_present())
            .field("write", &self.has_write())
            .field("executable", &self.has_execute())
            .field("user", &self.has_user())
            .field("bits", &format_args!("{:#0x}", self.data))
            .finish()
    }
}
