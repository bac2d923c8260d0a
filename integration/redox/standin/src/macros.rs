//! The kernel's log macros. Where it goes is the test's to say.

macro_rules! say {
    ($level:literal, $($arg:tt)*) => {
        $crate::control::log(format_args!("{}:{} -- {}", module_path!(), $level, format_args!($($arg)*)))
    };
}

macro_rules! error {
    ($($arg:tt)*) => { say!("ERROR", $($arg)*) };
}

macro_rules! warn {
    ($($arg:tt)*) => { say!("WARN", $($arg)*) };
}

macro_rules! info {
    ($($arg:tt)*) => { say!("INFO", $($arg)*) };
}
