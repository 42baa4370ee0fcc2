//! Run by a service manager: what systemd hears.

use std::os::unix::net::UnixDatagram;

use crate::harness::{PATIENCE, Place, code, stderr};

/// The socket a service manager listens on.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &std::path::Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The lines of the next message.
    fn hears(&self) -> Vec<String> {
        let mut octets = [0; 4096];
        let length = self.0.recv(&mut octets).unwrap();
        let text = std::str::from_utf8(&octets[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// systemd.service(5), `Type=notify-reload`: RELOADING=1 comes with the monotonic time, or the reload counts as failed.
#[test]
fn systemd_hears_of_the_start_every_reload_and_the_stop() {
    let place = Place::demo();
    let path = place.folder.path().join("notify");
    let manager = Manager::at(&path);
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let server = place.start_through(&["env", &variable], "info");
    assert_eq!(manager.hears(), ["READY=1"]);
    let mut last = 0;
    for how in ["signal", "command"] {
        if how == "signal" {
            server.signal("-HUP");
        } else {
            let reload = place.ask(&["reload"]);
            assert_eq!(code(&reload), 0, "{}", stderr(&reload));
        }
        let lines = manager.hears();
        assert_eq!(lines[0], "RELOADING=1", "{lines:?}");
        let time: u64 = lines[1]
            .strip_prefix("MONOTONIC_USEC=")
            .unwrap()
            .parse()
            .unwrap();
        assert!(time > last, "{time} after {last}");
        last = time;
        assert_eq!(manager.hears(), ["READY=1"]);
    }
    // A refused file ends the reload as well: the old one serves on.
    place.edit(&[("[user.alice]", "[user.alice")]);
    server.signal("-HUP");
    assert_eq!(manager.hears()[0], "RELOADING=1");
    assert_eq!(manager.hears(), ["READY=1"]);
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(manager.hears(), ["STOPPING=1"]);
}
