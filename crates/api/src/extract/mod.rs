//! What handlers take from a request, checked: each extractor fails with the envelope and all faults at once.

mod body;
mod flow;
mod path;
mod query;

pub use body::{Body, read_body};
pub use flow::{FlowFile, FlowForm, FlowXml, parse_flow};
pub use path::{Id, Segment, Segments};
pub use query::Query;
