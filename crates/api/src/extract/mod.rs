//! What handlers take from a request, checked: each extractor fails with the envelope and all faults at once.

mod address;
mod body;
mod flow;
mod image;
mod path;
mod query;

pub use address::ClientAddress;
pub(crate) use body::essence;
pub use body::{Body, Check, Checked, checked, has, read_body, refuse};
pub use flow::{CsvFile, FlowFile, FlowForm, FlowXml, flow_faults, parse_flow};
pub use image::{Image, ImageFile};
pub use path::{Id, Segment, Segments};
pub use query::Query;
