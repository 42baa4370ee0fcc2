//! What a rewrite does.

use super::*;

fn ietf(path: &[u8]) -> AttributeName {
    AttributeName {
        vendor: None,
        path: path.to_vec(),
    }
}

/// A value of a vendor, with several of its attributes.
fn vendor(number: u32, inner: &[(u8, &[u8])]) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    for (kind, octets) in inner {
        value.extend_from_slice(&[*kind, u8::try_from(octets.len() + 2).unwrap()]);
        value.extend_from_slice(octets);
    }
    value
}

/// What an Accounting-Request, which gets nothing of its own, becomes.
fn rewritten(given: &[(u8, &[u8])], rewrite: &Rewrite) -> RawPacket {
    let asked = request(Code::ACCOUNTING_REQUEST, given);
    let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
    forward.rewrite(rewrite);
    let sent = forward.build(1, RANDOM, 1, b"", &upstream()).unwrap();
    RawPacket::new(sent).unwrap()
}

fn remove(names: &[AttributeName]) -> Rewrite {
    Rewrite {
        remove: names.to_vec(),
        ..Rewrite::default()
    }
}

fn set(name: AttributeName, value: &[u8]) -> Rewrite {
    Rewrite {
        set: vec![(name, value.to_vec())],
        ..Rewrite::default()
    }
}

fn add(name: AttributeName, value: &[u8]) -> Rewrite {
    Rewrite {
        add: vec![(name, value.to_vec())],
        ..Rewrite::default()
    }
}

/// allow, remove, set, add.
#[test]
fn changes_are_made_in_their_order() {
    let rewrite = Rewrite {
        allow: Some(vec![ietf(&[1]), ietf(&[25]), ietf(&[31])]),
        remove: vec![ietf(&[31])],
        set: vec![
            (ietf(&[25]), b"new".to_vec()),
            (ietf(&[32]), b"nas".to_vec()),
        ],
        add: vec![
            (ietf(&[31]), b"there".to_vec()),
            (ietf(&[25]), b"too".to_vec()),
        ],
    };
    let given: &[(u8, &[u8])] = &[
        (18, b"gone"),
        (25, b"first"),
        (33, b"theirs"),
        (1, b"alice"),
        (25, b"second"),
        (31, b"gone"),
        (80, b""),
    ];
    let sent = rewritten(given, &rewrite);
    let all = attributes(&sent);
    assert_eq!(signed(&sent, None), MessageAuthenticator::Right);
    let mut wanted: Vec<(u8, &[u8])> = vec![
        (25, b"new"),
        (33, b"theirs"),
        (1, b"alice"),
        (80, all[3].1),
        (32, b"nas"),
        (31, b"there"),
        (25, b"too"),
    ];
    assert_eq!(all, wanted);
    // Nothing is allowed: what is of the hop and of other proxies stays.
    let nothing = Rewrite {
        allow: Some(Vec::new()),
        remove: vec![ietf(&[33]), ietf(&[80])],
        ..Rewrite::default()
    };
    let sent = rewritten(given, &nothing);
    wanted = attributes(&sent);
    assert_eq!(wanted[0], (33, &b"theirs"[..]));
    assert_eq!((wanted.len(), wanted[1].0), (2, 80));
}

/// RFC 2865 section 5.26: of several attributes in a Vendor-Specific only the named one is meant.
#[test]
fn attributes_of_a_vendor_are_taken_out_one_by_one() {
    let cisco = vendor(9, &[(1, b"a"), (2, b"b"), (1, b"c")]);
    let alone = vendor(9, &[(1, b"d")]);
    let other = vendor(10, &[(1, b"e")]);
    let odd = b"\0\0\0\x09\x01\x09".as_slice();
    let given: &[(u8, &[u8])] = &[(26, &cisco), (26, &alone), (26, &other), (26, odd)];
    let of_all = |rewrite: &Rewrite| {
        let sent = rewritten(given, rewrite);
        let all = attributes(&sent);
        all.iter().map(|one| one.1.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(
        of_all(&Rewrite::default()),
        [&cisco[..], &alone, &other, odd]
    );
    let left = vendor(9, &[(2, b"b")]);
    assert_eq!(of_all(&remove(&[of(9, 1)])), [&left[..], &other, odd]);
    let left = vendor(9, &[(1, b"a"), (1, b"c")]);
    assert_eq!(
        of_all(&remove(&[of(9, 2), of(8, 1)])),
        [&left[..], &alone, &other, odd]
    );
    // All of a vendor, also what it writes in another form; all vendors.
    let all = AttributeName {
        vendor: Some(9),
        path: Vec::new(),
    };
    assert_eq!(of_all(&remove(&[all])), [&other[..]]);
    assert!(of_all(&remove(&[ietf(&[26])])).is_empty());
    // In the place of the first, where it stands.
    let changed = vendor(9, &[(1, b"new"), (2, b"b")]);
    assert_eq!(of_all(&set(of(9, 1), b"new")), [&changed[..], &other, odd]);
    let added = vendor(9, &[(3, b"f")]);
    assert_eq!(
        of_all(&add(of(9, 3), b"f")),
        [&cisco[..], &alone, &other, odd, &added]
    );
    assert_eq!(of_all(&set(ietf(&[26]), b"raw")).len(), 4, "no name of one");
}

/// A Vendor-Specific that has no room for the new value becomes two.
#[test]
fn a_vendor_specific_is_split_where_it_must() {
    let full = vendor(9, &[(1, b"short"), (2, &[7; 230])]);
    let sent = rewritten(&[(26, &full)], &set(of(9, 1), &[8; 100]));
    let (one, two) = (vendor(9, &[(1, &[8; 100])]), vendor(9, &[(2, &[7; 230])]));
    assert_eq!(attributes(&sent), [(26, &one[..]), (26, &two[..])]);
    let asked = request(Code::ACCOUNTING_REQUEST, &[]);
    let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
    forward.rewrite(&set(of(9, 1), &[8; 248]));
    let built = forward.build(1, RANDOM, 1, b"", &upstream());
    assert_eq!(built, Err(BuildError::TooLong));
}

/// RFC 6929: extended types, long values in their parts, and attributes of a vendor among them.
#[test]
fn extended_attributes_are_changed_as_a_whole() {
    let long = [7; 251];
    let (more, end) = ([&[4, 0x80][..], &long].concat(), [4, 0, 1]);
    let evs = [26, 0x80, 0, 0, 0, 9, 5, 1];
    let given: &[(u8, &[u8])] = &[
        (241, &[4, 1]),
        (245, &more),
        (245, &end),
        (241, &[5, 2]),
        (245, &evs),
        (245, &[26, 0, 2]),
        (241, &[26, 0, 0, 0, 9, 1, 3]),
        (245, &[5, 0, 4]),
        (241, b""),
    ];
    let left = |rewrite: &Rewrite| {
        let sent = rewritten(given, rewrite);
        let at = |value: &&[u8]| given.iter().position(|one| one.1 == *value);
        let all = attributes(&sent);
        all.iter().map(|one| at(&one.1)).collect::<Vec<_>>()
    };
    let all = |skip: &[usize]| {
        let kept = (0..given.len()).filter(|at| !skip.contains(at));
        kept.map(Some).collect::<Vec<_>>()
    };
    let evs = |kind: u8, number: u8| AttributeName {
        vendor: Some(9),
        path: vec![kind, 26, number],
    };
    assert_eq!(left(&Rewrite::default()), all(&[]));
    assert_eq!(left(&remove(&[ietf(&[245, 4])])), all(&[1, 2]));
    assert_eq!(left(&remove(&[ietf(&[241, 5])])), all(&[3]));
    assert_eq!(left(&remove(&[evs(245, 5)])), all(&[4, 5]));
    assert_eq!(left(&remove(&[evs(241, 1)])), all(&[6]));
    assert_eq!(left(&remove(&[ietf(&[241])])), all(&[0, 3, 6, 8]));
    let sent = rewritten(given, &set(ietf(&[245, 4]), &[9; 600]));
    let there = Attributes::new(sent.attributes()).unwrap();
    assert_eq!(there.of_long_extended(245, 4), [vec![9; 600]]);
    assert_eq!(attributes(&sent)[1].1[..2], [4, 0x80]);
    let sent = rewritten(&[], &add(evs(246, 7), &[9; 300]));
    let all = attributes(&sent);
    assert_eq!(all[0].1[..8], [26, 0x80, 0, 0, 0, 9, 7, 9]);
    assert_eq!((all[0].1.len(), all[1].1.len()), (253, 2 + 300 - 246));
    let sent = rewritten(&[], &add(evs(241, 7), b"x"));
    assert_eq!(attributes(&sent), [(241, &b"\x1a\0\0\0\x09\x07x"[..])]);
    let sent = rewritten(&[], &add(ietf(&[244, 7]), b"x"));
    assert_eq!(attributes(&sent), [(244, &b"\x07x"[..])]);
}

/// What the hop makes, and what would have to be hidden, takes no value; nor is there a second User-Name.
#[test]
fn hidden_attributes_take_no_values() {
    let asked = request(
        Code::ACCESS_REQUEST,
        &[
            (1, b"alice"),
            (2, b"arctangent"),
            (3, &[5; 17]),
            (33, b"theirs"),
        ],
    );
    let names = [
        ietf(&[2]),
        ietf(&[3]),
        ietf(&[33]),
        ietf(&[60]),
        ietf(&[69]),
        ietf(&[79]),
        ietf(&[80]),
        of(MICROSOFT, 16),
        ietf(&[]),
        ietf(&[26]),
        ietf(&[241]),
    ];
    let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
    let before = forward.build(1, RANDOM, 1, b"", &upstream()).unwrap();
    for name in names {
        forward.rewrite(&set(name.clone(), b"value"));
        forward.rewrite(&add(name, b"value"));
    }
    forward.rewrite(&add(ietf(&[1]), b"bob"));
    let after = forward.build(1, RANDOM, 1, b"", &upstream()).unwrap();
    assert_eq!(before, after);
    // A hidden one of another vendor stays too, but may be taken out.
    let hidden = hide_password(b"x", &[0x11; 16], &client()).unwrap();
    let value = vendor(9, &[(201, &hidden)]);
    let asked = request(Code::ACCESS_REQUEST, &[(26, &value)]);
    let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
    forward.rewrite(&set(of(9, 201), b"in clear"));
    let sent = RawPacket::new(forward.build(1, RANDOM, 1, b"", &upstream()).unwrap()).unwrap();
    let there = Attributes::new(sent.attributes()).unwrap();
    let hidden = there.of_vendor(9, 201).next().unwrap();
    assert_eq!(
        &**reveal_password(hidden, &RANDOM, &upstream()).unwrap(),
        b"x"
    );
    forward.rewrite(&remove(&[of(9, 201)]));
    let sent = RawPacket::new(forward.build(1, RANDOM, 1, b"", &upstream()).unwrap()).unwrap();
    assert_eq!(attributes(&sent).len(), 1);
}

/// RFC 2865 section 2.2: a CHAP-Password without its challenge is worth nothing.
#[test]
fn a_challenge_goes_where_its_password_goes() {
    let left = |given: &[(u8, &[u8])], rewrite: &Rewrite| {
        let asked = request(Code::ACCESS_REQUEST, given);
        let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
        forward.rewrite(rewrite);
        let sent = forward.build(1, RANDOM, 1, b"", &upstream()).unwrap();
        let sent = RawPacket::new(sent).unwrap();
        let all = attributes(&sent);
        let all = all.iter().skip(1).map(|one| (one.0, one.1.to_vec()));
        all.collect::<Vec<_>>()
    };
    let allow = Rewrite {
        allow: Some(vec![ietf(&[1]), ietf(&[3])]),
        ..Rewrite::default()
    };
    let (password, own) = (vec![5; 17], b"own".to_vec());
    let given: &[(u8, &[u8])] = &[(3, &[5; 17]), (60, b"own")];
    let both = vec![(3, password.clone()), (60, own)];
    assert_eq!(left(given, &allow), both);
    assert_eq!(left(given, &remove(&[ietf(&[60])])), both);
    let implied = vec![(3, password), (60, vec![0x11; 16])];
    assert_eq!(left(&[(3, &[5; 17])], &allow), implied);
    let none = left(given, &remove(&[ietf(&[3]), ietf(&[60])]));
    assert_eq!(none, []);
}

/// The new name stands where the old one was; without one, it is put in.
#[test]
fn the_user_may_get_another_name() {
    let asked = request(
        Code::ACCESS_REQUEST,
        &[(4, &[1; 4]), (1, b"alice@example.org"), (6, &[2; 4])],
    );
    let mut forward = Forward::new(&asked, &client(), hiding).unwrap();
    forward.set_user_name(b"alice");
    assert_eq!(forward.user_name(), Some(&b"alice"[..]));
    let sent = forward.build(1, RANDOM, 1, b"", &upstream()).unwrap();
    let sent = RawPacket::new(sent).unwrap();
    assert_eq!(attributes(&sent)[2], (1, &b"alice"[..]));
    let mut forward = Forward::new(&request(Code::ACCESS_REQUEST, &[]), &client(), hiding).unwrap();
    assert_eq!(forward.user_name(), None);
    forward.set_user_name(b"bob");
    assert_eq!(forward.user_name(), Some(&b"bob"[..]));
}

/// Answers are changed in the same way, and keep their Message-Authenticator.
#[test]
fn answers_are_changed_too() {
    let asked = request(Code::ACCESS_REQUEST, &[(33, b"theirs")]);
    let answer = packet(
        PacketBuilder::answer(Code::ACCESS_ACCEPT, asked.header()),
        &upstream(),
        &[(64, &[0, 0, 0, 13]), (18, b"hello"), (33, b"theirs")],
    );
    let mut backward = Backward::new(&answer, asked.header(), &upstream(), hiding).unwrap();
    assert_eq!(backward.first(&ietf(&[18])), Some(&b"hello"[..]));
    backward.rewrite(&Rewrite {
        allow: Some(vec![ietf(&[18])]),
        ..add(ietf(&[27]), &[0, 0, 14, 16])
    });
    let built = backward.build(asked.header(), proxy_states(&asked), 1, &client());
    let back = RawPacket::new(built.unwrap()).unwrap();
    let kinds: Vec<u8> = attributes(&back).iter().map(|one| one.0).collect();
    assert_eq!(kinds, [80, 18, 27, 33]);
    assert!(!format!("{backward:?}").contains("hello"));
}
