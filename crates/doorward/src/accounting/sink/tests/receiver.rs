//! A syslog receiver that does as it is told with each of its connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::*;

/// What to do with one connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Reads to the end, then closes.
    Read,
    /// Reads some messages and closes with the rest unread.
    Leave(usize),
    /// Closes at once.
    Refuse,
    /// Reads to the end, then resets instead of closing.
    Reset,
}

/// A listener on a free port and what arrived at it.
pub(super) struct TestReceiver {
    pub(super) port: u16,
    /// The messages of connections that were read to their end or left, each with the number of its connection.
    pub(super) messages: mpsc::Receiver<(usize, String)>,
}

impl TestReceiver {
    /// Does these acts, one a connection; the last one for ever.
    pub(super) fn start(acts: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, messages) = mpsc::channel();
        // It ends with the test's process: nobody waits for its next connection.
        std::thread::spawn(move || {
            for number in 0.. {
                let (stream, _) = listener.accept().unwrap();
                let act = acts.get(number).or(acts.last()).unwrap();
                if serve(stream, *act, number, &sender).is_err() {
                    return;
                }
            }
        });
        Self { port, messages }
    }

    /// Everything up to now, by connection.
    pub(super) fn taken(&self) -> Vec<(usize, String)> {
        self.messages.try_iter().collect()
    }
}

type Gone = mpsc::SendError<(usize, String)>;

fn serve(
    mut stream: TcpStream,
    act: Act,
    number: usize,
    sender: &mpsc::Sender<(usize, String)>,
) -> Result<(), Gone> {
    match act {
        Act::Read | Act::Reset => {
            let mut octets = Vec::new();
            if stream.read_to_end(&mut octets).is_ok() {
                for message in frames(&octets) {
                    sender.send((number, message))?;
                }
            }
            if matches!(act, Act::Reset) {
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
        Act::Leave(count) => {
            for _ in 0..count {
                let Some(message) = frame(&mut stream) else {
                    return Ok(());
                };
                sender.send((number, message))?;
            }
            // Something is there that will not be read.
            while stream.peek(&mut [0]).is_ok_and(|peeked| peeked == 0) {}
        }
        Act::Refuse => {}
    }
    _ = stream.flush();
    Ok(())
}

/// One message with its length in front.
fn frame(stream: &mut TcpStream) -> Option<String> {
    let mut length = 0;
    loop {
        let mut octet = [0];
        stream.read_exact(&mut octet).ok()?;
        match octet[0] {
            b' ' => break,
            digit => length = length * 10 + usize::from(digit.checked_sub(b'0').unwrap()),
        }
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).ok()?;
    Some(String::from_utf8(message).unwrap())
}

/// All messages of a stream, which holds nothing else.
fn frames(mut octets: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let blank = octets.iter().position(|octet| *octet == b' ').unwrap();
        let (length, rest) = octets.split_at(blank);
        let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
        let (message, rest) = rest[1..].split_at(length);
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        octets = rest;
    }
    messages
}
