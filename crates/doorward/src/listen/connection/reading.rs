//! What comes from the peer: through the channel, to the machine.

use std::task::Context;

use doorward_tacacs::Now;
use doorward_tls::PlainState;

use super::{Broken, Buffers, Connection, Stage};
use crate::aaa::Refused;
use crate::listen::wire::{Gone, Input};

/// Datagrams of an association that are read before what they ask is answered.
const DATAGRAMS_PER_READ: usize = 32;
/// Records of an association that are kept while it is held, at most; a client sends again what is lost.
const HEARD_WHILE_HELD: usize = 16;

impl Connection {
    /// Reads what there is for one turn of the service: of a stream as much as one call gives, of an association some datagrams.
    /// False when there was nothing to read.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Result<bool, Broken> {
        let mut count = 0;
        while self.read_once(cx, buffers)? {
            count += 1;
            if !self.wire.has_datagrams() || count == DATAGRAMS_PER_READ || !self.wants_read() {
                break;
            }
        }
        Ok(count > 0)
    }

    /// One read; false when there is nothing to read now.
    fn read_once(&mut self, cx: &mut Context<'_>, buffers: &mut Buffers) -> Result<bool, Broken> {
        let octets = match self.wire.read(cx, &mut buffers.wire) {
            Ok(Input::Octets(octets)) => octets,
            Ok(Input::Nothing) => return Ok(false),
            Ok(Input::End) => return self.peer_closed(),
            Err(Gone) => return self.gone(),
        };
        let Some(channel) = &mut self.channel else {
            if let Stage::Serving(serving) = &mut self.stage {
                serving.receive(octets, Now(self.origin.elapsed()));
            }
            return Ok(true);
        };
        channel.feed(octets);
        if let Stage::Handshake { .. } = self.stage {
            self.advance_handshake()?;
        }
        self.take_plain(cx, buffers)?;
        Ok(true)
    }

    /// Listens to an association that is held: its peer may not have heard the end of the handshake, and asks for it again by
    /// sending its own last flight again. A stream loses nothing, and can wait.
    pub(super) fn listen_while_held(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Result<(), Broken> {
        let (Some(channel), Stage::Held { heard, .. }) = (&mut self.channel, &mut self.stage)
        else {
            return Ok(());
        };
        if !self.wire.has_datagrams() {
            return Ok(());
        }
        for _ in 0..DATAGRAMS_PER_READ {
            let Input::Octets(datagram) = self.wire.read(cx, &mut buffers.wire)? else {
                return Ok(());
            };
            channel.feed(datagram);
            let state = channel.read_records(&mut |record| {
                if heard.len() < HEARD_WHILE_HELD {
                    heard.push(record.to_vec());
                }
            });
            channel.drain(&mut self.wire.out);
            match state {
                Ok(PlainState::Open) => {}
                Ok(PlainState::Closed) => return Err(Broken::Gone),
                Err(error) => {
                    _ = self.wire.write(cx);
                    let detail = error.to_string();
                    return Err(Broken::Refused(Refused::ConnectionLost, detail));
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Hands what the channel has decrypted to the machine, once packets may come.
    pub(super) fn take_plain(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
    ) -> Result<(), Broken> {
        if let (Some(channel), Stage::Serving(serving)) = (&mut self.channel, &mut self.stage) {
            // The machine's time began with the end of the handshake, which may have been just now.
            let now = Now(self.origin.elapsed());
            let state = if self.wire.has_datagrams() {
                channel.read_records(&mut |record| serving.receive(record, now))
            } else {
                buffers.clear.clear();
                let state = channel.read_plain(&mut buffers.clear);
                if !buffers.clear.is_empty() {
                    serving.receive(&buffers.clear, now);
                }
                state
            };
            channel.drain(&mut self.wire.out);
            match state {
                Ok(PlainState::Open) => {}
                Ok(PlainState::Closed) => serving.peer_closed(),
                Err(error) => {
                    let detail = error.to_string();
                    _ = self.wire.write(cx);
                    return Err(Broken::Refused(Refused::ConnectionLost, detail));
                }
            }
        }
        Ok(())
    }

    fn peer_closed(&mut self) -> Result<bool, Broken> {
        if let Stage::Serving(serving) = &mut self.stage {
            serving.peer_closed();
            return Ok(true);
        }
        self.gone()
    }

    fn gone(&self) -> Result<bool, Broken> {
        match self.stage {
            Stage::Handshake { .. } => Err(Broken::Refused(
                Refused::Handshake,
                "the peer closed the connection during the handshake".into(),
            )),
            Stage::Held { .. } | Stage::Serving(_) | Stage::Lingering { .. } => Err(Broken::Gone),
        }
    }
}
