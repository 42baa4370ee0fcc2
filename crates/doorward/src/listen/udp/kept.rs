//! Octets of the answers that all sources of a listener keep for duplicates.
//!
//! One device can have as many sources as it has ports, so that a limit for each is not enough. Over the limit for all, whoever
//! has more than a small part gives it up when it is next served: nobody loses what the limit is not about.

use doorward_radius::server::ServerConnection;

/// For all sources.
const ALL: usize = 64 << 20;
/// What every source may have even when there is no more: room for 256 answers of 32 octets, as those to records are.
const EACH: usize = 8 << 10;

/// The sum of all sources.
#[derive(Debug, Default)]
pub(super) struct Kept(usize);

impl Kept {
    /// Brings the sum up to date with one source, which was counted with `before` octets.
    pub(super) fn count(&mut self, machine: &mut ServerConnection, before: &mut usize) {
        let others = self.0.saturating_sub(*before);
        if others.saturating_add(machine.kept()) > ALL {
            machine.keep_at_most(EACH);
        }
        *before = machine.kept();
        self.0 = others.saturating_add(*before);
    }

    /// A source is forgotten that was counted with `before` octets.
    pub(super) fn forget(&mut self, before: usize) {
        self.0 = self.0.saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use doorward_radius::build::PacketBuilder;
    use doorward_radius::server::{Config, Event};
    use doorward_radius::{Code, Now, RawPacket, Secret, Transport};

    use super::*;

    /// A request, and an answer with so many attributes of 255 octets.
    fn pair(code: Code, id: u8, attributes: usize) -> (RawPacket, Vec<u8>) {
        let secret = Secret::new(b"secret");
        let request = PacketBuilder::request(code, id, [id; 16]).finish(&secret);
        let request = RawPacket::new(request).unwrap();
        let mut answer = PacketBuilder::answer(Code(code.0 + 1), request.header());
        for _ in 0..attributes {
            answer.push(33, &[7; 253]).unwrap();
        }
        (request, answer.finish(&secret))
    }

    #[test]
    fn many_sources_keep_no_more_than_the_limit_and_a_small_part_each() {
        let records = (0..100).map(|id| pair(Code::ACCOUNTING_REQUEST, id, 0));
        let logins = (100..120).map(|id| pair(Code::ACCESS_REQUEST, id, 15));
        let pairs: Vec<_> = records.chain(logins).collect();
        let now = Now::default();
        let mut sum = Kept::default();
        let mut sources = Vec::new();
        for _ in 0..1300 {
            let mut machine = ServerConnection::new(Config::new(Transport::Udp), now);
            let mut before = 0;
            for (request, answer) in &pairs {
                machine.receive_packet(request.clone(), now);
                let Some(Event::Request { ticket, .. }) = machine.poll() else {
                    panic!("no request");
                };
                machine.answer(ticket, answer.clone(), now).unwrap();
                while machine.poll_transmit().is_some() {}
                sum.count(&mut machine, &mut before);
            }
            assert_eq!(before, machine.kept());
            sources.push((machine, before));
        }
        let kept: usize = sources.iter().map(|(machine, _)| machine.kept()).sum();
        assert_eq!(kept, sum.0);
        assert!(kept <= ALL + 1300 * EACH, "{kept}");
        assert!(kept > ALL, "the limit is used: {kept}");
        // Whoever came too late for more has its answers to records all the same.
        let (last, before) = sources.last().unwrap();
        assert!((2000..=EACH).contains(&last.kept()), "{}", last.kept());
        assert_eq!(*before, last.kept());
        for (_, before) in sources {
            sum.forget(before);
        }
        assert_eq!(sum.0, 0);
    }
}
