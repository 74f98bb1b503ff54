//! The call-control XML: text → tree with line and column → a machine that says what to do next.

/// A checked call-flow document.
#[derive(Debug, Clone)]
pub struct Document {}
