#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| doorward_tls::fuzzing::client_hello(data));
