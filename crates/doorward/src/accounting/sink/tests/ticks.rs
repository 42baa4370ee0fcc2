//! The lines of `[fticks]`: none waits for, and none is lost for a receiver that comes back in time.

use super::receiver::{Act, TestReceiver};
use super::*;
use crate::config::{FTicks, Station};

fn fticks(port: u16) -> FTicks {
    let SinkKind::Syslog(syslog) = syslog("", SyslogTarget::Tcp(here(port))).kind else {
        panic!("not syslog");
    };
    FTicks {
        syslog: *syslog,
        institution: None,
        country: "NL".into(),
        station: Station::Undisclosed,
    }
}

fn tick(number: usize) -> Tick {
    Tick {
        at: "2026-11-20T10:00:00.25Z".parse().unwrap(),
        line: format!("F-TICKS/eduroam/1.0#REALM=r{number}.example#"),
    }
}

async fn wait(ticks: &Ticks, wanted: impl Fn(&SinkStats) -> bool) -> SinkStats {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = ticks.stats().unwrap();
        if wanted(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "it stays at {stats:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn lines_wait_for_a_receiver_as_long_as_there_is_room() {
    let ticks = Ticks::default();
    // Nobody wants any, so that none is missed.
    assert!(ticks.add(tick(0)));
    assert!(ticks.stats().is_none());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    assert_eq!(ticks.fit(Some(&fticks(port))).await, None);
    wait(&ticks, down).await;
    let taken = (0..9000).filter(|number| ticks.add(tick(*number))).count();
    assert_eq!(taken, 8192);
    let stats = ticks.stats().unwrap();
    assert_eq!((stats.depth, stats.delivered), (8192, 0));
    let receiver = TestReceiver::start(&[Act::Read]);
    assert_eq!(ticks.fit(Some(&fticks(receiver.port))).await, None);
    let stats = wait(&ticks, done).await;
    assert_eq!(stats.delivered, 8192);
    ticks.stop().await;
    assert!(ticks.stats().is_none());
    let process = std::process::id();
    let wanted = (0..8192).map(|number| {
        let line = tick(number).line;
        format!("<86>1 2026-11-20T10:00:00.250000Z aaa1 doorward {process} fticks - {line}")
    });
    let messages = receiver.taken().into_iter().map(|(_, message)| message);
    assert!(messages.eq(wanted));
}

#[tokio::test]
async fn what_a_receiver_did_not_read_is_sent_again_and_a_stop_delivers_the_rest() {
    let receiver = TestReceiver::start(&[Act::Refuse, Act::Leave(2), Act::Read]);
    let ticks = Ticks::default();
    assert_eq!(ticks.fit(Some(&fticks(receiver.port))).await, None);
    for number in 0..20 {
        assert!(ticks.add(tick(number)));
    }
    let stats = wait(&ticks, |stats| stats.delivered == 20).await;
    assert!(stats.failures >= 1, "{stats:?}");
    assert!(ticks.add(tick(20)));
    assert_eq!(ticks.fit(None).await, None);
    let messages: Vec<String> = receiver.taken().into_iter().map(|one| one.1).collect();
    for number in 0..21 {
        let line = tick(number).line;
        assert!(messages.iter().any(|one| one.ends_with(&line)), "{line}");
    }
}
