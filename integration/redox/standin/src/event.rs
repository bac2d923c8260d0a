//! `event`: whoever waits for a file descriptor is told.

use core::sync::atomic::Ordering;

use crate::{scheme::SchemeId, sync::CleanLockToken, syscall::flag::EventFlags};

/// Counted, for tests.
pub fn trigger(_: SchemeId, _: usize, _: EventFlags, _: &mut CleanLockToken) {
    crate::control::EVENTS.fetch_add(1, Ordering::SeqCst);
}
