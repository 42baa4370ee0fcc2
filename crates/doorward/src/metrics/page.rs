//! Writing metric families one after another, each with its help and unit.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::Histogram;

/// Name, unit and help of a family. The unit becomes part of the name, and counters end in `_total`.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name without unit and `_total`.
    pub name: &'static str,
    /// The unit.
    pub unit: Option<&'static Unit>,
    /// One sentence.
    pub help: &'static str,
}

impl About {
    /// Something that is counted or is a state.
    pub const fn number(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            help,
        }
    }

    /// Something in seconds: a duration, or a moment as Unix time.
    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: Some(&Unit::Seconds),
            help,
        }
    }

    /// Something in octets.
    pub const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: Some(&Unit::Bytes),
            help,
        }
    }
}

/// The families of one scrape.
#[derive(Debug)]
pub struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    /// Writes to this encoder.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    fn family(&mut self, about: &About, kind: MetricType) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0
            .encode_descriptor(about.name, about.help, about.unit, kind)
    }

    /// A state without labels.
    ///
    /// # Errors
    /// What the writer says.
    pub fn gauge(&mut self, about: &About, value: impl EncodeGaugeValue) -> fmt::Result {
        self.family(about, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A state for each of several label sets.
    ///
    /// # Errors
    /// What the writer says.
    pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        about: &About,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.family(about, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A counter without labels.
    ///
    /// # Errors
    /// What the writer says.
    pub fn counter(&mut self, about: &About, count: u64) -> fmt::Result {
        self.family(about, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    /// A counter for fractions, as of seconds.
    ///
    /// # Errors
    /// What the writer says.
    pub fn sum(&mut self, about: &About, value: f64) -> fmt::Result {
        self.family(about, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// A counter for each of several label sets.
    ///
    /// # Errors
    /// What the writer says.
    pub fn counters<L: EncodeLabelSet, N: EncodeCounterValue>(
        &mut self,
        about: &About,
        samples: impl IntoIterator<Item = (L, N)>,
    ) -> fmt::Result {
        let mut family = self.family(about, MetricType::Counter)?;
        for (labels, count) in samples {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    /// A histogram without labels.
    ///
    /// # Errors
    /// What the writer says.
    pub fn histogram(&mut self, about: &About, histogram: &Histogram) -> fmt::Result {
        write(&mut self.family(about, MetricType::Histogram)?, histogram)
    }

    /// A histogram for each of several label sets.
    ///
    /// # Errors
    /// What the writer says.
    pub fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        about: &About,
        samples: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self.family(about, MetricType::Histogram)?;
        for (labels, histogram) in samples {
            write(&mut family.encode_family(&labels)?, histogram)?;
        }
        Ok(())
    }

    /// A fact about the program as labels of a constant 1.
    ///
    /// # Errors
    /// What the writer says.
    pub fn info(&mut self, about: &About, labels: impl EncodeLabelSet) -> fmt::Result {
        self.family(about, MetricType::Info)?.encode_info(&labels)
    }
}

fn write(encoder: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let reading = histogram.read();
    encoder.encode_histogram::<NoLabelSet>(reading.sum, reading.count, &reading.buckets, None)
}
