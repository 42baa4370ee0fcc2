use super::*;
use crate::config::source::Location;
use crate::identity::Scratch;

/// MD5-crypt is quick, which is all that matters here; both are of "secret" with different salts.
const FILE: &str = "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/";
const OTHER: &str = "$1$deadbeef$Q7g0UO4hRC0mgQUQ/qkjZ0";

fn user(name: &str, hash: Option<&str>) -> Arc<User> {
    Arc::new(User {
        name: name.into(),
        password: hash.map(|hash| PasswordHash::parse(hash).unwrap()),
        chap_secret: None,
        enable: Default::default(),
        groups: Vec::new(),
        from: Vec::new(),
        alert: false,
        quiet: false,
        location: Location {
            file: Path::new("doorward.toml").into(),
            line: 1,
            column: 1,
        },
    })
}

fn users(all: &[&Arc<User>]) -> HashMap<Arc<str>, Arc<User>> {
    all.iter()
        .map(|user| (Arc::clone(&user.name), Arc::clone(user)))
        .collect()
}

fn hash(password: &str) -> String {
    crate::identity::hash_password(password.as_bytes()).unwrap()
}

fn judges(store: &PasswordStore, user: &User, password: &str) -> bool {
    let current = store.current(user).unwrap();
    current
        .verify(password.as_bytes(), &mut Scratch::default())
        .unwrap()
}

#[test]
fn a_changed_password_counts_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let alice = user("alice", Some(FILE));
    let store = PasswordStore::open(&path).unwrap();
    assert!(!path.exists(), "nothing was changed yet");
    assert_eq!(store.in_force(&users(&[&alice])), []);
    store
        .change(&alice, &hash("New-pass1"), Timestamp::now())
        .unwrap();
    for store in [store, PasswordStore::open(&path).unwrap()] {
        assert!(judges(&store, &alice, "New-pass1"));
        let named = store.in_force(&users(&[&alice]));
        assert_eq!(&*named[0].user, "alice");
        store
            .change(&alice, &hash("Newer-pass1"), Timestamp::now())
            .unwrap();
        assert!(judges(&store, &alice, "Newer-pass1"));
        store
            .change(&alice, &hash("New-pass1"), Timestamp::now())
            .unwrap();
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_new_value_in_the_file_wins_and_stays_the_winner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let before = user("alice", Some(FILE));
    let store = PasswordStore::open(&path).unwrap();
    store
        .change(&before, &hash("New-pass1"), Timestamp::now())
        .unwrap();
    let after = user("alice", Some(OTHER));
    let fingerprint = |user: &User| *store.current(user).unwrap().fingerprint();
    let own = |user: &User| *user.password.as_ref().unwrap().fingerprint();
    assert_eq!(fingerprint(&after), own(&after));
    assert_ne!(fingerprint(&before), own(&before));
    store.settle(&users(&[&before])).unwrap();
    assert_ne!(fingerprint(&before), own(&before), "still the file's");
    // Somebody who is away for a while keeps it.
    store.settle(&users(&[])).unwrap();
    assert_ne!(fingerprint(&before), own(&before));
    store.settle(&users(&[&after])).unwrap();
    for store in [&store, &PasswordStore::open(&path).unwrap()] {
        let current = store.current(&before).unwrap();
        assert_eq!(*current.fingerprint(), own(&before), "overtaken for good");
        assert_eq!(store.in_force(&users(&[&before])), []);
    }
}

#[test]
fn a_store_that_is_none_is_an_error_and_never_the_old_password() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(
        &path,
        "this is no database, but long enough to be one".repeat(50),
    )
    .unwrap();
    let error = PasswordStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("store.db"), "{error}");
}

#[test]
fn a_change_that_cannot_be_stored_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("store.db");
    let alice = user("alice", Some(FILE));
    let store = PasswordStore::open(&path).unwrap();
    store
        .change(&alice, &hash("New-pass1"), Timestamp::now())
        .unwrap_err();
    let own = *alice.password.as_ref().unwrap().fingerprint();
    assert_eq!(*store.current(&alice).unwrap().fingerprint(), own);
    // And works once the folder is there.
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    store
        .change(&alice, &hash("New-pass1"), Timestamp::now())
        .unwrap();
    assert!(judges(&store, &alice, "New-pass1"));
    store
        .change(&user("bob", None), &hash("New-pass1"), Timestamp::now())
        .unwrap_err();
}

#[test]
fn it_lives_in_the_file_of_the_records_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let options = crate::accounting::JournalOptions::default();
    let journal = crate::accounting::Journal::open(&path, options.clone()).unwrap();
    let alice = user("alice", Some(FILE));
    let store = PasswordStore::open(&path).unwrap();
    store
        .change(&alice, &hash("New-pass1"), Timestamp::now())
        .unwrap();
    journal.close();
    drop((journal, store));
    crate::accounting::Journal::open(&path, options)
        .unwrap()
        .close();
    assert!(judges(
        &PasswordStore::open(&path).unwrap(),
        &alice,
        "New-pass1"
    ));
}
