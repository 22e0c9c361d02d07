//! Figures for the operator, in Prometheus' text form, and a sign of life. Numbers only: no name, key or
//! address of anybody.

use crate::Error;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use waypost_sremp::ErrorCode;
use waypost_sremp::relay::Counts;

/// What the roles count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The relay, if this process is one.
    pub(crate) relay: Option<Counts>,
    /// The rendezvous server, if this process is one.
    pub(crate) rendezvous: Option<Counts>,
    /// The mailboxes.
    pub(crate) storage: Option<StorageFigures>,
}

/// What all mailboxes hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StorageFigures {
    pub(crate) letters: u64,
    pub(crate) bytes: u64,
    pub(crate) disk_used: f64,
}

/// Serves them until it is stopped.
pub(crate) struct MetricsServer {
    listener: TcpListener,
    registry: Arc<Registry>,
}

impl MetricsServer {
    pub(crate) async fn bind(address: SocketAddr, figures: watch::Receiver<Figures>) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Metrics { address, source })?;
        let mut registry = Registry::with_prefix("waypost");
        registry.register_collector(Box::new(Shown(figures)));
        Ok(Self { listener, registry: Arc::new(registry) })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|error| Error::Internal(error.to_string()))
    }

    pub(crate) async fn run(self, stop: CancellationToken) {
        let routes = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(async || "ok\n"))
            .with_state(self.registry);
        let served = axum::serve(self.listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the metrics are no longer served");
        }
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}

/// Reads the figures when they are asked for.
#[derive(Debug)]
struct Shown(watch::Receiver<Figures>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let figures = self.0.borrow().clone();
        for (role, counts) in [("relay", &figures.relay), ("rendezvous", &figures.rendezvous)] {
            if let Some(counts) = counts {
                role_figures(&mut encoder, role, counts)?;
            }
        }
        if let Some(storage) = figures.storage {
            gauge(&mut encoder, "letters", "Letters and notices in all mailboxes", storage.letters)?;
            gauge(&mut encoder, "letter_bytes", "Bytes of their content", storage.bytes)?;
            let used = ConstGauge::new(storage.disk_used);
            used.encode(encoder.encode_descriptor("disk_used", "Used share of the disk", None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn role_figures(encoder: &mut DescriptorEncoder<'_>, role: &str, counts: &Counts) -> Result<(), fmt::Error> {
    gauge(encoder, &format!("{role}_connections"), "Connections that are open", counts.connections)?;
    gauge(encoder, &format!("{role}_registered"), "Connections of registered clients", counts.registered)?;
    counter(encoder, &format!("{role}_stored"), "Letters stored, or registrations granted", counts.stored)?;
    counter(encoder, &format!("{role}_delivered"), "Letters confirmed by their recipients", counts.delivered)?;
    counter(encoder, &format!("{role}_pushed"), "Letters and confirmations sent unasked", counts.pushed)?;
    counter(encoder, &format!("{role}_faults"), "Batches at which storage failed", counts.faults)?;
    let name = format!("{role}_requests");
    let mut requests = encoder.encode_descriptor(&name, "Requests by message", None, MetricType::Counter)?;
    for (message, count) in &counts.requests {
        ConstCounter::new(*count).encode(requests.encode_family(&[("message", *message)])?)?;
    }
    let name = format!("{role}_refusals");
    let mut refusals = encoder.encode_descriptor(&name, "Errors told to clients", None, MetricType::Counter)?;
    for (code, count) in &counts.refusals {
        let code = ErrorCode::from_value(*code).map_or("unknown", ErrorCode::name);
        ConstCounter::new(*count).encode(refusals.encode_family(&[("code", code)])?)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}
