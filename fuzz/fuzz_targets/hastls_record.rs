#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| doorward_hastls::fuzzing::hastls_record(data));
