#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| micro_socket::fuzz::frames::run(data));
