//! Every metric family of a running server. `docs/guide/metrics.md` explains them; a test compares.

use std::fmt;
use std::sync::{PoisonError, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{ListenerFigures, Server};
use super::{process, upstreams};
use crate::aaa::{Kind, Snapshot};
use crate::listen::Seen;
use crate::metrics::{About, Label as _, Page};

const REQUESTS: About = About::number(
    "doorward_requests",
    "Requests answered, by kind, outcome and reason.",
);
const REQUEST_DURATION: About = About::seconds(
    "doorward_request_duration",
    "Time from the arrival of a request to its reply; accounting includes the wait for the disk.",
);
const ALERT_USERS: About = About::number(
    "doorward_alert_user_uses",
    "Logins and permitted requests of users with alert = true.",
);
const TOLERATED: About = About::number(
    "doorward_tolerated",
    "What devices got wrong and their `tolerate` let pass.",
);
const REFUSED: About = About::number(
    "doorward_refused",
    "Connections, handshakes and packets turned away, by reason.",
);
const HANDSHAKES: About = About::number(
    "doorward_handshakes",
    "TLS handshakes that ended, by outcome and reason.",
);
const HANDSHAKE_DURATION: About = About::seconds(
    "doorward_handshake_duration",
    "Time from accept to the end of a TLS handshake that succeeded.",
);
const CONNECTIONS: About =
    About::number("doorward_connections", "Connections open now, by listener.");
const CONNECTIONS_LIMIT: About = About::number(
    "doorward_connections_limit",
    "Connections a listener may have open (max_connections).",
);
const HANDSHAKES_OPEN: About = About::number(
    "doorward_handshakes_open",
    "TLS handshakes under way now, by listener.",
);
const HANDSHAKES_LIMIT: About = About::number(
    "doorward_handshakes_open_limit",
    "TLS handshakes a listener may have under way (max_handshakes).",
);
const LISTENER_UNTIL: About = About::seconds(
    "doorward_listener_until_timestamp",
    "Unix time at which a listener with `until` closes.",
);
const JOURNAL_PENDING: About = About::number(
    "doorward_journal_pending_records",
    "Accounting records that wait for the disk.",
);
const JOURNAL_OCTETS: About = About::bytes(
    "doorward_journal_pending",
    "Octets of the accounting records that wait for the disk.",
);
const JOURNAL_RECORDS: About = About::number(
    "doorward_journal_records",
    "Accounting records committed to the journal.",
);
const JOURNAL_FAILURES: About = About::number(
    "doorward_journal_failures",
    "Accounting records that were refused or whose commit failed.",
);
const JOURNAL_FAILING: About = About::number(
    "doorward_journal_failing",
    "1 while the journal cannot be written and accounting is answered with ERROR.",
);
const DECISIONS: About = About::number(
    "doorward_audit_decisions",
    "Decisions that [audit] keeps, committed to the journal.",
);
const DECISIONS_LOST: About = About::number(
    "doorward_audit_decisions_lost",
    "Decisions that [audit] would have kept and that were dropped, since an answer never waits for them.",
);
const JOURNAL_COMMITS: About = About::seconds(
    "doorward_journal_commit_duration",
    "Duration of the journal's commits, fsync included.",
);
const SINK_UP: About = About::number(
    "doorward_sink_up",
    "0 while the last attempt of a sink to deliver has failed.",
);
const SINK_DEPTH: About = About::number(
    "doorward_sink_pending_records",
    "Records that a sink has not delivered, with the decisions of [audit] between them.",
);
const SINK_LAG: About = About::seconds(
    "doorward_sink_lag",
    "Age of the oldest accounting record that a sink has not delivered.",
);
const SINK_DELIVERED: About = About::number(
    "doorward_sink_delivered_records",
    "Accounting records that a sink has delivered.",
);
const SINK_FAILURES: About = About::number(
    "doorward_sink_failures",
    "Attempts of a sink to deliver that failed.",
);
const WORKERS: About = About::number("doorward_password_workers", "Threads that hash passwords.");
const WORKERS_BUSY: About = About::number(
    "doorward_password_workers_busy",
    "Threads that hash a password now.",
);
const WORKERS_QUEUE: About = About::number(
    "doorward_password_queue_length",
    "Logins that wait for a password worker.",
);
const WORKERS_SATURATED: About = About::number(
    "doorward_password_workers_saturated",
    "1 while a login would be refused because it would wait longer than a device does.",
);
const HASHED: About = About::number("doorward_passwords_hashed", "Passwords hashed.");
const SERVER_CERTIFICATE: About = About::seconds(
    "doorward_server_certificate_expiry_timestamp",
    "Unix time at which the server's own certificate ends, by TLS profile.",
);
const INQUIRIES: About = About::number(
    "doorward_ocsp_inquiries",
    "Questions to OCSP responders about the certificates of devices, by what came of them.",
);
const STAPLED: About = About::seconds(
    "doorward_ocsp_stapled_until_timestamp",
    "Unix time at which the answer stapled to our certificate lapses; 0 = none is stapled that should be.",
);
const CRL: About = About::seconds(
    "doorward_crl_next_update_timestamp",
    "Unix time from which a revocation list is out of date; 0 = it does not say and is never current.",
);
const KEY_LOG: About = About::number(
    "doorward_tls_key_log_open",
    "1 while the secrets of connections are written to `keylog`, by TLS profile.",
);
const KEY_LOG_LINES: About = About::number(
    "doorward_tls_key_log_lines",
    "Secrets written to `keylog` since it was opened, by TLS profile.",
);
const KEY_LOG_LOST: About = About::number(
    "doorward_tls_key_log_lost_lines",
    "Secrets that could not be written to `keylog`, by TLS profile.",
);
const DEVICE_CERTIFICATE: About = About::seconds(
    "doorward_device_certificate_expiry_timestamp",
    "Unix time at which the certificate ends that a device showed last.",
);
const DEVICE_SEEN: About = About::seconds(
    "doorward_device_last_seen_timestamp",
    "Unix time at which a device last connected, by transport; 0 = not since the server started.",
);
const SECRET: About = About::seconds(
    "doorward_device_secret_changed_timestamp",
    "Unix time since which the oldest shared secret is in use that a device may have today.",
);
const DEVICES: About = About::number(
    "doorward_devices",
    "Configured devices by how they connected last.",
);
const GENERATION: About = About::number(
    "doorward_configuration_generation",
    "How many times a configuration was put in force since the start.",
);
const LOADED: About = About::seconds(
    "doorward_configuration_loaded_timestamp",
    "Unix time at which the configuration in force was loaded.",
);
const LAST_RELOAD: About = About::number(
    "doorward_configuration_last_reload_successful",
    "0 when the last reload was refused and an older configuration serves on.",
);
const WARNINGS: About = About::number(
    "doorward_configuration_warnings",
    "Findings about the configuration in force that it does not accept, by lint.",
);
const ACCEPTED: About = About::number(
    "doorward_configuration_accepted_findings",
    "Findings about the configuration in force that it accepts with a reason.",
);
const READY: About = About::number(
    "doorward_ready",
    "1 when a login would be served now, as /readyz says.",
);
const BUILD: About = About::number("doorward_build", "Version of the program, as a label.");

/// Looks everything up when asked.
#[derive(Debug)]
pub(super) struct Figures(pub(super) Weak<Server>);

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let server = self.0.upgrade().ok_or(fmt::Error)?;
        let snapshot = server.aaa.snapshot();
        let mut page = Page::new(encoder);
        page.info(&BUILD, [("version", env!("CARGO_PKG_VERSION"))])?;
        page.gauge(&READY, u32::from(server.not_ready().is_none()))?;
        server.requests(&mut page, &snapshot)?;
        upstreams::figures(&mut page, &server.aaa.proxy)?;
        server.connections(&mut page)?;
        server.journal(&mut page)?;
        server.sink_figures(&mut page)?;
        server.password_workers(&mut page)?;
        server.certificates(&mut page, &snapshot)?;
        server.device_figures(&mut page, &snapshot)?;
        server.configuration(&mut page, &snapshot)?;
        process::figures(&mut page, server.started)
    }
}

impl Server {
    fn requests(&self, page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
        let metrics = &self.aaa.metrics;
        page.counters(
            &REQUESTS,
            metrics.requests.shown().map(|(answered, count)| {
                let labels = [
                    ("kind", answered.kind.name()),
                    ("outcome", answered.outcome.name()),
                    ("reason", answered.reason.name()),
                ];
                (labels, count)
            }),
        )?;
        let durations = Kind::ALL
            .iter()
            .map(|kind| ([("kind", kind.name())], metrics.durations.of(*kind)));
        page.histograms(&REQUEST_DURATION, durations)?;
        let users = snapshot.config.users.values();
        let watched = users.filter(|user| user.alert).map(|user| &user.name);
        let uses = metrics.alerts.all(watched);
        page.counters(
            &ALERT_USERS,
            uses.iter().flat_map(|(user, [logins, permits])| {
                [
                    (Kind::Authentication, logins),
                    (Kind::Authorization, permits),
                ]
                .map(|(kind, count)| ([("user", &**user), ("kind", kind.name())], *count))
            }),
        )?;
        let tolerated = self.aaa.tolerances.all(snapshot.config.devices.iter());
        page.counters(
            &TOLERATED,
            tolerated.iter().map(|(device, tolerance, uses)| {
                let labels = [("device", &**device), ("tolerance", tolerance.name())];
                (labels, *uses)
            }),
        )?;
        let refused = metrics.refused.all();
        page.counters(
            &REFUSED,
            refused.map(|(reason, count)| ([("reason", reason.name())], count)),
        )?;
        let failed = metrics
            .handshakes
            .failures()
            .map(|(reason, count)| ([("outcome", "failed"), ("reason", reason.name())], count));
        let completed = [("outcome", "completed"), ("reason", "certificate")];
        let completed = (completed, metrics.handshakes.completed.count());
        page.counters(&HANDSHAKES, [completed].into_iter().chain(failed))?;
        page.histogram(&HANDSHAKE_DURATION, &metrics.handshakes.completed)?;
        let inquiries = metrics.inquiries.all();
        page.counters(
            &INQUIRIES,
            inquiries.map(|(inquiry, count)| ([("result", inquiry.name())], count)),
        )
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let listeners = self.listeners.figures();
        let mut each = |about: &About, value: fn(&ListenerFigures) -> usize| {
            page.gauges(
                about,
                listeners.iter().map(|one| (one.labels(), value(one))),
            )
        };
        each(&CONNECTIONS, |one| one.connections)?;
        each(&CONNECTIONS_LIMIT, |one| one.max_connections)?;
        each(&HANDSHAKES_OPEN, |one| one.handshakes)?;
        each(&HANDSHAKES_LIMIT, |one| one.max_handshakes)?;
        let ending = listeners
            .iter()
            .filter_map(|one| Some((one.labels(), one.closes?.as_second())));
        page.gauges(&LISTENER_UNTIL, ending)
    }

    fn journal(&self, page: &mut Page<'_>) -> fmt::Result {
        let journal = self.aaa.journal();
        let stats = journal.stats();
        page.gauge(&JOURNAL_PENDING, stats.pending)?;
        page.gauge(&JOURNAL_OCTETS, stats.pending_octets)?;
        page.counter(&JOURNAL_RECORDS, stats.records)?;
        page.counter(&JOURNAL_FAILURES, stats.failures)?;
        page.counter(&DECISIONS, stats.decisions)?;
        page.counter(&DECISIONS_LOST, stats.decisions_lost)?;
        page.gauge(&JOURNAL_FAILING, u32::from(stats.failing))?;
        page.histogram(&JOURNAL_COMMITS, journal.commit_times())
    }

    fn sink_figures(&self, page: &mut Page<'_>) -> fmt::Result {
        let sinks = self.sinks();
        let labels = || sinks.iter().map(|sink| ([("sink", &*sink.name)], sink));
        page.gauges(
            &SINK_UP,
            labels().map(|(sink, stats)| (sink, u32::from(stats.up))),
        )?;
        page.gauges(
            &SINK_DEPTH,
            labels().map(|(sink, stats)| (sink, stats.depth)),
        )?;
        page.gauges(
            &SINK_LAG,
            labels().map(|(sink, stats)| (sink, stats.lag.as_secs_f64())),
        )?;
        page.counters(
            &SINK_DELIVERED,
            labels().map(|(sink, stats)| (sink, stats.delivered)),
        )?;
        page.counters(
            &SINK_FAILURES,
            labels().map(|(sink, stats)| (sink, stats.failures)),
        )
    }

    fn password_workers(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.aaa.hashing().stats();
        page.gauge(&WORKERS, stats.workers)?;
        page.gauge(&WORKERS_BUSY, stats.busy)?;
        page.gauge(&WORKERS_QUEUE, stats.waiting)?;
        let saturated = self.aaa.hashing_is_saturated();
        page.gauge(&WORKERS_SATURATED, u32::from(saturated))?;
        page.counter(&HASHED, stats.hashed)
    }

    fn certificates(&self, page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
        let profiles = || snapshot.config.tls.values();
        page.gauges(
            &SERVER_CERTIFICATE,
            profiles().map(|one| ([("profile", &*one.name)], one.certificate_expires)),
        )?;
        page.gauges(
            &STAPLED,
            profiles()
                .filter_map(|one| Some(([("profile", &*one.name)], one.server.stapled_until()?))),
        )?;
        let logs = || {
            profiles().map(|one| {
                let counts = one.key_log.as_ref().map(|log| log.counts());
                ([("profile", &*one.name)], counts.unwrap_or_default())
            })
        };
        page.gauges(
            &KEY_LOG,
            profiles().map(|one| {
                let open = one.key_log.as_ref().is_some_and(|log| log.is_open());
                ([("profile", &*one.name)], u32::from(open))
            }),
        )?;
        page.counters(
            &KEY_LOG_LINES,
            logs().map(|(profile, (written, _))| (profile, written)),
        )?;
        page.counters(
            &KEY_LOG_LOST,
            logs().map(|(profile, (_, lost))| (profile, lost)),
        )?;
        let mut crls: Vec<_> = profiles()
            .flat_map(|profile| {
                profile
                    .crls
                    .lists()
                    .into_iter()
                    .map(move |crl| (profile, crl))
            })
            .map(|(profile, crl)| {
                let file = crl.file.to_string_lossy().into_owned();
                let next_update = crl.next_update.unwrap_or(0);
                ((profile.name.to_string(), file, crl.issuer), next_update)
            })
            .collect();
        // One file may hold two lists of one issuer, today's and tomorrow's: the later one counts.
        crls.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
        crls.dedup_by(|one, other| one.0 == other.0);
        page.gauges(
            &CRL,
            crls.iter().map(|((profile, file, issuer), next_update)| {
                let labels = [
                    ("profile", profile.as_str()),
                    ("file", file.as_str()),
                    ("issuer", issuer.as_str()),
                ];
                (labels, *next_update)
            }),
        )
    }

    fn device_figures(&self, page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
        let devices: Vec<(&str, Seen)> = snapshot
            .config
            .devices
            .iter()
            .map(|device| {
                let seen = self.listeners.seen().get(&device.name);
                (&*device.name, seen.unwrap_or_default())
            })
            .collect();
        let expiry = devices
            .iter()
            .filter_map(|(name, seen)| Some(([("device", *name)], seen.certificate_expires?)));
        page.gauges(&DEVICE_CERTIFICATE, expiry)?;
        let second = |when: Option<jiff::Timestamp>| when.map_or(0, jiff::Timestamp::as_second);
        page.gauges(
            &DEVICE_SEEN,
            devices.iter().flat_map(|(name, seen)| {
                [("tls", seen.tls), ("plain", seen.plain)].map(|(transport, when)| {
                    ([("device", *name), ("transport", transport)], second(when))
                })
            }),
        )?;
        let today = jiff::Zoned::now().date();
        let secrets = snapshot.config.devices.iter().filter_map(|device| {
            let all = device.tacacs_secret.iter().chain(&device.radius_secret);
            let valid = all.filter(|one| one.is_valid_on(today));
            let oldest = valid.filter_map(|one| one.since).min()?;
            Some(([("device", &*device.name)], oldest.as_second()))
        });
        page.gauges(&SECRET, secrets)?;
        let count = |wanted: &str| {
            let mut last = devices.iter().map(|(_, seen)| last_transport(seen));
            let count = last.by_ref().filter(|one| *one == wanted).count();
            ([("last_seen", wanted.to_owned())], count)
        };
        page.gauges(&DEVICES, [count("tls"), count("plain"), count("never")])
    }

    fn configuration(&self, page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
        page.gauge(&GENERATION, snapshot.generation)?;
        page.gauge(&LOADED, snapshot.loaded.as_second())?;
        let last_error = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        page.gauge(&LAST_RELOAD, u32::from(last_error.is_none()))?;
        drop(last_error);
        let findings = &snapshot.config.findings;
        let counts = findings.counts();
        page.gauges(
            &WARNINGS,
            counts.map(|(lint, count)| ([("lint", lint.name())], count)),
        )?;
        page.gauge(&ACCEPTED, findings.accepted())
    }
}

fn last_transport(seen: &Seen) -> &'static str {
    match (seen.tls, seen.plain) {
        (None, None) => "never",
        (tls, plain) if plain > tls => "plain",
        (_, _) => "tls",
    }
}
