#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larksub::fuzz::plan(bytes));
