//! What flows after a handshake, whichever engine carries it.

use super::tests::{drained, read};
use super::{ClientChannel, PlainState, ServerChannel, psk_world, tests};
use crate::ChannelError;
use crate::testing::carry;

/// A connection by certificates (rustls) and one by a pre-shared key (OpenSSL).
pub(super) fn connections(chunk: usize) -> [(ClientChannel, ServerChannel); 2] {
    let (_, client, server) = tests::established(chunk);
    [(client, server), psk_world::established(chunk)]
}

#[test]
fn close_notify_follows_the_last_words_in_both_directions() {
    for (mut client, mut server) in connections(1000) {
        server.write_plain(b"last").unwrap();
        server.close();
        assert_eq!(server.write_plain(b"more"), Err(ChannelError::Closed));
        client.feed(&drained(|out| server.drain(out)));
        let mut plain = Vec::new();
        assert_eq!(client.read_plain(&mut plain), Ok(PlainState::Closed));
        assert_eq!(plain, b"last");
        // The other half still works until it is closed as well.
        client.write_plain(b"bye").unwrap();
        client.close();
        server.feed(&drained(|out| client.drain(out)));
        let mut plain = Vec::new();
        assert_eq!(server.read_plain(&mut plain), Ok(PlainState::Closed));
        assert_eq!(plain, b"bye");
        assert!(drained(|out| server.drain(out)).is_empty());
    }
}

#[test]
fn keys_change_without_loss() {
    for (mut client, mut server) in connections(1000) {
        for round in 0..3_u8 {
            server.key_update().unwrap();
            client.key_update().unwrap();
            server.write_plain(&[round]).unwrap();
            client.write_plain(&[round]).unwrap();
            carry(&mut client, &mut server, 1000);
            assert_eq!(read(|out| client.read_plain(out)), [round]);
            assert_eq!(read(|out| server.read_plain(out)), [round]);
        }
    }
}

#[test]
fn a_damaged_record_ends_the_channel_with_an_alert() {
    for (mut client, mut server) in connections(1000) {
        client.write_plain(b"before").unwrap();
        let mut sealed = drained(|out| client.drain(out));
        client.write_plain(b"request").unwrap();
        client.drain(&mut sealed);
        *sealed.last_mut().unwrap() ^= 1;
        server.feed(&sealed);
        let mut plain = Vec::new();
        assert_eq!(server.read_plain(&mut plain), Err(ChannelError::Decrypt));
        assert_eq!(plain, b"before");
        assert_eq!(server.write_plain(b"reply"), Err(ChannelError::Decrypt));
        client.feed(&drained(|out| server.drain(out)));
        let alert = Err(ChannelError::PeerAlert(20));
        assert_eq!(client.read_plain(&mut Vec::new()), alert);
    }
}

#[test]
fn much_is_carried_whatever_the_segments() {
    for chunk in [1, 1000, 100_000] {
        for (mut client, mut server) in connections(chunk) {
            let much: Vec<u8> = (0..100_000_u32)
                .map(|number| number.to_le_bytes()[0])
                .collect();
            client.write_plain(&much).unwrap();
            server.write_plain(&much).unwrap();
            carry(&mut client, &mut server, chunk);
            assert_eq!(read(|out| server.read_plain(out)), much);
            assert_eq!(read(|out| client.read_plain(out)), much);
        }
    }
}

/// The plain lengths of these records of data, as far as their heads tell.
pub(super) fn lengths(mut sealed: &[u8], overhead: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some((head, rest)) = sealed.split_at_checked(5) {
        assert_eq!(head[0], 23, "a record of data");
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        lengths.push(length - overhead);
        sealed = &rest[length..];
    }
    lengths
}

#[test]
fn what_is_written_as_a_record_has_one_of_its_own() {
    for (mut client, mut server) in connections(1000) {
        server.write_record(&[1; 20]).unwrap();
        server.write_record(&[2; 4096]).unwrap();
        // Before and after it other plain data keeps together.
        server.write_plain(&[3; 5]).unwrap();
        server.write_plain(&[3; 6]).unwrap();
        server.write_record(&[4; 30]).unwrap();
        server.write_plain(&[5; 7]).unwrap();
        server.write_plain(&[5; 8]).unwrap();
        client.write_record(b"a").unwrap();
        client.write_record(b"b").unwrap();
        // One turn, one write; type and tag are 17 octets.
        let sealed = drained(|out| server.drain(out));
        assert_eq!(lengths(&sealed, 17), [20, 4096, 11, 30, 15]);
        client.feed(&sealed);
        assert_eq!(read(|out| client.read_plain(out)).len(), 4172);
        let sealed = drained(|out| client.drain(out));
        assert_eq!(lengths(&sealed, 17), [1, 1]);
        server.feed(&sealed);
        assert_eq!(read(|out| server.read_plain(out)), b"ab");

        server.write_record(b"last").unwrap();
        server.close();
        assert_eq!(server.write_record(b"more"), Err(ChannelError::Closed));
        client.feed(&drained(|out| server.drain(out)));
        let mut plain = Vec::new();
        assert_eq!(client.read_plain(&mut plain), Ok(PlainState::Closed));
        assert_eq!(plain, b"last");
    }
}

#[test]
fn replies_of_one_turn_leave_in_one_record() {
    for (mut client, mut server) in connections(1000) {
        for _ in 0..100 {
            server.write_plain(&[7; 100]).unwrap();
        }
        let sealed = drained(|out| server.drain(out));
        let length = usize::from(u16::from_be_bytes([sealed[3], sealed[4]]));
        assert_eq!((sealed[0], sealed.len()), (23, length + 5));
        client.feed(&sealed);
        assert_eq!(read(|out| client.read_plain(out)).len(), 10_000);
    }
}
