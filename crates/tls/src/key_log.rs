//! Secrets of connections for somebody who has to read the wire of his own server, in the format that Wireshark takes.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use zeroize::Zeroizing;

/// Takes the secrets of the connections of a policy.
pub trait KeyLog: Send + Sync {
    /// One line in the format of NSS (draft-ietf-tls-keylogfile), without its end. Called inside handshakes: it must not
    /// wait for anything, and not panic.
    fn log(&self, line: &str);
}

/// A log as rustls wants it.
pub(crate) struct ForRustls(pub(crate) Arc<dyn KeyLog>);

impl fmt::Debug for ForRustls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLog(..)")
    }
}

impl rustls::KeyLog for ForRustls {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // Room for all of it: a string that grows leaves copies behind.
        let room = label.len() + 2 * (client_random.len() + secret.len()) + 2;
        let mut line = Zeroizing::new(String::with_capacity(room));
        line.push_str(label);
        for octets in [client_random, secret] {
            line.push(' ');
            for octet in octets {
                _ = write!(line, "{octet:02x}"); // a string takes everything
            }
        }
        self.0.log(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl KeyLog for Lines {
        fn log(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }

    #[test]
    fn a_line_is_a_label_the_random_and_the_secret() {
        let lines = Arc::new(Lines::default());
        let log = ForRustls(lines.clone());
        rustls::KeyLog::log(&log, "CLIENT_TRAFFIC_SECRET_0", &[0, 0xab], &[0x0f, 0xff]);
        assert_eq!(
            *lines.0.lock().unwrap(),
            ["CLIENT_TRAFFIC_SECRET_0 00ab 0fff"]
        );
        assert_eq!(format!("{log:?}"), "KeyLog(..)");
    }
}
