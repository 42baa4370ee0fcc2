//! Revocation lists that change on disk come into force without a reload, and end the connections they forbid.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Server;
use crate::config::{CrlChange, CrlFile};

/// Between two looks at the files. Whoever fetches lists does so every few minutes at most.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks at files between two questions whether a list lapses soon: an hour of them.
const LOOKS: u32 = 1800;
/// A list is warned of in the last quarter of its time, and no earlier than this many seconds before its end.
const NOTICE: i64 = 3 * 24 * 3600;

/// Looks at the lists of the configuration in force until the task is stopped.
pub(super) async fn watch(server: Arc<Server>) {
    let mut clock = tokio::time::interval(PAUSE);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut warned = Warned::default();
    for look in (0..LOOKS).cycle() {
        clock.tick().await;
        if look == 0 {
            server.warn_of_lapses(&mut warned);
        }
        let looking = Arc::clone(&server);
        let changed = tokio::task::spawn_blocking(move || looking.refresh_revocation()).await;
        if changed.is_ok_and(|changed| changed) {
            server.listeners.sweep();
        }
    }
}

/// The days on which a profile's list of an issuer was warned of last.
type Warned = BTreeMap<(Arc<str>, String), jiff::civil::Date>;

/// For how many hours more the newest list of each issuer counts, where that is worth a warning.
fn lapses(lists: &[CrlFile], now: i64) -> BTreeMap<&str, i64> {
    let mut newest: BTreeMap<&str, &CrlFile> = BTreeMap::new();
    for list in lists {
        let known = newest.entry(&list.issuer).or_insert(list);
        if known.next_update < list.next_update {
            *known = list;
        }
    }
    let ends = |(issuer, list): (_, &CrlFile)| {
        let next = list.next_update?;
        let notice = (next.saturating_sub(list.this_update) / 4).min(NOTICE);
        let left = next - now;
        (left <= notice).then_some((issuer, left.max(0) / 3600))
    };
    newest.into_iter().filter_map(ends).collect()
}

impl Server {
    /// Warns once a day of lists that lapse soon, or have.
    fn warn_of_lapses(&self, warned: &mut Warned) {
        let (snapshot, now) = (self.aaa.snapshot(), jiff::Zoned::now());
        for profile in snapshot.config.tls.values() {
            for (issuer, hours) in lapses(&profile.crls.lists(), now.timestamp().as_second()) {
                let key = (Arc::clone(&profile.name), issuer.to_owned());
                if warned.insert(key, now.date()) == Some(now.date()) {
                    continue;
                }
                tracing::warn!(
                    tls = &*profile.name,
                    issuer,
                    hours,
                    "the revocation list of this issuer lapses soon or has lapsed: with revocation = \"require\" its devices are refused then; fetch the next one"
                );
            }
        }
    }

    /// Reads lists again whose files have changed; true when others are in force now.
    fn refresh_revocation(&self) -> bool {
        let snapshot = self.aaa.snapshot();
        let mut changed = false;
        for profile in snapshot.config.tls.values() {
            let tls = &*profile.name;
            match profile.crls.refresh() {
                CrlChange::None => {}
                CrlChange::InForce(warnings) => {
                    changed = true;
                    tracing::info!(
                        tls,
                        "the revocation lists were read again, because a file changed"
                    );
                    for warning in warnings {
                        tracing::warn!(tls, "a revocation list does not count: {warning}");
                    }
                }
                CrlChange::Unusable(why) => tracing::warn!(
                    tls,
                    "a file of `crl` changed and cannot be used, so that the lists from before stay in force: {why}"
                ),
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn list(issuer: &str, this_update: i64, next_update: Option<i64>) -> CrlFile {
        CrlFile {
            file: "ca.crl".into(),
            issuer: issuer.into(),
            this_update,
            next_update,
        }
    }

    #[test]
    fn a_list_is_warned_of_days_ahead_and_a_short_one_hours_ahead() {
        let hours = |lists: &[CrlFile], now| lapses(lists, now).get("CN=ca").copied();
        let month = [list("CN=ca", 0, Some(30 * DAY))];
        assert_eq!(hours(&month, 26 * DAY), None);
        assert_eq!(hours(&month, 27 * DAY), Some(72));
        assert_eq!(hours(&month, 31 * DAY), Some(0));
        let day = [list("CN=ca", 0, Some(DAY))];
        assert_eq!(hours(&day, DAY / 2), None);
        assert_eq!(hours(&day, DAY - 3600), Some(1));
        assert_eq!(hours(&[list("CN=ca", 0, None)], DAY), None);
    }

    #[test]
    fn a_list_whose_successor_is_there_is_not_warned_of() {
        let both = [
            list("CN=ca", 0, Some(30 * DAY)),
            list("CN=ca", 28 * DAY, Some(60 * DAY)),
        ];
        assert!(lapses(&both, 29 * DAY).is_empty());
        let other = [both[0].clone(), list("CN=other", 28 * DAY, Some(60 * DAY))];
        assert_eq!(lapses(&other, 29 * DAY).len(), 1);
    }
}
