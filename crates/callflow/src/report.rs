//! What became of an element.

use std::sync::Arc;

/// One executed element, after it ended: the `command` of a `call_flow` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// By convention: `Say`, `DTMF`. For an element the language does not have: as written.
    pub name: String,
    pub success: bool,
    /// A stable text.
    pub reason: String,
    /// `Gather[1].DTMF[0].Say[0]`: the number is the place among all elements of the same parent, from 0.
    pub path: String,
    pub tag: Option<String>,
    /// As they are in force: variables replaced, defaults left out, names by convention.
    pub attributes: Vec<(String, String)>,
    /// What ran inside.
    pub children: Vec<Arc<StepReport>>,
    /// The error blocks that ran.
    pub error: Vec<Arc<StepReport>>,
    /// Of the element in its document, from 1.
    pub line: u32,
}

impl StepReport {
    /// `<Name>: success <true|false>, reason: <reason>`, the message of a `call_flow` event.
    pub fn message(&self) -> String {
        format!("{}: success {}, reason: {}", self.name, self.success, self.reason)
    }
}
