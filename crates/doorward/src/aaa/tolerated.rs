//! How often `tolerate` of a device was made use of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Device, Tolerance};

use super::{Aaa, Peer};

/// Uses of each tolerance.
type Uses = [u64; Tolerance::ALL.len()];

/// Uses of tolerances by device. Only devices that have one are ever counted, so that their number is bounded by the file.
#[derive(Debug, Default)]
pub struct Tolerated(Mutex<BTreeMap<Arc<str>, Uses>>);

impl Tolerated {
    /// Counts a use, and says whether it is the first one.
    fn add(&self, device: &Arc<str>, tolerance: Tolerance) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = all.entry(Arc::clone(device)).or_default();
        let Some(count) = uses.get_mut(tolerance.index()) else {
            return false;
        };
        *count += 1;
        *count == 1
    }

    /// Every tolerance that was used or that one of `configured` has, with its device and the number of its uses.
    pub fn all<'a>(
        &self,
        configured: impl Iterator<Item = &'a Arc<Device>>,
    ) -> Vec<(Arc<str>, Tolerance, u64)> {
        let mut all: BTreeMap<(Arc<str>, Tolerance), u64> = configured
            .flat_map(|device| {
                let each = device.tolerate.iter();
                each.map(|one| ((Arc::clone(&device.name), one), 0))
            })
            .collect();
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, uses) in counted.iter() {
            let used = Tolerance::ALL
                .into_iter()
                .zip(uses)
                .filter(|(_, count)| **count > 0);
            all.extend(used.map(|(tolerance, count)| ((Arc::clone(device), tolerance), *count)));
        }
        all.into_iter()
            .map(|((device, tolerance), count)| (device, tolerance, count))
            .collect()
    }
}

impl Aaa {
    /// Counts that a device was let off something that its `tolerate` names; the first time there is a line in the log.
    pub fn tolerated(&self, peer: &Peer, tolerance: Tolerance) {
        if self.tolerances.add(&peer.device, tolerance) {
            tracing::info!(
                device = &*peer.device,
                tolerance = tolerance.name(),
                source = %peer.address,
                "the device makes use of its `tolerate`; from now on this is only counted (doorward_tolerated_total)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_use_is_told_and_the_others_are_counted() {
        let tolerated = Tolerated::default();
        let name: Arc<str> = "sw7".into();
        assert!(tolerated.add(&name, Tolerance::BareCr));
        assert!(!tolerated.add(&name, Tolerance::BareCr));
        assert!(tolerated.add(&name, Tolerance::EnableNames), "another one");
        assert!(tolerated.add(&"sw8".into(), Tolerance::BareCr));
        let all = tolerated.all(std::iter::empty());
        assert_eq!(
            all,
            [
                ("sw7".into(), Tolerance::BareCr, 2),
                ("sw7".into(), Tolerance::EnableNames, 1),
                ("sw8".into(), Tolerance::BareCr, 1),
            ]
        );
    }
}
