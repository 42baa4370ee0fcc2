//! What secrets have to be like, and which findings are accepted.

use super::super::super::lint::ACCEPTABLE;
use super::super::Kind::{Day, Duration, Form, Whole, Words};
use super::super::{Key, key};

pub(super) const SECRETS: &[Key] = &[
    key(
        "min_length",
        Whole(1, 1024),
        "16",
        "Characters; shorter secrets are warned of.",
    )
    .default("16"),
    key(
        "classes",
        Whole(0, 4),
        "3",
        "How many kinds of characters: small letters, capital letters, digits, others.",
    )
    .default("0"),
    key(
        "max_age",
        Duration,
        "\"365d\"",
        "Older secrets are warned of, a day or more; the age is that of the secret's file.",
    )
    .default("\"365d\""),
    key(
        "shared",
        Words(&["warn", "refuse"]),
        "\"warn\"",
        "One secret on several devices: a warning, or an error.",
    )
    .default("\"warn\""),
];

pub(super) const ALLOW: &[Key] = &[
    key(
        "lint",
        Words(&ACCEPTABLE),
        "\"shared-secret\"",
        "The kind of finding, as the brackets of the warning name it.",
    )
    .required(),
    key(
        "on",
        Form(SECTION),
        "\"device.old-*\"",
        "What the finding names after `on:`; `*` stands for any characters.",
    )
    .required(),
    key(
        "reason",
        Form(r"\S"),
        "\"replaced in May\"",
        "Why it is accepted, for whoever reads the file next year.",
    )
    .required(),
    key(
        "until",
        Day,
        "2027-05-31",
        "The last day of the acceptance; after it the warning returns.",
    ),
];

/// A kind of section and maybe a name, or a pattern.
const SECTION: &str = r"^([^.]*\*|(accounting|device|device_group|group|listen|pool|radius|role|route|rule|test|tls|user)(\.|$))";
