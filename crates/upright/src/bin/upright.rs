//! The command line: `upright`, also called as `initctl`, `start`, `stop`, `status` ...
#![no_main]
#![deny(unsafe_code)]

use std::ffi::{c_int, CString, OsString};
use std::os::unix::ffi::OsStringExt;
use sys::entry::{enter, RawArguments};

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

/// Where the C runtime begins. Not the standard library's start-up: it prepares for a stack that
/// overflows by reading the list of our memory, which takes a tenth of a whole `upright status`.
#[allow(unsafe_code)] // The name, which the C runtime asks for, is all that is unsafe about it.
#[no_mangle]
extern "C" fn main(_count: c_int, arguments: RawArguments) -> c_int {
    enter(arguments, run)
}

fn run(arguments: Vec<CString>) -> i32 {
    sys::signals::ignore_pipe();
    let arguments = arguments.into_iter().map(|text| OsString::from_vec(text.into_bytes()));
    upright::cli::main(arguments).into()
}
