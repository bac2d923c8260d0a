//! Words from the headers: their sinks write into a `fmt::Formatter`, their strings become `&str`.

use core::{ffi::c_void, fmt, slice, str};

use crate::ffi::Put;

struct Sink<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    result: fmt::Result,
}

unsafe extern "C" fn put(ctx: *mut c_void, bytes: *const u8, length: usize) {
    // SAFETY: ctx is the Sink below, alive while the shim's call runs; the shim passes bytes that it owns.
    let (sink, bytes) = unsafe {
        (
            &mut *(ctx as *mut Sink<'_, '_>),
            slice::from_raw_parts(bytes, length),
        )
    };
    if sink.result.is_ok() {
        sink.result = sink.to.write_str(str::from_utf8(bytes).unwrap_or("?"));
    }
}

/// Let `call` write through a sink into `to`.
pub(crate) fn write(
    to: &mut fmt::Formatter<'_>,
    call: impl FnOnce(Put, *mut c_void),
) -> fmt::Result {
    let mut sink = Sink { to, result: Ok(()) };

    call(put, &mut sink as *mut Sink<'_, '_> as *mut c_void);
    sink.result
}

/// A string constant of the shim's.
///
/// # Safety
/// `string` is not NULL, ends with a zero and is never changed.
pub(crate) unsafe fn c_str(string: *const u8) -> &'static str {
    let mut length = 0;

    // SAFETY: up to its zero the string can be read. Volatile, so that this does not become a call of strlen, which not
    // every kernel has.
    unsafe {
        while string.add(length).read_volatile() != 0 {
            length += 1;
        }
        str::from_utf8(slice::from_raw_parts(string, length)).unwrap_or("?")
    }
}

/// As `c_str`; `None` for NULL.
///
/// # Safety
/// As `c_str`, but that `string` may be NULL.
pub(crate) unsafe fn c_str_or_none(string: *const u8) -> Option<&'static str> {
    if string.is_null() {
        None
    } else {
        // SAFETY: not NULL; the rest is the caller's word.
        Some(unsafe { c_str(string) })
    }
}
