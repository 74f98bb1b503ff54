//! A document as a tree.

use std::sync::Arc;

use crate::language::Name;

/// A call-flow document, read and checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) root: Arc<Node>,
}

impl Document {
    /// Whether it is for two that are joined: the first that it does is about the other leg.
    pub fn holds(&self) -> bool {
        let first = self.root.children.iter().find(|child| child.name != Some(Name::Meta));
        first.is_some_and(|child| matches!(child.name, Some(Name::Hold | Name::Unhold)))
    }

    /// Number of elements, the root included.
    pub fn elements(&self) -> usize {
        fn count(node: &Node) -> usize {
            1 + node.children.iter().chain(&node.errors).map(|child| count(child)).sum::<usize>()
        }
        count(&self.root)
    }
}

/// An element of a document.
#[derive(Debug)]
pub(crate) struct Node {
    /// `None`: an element the language, or this version, does not have; `fault` says so.
    pub(crate) name: Option<Name>,
    /// The name by convention, or as written.
    pub(crate) text: String,
    /// By the names of the table, as written, in the order written. Text inside stands under its attribute's name.
    pub(crate) attributes: Vec<(&'static str, String)>,
    /// Attributes that were written under a spelling of the other generation, as in the table.
    pub(crate) aliases: Vec<&'static str>,
    /// The inner XML of a `<Say>` that holds SSML.
    pub(crate) markup: Option<String>,
    /// Without error blocks.
    pub(crate) children: Vec<Arc<Node>>,
    /// `<Error>` inside it, and directly after it.
    pub(crate) errors: Vec<Arc<Node>>,
    /// Place among all elements of its parent, from 0.
    pub(crate) index: usize,
    /// True for an `<Error>` that stands after its element, not in it.
    pub(crate) sibling: bool,
    pub(crate) line: u32,
    /// What is wrong with it; it fails when its turn comes.
    pub(crate) fault: Option<String>,
}
