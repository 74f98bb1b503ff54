//! What a `<Say>` asks of a speech engine.

mod reading;
mod ssml;

pub(crate) use ssml::check;
pub use ssml::{Span, spans};

/// A text and the voice to speak it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// Plain, without marks.
    pub text: String,
    /// The same with SSML 1.1 marks, without the enclosing `speak`, for [`spans`]; `None` where there are none.
    pub ssml: Option<String>,
    /// BCP 47, `en-US`.
    pub lang: String,
    pub gender: Gender,
    /// `Standard` or `WaveNet`.
    pub kind: &'static str,
    /// A voice by its code; one that does not exist is an error.
    pub code: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gender {
    Male,
    Female,
}
