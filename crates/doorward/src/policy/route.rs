//! `[[route]]`: which requests of users from elsewhere go to which pool. The first that fits decides.

use std::sync::Arc;

use doorward_radius::rewrite::Rewrite;

use super::{Condition, Context, RuleReference};

/// One `[[route]]`.
#[derive(Debug)]
pub struct Route {
    /// `realm`: of the names it is for; `None` = whatever realm they have, or none.
    pub realm: Option<RealmPattern>,
    /// `when`; all have to hold, and none is always true.
    pub conditions: Vec<Condition>,
    /// `pool`.
    pub pool: Arc<str>,
    /// `rewrite`: what is changed in requests.
    pub request: Rewrite,
    /// `rewrite_answer`: what is changed in answers.
    pub answer: Rewrite,
    /// `strip_realm`: the User-Name goes on without its realm.
    pub strip_realm: bool,
    /// Its place and text.
    pub reference: Arc<RuleReference>,
}

impl Route {
    /// Is it for requests of this realm and context?
    pub fn fits(&self, realm: Option<&str>, context: &Context<'_>) -> bool {
        self.is_for(realm) && self.conditions.iter().all(|one| one.holds(context))
    }

    /// Is it for names of this realm?
    pub fn is_for(&self, realm: Option<&str>) -> bool {
        self.realm
            .as_ref()
            .is_none_or(|pattern| pattern.matches(realm))
    }

    /// Whether it decides whenever `later` would: nothing comes to what follows it. `false` also where that is not certain.
    pub fn covers(&self, later: &Self) -> bool {
        let realm = match (&self.realm, &later.realm) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own.covers(other),
        };
        let weaker = |own: &Condition| {
            let mut others = later.conditions.iter();
            own.test.always() || others.any(|other| own.test.covers(&other.test))
        };
        realm && self.conditions.iter().all(weaker)
    }
}

/// Which realms. Realms are compared as DNS names are: ASCII letters without their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealmPattern {
    /// `""`: names without a realm.
    None,
    /// `*`: names with one.
    Any,
    /// `*.example.org`: the realms below this one, and not itself.
    Sub(String),
    /// `example.org`.
    Exact(String),
}

impl RealmPattern {
    /// Does it fit the realm of a name? An empty one is none.
    pub fn matches(&self, realm: Option<&str>) -> bool {
        let Some(realm) = realm.filter(|realm| !realm.is_empty()) else {
            return *self == Self::None;
        };
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Sub(parent) => is_below(realm, parent),
            Self::Exact(wanted) => realm.eq_ignore_ascii_case(wanted),
        }
    }

    /// Does it fit whenever `other` does?
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, other) => *other == Self::None,
            (Self::Any, other) => *other != Self::None,
            (Self::Sub(own), Self::Sub(other)) => {
                own.eq_ignore_ascii_case(other) || is_below(other, own)
            }
            (Self::Sub(own), Self::Exact(other)) => is_below(other, own),
            (Self::Exact(own), Self::Exact(other)) => own.eq_ignore_ascii_case(other),
            (Self::Sub(_) | Self::Exact(_), _) => false,
        }
    }
}

fn is_below(realm: &str, parent: &str) -> bool {
    let Some(at) = realm.len().checked_sub(parent.len() + 1) else {
        return false;
    };
    let (before, after) = realm.as_bytes().split_at(at);
    let own = after.strip_prefix(b".");
    !before.is_empty() && own.is_some_and(|own| own.eq_ignore_ascii_case(parent.as_bytes()))
}

/// All of them, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<[Arc<Route>]>);

impl Routes {
    /// The first that fits.
    pub fn find(&self, realm: Option<&str>, context: &Context<'_>) -> Option<&Arc<Route>> {
        self.iter().find(|route| route.fits(realm, context))
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }
}

impl FromIterator<Route> for Routes {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        Self(routes.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(realm: &str) -> RealmPattern {
        RealmPattern::Exact(realm.to_owned())
    }

    fn below(realm: &str) -> RealmPattern {
        RealmPattern::Sub(realm.to_owned())
    }

    #[test]
    fn realms_fit_without_regard_to_case_and_by_whole_labels() {
        for realm in ["example.org", "EXAMPLE.org"] {
            assert!(exact("Example.ORG").matches(Some(realm)));
            assert!(!below("example.org").matches(Some(realm)));
        }
        for realm in [
            "a.example.org",
            "a.b.Example.Org",
            "xn--bcher-kva.example.org",
        ] {
            assert!(below("example.org").matches(Some(realm)), "{realm}");
            assert!(!exact("example.org").matches(Some(realm)), "{realm}");
        }
        for realm in [
            "xexample.org",
            ".example.org",
            "org",
            "example.org.",
            "a.example.net",
            "é.org",
        ] {
            assert!(!below("example.org").matches(Some(realm)), "{realm}");
        }
        assert!(!below("org").matches(Some("éorg")));
    }

    #[test]
    fn names_with_and_without_a_realm_are_told_apart() {
        for none in [None, Some("")] {
            assert!(RealmPattern::None.matches(none));
            assert!(!RealmPattern::Any.matches(none));
            assert!(!below("example.org").matches(none));
            assert!(!exact("example.org").matches(none));
        }
        assert!(RealmPattern::Any.matches(Some("x")));
        assert!(!RealmPattern::None.matches(Some("x")));
    }

    #[test]
    fn a_wider_realm_covers_a_narrower_one() {
        let (org, sub) = (exact("example.org"), below("example.org"));
        for (wide, narrow) in [
            (&RealmPattern::Any, &org),
            (&RealmPattern::Any, &sub),
            (&sub, &exact("a.example.org")),
            (&sub, &below("a.Example.org")),
            (&below("org"), &org),
        ] {
            assert!(wide.covers(narrow), "{wide:?} {narrow:?}");
            assert!(!narrow.covers(wide), "{narrow:?} {wide:?}");
        }
        for same in [&RealmPattern::Any, &RealmPattern::None, &org, &sub] {
            assert!(same.covers(same));
        }
        assert!(!sub.covers(&org) && !org.covers(&sub));
        assert!(!RealmPattern::Any.covers(&RealmPattern::None));
        assert!(!RealmPattern::None.covers(&org));
    }
}
