//! The syslog sink over each of its ways, and when a record counts as delivered.

use std::collections::BTreeSet;

use super::receiver::{Act, TestReceiver};
use super::*;

/// The object of a message.
fn json(message: &str) -> &str {
    message
        .split_once(" - {")
        .map_or("", |(before, _)| &message[before.len() + 3..])
}

async fn deliver(acts: &'static [Act], records: usize) -> (Place, Vec<(usize, String)>, SinkStats) {
    let place = Place::new();
    place.record(0..records).await;
    let receiver = TestReceiver::start(acts);
    let sinks = place.sinks();
    sinks
        .fit(&[syslog("siem", SyslogTarget::Tcp(here(receiver.port)))])
        .await;
    let stats = until(&sinks, done).await;
    sinks.stop().await;
    let taken = receiver.taken();
    (place, taken, stats)
}

#[tokio::test]
async fn every_record_arrives_once_and_in_order_at_a_receiver_that_stays() {
    let (place, taken, stats) = deliver(&[Act::Read], 120).await;
    let arrived: Vec<&str> = taken.iter().map(|(_, message)| json(message)).collect();
    assert_eq!(arrived, place.lines());
    let connections: BTreeSet<usize> = taken.iter().map(|(number, _)| *number).collect();
    assert!(
        connections.len() >= 4,
        "a connection is not used for ever: {connections:?}"
    );
    assert_eq!((stats.delivered, stats.failures), (120, 0));
}

#[tokio::test]
async fn what_a_receiver_did_not_read_to_the_end_is_sent_again_under_the_same_ids() {
    for acts in [
        &[Act::Leave(5), Act::Read] as &[_],
        &[Act::Leave(0), Act::Leave(24), Act::Read],
        &[Act::Refuse, Act::Read],
        &[Act::Read, Act::Leave(3), Act::Refuse, Act::Read],
    ] {
        let (place, taken, stats) = deliver(acts, 60).await;
        let read: BTreeSet<&str> = taken.iter().map(|(_, message)| json(message)).collect();
        let all = place.lines();
        assert_eq!(read, all.iter().map(String::as_str).collect(), "{acts:?}");
        assert!(stats.failures >= 1, "{acts:?}: {stats:?}");
        assert_eq!(stats.delivered, 60);
    }
}

#[tokio::test]
async fn a_reset_after_everything_was_read_proves_nothing() {
    let (_, taken, stats) = deliver(&[Act::Reset, Act::Reset, Act::Read], 10).await;
    let by_connection = |number| taken.iter().filter(|(of, _)| *of == number).count();
    assert_eq!(
        by_connection(0) + by_connection(1) + by_connection(2),
        taken.len()
    );
    assert!(
        taken.len() >= 20 && stats.failures >= 2,
        "{stats:?}, {}",
        taken.len()
    );
    assert_eq!(stats.delivered, 10);
}

/// The state in which Linux has the receiving side of the connections to `port`: 8 = the sender has closed.
fn states(port: u16) -> Vec<u8> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ours = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace());
    rows.filter_map(|mut row| {
        let local = row.nth(1)?.ends_with(&ours);
        local.then(|| u8::from_str_radix(row.nth(1)?, 16).ok())?
    })
    .collect()
}

/// Some receivers that stop shut their connections down before they close them. The end then looks right, though nothing
/// was read; that nobody is there any more tells.
#[tokio::test]
async fn an_orderly_end_counts_only_if_the_receiver_is_still_there() {
    use std::io::Read;
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    place.record(0..10).await;
    let sinks = place.sinks();
    sinks
        .fit(&[syslog("siem", SyslogTarget::Tcp(here(port)))])
        .await;
    let (stream, _) = listener.accept().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !states(port).contains(&8) {
        assert!(
            Instant::now() < deadline,
            "the sender does not close: {:?}",
            states(port)
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(listener);
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    drop(stream);
    let stats = until(&sinks, down).await;
    assert_eq!((stats.delivered, stats.depth), (0, 10));
    let again = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut text = String::new();
    again.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text.matches("task_id=").count(), 10);
    // The connection that shows that it is still there.
    again.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(until(&sinks, done).await.delivered, 10);
}

#[tokio::test]
async fn nobody_there_is_known_before_the_first_record() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let sinks = place.sinks();
    sinks
        .fit(&[syslog("siem", SyslogTarget::Tcp(here(port)))])
        .await;
    let error = until(&sinks, down).await.error.unwrap();
    assert!(
        error.contains("cannot be reached: Connection refused"),
        "{error}"
    );
    let unknown = HostPort {
        host: "nowhere.invalid".to_owned(),
        port: 6514,
    };
    sinks
        .fit(&[syslog("siem", SyslogTarget::Tcp(unknown))])
        .await;
    let resolved = |stats: &SinkStats| {
        let error = stats.error.as_deref();
        error.is_some_and(|error| error.contains("the name nowhere.invalid cannot be resolved"))
    };
    until(&sinks, resolved).await;
}

#[tokio::test]
async fn datagrams_go_one_a_record_over_udp_and_the_local_socket() {
    let place = Place::new();
    place.record(0..30).await;
    let long = "x".repeat(30_000);
    let huge = Record::new(&fields(), [long.as_bytes()]);
    place.journal.submit(vec![huge]).await.unwrap();

    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = std::os::unix::net::UnixDatagram::bind(place.path("log")).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    let sinks = place.sinks();
    sinks
        .fit(&[
            syslog(
                "udp",
                SyslogTarget::Udp(here(udp.local_addr().unwrap().port())),
            ),
            syslog("local", SyslogTarget::Unix(place.path("log"))),
        ])
        .await;
    let receive = |read: &dyn Fn(&mut [u8]) -> usize| -> Vec<String> {
        let mut buffer = vec![0; 65_536];
        (0..31)
            .map(|_| {
                let count = read(&mut buffer);
                String::from_utf8(buffer[..count].to_vec()).unwrap()
            })
            .collect()
    };
    let all = place.lines();
    for messages in [
        receive(&|buffer| udp.recv(buffer).unwrap()),
        receive(&|buffer| unix.recv(buffer).unwrap()),
    ] {
        let arrived: Vec<&str> = messages.iter().map(|message| json(message)).collect();
        assert_eq!(arrived[..30], all[..30]);
        assert!(
            arrived[30].contains("\"args\":[]") && arrived[30].contains("\"args_left_out\":1}")
        );
    }
    until(&sinks, done).await;
}

#[tokio::test]
async fn a_local_stream_has_a_line_a_record_and_is_confirmed_too() {
    use std::io::Read;
    let place = Place::new();
    let listener = std::os::unix::net::UnixListener::bind(place.path("log")).unwrap();
    place.record(0..20).await;
    let sinks = place.sinks();
    sinks
        .fit(&[syslog("local", SyslogTarget::Unix(place.path("log")))])
        .await;
    // The first one leaves with everything unread.
    let (stream, _) = listener.accept().unwrap();
    let mut peeked = [0; 10];
    (&stream).read_exact(&mut peeked).unwrap();
    drop(stream);
    let mut text = String::new();
    while text.lines().count() < 20 {
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut text)
            .unwrap();
    }
    let arrived: Vec<&str> = text.lines().map(json).collect();
    assert_eq!(arrived, place.lines());
    // The connection that shows that it is still there.
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_to_string(&mut text).unwrap();
    drop(stream);
    assert!(until(&sinks, done).await.failures >= 1);
}
