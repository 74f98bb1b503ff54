//! The call-control XML: text → tree with line and column → a machine that says what to do next.

mod destination;
mod document;
mod fault;
mod http;
pub mod language;
mod machine;
mod parse;
mod report;
mod say;
pub mod schedule;
mod tone;
mod variables;

pub use destination::Destination;
pub use document::Document;
pub use fault::Fault;
pub use http::{HttpAnswer, HttpBody, HttpRequest, Method};
pub use language::language;
pub use machine::{
    Dial, DialEnd, Input, Leg, Listen, Machine, Now, OpResult, Output, Record, RecordEnd, RecordFormat, Sound,
    Utterance,
};
pub use parse::{MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, Mode, parse};
pub use report::StepReport;
pub use say::{Gender, Span, Voice, spans};
pub use tone::{Signal, Tone, ToneStep};
pub use variables::Variables;
