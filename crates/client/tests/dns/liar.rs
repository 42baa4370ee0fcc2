//! Somebody on the way to a name server, who makes false answers of true ones.

use std::net::SocketAddr;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::net::UdpSocket;

/// What becomes of a question; `None` is the truth.
pub(crate) type Lie = fn(&Query) -> Option<Vec<Part>>;

/// A piece of a false answer.
pub(crate) enum Part {
    /// The answers to another question, as if they were of the name that was asked for.
    Answer(&'static str, RecordType),
    /// The authorities of the answer to another question.
    Authority(&'static str, RecordType),
    Code(ResponseCode),
}

/// A server that lies, for as long as the test runs.
pub(crate) async fn start(truth: SocketAddr, lie: Lie) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let mut answer = ask(truth, &question, query.clone()).await;
            if let Some(parts) = lie(&query) {
                answer.answers.clear();
                answer.authorities.clear();
                answer.additionals.clear();
                for part in parts {
                    change(truth, &question, &mut answer, part).await;
                }
            }
            socket
                .send_to(&answer.to_vec().unwrap(), peer)
                .await
                .unwrap();
        }
    });
    address
}

async fn change(truth: SocketAddr, question: &Message, answer: &mut Message, part: Part) {
    let asked = answer.queries[0].name().clone();
    let other = |name: &str, kind| Query::query(Name::from_ascii(name).unwrap(), kind);
    match part {
        Part::Code(code) => answer.metadata.response_code = code,
        Part::Answer(name, kind) => {
            let found = ask(truth, question, other(name, kind)).await;
            let renamed = found.answers.into_iter().map(|mut record: Record| {
                record.name = asked.clone();
                record
            });
            answer.answers.extend(renamed);
        }
        Part::Authority(name, kind) => {
            let found = ask(truth, question, other(name, kind)).await;
            answer.authorities.extend(found.authorities);
        }
    }
}

async fn ask(truth: SocketAddr, question: &Message, query: Query) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(truth).await.unwrap();
    let mut question = question.clone();
    question.queries = vec![query];
    socket.send(&question.to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).await.unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}
