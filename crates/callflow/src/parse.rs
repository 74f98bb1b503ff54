//! Text → [`Document`], with everything that is wrong and where.

use std::sync::Arc;

use crate::document::{Document, Node};
use crate::fault::{Fault, Wrong};
use crate::language::{self, Attribute, Children, Content, Element, Kind, Lookup, Name, SSML};
use crate::say;
use crate::variables::{escape, has_variable};

/// Largest document, bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting, the root included.
pub const MAX_DEPTH: usize = 32;
/// Most elements.
pub const MAX_ELEMENTS: usize = 2000;
/// Nodes of any kind (elements, texts, comments) the XML parser may make before it gives up.
const MAX_NODES: u32 = 16 * 1024;
/// Faults reported at once.
const MAX_FAULTS: usize = 100;

/// What happens to a fault of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The document is refused: it is being stored or posted.
    Strict,
    /// The element will fail when its turn comes: the document was fetched while a caller waits.
    Lenient,
}

/// Reads a document.
///
/// # Errors
/// All faults, up to 100, in the order of the text. In [`Mode::Lenient`] only those without which there is no document
/// at all: not XML, a DTD, over a limit, another root.
pub fn parse(xml: &str, mode: Mode) -> Result<Document, Vec<Fault>> {
    let xml = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    let at_start = |message: String| vec![Wrong::from(message).at((1, 1), None)];
    if xml.len() > MAX_BYTES {
        return Err(at_start(format!("the document has {} bytes, at most {MAX_BYTES} are allowed", xml.len())));
    }
    let options = roxmltree::ParsingOptions { nodes_limit: MAX_NODES, ..Default::default() };
    let tree = roxmltree::Document::parse_with_options(xml, options).map_err(|error| vec![not_xml(xml, &error)])?;
    let mut reader = Reader { cursor: Cursor::new(xml), elements: 0, faults: Vec::new(), fatal: false };
    let root = tree.root_element();
    let at = reader.cursor.position(root.range().start);
    if !root.tag_name().name().eq_ignore_ascii_case(Name::Response.as_str()) {
        let message = format!("the root element is `Response`, not `{}`", root.tag_name().name());
        let wrong = Wrong::from(message).expected(format!("`{}`", Name::Response.as_str()));
        return Err(vec![wrong.at(at, Some(root.tag_name().name().into()))]);
    }
    let root = reader.element(root, Name::Response.element(), 0, 1);
    match reader.faults.is_empty() || (mode == Mode::Lenient && !reader.fatal) {
        true => Ok(Document { root: Arc::new(root) }),
        false => {
            // What a whole element lacks is found after what is wrong inside it.
            reader.faults.sort_by_key(|fault| (fault.line, fault.column));
            Err(reader.faults)
        }
    }
}

fn not_xml(xml: &str, error: &roxmltree::Error) -> Fault {
    use roxmltree::Error as E;
    let (message, at) = match error {
        // The parser names no place for these.
        E::DtdDetected => {
            let at = xml.find("<!DOCTYPE").unwrap_or_default();
            ("a document type declaration (DTD) is not allowed".into(), Cursor::new(xml).position(at))
        }
        E::NodesLimitReached | E::AttributesLimitReached | E::NamespacesLimitReached => {
            (format!("the document is too large: at most {MAX_ELEMENTS} elements are allowed"), (1, 1))
        }
        E::UnclosedRootNode | E::UnexpectedEndOfStream | E::NoRootNode => {
            (error.to_string(), Cursor::new(xml).position(xml.len()))
        }
        _ => {
            let text = error.to_string();
            let place = error.pos();
            let message = text.strip_suffix(&format!(" at {}:{}", place.row, place.col)).unwrap_or(&text).to_owned();
            (message, (place.row, place.col))
        }
    };
    Wrong::from(format!("not well-formed XML: {message}")).at(at, None)
}

/// Byte offset → line and column. It goes forward with the reader, so that a document is walked once.
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, offset: 0, line: 1, column: 1 }
    }

    fn position(&mut self, offset: usize) -> (u32, u32) {
        if offset < self.offset {
            *self = Cursor::new(self.text);
        }
        for c in self.text.get(self.offset..offset).unwrap_or_default().chars() {
            match c {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        self.offset = offset;
        (self.line, self.column)
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    elements: usize,
    faults: Vec<Fault>,
    /// A limit is passed: there is no document in either mode.
    fatal: bool,
}

type Xml<'a, 'input> = roxmltree::Node<'a, 'input>;

impl Reader<'_> {
    /// Notes a fault; the first of an element is what it fails with.
    fn fault(&mut self, node: &mut Node, at: (u32, u32), wrong: impl Into<Wrong>) {
        let wrong = wrong.into();
        node.fault.get_or_insert_with(|| wrong.message.clone());
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(wrong.at(at, Some(node.text.clone())));
        }
    }

    fn element(&mut self, xml: Xml<'_, '_>, element: &'static Element, index: usize, depth: usize) -> Node {
        let at = self.cursor.position(xml.range().start);
        let mut node = Node {
            name: Some(element.name),
            text: element.text.into(),
            attributes: Vec::new(),
            aliases: Vec::new(),
            markup: None,
            children: Vec::new(),
            errors: Vec::new(),
            index,
            sibling: false,
            line: at.0,
            fault: None,
        };
        self.count(&mut node, at, depth);
        self.attributes(&mut node, xml, element);
        if self.fatal {
            return node;
        }
        match element.content {
            Content::Speech(name) => self.speech(&mut node, xml, name),
            Content::Attribute(name) => self.text(&mut node, xml, name),
            Content::Nothing => self.no_text(&mut node, xml, element),
        }
        self.children(&mut node, xml, element, depth);
        self.presence(&mut node, at, element);
        node
    }

    fn count(&mut self, node: &mut Node, at: (u32, u32), depth: usize) {
        self.elements += 1;
        if self.fatal {
            return;
        }
        if self.elements > MAX_ELEMENTS {
            self.fatal = true;
            self.fault(node, at, format!("more than {MAX_ELEMENTS} elements"));
        }
        if depth > MAX_DEPTH {
            self.fatal = true;
            self.fault(node, at, format!("nested deeper than {MAX_DEPTH} elements"));
        }
    }

    fn attributes(&mut self, node: &mut Node, xml: Xml<'_, '_>, element: &'static Element) {
        for written in xml.attributes() {
            let at = self.cursor.position(written.range().start);
            let Some(attribute) = element.attribute(written.name()) else {
                let known = element.attributes.iter();
                let names = known.clone().flat_map(|a| std::iter::once(&a.name).chain(a.aliases));
                let mut wrong = Wrong::from(format!("unknown attribute `{}`", written.name()));
                wrong = wrong.like(written.name(), names.copied());
                let all: Vec<String> = known.map(|attribute| format!("`{}`", attribute.name)).collect();
                self.fault(node, at, if all.is_empty() { wrong } else { wrong.expected(all.join(", ")) });
                continue;
            };
            if node.attributes.iter().any(|(name, _)| *name == attribute.name) {
                self.fault(node, at, format!("attribute `{}` is there twice", attribute.name));
                continue;
            }
            if let Some(alias) = attribute.aliases.iter().find(|a| a.eq_ignore_ascii_case(written.name())) {
                node.aliases.push(alias);
            }
            self.value(node, at, attribute, written.value());
        }
    }

    fn value(&mut self, node: &mut Node, at: (u32, u32), attribute: &'static Attribute, value: &str) {
        node.attributes.push((attribute.name, value.into()));
        if has_variable(value) {
            return;
        }
        if let Err(message) = attribute.kind.parse(value) {
            let words = if let Kind::Word(words) = attribute.kind { words } else { &[] };
            let wrong =
                Wrong::from(format!("attribute `{}`: {message}", attribute.name)).like(value, words.iter().copied());
            self.fault(node, at, wrong.expected(attribute.kind.to_string()));
        }
    }

    /// Text inside stands for the attribute `name`.
    fn text(&mut self, node: &mut Node, xml: Xml<'_, '_>, name: &'static str) {
        let text: String = xml.children().filter(|c| c.is_text()).filter_map(|c| c.text()).collect();
        self.content(node, xml, name, &text);
    }

    fn content(&mut self, node: &mut Node, xml: Xml<'_, '_>, name: &'static str, text: &str) {
        let text = text.trim();
        let Some(attribute) = node.name.and_then(|n| n.element().attribute(name)).filter(|_| !text.is_empty()) else {
            return;
        };
        let inside = xml.first_child().map_or(xml.range().start, |c| c.range().start);
        let at = self.cursor.position(inside);
        match node.attributes.iter().any(|(there, _)| *there == name) {
            true => self.fault(node, at, format!("both the attribute `{name}` and a text inside")),
            false => self.value(node, at, attribute, text),
        }
    }

    fn no_text(&mut self, node: &mut Node, xml: Xml<'_, '_>, element: &'static Element) {
        let stray = xml.children().find(|c| c.is_text() && c.text().is_some_and(|t| !t.trim().is_empty()));
        if let Some(stray) = stray {
            // Point at the first character that is not white space.
            let leading = stray.text().map_or(0, |t| t.len() - t.trim_start().len());
            let at = self.cursor.position((stray.range().start + leading).min(stray.range().end));
            self.fault(node, at, format!("`{}` takes no text", element.text));
        }
    }

    /// Text of a `<Say>` with the marks of SSML.
    fn speech(&mut self, node: &mut Node, xml: Xml<'_, '_>, name: &'static str) {
        let (mut plain, mut markup, mut marks) = (String::new(), String::new(), false);
        for child in xml.children() {
            if child.is_text() {
                plain.push_str(child.text().unwrap_or_default());
                escape(child.text().unwrap_or_default(), &mut markup);
            } else if child.is_element() && is_ssml(child.tag_name().name()) {
                marks = true;
                self.mark(node, child, &mut plain, &mut markup, 2);
            }
        }
        self.content(node, xml, name, &plain.split_whitespace().collect::<Vec<_>>().join(" "));
        if marks && !plain.trim().is_empty() {
            node.markup = Some(markup.trim().into());
        }
    }

    fn mark(&mut self, node: &mut Node, xml: Xml<'_, '_>, plain: &mut String, markup: &mut String, depth: usize) {
        let at = self.cursor.position(xml.range().start);
        let name = xml.tag_name().name();
        self.count(node, at, depth);
        if self.fatal {
            return;
        }
        if !is_ssml(name) {
            let wrong = Wrong::from(format!("`{name}` is no SSML mark")).like(name, SSML.iter().copied());
            self.fault(node, at, wrong.expected(format!("`{}`", SSML.join("`, `"))));
            return;
        }
        let lower = name.to_ascii_lowercase();
        markup.push_str(&format!("<{lower}"));
        for attribute in xml.attributes() {
            let (attribute_name, value) = (attribute.name().to_ascii_lowercase(), attribute.value());
            if !has_variable(value)
                && let Err(message) = say::check(&lower, &attribute_name, value)
            {
                let at = self.cursor.position(attribute.range().start);
                self.fault(node, at, format!("`{lower}`: attribute `{attribute_name}`: {message}"));
            }
            markup.push_str(&format!(" {}=\"", attribute.name()));
            escape(attribute.value(), markup);
            markup.push('"');
        }
        markup.push('>');
        // A pause of any kind parts words; `alias` of `sub` is what is spoken in place of the text.
        let alias = xml.attribute("alias").filter(|_| lower == "sub");
        if let Some(alias) = alias {
            plain.push_str(alias);
        }
        if matches!(lower.as_str(), "break" | "p" | "s") {
            plain.push(' ');
        }
        for child in xml.children() {
            if child.is_text() {
                let text = child.text().unwrap_or_default();
                escape(text, markup);
                if alias.is_none() {
                    plain.push_str(text);
                }
            } else if child.is_element() {
                self.mark(node, child, plain, markup, depth + 1);
            }
        }
        if matches!(lower.as_str(), "p" | "s") {
            plain.push(' ');
        }
        markup.push_str(&format!("</{lower}>"));
    }

    fn children(&mut self, node: &mut Node, xml: Xml<'_, '_>, element: &'static Element, depth: usize) {
        let speech = matches!(element.content, Content::Speech(_));
        let block = element.children == Children::Block;
        let inside = xml.children().filter(|c| c.is_element() && !(speech && is_ssml(c.tag_name().name())));
        for (index, child) in inside.enumerate() {
            if self.fatal {
                return;
            }
            let at = self.cursor.position(child.range().start);
            let written = child.tag_name().name();
            let wrong: Wrong = match language::lookup(written) {
                Lookup::Known(known) if element.takes(known.name) => {
                    let mut read = self.element(child, known, index, depth + 1);
                    match (known.name, block) {
                        (Name::Error, true) => match node.children.last_mut().and_then(Arc::get_mut) {
                            // Directly after an element, or after its other error block.
                            Some(before) => {
                                read.sibling = true;
                                before.errors.push(Arc::new(read));
                            }
                            // First in a block that can itself fail: its own.
                            None if element.name == Name::Record => node.errors.push(Arc::new(read)),
                            None => self.fault(node, at, "`Error` stands in or after the element it is for".to_owned()),
                        },
                        (Name::Error, false) => node.errors.push(Arc::new(read)),
                        _ => node.children.push(Arc::new(read)),
                    }
                    continue;
                }
                Lookup::Known(known) => format!("`{}` may not stand in `{}`", known.text, element.text).into(),
                Lookup::Later(name) => format!("`{name}` is not supported by this version").into(),
                Lookup::Unknown => {
                    let marks = SSML.iter().copied().filter(|_| speech);
                    let wrong = Wrong::from(format!("unknown element `{written}`"));
                    wrong.like(written, allowed(element).chain(marks))
                }
            };
            let wrong = wrong.expected(may_hold(element));
            let message = wrong.message.clone();
            let mut stranger = Node {
                name: None,
                text: written.into(),
                attributes: Vec::new(),
                aliases: Vec::new(),
                markup: None,
                children: Vec::new(),
                errors: Vec::new(),
                index,
                sibling: false,
                line: at.0,
                fault: None,
            };
            self.count(&mut stranger, at, depth + 1);
            self.fault(&mut stranger, at, wrong);
            match block {
                // It fails by itself when its turn comes.
                true => node.children.push(Arc::new(stranger)),
                false => _ = node.fault.get_or_insert(message),
            }
        }
    }

    fn presence(&mut self, node: &mut Node, at: (u32, u32), element: &'static Element) {
        if self.fatal {
            return;
        }
        let there = |node: &Node, name: &str| node.attributes.iter().any(|(n, _)| *n == name);
        for attribute in element.attributes {
            if attribute.required && !there(node, attribute.name) {
                let needed = match element.content {
                    Content::Attribute(name) | Content::Speech(name) if name == attribute.name => {
                        format!("the attribute `{name}` or a text inside")
                    }
                    _ => format!("the attribute `{}`", attribute.name),
                };
                self.needs(node, at, element, needed);
            }
        }
        if !element.one_of.is_empty() && !element.one_of.iter().any(|name| there(node, name)) {
            self.needs(node, at, element, format!("one of `{}`", element.one_of.join("`, `")));
        }
        if let Some((name, count)) = &element.count {
            let found = node.children.iter().filter(|c| c.name == Some(*name)).count();
            if !count.contains(&found) {
                let needed = match (count.start(), count.end()) {
                    (0, most) => format!("at most {most} `{}`, not {found}", name.as_str()),
                    (least, most) => format!("{least} to {most} `{}`, not {found}", name.as_str()),
                };
                self.needs(node, at, element, needed);
            }
        }
    }

    fn needs(&mut self, node: &mut Node, at: (u32, u32), element: &'static Element, needed: String) {
        self.fault(node, at, Wrong::from(format!("`{}` needs {needed}", element.text)).expected(needed));
    }
}

fn is_ssml(name: &str) -> bool {
    SSML.iter().any(|mark| mark.eq_ignore_ascii_case(name))
}

/// Names that may stand in `element`.
fn allowed(element: &'static Element) -> impl Iterator<Item = &'static str> {
    language::language()
        .iter()
        .filter(|child| element.takes(child.name))
        .flat_map(|child| std::iter::once(child.text).chain(child.aliases.iter().copied()))
}

/// What may stand in `element`, for a person to read.
fn may_hold(element: &'static Element) -> String {
    match element.children {
        Children::Block => "an element that runs".into(),
        Children::Only([]) => "a text".into(),
        Children::Only(names) => names.iter().map(|name| format!("`{}`", name.as_str())).collect::<Vec<_>>().join(", "),
    }
}
