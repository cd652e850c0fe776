//! Spans, and who is told of them.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    FutureExt as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
    TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;

use super::Collector;
use super::post::Post;

/// How long a span waits for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the collector, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Told>);

#[derive(Debug, Clone)]
struct Told {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    /// A roll below this is sampled; `None`: every one is.
    below: Option<u64>,
}

/// Something that takes time. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    cx: Context,
    tracer: SdkTracer,
}

impl Traces {
    /// Tells this collector from now on. Must be called within a runtime, which sends what is told.
    ///
    /// # Errors
    /// When its address cannot be used.
    pub fn start(collector: Option<&Collector>) -> io::Result<Self> {
        let Some(collector) = collector else {
            return Ok(Self(None));
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Post::new(Handle::current(), PATIENCE))
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(&collector.endpoint)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| io::Error::other(format!("otlp-endpoint: {error}")))?;
        let batches = BatchConfigBuilder::default()
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty()
            .with_service_name("micro-socket")
            .with_attribute(version)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .build();
        let sampled = u64::from(collector.of_a_million);
        Ok(Self(Some(Told {
            tracer: provider.tracer("micro-socket"),
            provider,
            below: (sampled < 1_000_000).then_some(u64::MAX / 1_000_000 * sampled),
        })))
    }

    /// The beginning of a trace that began at `since`, or now, if it is sampled.
    #[must_use]
    pub fn root(&self, name: &'static str, since: Option<SystemTime>) -> Option<Span> {
        let told = self.0.as_ref().filter(|told| told.rolls())?;
        let mut builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        builder.start_time = since;
        Some(told.begin(builder, &Context::new()))
    }

    /// A publish: part of the request that brings it, and otherwise the beginning of a trace, if that
    /// is sampled.
    #[must_use]
    pub fn publish(&self) -> Option<Span> {
        let told = self.0.as_ref()?;
        let around = Context::map_current(|cx| cx.has_active_span().then(|| cx.clone()));
        let builder = SpanBuilder::from_name("publish").with_kind(SpanKind::Producer);
        match around {
            Some(cx) if cx.span().span_context().is_sampled() => Some(told.begin(builder, &cx)),
            None if told.rolls() => Some(told.begin(builder, &Context::new())),
            _ => None,
        }
    }

    /// A request over HTTP. With `traceparent` it is part of the caller's trace, and sampled if that is.
    #[must_use]
    pub fn request(&self, name: &str, traceparent: Option<&str>) -> Option<Span> {
        let told = self.0.as_ref()?;
        let caller = traceparent.and_then(read_traceparent);
        let sampled = match &caller {
            Some(caller) => caller.is_sampled(),
            None => told.rolls(),
        };
        let caller = caller.map_or_else(Context::new, |caller| {
            Context::new().with_remote_span_context(caller)
        });
        if !sampled {
            // What is published by it is not sampled either.
            let nobody = SpanContext::new(
                TraceId::from_bytes([1; 16]),
                SpanId::from_bytes([1; 8]),
                TraceFlags::default(),
                true,
                TraceState::NONE,
            );
            return Some(Span {
                cx: Context::new().with_remote_span_context(nobody),
                tracer: told.tracer.clone(),
            });
        }
        let builder = SpanBuilder::from_name(name.to_owned()).with_kind(SpanKind::Server);
        Some(told.begin(builder, &caller))
    }

    /// Sends what is left. May wait for the collector.
    pub fn finish(&self) {
        if let Some(told) = &self.0
            && let Err(error) = told.provider.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

impl Told {
    fn begin(&self, builder: SpanBuilder, parent: &Context) -> Span {
        begin(&self.tracer, builder, parent)
    }

    fn rolls(&self) -> bool {
        self.below.is_none_or(|below| roll() < below)
    }
}

fn begin(tracer: &SdkTracer, builder: SpanBuilder, parent: &Context) -> Span {
    let span = tracer.build_with_context(builder, parent);
    Span {
        cx: Context::new().with_span(span),
        tracer: tracer.clone(),
    }
}

/// The next number of this thread's dice (xorshift; nothing secret hangs on it).
fn roll() -> u64 {
    thread_local! {
        static DICE: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
    }
    DICE.with(|dice| {
        let mut x = dice.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        dice.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
}

/// A caller's place in its trace (W3C Trace Context, version 00).
fn read_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sizes = [version, trace, span, flags].map(str::len) == [2, 32, 16, 2];
    let lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c) || c == b'-';
    if !sizes || version != "00" || parts.next().is_some() || !text.bytes().all(lower) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Some(context).filter(SpanContext::is_valid)
}

impl Span {
    /// A part of it that begins now.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        begin(&self.tracer, SpanBuilder::from_name(name), &self.cx)
    }

    /// Says something about it.
    pub fn say(&self, name: &'static str, value: &str) {
        let span = self.cx.span();
        span.set_attribute(KeyValue::new(name, value.to_owned()));
    }

    /// Says a number about it.
    pub fn count(&self, name: &'static str, value: u64) {
        let span = self.cx.span();
        span.set_attribute(KeyValue::new(name, value as i64));
    }

    /// It failed.
    pub fn failed(&self, why: &str) {
        self.cx.span().set_status(Status::error(why.to_owned()));
    }

    /// Something happened in it now.
    pub fn event(&self, name: &'static str) {
        self.cx.span().add_event(name, Vec::new());
    }

    /// It ends now.
    pub fn end(self) {
        self.cx.span().end();
    }

    /// What is published while the future runs is part of it.
    pub async fn around<T>(&self, future: impl Future<Output = T>) -> T {
        future.with_context(self.cx.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = read_traceparent(good).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        let unsampled = good.replace("-01", "-00");
        assert!(!read_traceparent(&unsampled).unwrap().is_sampled());
        for bad in [
            "",
            "00",
            &good.replace("00-4", "01-4"),
            &good.replace('b', "B"),
            &good.replace('b', "x"),
            &format!("{good}-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(read_traceparent(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn dice_are_fair() {
        let below = u64::MAX / 10;
        let sampled = (0..100_000).filter(|_| roll() < below).count();
        assert!((9_000..11_000).contains(&sampled), "{sampled}");
    }
}
