//! Entry points of the fuzz targets, replayed over their corpora by ordinary tests.

use crate::hello::{ClientHelloReader, Progress};

/// Feeds `data` to the ClientHello reader whole and octet by octet; both have to end the same way.
pub fn client_hello(data: &[u8]) {
    let mut whole = ClientHelloReader::new();
    let at_once = whole.push(data);
    let mut split = ClientHelloReader::new();
    let mut in_pieces = Ok(Progress::WantRead);
    for octet in data.chunks(1) {
        in_pieces = split.push(octet);
        if !matches!(in_pieces, Ok(Progress::WantRead)) {
            break;
        }
    }
    assert_eq!(at_once, in_pieces, "chunking changes the result");
    if at_once.is_ok() {
        assert_eq!(whole.into_octets(), data, "an octet is lost");
    }
}
