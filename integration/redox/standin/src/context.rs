//! `context`: a process, as far as guests meet one.

pub mod file;
pub mod memory;
pub mod thread;
