//! Detection of duplicates (RFC 5080 section 2.2.2), for one connection or, over UDP, for one source address and port.
//!
//! A request is a duplicate if id, code and Request Authenticator are those of an earlier one. While that is worked on
//! the duplicate is dropped; once it is answered the same octets are sent again.
//!
//! An answer repeats the Proxy-State of its request, so that a peer decides how long it is: what is kept has a limit in octets,
//! too. Over it, answers are forgotten in the order of how little is lost:
//!
//! 1. long ones before those of ordinary length: up to 256 octets, of which the limit has room for one for each id;
//! 2. of these, others before Accounting-Responses: a login is judged once more, but a record would be there twice;
//! 3. of these, the oldest first, whose client is the least likely to ask again.
//!
//! So only a peer that has long Accounting-Responses, and many of them, can have a record twice: one of its own.

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

/// Of the answer to a request, if there is one.
fn octets(entry: Option<&Entry>) -> usize {
    let answer = entry.and_then(|entry| entry.answer.as_ref());
    answer.map_or(0, |(answer, _)| answer.octets().len())
}

/// The requests of one peer: at most one for each of the 256 ids, and at most [`Duplicates::KEPT`]
/// octets of answers to them.
#[derive(Debug)]
pub struct Duplicates {
    entries: BTreeMap<u8, Entry>,
    lifetime: Duration,
    next_serial: u64,
    /// Not later than the first end of an answer.
    sweep: Option<Now>,
    /// Octets of all answers.
    kept: usize,
    limit: usize,
}

impl Duplicates {
    /// How long answers are kept unless configured: the longest that RFC 5080 recommends, which outlasts the
    /// retransmissions of a client with the default timers.
    pub const LIFETIME: Duration = Duration::from_secs(30);

    /// Octets of all answers that are kept.
    pub const KEPT: usize = 64 * 1024;
    /// Octets up to which an answer is of ordinary length.
    const ORDINARY: usize = Self::KEPT / 256;

    /// An empty cache that keeps answers for `lifetime` (RFC 5080 recommends 5 to 30 seconds).
    pub fn new(lifetime: Duration) -> Self {
        Self {
            entries: BTreeMap::new(),
            lifetime,
            next_serial: 0,
            sweep: None,
            kept: 0,
            limit: Self::KEPT,
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
        let entry = Entry {
            code: header.code,
            authenticator: header.authenticator,
            serial,
            answer: None,
        };
        let before = self.entries.insert(header.id, entry);
        self.kept = self.kept.saturating_sub(octets(before.as_ref()));
        Lookup::New { serial, replaced }
    }

    /// Keeps the answer to a request that is being worked on. `false` if that was replaced, answered or forgotten, and
    /// the answer is not to be sent.
    pub fn answer(&mut self, serial: u64, answer: Arc<RawPacket>, now: Now) -> bool {
        let id = answer.header().id;
        match self.entries.get_mut(&id) {
            Some(entry) if entry.serial == serial && entry.answer.is_none() => {
                let end = now.after(self.lifetime);
                self.kept = self.kept.saturating_add(answer.octets().len());
                entry.answer = Some((answer, end));
                self.sweep = Some(self.sweep.map_or(end, |sweep| sweep.min(end)));
                self.keep_at_most(self.limit);
                true
            }
            _ => false,
        }
    }

    /// Octets of the answers that are kept.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Forgets answers until no more than so many octets of them are kept. A duplicate of their requests is new.
    pub fn keep_at_most(&mut self, octets: usize) {
        while self.kept > octets {
            let answered = self.entries.iter().filter_map(|(id, entry)| {
                let (answer, end) = entry.answer.as_ref()?;
                let length = answer.octets().len();
                let record = entry.code == Code::ACCOUNTING_REQUEST;
                let last = (length <= Self::ORDINARY, record, *end, entry.serial);
                Some((last, *id, length))
            });
            let Some((_, id, length)) = answered.min() else {
                return;
            };
            self.entries.remove(&id);
            self.kept = self.kept.saturating_sub(length);
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
        self.kept = self.entries.values().map(|one| octets(Some(one))).sum();
    }

    /// Forgets everything: the connection is closed.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.sweep = None;
        self.kept = 0;
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

    fn long(code: Code, id: u8, length: u16) -> Arc<RawPacket> {
        Arc::new(RawPacket::new(octets(code, id, 0, length)).unwrap())
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

    /// Asks and answers; the request, to ask once more.
    fn answered(cache: &mut Duplicates, code: Code, id: u8, length: u16) -> RawPacket {
        let request = packet(code, id, 1);
        let Lookup::New { serial, .. } = cache.request(request.header(), at(0)) else {
            panic!("known already");
        };
        assert!(cache.answer(serial, long(Code(code.0 + 1), id, length), at(0)));
        request
    }

    #[test]
    fn long_answers_are_forgotten_for_new_ones_and_those_to_records_last() {
        let mut cache = Duplicates::new(Duplicates::LIFETIME);
        // An ordinary answer for every id, long ones for 17 of them: more than there is room for.
        let mut requests = std::vec::Vec::new();
        for id in 0..=255 {
            let (code, length) = match id {
                0..200 => (Code::ACCESS_REQUEST, 40),
                200..210 => (Code::ACCOUNTING_REQUEST, 4096),
                210..217 => (Code::ACCESS_REQUEST, 4096),
                _ => (Code::ACCOUNTING_REQUEST, 256),
            };
            requests.push(answered(&mut cache, code, id, length));
            assert!(cache.kept() <= Duplicates::KEPT);
        }
        let mut known = |id: u8| {
            let again = cache.request(requests[usize::from(id)].header(), at(1));
            matches!(again, Lookup::Answered(_))
        };
        assert!((0..210).all(&mut known), "short ones, and of records");
        assert!((217..=255).all(&mut known));
        let kept = (210..217).map(&mut known).collect::<std::vec::Vec<_>>();
        assert_eq!(kept, [false, false, false, false, false, false, true]);
    }

    #[test]
    fn nothing_but_long_answers_to_records_costs_the_oldest_of_them() {
        let mut cache = Duplicates::new(Duplicates::LIFETIME);
        let requests: std::vec::Vec<_> = (0..20)
            .map(|id| answered(&mut cache, Code::ACCOUNTING_REQUEST, id, 4096))
            .collect();
        assert_eq!(cache.kept(), Duplicates::KEPT);
        for (at_, request) in requests.iter().enumerate() {
            let again = cache.request(request.header(), at(1));
            assert_eq!(matches!(again, Lookup::Answered(_)), at_ >= 4);
        }
        cache.keep_at_most(5000);
        assert_eq!(cache.kept(), 4096);
        cache.expire(at(31));
        assert_eq!(cache.kept(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Its id, its octets, and whether it is about a record.
        Request(u8, u8, bool),
        /// Which one, counted from the last, and how long the answer is.
        Answer(usize, u16),
        Pass(u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = std::vec::Vec<Step>> {
        let length = prop_oneof![20_u16..300, Just(256), Just(257)];
        let step = prop_oneof![
            6 => (0_u8..6, 0_u8..3, any::<bool>()).prop_map(|(id, fill, record)| Step::Request(id, fill, record)),
            4 => (0_usize..8, length).prop_map(|(back, length)| Step::Answer(back, length)),
            2 => (1_u64..7).prop_map(Step::Pass),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..80)
    }

    /// What the model knows of the last request with an id.
    #[derive(Clone, Copy, Debug)]
    struct Last {
        fill: u8,
        record: bool,
        serial: u64,
        /// The second in which its answer is forgotten, and how long that is.
        answer: Option<(u64, u16)>,
    }

    /// Octets that the cache of the model may keep.
    const ROOM: usize = 600;

    /// The model's way to keep to its room: sort everything, drop from the front.
    fn shrink(model: &mut HashMap<u8, Last>) {
        let mut all: std::vec::Vec<_> = model
            .iter()
            .filter_map(|(id, one)| {
                let (end, length) = one.answer?;
                Some((length <= 256, one.record, end, one.serial, *id, length))
            })
            .collect();
        all.sort_unstable();
        let mut kept: usize = all.iter().map(|one| usize::from(one.5)).sum();
        for (.., id, length) in all {
            if kept <= ROOM {
                return;
            }
            model.remove(&id);
            kept -= usize::from(length);
        }
    }

    proptest! {
        /// The model: per id the last request, its serial and the second of its answer.
        #[test]
        fn it_does_what_a_table_of_last_requests_does(steps in steps()) {
            let mut cache = Duplicates::new(Duration::from_secs(10));
            cache.limit = ROOM;
            let mut model: HashMap<u8, Last> = HashMap::new();
            let mut serials = std::vec::Vec::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Request(id, fill, record) => {
                        let code = if record { Code::ACCOUNTING_REQUEST } else { Code::ACCESS_REQUEST };
                        let got = cache.request(packet(code, id, fill).header(), at(now));
                        let known = model.get(&id).copied();
                        let same = known.is_some_and(|last| last.fill == fill && last.record == record);
                        match (known, got) {
                            (Some(Last { answer: None, .. }), Lookup::InProgress) => prop_assert!(same),
                            (Some(Last { serial, answer: Some((end, length)), .. }), Lookup::Answered(answer)) => {
                                prop_assert!(same && now < end);
                                prop_assert_eq!(u64::from(answer.octets()[19]), serial % 251);
                                prop_assert_eq!(answer.octets().len(), usize::from(length));
                            }
                            (known, Lookup::New { serial, replaced }) => {
                                let live = known.is_some_and(|last| {
                                    same && last.answer.is_none_or(|(end, _)| now < end)
                                });
                                let working = known.filter(|last| last.answer.is_none());
                                prop_assert!(!live);
                                prop_assert_eq!(replaced, working.map(|last| last.serial));
                                prop_assert!(serials.iter().all(|(_, s, _)| *s != serial));
                                serials.push((id, serial, code));
                                model.insert(id, Last { fill, record, serial, answer: None });
                            }
                            other => prop_assert!(false, "{:?}", other),
                        }
                    }
                    Step::Answer(back, length) => {
                        let Some(&(id, serial, code)) = serials.iter().rev().nth(back) else { continue };
                        let fill = u8::try_from(serial % 251).unwrap();
                        let octets = octets(Code(code.0 + 1), id, fill, length);
                        let answer = Arc::new(RawPacket::new(octets).unwrap());
                        let current = model.get(&id).is_some_and(|last| last.serial == serial && last.answer.is_none());
                        prop_assert_eq!(cache.answer(serial, answer, at(now)), current);
                        if current {
                            model.get_mut(&id).unwrap().answer = Some((now + 10, length));
                            shrink(&mut model);
                        }
                    }
                    Step::Pass(seconds) => {
                        now += seconds;
                        cache.expire(at(now));
                        model.retain(|_, last| last.answer.is_none_or(|(end, _)| now < end));
                        let due = model.values().filter_map(|last| last.answer).map(|(end, _)| end).min();
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
                let kept: usize = model.values().filter_map(|last| last.answer).map(|(_, length)| usize::from(length)).sum();
                prop_assert_eq!(cache.kept(), kept);
                prop_assert!(kept <= ROOM);
            }
        }
    }
}
