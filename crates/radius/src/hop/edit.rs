//! Changing what goes on.

use alloc::vec::Vec;

use super::cover::{self, Cover};
use super::items::{Item, Items};
use crate::attribute::kind;
use crate::rewrite::{AttributeName, Rewrite};

/// The name of an attribute of the IETF.
pub(super) fn plain(kind: u8) -> AttributeName {
    AttributeName {
        vendor: None,
        path: Vec::from([kind]),
    }
}

/// What no change touches: it is of the hop (RFC 3579 section 3.2), or of another proxy (RFC 2865 section 5.33).
fn stays(name: &AttributeName) -> bool {
    name.vendor.is_none()
        && matches!(
            name.path.as_slice(),
            [kind::MESSAGE_AUTHENTICATOR | kind::PROXY_STATE]
        )
}

/// Whether a value may be given: not what stays, nor what is hidden, nor what would be no login any more.
fn may_be_given(name: &AttributeName) -> bool {
    let login = name.vendor.is_none()
        && matches!(
            name.path.as_slice(),
            [kind::CHAP_PASSWORD | kind::CHAP_CHALLENGE | kind::EAP_MESSAGE]
        );
    !stays(name) && !login && cover::known(name.vendor, &name.path).is_none()
}

/// What a packet has once at most (RFC 2865 section 5.44).
fn once(name: &AttributeName) -> bool {
    name.vendor.is_none() && matches!(name.path.as_slice(), [kind::USER_NAME | kind::STATE])
}

impl Items {
    /// Makes the changes, in the order that [`Rewrite`] says.
    pub(super) fn rewrite(&mut self, rewrite: &Rewrite) {
        let Rewrite {
            allow,
            remove,
            set,
            add,
        } = rewrite;
        let meant = |item: &Item, names: &[AttributeName]| names.iter().any(|name| item.is(name));
        self.0.retain(|item| {
            let allowed = allow.as_ref().is_none_or(|names| meant(item, names));
            stays(&item.name) || (allowed && !meant(item, remove))
        });
        for (name, value) in set.iter().filter(|(name, _)| may_be_given(name)) {
            self.set(name, value);
        }
        for (name, value) in add.iter().filter(|(name, _)| may_be_given(name)) {
            if !once(name) || !self.0.iter().any(|item| item.is(name)) {
                self.0.extend(Item::of(name, value));
            }
        }
    }

    /// Gives an attribute a value, in the place of the first of its name. A hidden one stays as it is: what takes its place
    /// would be in clear.
    pub(super) fn set(&mut self, name: &AttributeName, value: &[u8]) {
        let mut new = Item::of(name, value);
        let hidden = |item: &Item| item.name == *name && item.cover != Cover::None;
        if new.is_empty() || self.0.iter().any(hidden) {
            return;
        }
        let first = self.0.iter().position(|item| item.name == *name);
        let group = first.and_then(|at| self.0.get(at)?.group);
        new.iter_mut().for_each(|item| item.group = group);
        self.0.retain(|item| item.name != *name);
        let at = first.unwrap_or(self.0.len()).min(self.0.len());
        self.0.splice(at..at, new);
    }
}
