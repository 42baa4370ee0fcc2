#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| doorward_tacacs::fuzzing::authentication_reply(data));
