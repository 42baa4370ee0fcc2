//! Which codes answer which.

use crate::Code;

/// The ports of RADIUS/UDP and RADIUS/TCP, where RadSec must not be (RFC 6614bis section 3.1): those of RFC 2865, 2866 and
/// 5176, and the older ones of the first two.
pub const UDP_PORTS: [u16; 5] = [1812, 1813, 3799, 1645, 1646];

/// What carries the packets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RADIUS/TLS: a stream, nothing is retransmitted.
    Tls,
    /// RADIUS/DTLS.
    Dtls,
    /// RADIUS/UDP, where nothing can be closed.
    Udp,
}

/// Whether a packet of this code can only be an answer.
pub fn is_answer(code: Code) -> bool {
    matches!(
        code,
        Code::ACCESS_ACCEPT
            | Code::ACCESS_REJECT
            | Code::ACCESS_CHALLENGE
            | Code::ACCOUNTING_RESPONSE
            | Code::DISCONNECT_ACK
            | Code::DISCONNECT_NAK
            | Code::COA_ACK
            | Code::COA_NAK
            | Code::PROTOCOL_ERROR
    )
}

/// Whether `answer` can answer `request`. Protocol-Error answers every request, and Status-Server is answered like what
/// the port serves (RFC 5997 section 4.1).
pub fn answers(request: Code, answer: Code) -> bool {
    if answer == Code::PROTOCOL_ERROR {
        return request.is_request();
    }
    let listed: &[Code] = match request {
        Code::ACCESS_REQUEST => &[
            Code::ACCESS_ACCEPT,
            Code::ACCESS_REJECT,
            Code::ACCESS_CHALLENGE,
        ],
        Code::ACCOUNTING_REQUEST => &[Code::ACCOUNTING_RESPONSE],
        Code::STATUS_SERVER => &[Code::ACCESS_ACCEPT, Code::ACCOUNTING_RESPONSE],
        Code::DISCONNECT_REQUEST => &[Code::DISCONNECT_ACK, Code::DISCONNECT_NAK],
        Code::COA_REQUEST => &[Code::COA_ACK, Code::COA_NAK],
        _ => &[],
    };
    listed.contains(&answer)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn each_request_has_its_answers() {
        let of = |request| -> Vec<u8> {
            (0..=255)
                .filter(|code| answers(Code(request), Code(*code)))
                .collect()
        };
        assert_eq!(of(1), [2, 3, 11, 52]);
        assert_eq!(of(4), [5, 52]);
        assert_eq!(of(12), [2, 5, 52]);
        assert_eq!(of(40), [41, 42, 52]);
        assert_eq!(of(43), [44, 45, 52]);
        assert_eq!(of(99), []);
        for code in (0..=255).map(Code) {
            let some = [1, 4, 12, 40, 43]
                .iter()
                .any(|request| answers(Code(*request), code));
            assert_eq!(is_answer(code), some);
        }
    }
}
