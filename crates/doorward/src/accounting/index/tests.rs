//! The form of a segment, and what a damaged one is worth.

use std::collections::HashSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::query::CommandGlob;
use super::super::reader::Position;
use super::super::record::{Fields, Kind, Record};
use super::super::row::{Form, Protocol};
use super::bits::Bits;
use super::plan::{Conditions, select};
use super::segment::{Builder, Damaged, Entries, Segment};
use super::store::{self, IndexError, IndexReader, Store};
use crate::policy::Transport;

fn record(device: &str, user: &[u8], command: &[u8], second: i64) -> Record {
    let fields = Fields {
        received: Timestamp::from_second(second).unwrap(),
        kind: Kind::Stop,
        protocol: Protocol::Tacacs,
        transport: Transport::Tls,
        listener: "tacacs-tls",
        device,
        session: 1,
        privilege_level: 15,
        authentication_method: 6,
        authentication_type: 1,
        authentication_service: 1,
        user,
        port: b"tty1",
        remote: b"192.0.2.7",
        service: b"shell",
        command,
    };
    Record::new(&fields, [])
}

/// A segment of rows at positions from 101 on, stored and read again.
struct Stored {
    folder: tempfile::TempDir,
    segment: Segment,
}

impl Stored {
    fn new<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let mut builder = Builder::default();
        for (position, row) in (101..).zip(rows) {
            assert!(builder.add(Position(position), row, u32::MAX));
        }
        let (segment, blocks) = builder.finish().unwrap();
        let store = Store::open(&folder.path().join("journal")).unwrap();
        store.add(&segment, &blocks).unwrap();
        Self { folder, segment }
    }

    fn index(&self) -> IndexReader {
        IndexReader::open(&self.folder.path().join("journal")).unwrap()
    }

    fn raw(&self) -> rusqlite::Connection {
        let path = store::path(&self.folder.path().join("journal"));
        rusqlite::Connection::open(path).unwrap()
    }

    /// The offsets that can meet the conditions.
    fn select(&self, conditions: &Conditions<'_>) -> Result<Vec<u32>, IndexError> {
        let index = self.index();
        let (segment, block) = index.around(Position(101))?.unwrap();
        assert_eq!(segment, self.segment);
        let bits = select(&index, &segment, block, conditions)?;
        Ok(members(&bits))
    }
}

fn members(bits: &Bits) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(one) = bits.at_or_after(next) {
        found.push(one);
        next = one + 1;
    }
    found
}

fn all(quiet: &HashSet<Vec<u8>>) -> Conditions<'_> {
    Conditions {
        form: Form::Accounting,
        device: None,
        user: None,
        command: None,
        since: None,
        quiet,
    }
}

/// Device, user and command.
type Row = (String, Vec<u8>, Vec<u8>);

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(show|reload|a)( [a-c]{0,2}){0,2}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What a segment says is exactly what is in the rows.
    #[test]
    fn a_segment_knows_each_row_by_each_field(
        rows in prop::collection::vec(("[a-d]{1,2}", octets(), octets()), 1..300),
        pattern in "[*?a-cshow ]{1,6}",
        padding in 0_usize..200,
    ) {
        // Long values make many blocks.
        let long = |value: &[u8]| [value, &vec![b'~'; padding]].concat();
        let records: Vec<_> = rows.iter().map(|(device, user, command)| {
            record(device, user, &long(command), 0)
        }).collect();
        let stored = Stored::new(records.iter().map(Record::row));
        let quiet = HashSet::new();
        let glob = CommandGlob::new(&pattern);
        let offsets = |meets: &dyn Fn(&Row) -> bool| -> Vec<u32> {
            (0..).zip(&rows).filter(|(_, row)| meets(row)).map(|(offset, _)| offset).collect()
        };
        for (device, user, _) in rows.iter().take(3) {
            let conditions = Conditions { device: Some(device.as_bytes()), ..all(&quiet) };
            prop_assert_eq!(stored.select(&conditions).unwrap(), offsets(&|row| row.0 == *device));
            let conditions = Conditions { user: Some(user), ..conditions };
            prop_assert_eq!(
                stored.select(&conditions).unwrap(),
                offsets(&|row| row.0 == *device && row.1 == *user)
            );
            let left_out = HashSet::from([user.clone()]);
            let conditions = Conditions { device: Some(device.as_bytes()), ..all(&left_out) };
            prop_assert_eq!(
                stored.select(&conditions).unwrap(),
                offsets(&|row| row.0 == *device && row.1 != *user)
            );
        }
        if glob.is_selective() {
            let conditions = Conditions { command: Some(&glob), ..all(&quiet) };
            prop_assert_eq!(
                stored.select(&conditions).unwrap(),
                offsets(&|row| glob.matches(&long(&row.2)))
            );
        }
    }
}

proptest! {
    /// Whatever the octets, reading them ends, and never puts a row outside the segment.
    #[test]
    fn octets_that_nobody_wrote_are_damage(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bits = Bits::new(100);
        let mut entries = Entries::new(&octets);
        while let Ok(Some((_, list))) = entries.next() {
            let _ = list.collect(&mut bits);
        }
        let segment = Segment { directory: octets, ..Segment::default() };
        let _ = segment.all_blocks();
    }
}

#[test]
fn an_unreadable_row_is_always_a_candidate() {
    let good = [record("a", b"x", b"show", 0), record("b", b"y", b"show", 0)];
    let stored = Stored::new([good[0].row(), &b"\xff"[..], good[1].row()]);
    let quiet = HashSet::new();
    let conditions = Conditions {
        device: Some(b"b"),
        ..all(&quiet)
    };
    assert_eq!(stored.select(&conditions).unwrap(), [1, 2]);
    let never = Conditions {
        since: Some(Timestamp::MAX),
        ..conditions
    };
    assert_eq!(stored.select(&never).unwrap(), [1]);
}

#[test]
fn a_segment_that_ended_before_is_left_out_by_its_time_alone() {
    let rows = [record("a", b"x", b"", 10), record("a", b"x", b"", 5)];
    let stored = Stored::new(rows.iter().map(Record::row));
    let quiet = HashSet::new();
    let since = |second: i64| Conditions {
        device: Some(b"a"),
        since: Some(Timestamp::from_second(second).unwrap()),
        ..all(&quiet)
    };
    assert_eq!(stored.select(&since(10)).unwrap(), [0, 1]);
    assert_eq!(stored.select(&since(11)).unwrap(), [0_u32; 0]);
}

#[test]
fn a_segment_ends_where_it_is_full() {
    let row = record("a", b"x", b"show version", 0);
    let mut builder = Builder::default();
    for position in 1..=10 {
        assert!(builder.add(Position(position), row.row(), 10));
    }
    assert!(!builder.add(Position(11), row.row(), 10));
    let (segment, _) = builder.finish().unwrap();
    assert_eq!((segment.first, segment.last), (1, 10));

    // Values that are all different must not cost memory without end.
    let mut builder = Builder::default();
    let mut position = 0;
    let long = "x".repeat(60_000);
    while builder.add(
        Position(position),
        record("a", b"x", format!("{position}{long}").as_bytes(), 0).row(),
        u32::MAX,
    ) {
        position += 1;
        assert!(position < 1000);
    }
    assert!(position > 300);
    assert!(Builder::default().finish().is_none());
}

/// Every octet of a stored segment counts: a change of any is found, whichever it is.
#[test]
fn a_changed_octet_is_found() {
    let rows: Vec<_> = (0..50)
        .map(|n| record(&format!("device{}", n % 7), b"alice", b"show version", n))
        .collect();
    let quiet = HashSet::new();
    let conditions = Conditions {
        device: Some(b"device3"),
        ..all(&quiet)
    };
    let columns = [
        "last",
        "newest",
        "first_head",
        "last_head",
        "block",
        "directory",
        "checksum",
    ];
    for column in columns {
        let stored = Stored::new(rows.iter().map(Record::row));
        assert!(stored.select(&conditions).is_ok());
        let change = match column {
            "first_head" | "last_head" | "directory" => {
                format!("UPDATE segment SET {column} = CAST(x'00' || substr({column}, 2) AS BLOB)")
            }
            _ => format!("UPDATE segment SET {column} = {column} + 1"),
        };
        assert_eq!(stored.raw().execute(&change, []).unwrap(), 1);
        let found = stored.index().around(Position(101));
        assert!(matches!(found, Err(IndexError::Damaged)), "{column}");
    }
    for change in [
        "UPDATE block SET octets = CAST(substr(octets, 1, length(octets) - 1) || x'00' AS BLOB)",
        "DELETE FROM block",
    ] {
        let stored = Stored::new(rows.iter().map(Record::row));
        assert!(stored.raw().execute(change, []).unwrap() > 0);
        let found = stored.select(&conditions);
        assert!(matches!(found, Err(IndexError::Damaged)), "{change}");
    }
    let mut bits = Bits::new(10);
    let mut entries = Entries::new(b"\x01x\x01\x50");
    let (_, list) = entries.next().unwrap().unwrap();
    assert_eq!(list.collect(&mut bits), Err(Damaged));
}
