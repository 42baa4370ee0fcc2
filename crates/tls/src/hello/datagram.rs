//! A ClientHello in a datagram (RFC 6347 section 4.2), and the cookie that its sender has to bring back.
//!
//! ```text
//! ClientHello ────────────────────────▶  nothing is kept
//!             ◀──── HelloVerifyRequest   the cookie: a keyed digest of the address and of what the hello offers
//! ClientHello, the same with the cookie ▶  this address is real: now something may be kept
//! ```
//!
//! All of this is ours: whoever floods the port with hellos costs a digest and a datagram each, which is never longer than
//! the hello, and the engine never sees them.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::parse::{self, ClientHello, Input};
use super::{CLIENT_HELLO, CONTENT_HANDSHAKE, HelloError, OwnHellos};
use crate::error::alert;

/// Header of a record: type, version, epoch, sequence number, length (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;
/// Header of a message: type, length, number, offset and length of the fragment (RFC 6347 section 4.2.2).
const MESSAGE_HEADER: usize = 12;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CONTENT_ALERT: u8 = 21;
const FATAL: u8 = 2;
/// What a HelloVerifyRequest is told to say, whatever version will be spoken (RFC 6347 section 4.2.1).
const DTLS_1_0: [u8; 2] = [254, 255];
/// Octets of a cookie.
const COOKIE: usize = 32;
/// How long a secret makes cookies. Those of the one before are good too, so that a cookie is good for this long at least.
const ROTATION: Duration = Duration::from_secs(60);
/// What Ethernet carries without fragments.
const LONGEST: usize = 1472;

/// What a datagram of an unknown peer is.
#[derive(Debug)]
pub enum First {
    /// No ClientHello that this server could take: not a word is said.
    Nothing,
    /// A ClientHello of an address that is not proved: this is the answer.
    Verify(Vec<u8>),
    /// A ClientHello that brought the cookie of this address.
    Proved(Box<ClientHello>),
    /// The same, but the hello is no good.
    Refused(HelloError),
    /// The same, but the hello is one of our own: this alert is the answer.
    Own(Vec<u8>),
}

/// Makes and knows the cookies of one socket.
pub struct Cookies {
    current: hmac::Key,
    previous: hmac::Key,
    since: Duration,
    own: Arc<OwnHellos>,
}

impl Cookies {
    /// With new secrets; `None` = the system gives no random octets.
    pub fn new(now: Duration) -> Option<Self> {
        Some(Self {
            current: secret()?,
            previous: secret()?,
            since: now,
            own: Arc::default(),
        })
    }

    /// The same, which refuses the hellos of our own clients.
    #[must_use]
    pub fn with_own_hellos(self, own: Arc<OwnHellos>) -> Self {
        Self { own, ..self }
    }

    /// Judges a datagram from `ends`, which has to hold all that tells one peer from another. `now` is of any clock that only
    /// goes on.
    pub fn judge(&mut self, datagram: &[u8], ends: &[u8], now: Duration) -> First {
        let Some(hello) = Hello::read(datagram) else {
            return First::Nothing;
        };
        if now.saturating_sub(self.since) >= ROTATION {
            let Some(next) = secret() else {
                return First::Nothing;
            };
            // Nobody came for so long that the other is too old as well.
            if now.saturating_sub(self.since) >= ROTATION * 2
                && let Some(other) = secret()
            {
                self.current = other;
            }
            self.previous = std::mem::replace(&mut self.current, next);
            self.since = now;
        }
        let keys = [&self.current, &self.previous];
        let proved =
            |key: &&hmac::Key| hmac::verify(key, &hello.signed(ends), hello.cookie).is_ok();
        if !hello.cookie.is_empty() && keys.iter().any(proved) {
            return match parse::client_hello(&hello.without_cookie()) {
                Ok(parsed) if self.own.contains(&parsed.random) => {
                    First::Own(hello.alert(alert::ACCESS_DENIED))
                }
                Ok(parsed) => First::Proved(Box::new(parsed)),
                Err(error) => First::Refused(error),
            };
        }
        let cookie = hmac::sign(&self.current, &hello.signed(ends));
        First::Verify(hello.verify_request(cookie.as_ref()))
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

fn secret() -> Option<hmac::Key> {
    let mut octets = Zeroizing::new([0; COOKIE]);
    aws_lc_rs::rand::fill(&mut *octets).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &*octets))
}

/// The random of a ClientHello.
pub(super) fn random(datagram: &[u8]) -> Option<[u8; 32]> {
    let random = Hello::read(datagram)?.before.get(2..)?.first_chunk();
    random.copied()
}

/// A ClientHello as it lies in its datagram.
struct Hello<'a> {
    /// The sequence number of its record, which the answer gets too (RFC 6347 section 4.2.1).
    sequence: &'a [u8],
    /// Version, random and session id.
    before: &'a [u8],
    cookie: &'a [u8],
    /// Suites, compression methods, extensions.
    after: &'a [u8],
}

impl<'a> Hello<'a> {
    /// `None`: it is no ClientHello in one piece at the beginning of its datagram.
    fn read(datagram: &'a [u8]) -> Option<Self> {
        let (header, rest) = datagram.split_at_checked(RECORD_HEADER)?;
        let &[kind, 254, _, 0, 0, ref rest_of_header @ ..] = header else {
            return None;
        };
        let (sequence, length) = rest_of_header.split_at_checked(6)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let record = rest.get(..length)?;
        if kind != CONTENT_HANDSHAKE || datagram.len() > LONGEST {
            return None;
        }
        let (header, body) = record.split_at_checked(MESSAGE_HEADER)?;
        let &[CLIENT_HELLO, l0, l1, l2, _, _, 0, 0, 0, f0, f1, f2] = header else {
            return None;
        };
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let whole = u32::from_be_bytes([0, f0, f1, f2]) == length;
        if !whole || usize::try_from(length).ok()? != body.len() {
            return None;
        }
        let mut input = Input(body);
        input.take(2 + 32).ok()?;
        input.vector8().ok()?;
        let before = body.get(..body.len() - input.0.len())?;
        let cookie = input.vector8().ok()?.0;
        Some(Self {
            sequence,
            before,
            cookie,
            after: input.0,
        })
    }

    /// What the cookie is made of: all of the hello but itself, so that one that was bought with a hello buys no other.
    fn signed(&self, ends: &[u8]) -> Vec<u8> {
        [ends, self.before, self.after].concat()
    }

    fn without_cookie(&self) -> Vec<u8> {
        [self.before, self.after].concat()
    }

    /// A fatal alert in place of a ServerHello, with the number that the record of the hello has.
    fn alert(&self, number: u8) -> Vec<u8> {
        let mut answer = vec![CONTENT_ALERT, 254, 253, 0, 0];
        answer.extend_from_slice(self.sequence);
        answer.extend_from_slice(&[0, 2, FATAL, number]);
        answer
    }

    fn verify_request(&self, cookie: &[u8]) -> Vec<u8> {
        let cookie = cookie.get(..COOKIE).unwrap_or(cookie);
        let length = |octets: usize| u8::try_from(octets).unwrap_or(u8::MAX);
        let body = length(2 + 1 + cookie.len());
        let record = length(MESSAGE_HEADER + usize::from(body));
        let [major, minor] = DTLS_1_0;
        let mut answer = vec![CONTENT_HANDSHAKE, major, minor, 0, 0];
        answer.extend_from_slice(self.sequence);
        answer.extend_from_slice(&[0, record]);
        answer.extend_from_slice(&[HELLO_VERIFY_REQUEST, 0, 0, body, 0, 0, 0, 0, 0, 0, 0, body]);
        answer.extend_from_slice(&[major, minor, length(cookie.len())]);
        answer.extend_from_slice(cookie);
        answer
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A hello of DTLS 1.2 with one suite and this cookie, the message's and the record's number as given.
    pub(crate) fn hello(cookie: &[u8], number: u8) -> Vec<u8> {
        let mut body = vec![254, 253];
        body.extend([7; 32]);
        body.push(0);
        body.push(u8::try_from(cookie.len()).unwrap());
        body.extend(cookie);
        body.extend([0, 2, 0xc0, 0x2b, 1, 0]);
        let length = u8::try_from(body.len()).unwrap();
        let mut datagram = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, number, 0, length + 12];
        datagram.extend([1, 0, 0, length, 0, number, 0, 0, 0, 0, 0, length]);
        datagram.extend(body);
        datagram
    }

    fn cookie(first: &First) -> Vec<u8> {
        let First::Verify(answer) = first else {
            panic!("{first:?}");
        };
        answer[RECORD_HEADER + MESSAGE_HEADER + 3..].to_vec()
    }

    #[test]
    fn a_hello_is_taken_once_its_sender_has_shown_where_it_is() {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let first = cookies.judge(&hello(&[], 0), b"here", Duration::ZERO);
        let bought = cookie(&first);
        assert_eq!(bought.len(), COOKIE);
        let again = hello(&bought, 1);
        let taken = cookies.judge(&again, b"here", Duration::from_secs(59));
        let First::Proved(parsed) = taken else {
            panic!("{taken:?}");
        };
        assert_eq!(parsed.cipher_suites, [0xc02b]);
        assert_eq!(parsed.legacy_version, 0xfefd);
        // Elsewhere it buys nothing, and another hello neither.
        let elsewhere = cookies.judge(&again, b"there", Duration::ZERO);
        assert!(matches!(elsewhere, First::Verify(_)), "{elsewhere:?}");
        let mut other = again;
        let random = RECORD_HEADER + MESSAGE_HEADER + 5;
        other[random] ^= 1;
        assert!(matches!(
            cookies.judge(&other, b"here", Duration::ZERO),
            First::Verify(_)
        ));
    }

    /// Another hello, or the same once its handshake is over, is taken.
    #[test]
    fn a_hello_of_our_own_is_told_by_its_random_once_it_has_its_cookie() {
        let own = Arc::new(OwnHellos::default());
        let cookies = Cookies::new(Duration::ZERO).unwrap();
        let mut cookies = cookies.with_own_hellos(Arc::clone(&own));
        let held = own.hold(&hello(&[], 0));
        let bought = cookie(&cookies.judge(&hello(&[], 0), b"here", Duration::ZERO));
        let again = hello(&bought, 1);
        let First::Own(alert) = cookies.judge(&again, b"here", Duration::ZERO) else {
            panic!("it was taken");
        };
        assert_eq!(alert, [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 49]);
        drop(held);
        let taken = cookies.judge(&again, b"here", Duration::ZERO);
        assert!(matches!(taken, First::Proved(_)), "{taken:?}");
    }

    /// The answer is as RFC 6347 section 4.2.1 has it, and shorter than the shortest hello.
    #[test]
    fn the_answer_has_the_number_of_the_hello_and_amplifies_nothing() {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let asked = hello(&[], 9);
        let First::Verify(answer) = cookies.judge(&asked, b"here", Duration::ZERO) else {
            panic!("no answer");
        };
        assert_eq!(answer[..3], [22, 254, 255]);
        assert_eq!(answer[3..11], asked[3..11]);
        assert_eq!(usize::from(answer[12]), answer.len() - RECORD_HEADER);
        assert_eq!(answer[13..17], [3, 0, 0, answer[12] - 12]);
        assert_eq!(answer[25..28], [254, 255, 32]);
        // A real hello has suites and extensions; this one is the shortest there can be.
        assert!(answer.len() <= asked.len() + COOKIE);
    }

    #[test]
    fn cookies_lapse_after_the_second_change_of_secrets() {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let bought = cookie(&cookies.judge(&hello(&[], 0), b"here", Duration::from_secs(30)));
        let mut taken = |seconds| {
            let now = Duration::from_secs(seconds);
            matches!(
                cookies.judge(&hello(&bought, 1), b"here", now),
                First::Proved(_)
            )
        };
        assert!(taken(59));
        assert!(taken(61), "the secret before is good too");
        assert!(!taken(125));
        // After a long silence neither of the two old secrets is left.
        let now = Duration::from_secs(1000);
        let bought = cookie(&cookies.judge(&hello(&[], 0), b"here", now));
        let later = Duration::from_secs(5000);
        assert!(matches!(
            cookies.judge(&hello(&bought, 1), b"here", later),
            First::Verify(_)
        ));
    }

    #[test]
    fn what_is_no_hello_gets_no_answer() {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let good = hello(&[], 0);
        let mut judge = |datagram: &[u8]| cookies.judge(datagram, b"here", Duration::ZERO);
        assert!(matches!(judge(&good), First::Verify(_)));
        for length in 0..good.len() {
            assert!(matches!(judge(&good[..length]), First::Nothing), "{length}");
        }
        // Record type, version, epoch; message type, fragment offset and length.
        for (place, value) in [(0, 23), (1, 3), (4, 1), (13, 2), (21, 1), (24, 1)] {
            let mut bad = good.clone();
            bad[place] = value;
            assert!(matches!(judge(&bad), First::Nothing), "{place}");
        }
        let mut long = good;
        long.resize(LONGEST + 1, 0);
        assert!(matches!(judge(&long), First::Nothing));
    }

    /// A malformed hello is told of once its sender is known.
    #[test]
    fn a_hello_with_a_cookie_is_read_whole() {
        let mut cookies = Cookies::new(Duration::ZERO).unwrap();
        let broken = |cookie: &[u8], number| {
            let mut datagram = hello(cookie, number);
            let suites = datagram.len() - 5;
            datagram[suites] = 99;
            datagram
        };
        let bought = cookie(&cookies.judge(&broken(&[], 0), b"here", Duration::ZERO));
        let refused = cookies.judge(&broken(&bought, 1), b"here", Duration::ZERO);
        assert!(matches!(refused, First::Refused(HelloError::Malformed)));
    }
}
