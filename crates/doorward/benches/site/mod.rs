//! Records like those of a real site: 1,000 devices, 200 users of whom few are busy, thousands of commands of which few
//! are common.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is below the length it was made for"
)]

use doorward::accounting::{Fields, Kind, Protocol, Record};
use doorward::policy::Transport;
use jiff::Timestamp;

/// Where the records come from. The same seed gives the same records.
pub(crate) struct Site {
    state: u64,
    devices: Vec<String>,
    users: Vec<String>,
    commands: Vec<String>,
    task: u64,
}

impl Site {
    /// The site of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let devices = (0..1000)
            .map(|n| {
                format!(
                    "{}{:03}.ams.example.net",
                    ["core", "edge", "sw", "pe"][n % 4],
                    n
                )
            })
            .collect();
        let users = (0..200).map(|n| format!("user{n:03}")).collect();
        Self {
            state: seed,
            devices,
            users,
            commands: commands(),
            task: 0,
        }
    }

    /// The next record.
    pub(crate) fn record(&mut self, received: Timestamp) -> Record {
        let device = self.below(self.devices.len());
        let user = self.skewed(self.users.len());
        let command = self.skewed(self.commands.len());
        let (port, address) = (self.below(16), self.below(250));
        let session = self.next() as u32;
        self.task += 1;
        let command = self.commands[command].as_str();
        let mut arguments = vec![
            format!("task_id={}", self.task),
            "timezone=CET".to_owned(),
            "service=shell".to_owned(),
            "priv-lvl=15".to_owned(),
        ];
        let mut words = command.split(' ');
        arguments.push(format!("cmd={}", words.next().unwrap_or_default()));
        arguments.extend(words.map(|word| format!("cmd-arg={word}")));
        arguments.push("cmd-arg=<cr>".to_owned());
        let port = format!("tty{port}");
        let remote = format!("192.0.2.{address}");
        let fields = Fields {
            received,
            kind: Kind::Stop,
            protocol: Protocol::Tacacs,
            transport: Transport::Tls,
            listener: "tacacs-tls 0.0.0.0:300",
            device: &self.devices[device],
            session,
            privilege_level: 15,
            authentication_method: 6,
            authentication_type: 1,
            authentication_service: 1,
            user: self.users[user].as_bytes(),
            port: port.as_bytes(),
            remote: remote.as_bytes(),
            service: b"shell",
            command: command.as_bytes(),
        };
        Record::new(
            &fields,
            arguments.iter().map(|argument| argument.as_bytes()),
        )
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// Small numbers are more frequent: half of all are in the first quarter.
    fn skewed(&mut self, count: usize) -> usize {
        let one = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((one * one * count as f64) as usize).min(count - 1)
    }
}

/// About 5,000 command lines, in an order that has nothing to do with their names.
fn commands() -> Vec<String> {
    let mut lines = vec![
        "show version".to_owned(),
        "show running-config".to_owned(),
        "show ip route".to_owned(),
        "show bgp summary".to_owned(),
        "configure terminal".to_owned(),
        "write memory".to_owned(),
    ];
    for n in 0..800 {
        let (slot, port) = (n % 16, n / 16);
        lines.push(format!("show interface TenGigE0/{slot}/{port}"));
        lines.push(format!("interface GigabitEthernet{slot}/0/{port}"));
        lines.push(format!("ping 198.51.{slot}.{port}"));
        lines.push(format!("show ip bgp neighbors 203.0.{slot}.{port} routes"));
        lines.push(format!("ip address 10.{slot}.{port}.1 255.255.255.0"));
        lines.push(format!("description customer {n}"));
    }
    // Rare ones, at the thin end.
    for n in 1..=50 {
        lines.push(format!("switchport access vlan {}", n * 7));
    }
    for n in 1..=10 {
        lines.push(format!("reload in {n}"));
    }
    lines.push("reload".to_owned());
    lines
}
