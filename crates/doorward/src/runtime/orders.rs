//! `doorward radius disconnect` and `coa`, as the running server carries them out.

use std::time::{Duration, Instant};

use doorward_radius::attribute::{Attributes, kind};
use doorward_radius::build::error_cause;
use doorward_radius::dictionary::{Dictionary, Hiding};
use serde::{Deserialize, Serialize};

use super::Server;
use crate::aaa::radius::{Obeyed, Order, OrderAttribute};
use crate::config::reply_path;
use crate::control::OrderRequest;

/// Seconds that an answer may be waited for.
pub const MAX_SECONDS: u32 = 50;

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ordered {
    /// The device obeys; `None` = there was no answer.
    pub acknowledged: Option<bool>,
    /// Why there was none.
    pub unanswered: Option<String>,
    /// Number and name of the Error-Cause.
    pub cause: Option<(u32, Option<String>)>,
    /// Names and values of the other attributes of the answer.
    pub attributes: Vec<(String, String)>,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl Server {
    /// Tells a device to end or change a session, and waits for its answer.
    ///
    /// # Errors
    /// What is wrong with the order, in words.
    pub async fn order(&self, request: &OrderRequest) -> Result<Ordered, String> {
        let config = self.aaa.snapshot().config.clone();
        if config.devices.by_name(&request.device).is_none() {
            return Err(format!(
                "there is no [device.{}]",
                request.device.escape_debug()
            ));
        }
        let dictionary = &*config.dictionary;
        let attributes = request
            .attributes
            .iter()
            .map(|(name, value)| attribute(dictionary, name, value))
            .collect::<Result<_, _>>()?;
        let now = jiff::Timestamp::now().as_second();
        let order = Order {
            disconnect: request.disconnect,
            attributes,
            event_timestamp: u32::try_from(now).unwrap_or(u32::MAX),
        };
        let patience = Duration::from_secs(request.seconds.clamp(1, MAX_SECONDS).into());
        let begun = Instant::now();
        let answer = self
            .aaa
            .orders
            .give(&request.device, &order, patience)
            .await;
        let micros = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        let done = told(dictionary, answer, f64::from(micros) / 1000.0);
        tracing::info!(
            device = &*request.device,
            order = if request.disconnect {
                "disconnect"
            } else {
                "coa"
            },
            attributes = request.attributes.len(),
            acknowledged = done.acknowledged,
            error_cause = done.cause.as_ref().map(|(number, _)| *number),
            unanswered = done.unanswered.as_deref(),
            "a device was told to end or change a session"
        );
        Ok(done)
    }
}

fn told(
    dictionary: &Dictionary,
    answer: Result<Obeyed, crate::aaa::radius::Unanswered>,
    ms: f64,
) -> Ordered {
    let mut done = Ordered {
        acknowledged: None,
        unanswered: None,
        cause: None,
        attributes: Vec::new(),
        ms,
    };
    match answer {
        Ok(answer) => {
            done.acknowledged = Some(answer.acknowledged);
            let named = |number| error_cause::of_order(number).map(str::to_owned);
            done.cause = answer.cause.map(|number| (number, named(number)));
            if let Ok(attributes) = Attributes::new(&answer.attributes) {
                let made = [kind::MESSAGE_AUTHENTICATOR, kind::ERROR_CAUSE];
                let shown = attributes.iter().filter(|one| !made.contains(&one.kind));
                let shown = shown.flat_map(|one| dictionary.describe(&one));
                let hidden = || "(hidden)".to_owned();
                done.attributes
                    .extend(shown.map(|one| (one.name, one.value.unwrap_or_else(hidden))));
            }
        }
        Err(why) => done.unanswered = Some(why.to_string()),
    }
    done
}

/// An attribute of an order by its name.
fn attribute(dictionary: &Dictionary, name: &str, value: &str) -> Result<OrderAttribute, String> {
    let shown = name.escape_debug();
    let pair = dictionary
        .parse_pair(name, value)
        .map_err(|error| error.to_string())?;
    let attribute = pair.attribute;
    let path = reply_path(dictionary, attribute)
        .ok_or_else(|| format!("{shown}: it has a form this version cannot send"))?;
    let made = [
        kind::MESSAGE_AUTHENTICATOR,
        kind::EAP_MESSAGE,
        kind::USER_PASSWORD,
        kind::CHAP_PASSWORD,
    ];
    if attribute.vendor.is_none() && made.iter().any(|one| path == [*one]) {
        return Err(format!(
            "{shown}: no order has it, or it is made where it is needed"
        ));
    }
    if attribute.hidden != Hiding::None {
        return Err(format!(
            "{shown}: it is a secret, which an order cannot have yet"
        ));
    }
    Ok(OrderAttribute {
        vendor: attribute.vendor,
        path,
        value: pair.tagged_octets(),
    })
}
