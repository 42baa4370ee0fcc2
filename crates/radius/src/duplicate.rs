//! Detection of duplicates (RFC 5080 section 2.2.2), for one connection or, over UDP, for one source address and port.
//!
//! A request is a duplicate if id, code and Request Authenticator are those of an earlier one. While that is worked on
//! the duplicate is dropped; once it is answered the same octets are sent again.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use crate::{Code, Header, Now, RawPacket};

/// What a request is to the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Not seen before, and from now on being worked on.
    New {
        /// Names the request in later calls; never the same twice.
        serial: u64,
        /// The serial of the request with the same id that it replaced while that was being worked on.
        replaced: Option<u64>,
    },
    /// A duplicate of a request that is being worked on.
    InProgress,
    /// A duplicate of a request that was answered by this packet.
    Answered(Arc<RawPacket>),
}

#[derive(Debug)]
struct Entry {
    code: Code,
    authenticator: [u8; 16],
    serial: u64,
    /// The answer, and when it is forgotten.
    answer: Option<(Arc<RawPacket>, Now)>,
}

/// The requests of one peer: at most one for each of the 256 ids, each with an answer of at most 4096 octets.
#[derive(Debug)]
pub struct Duplicates {
    entries: BTreeMap<u8, Entry>,
    lifetime: Duration,
    next_serial: u64,
    /// Not later than the first end of an answer.
    sweep: Option<Now>,
}

impl Duplicates {
    /// How long answers are kept unless configured: the longest that RFC 5080 recommends, which outlasts the
    /// retransmissions of a client with the default timers.
    pub const LIFETIME: Duration = Duration::from_secs(30);

    /// An empty cache that keeps answers for `lifetime` (RFC 5080 recommends 5 to 30 seconds).
    pub fn new(lifetime: Duration) -> Self {
        Self {
            entries: BTreeMap::new(),
            lifetime,
            next_serial: 0,
            sweep: None,
        }
    }

    /// Looks a request up and, if it is new, enters it. What had its id before is forgotten.
    pub fn request(&mut self, header: &Header, now: Now) -> Lookup {
        let mut replaced = None;
        if let Some(entry) = self.entries.get(&header.id) {
            let same = entry.code == header.code && entry.authenticator == header.authenticator;
            match &entry.answer {
                None if same => return Lookup::InProgress,
                None => replaced = Some(entry.serial),
                Some((answer, end)) if same && now < *end => {
                    return Lookup::Answered(Arc::clone(answer));
                }
                Some(_) => {}
            }
        }
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        self.entries.insert(
            header.id,
            Entry {
                code: header.code,
                authenticator: header.authenticator,
                serial,
                answer: None,
            },
        );
        Lookup::New { serial, replaced }
    }

    /// Keeps the answer to a request that is being worked on. `false` if that was replaced, answered or forgotten, and
    /// the answer is not to be sent.
    pub fn answer(&mut self, serial: u64, answer: Arc<RawPacket>, now: Now) -> bool {
        let id = answer.header().id;
        match self.entries.get_mut(&id) {
            Some(entry) if entry.serial == serial && entry.answer.is_none() => {
                let end = now.after(self.lifetime);
                entry.answer = Some((answer, end));
                self.sweep = Some(self.sweep.map_or(end, |sweep| sweep.min(end)));
                true
            }
            _ => false,
        }
    }

    /// Forgets a request that will not be answered, so that a duplicate of it is worked on anew.
    pub fn forget(&mut self, id: u8, serial: u64) {
        if self.is_current(id, serial) {
            self.entries.remove(&id);
        }
    }

    /// Whether a request is still being worked on, neither replaced nor answered.
    pub fn is_current(&self, id: u8, serial: u64) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.serial == serial && entry.answer.is_none())
    }

    /// When [`Duplicates::expire`] should be called next, if ever.
    pub fn timeout(&self) -> Option<Now> {
        self.sweep
    }

    /// Forgets the answers whose time is over.
    pub fn expire(&mut self, now: Now) {
        if self.sweep.is_none_or(|sweep| now < sweep) {
            return;
        }
        self.entries
            .retain(|_, entry| entry.answer.as_ref().is_none_or(|(_, end)| now < *end));
        let ends = self
            .entries
            .values()
            .filter_map(|entry| entry.answer.as_ref());
        self.sweep = ends.map(|(_, end)| *end).min();
    }

    /// Forgets everything: the connection is closed.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.sweep = None;
    }

    /// Whether nothing is being worked on and no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many requests are being worked on, and of them only those with a code that `counts`.
    pub fn in_progress(&self, counts: impl Fn(Code) -> bool) -> usize {
        let entries = self.entries.values();
        entries
            .filter(|entry| entry.answer.is_none() && counts(entry.code))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::raw::tests::octets;

    fn packet(code: Code, id: u8, fill: u8) -> RawPacket {
        RawPacket::new(octets(code, id, fill, 20)).unwrap()
    }

    fn at(seconds: u64) -> Now {
        Now(Duration::from_secs(seconds))
    }

    #[test]
    fn a_late_answer_to_a_replaced_request_is_discarded() {
        let mut cache = Duplicates::new(Duplicates::LIFETIME);
        let old = packet(Code::ACCESS_REQUEST, 7, 1);
        let new = packet(Code::ACCESS_REQUEST, 7, 2);
        let first = Lookup::New {
            serial: 0,
            replaced: None,
        };
        assert_eq!(cache.request(old.header(), at(0)), first);
        assert_eq!(cache.request(old.header(), at(1)), Lookup::InProgress);
        let second = Lookup::New {
            serial: 1,
            replaced: Some(0),
        };
        assert_eq!(cache.request(new.header(), at(1)), second);
        let answer = Arc::new(packet(Code::ACCESS_ACCEPT, 7, 3));
        assert!(!cache.answer(0, Arc::clone(&answer), at(2)));
        assert_eq!(cache.request(new.header(), at(2)), Lookup::InProgress);
        assert!(cache.answer(1, Arc::clone(&answer), at(2)));
        assert!(!cache.answer(1, Arc::clone(&answer), at(2)));
        assert_eq!(cache.request(new.header(), at(3)), Lookup::Answered(answer));
    }

    #[test]
    fn another_code_is_another_request() {
        let mut cache = Duplicates::new(Duplicates::LIFETIME);
        cache.request(packet(Code::ACCESS_REQUEST, 7, 1).header(), at(0));
        let other = cache.request(packet(Code::ACCOUNTING_REQUEST, 7, 1).header(), at(0));
        assert_eq!(
            other,
            Lookup::New {
                serial: 1,
                replaced: Some(0)
            }
        );
    }

    #[test]
    fn a_forgotten_request_is_new_again() {
        let mut cache = Duplicates::new(Duplicates::LIFETIME);
        let request = packet(Code::STATUS_SERVER, 0, 1);
        cache.request(request.header(), at(0));
        cache.forget(0, 0);
        let again = Lookup::New {
            serial: 1,
            replaced: None,
        };
        assert_eq!(cache.request(request.header(), at(0)), again);
        cache.forget(0, 0);
        assert_eq!(cache.in_progress(|_| true), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Request(u8, u8),
        Answer(usize),
        Pass(u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = std::vec::Vec<Step>> {
        let step = prop_oneof![
            6 => (0_u8..3, 0_u8..3).prop_map(|(id, fill)| Step::Request(id, fill)),
            4 => (0_usize..8).prop_map(Step::Answer),
            2 => (1_u64..7).prop_map(Step::Pass),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        /// The model: per id the last authenticator, its serial and the second of its answer.
        #[test]
        fn it_does_what_a_table_of_last_requests_does(steps in steps()) {
            let mut cache = Duplicates::new(Duration::from_secs(10));
            let mut model: HashMap<u8, (u8, u64, Option<u64>)> = HashMap::new();
            let mut serials = std::vec::Vec::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Request(id, fill) => {
                        let got = cache.request(packet(Code::ACCESS_REQUEST, id, fill).header(), at(now));
                        match (model.get(&id).copied(), got) {
                            (Some((f, _, None)), Lookup::InProgress) => prop_assert_eq!(f, fill),
                            (Some((f, serial, Some(end))), Lookup::Answered(answer)) => {
                                prop_assert!(f == fill && now < end);
                                prop_assert_eq!(u64::from(answer.octets()[19]), serial % 251);
                            }
                            (known, Lookup::New { serial, replaced }) => {
                                let (live, working) = match known {
                                    Some((f, s, None)) => (f == fill, Some(s)),
                                    Some((f, _, Some(end))) => (f == fill && now < end, None),
                                    None => (false, None),
                                };
                                prop_assert!(!live);
                                prop_assert_eq!(replaced, working);
                                prop_assert!(serials.iter().all(|(_, s)| *s != serial));
                                serials.push((id, serial));
                                model.insert(id, (fill, serial, None));
                            }
                            other => prop_assert!(false, "{:?}", other),
                        }
                    }
                    Step::Answer(back) => {
                        let Some(&(id, serial)) = serials.iter().rev().nth(back) else { continue };
                        let fill = u8::try_from(serial % 251).unwrap();
                        let answer = Arc::new(packet(Code::ACCESS_ACCEPT, id, fill));
                        let current = matches!(model.get(&id), Some((_, s, None)) if *s == serial);
                        prop_assert_eq!(cache.answer(serial, answer, at(now)), current);
                        if current {
                            model.get_mut(&id).unwrap().2 = Some(now + 10);
                        }
                    }
                    Step::Pass(seconds) => {
                        now += seconds;
                        cache.expire(at(now));
                        model.retain(|_, (_, _, end)| end.is_none_or(|end| now < end));
                        let due = model.values().filter_map(|(_, _, end)| *end).min();
                        let early = cache.timeout().map_or(due.is_none(), |sweep| {
                            now < sweep.0.as_secs() && due.is_none_or(|due| sweep <= at(due))
                        });
                        prop_assert!(early);
                    }
                    Step::Clear => {
                        cache.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(cache.entries.len(), model.len());
            }
        }
    }
}
