use super::{Attribute, Connection, Line, Media, Origin, SdpError, Session};

/// Most streams of one description.
const MAX_MEDIA: usize = 64;
/// Most lines of one description.
const MAX_LINES: usize = 4_096;

impl Session {
    /// Parses a description. Lines may end with LF alone; octets that are not UTF-8 become U+FFFD.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let text = String::from_utf8_lossy(body);
        let mut parser = Parser::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.trim_end_matches('\r');
            if index >= MAX_LINES {
                return Err(SdpError::Malformed { line: index + 1, what: "too many lines" });
            }
            if line.is_empty() {
                continue;
            }
            if line.contains('\r') {
                return Err(SdpError::Malformed { line: index + 1, what: "carriage return within a line" });
            }
            parser.line(line).map_err(|what| SdpError::Malformed { line: index + 1, what })?;
        }
        parser.finish()
    }
}

#[derive(Default)]
struct Parser {
    version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    lines: Vec<Line>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let (letter, value) = match line.split_once('=') {
            Some((letter, value)) if letter.len() == 1 => (letter.as_bytes()[0], value),
            _ => return Err("not of the form letter=value"),
        };
        if !self.version && letter != b'v' {
            return Err("v= must come first");
        }
        match letter {
            b'v' if self.version => return Err("v= repeated"),
            b'v' if value.trim() != "0" => return Err("unknown version"),
            b'v' => self.version = true,
            b'o' if self.origin.is_some() => return Err("o= repeated"),
            b'o' => self.origin = Some(origin(value)?),
            b's' if self.name.is_some() => return Err("s= repeated"),
            b's' => self.name = Some(value.to_owned()),
            b'm' if self.media.len() == MAX_MEDIA => return Err("too many streams"),
            b'm' => self.media.push(media(value)?),
            b'c' => {
                let connection = connection(value)?;
                match self.media.last_mut() {
                    // A stream may have several addresses (RFC 8866 5.7); the first is used.
                    Some(media) if media.connection.is_some() => {
                        media.lines.push(Line { letter: 'c', value: value.to_owned() });
                    }
                    Some(media) => media.connection = Some(connection),
                    None if self.connection.is_some() => return Err("c= repeated"),
                    None => self.connection = Some(connection),
                }
            }
            b'a' => {
                let attribute = match value.split_once(':') {
                    Some((name, value)) => Attribute::new(name, value),
                    None => Attribute::flag(value.trim_end()),
                };
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            letter => {
                let line = Line { letter: char::from(letter), value: value.to_owned() };
                match self.media.last_mut() {
                    Some(media) => media.lines.push(line),
                    None => self.lines.push(line),
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Session, SdpError> {
        let missing = |what| SdpError::Malformed { line: 1, what };
        if !self.version {
            return Err(missing("v= missing"));
        }
        Ok(Session {
            origin: self.origin.ok_or(missing("o= missing"))?,
            // RFC 8866 5.3 wants it, but senders that leave it out are understood.
            name: self.name.unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            lines: self.lines,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

fn origin(value: &str) -> Result<Origin, &'static str> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let [username, session_id, version, network, family, address] = fields[..] else {
        return Err("o= needs six fields");
    };
    let number = |text: &str| {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err("number expected in o=");
        }
        // Some senders write NTP times with more digits than 64 bits hold; the last ones tell sessions apart.
        let tail = &text[text.len().saturating_sub(19)..];
        tail.parse::<u64>().map_err(|_| "number expected in o=")
    };
    Ok(Origin {
        username: username.to_owned(),
        session_id: number(session_id)?,
        version: number(version)?,
        address: Connection { network: network.to_owned(), family: family.to_owned(), address: address.to_owned() },
    })
}

fn connection(value: &str) -> Result<Connection, &'static str> {
    let mut fields = value.split_ascii_whitespace();
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(network), Some(family), Some(address), None) => {
            Ok(Connection { network: network.to_owned(), family: family.to_owned(), address: address.to_owned() })
        }
        _ => Err("c= needs three fields"),
    }
}

fn media(value: &str) -> Result<Media, &'static str> {
    let mut fields = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("m= needs a kind, a port and a protocol");
    };
    let (port, ports) = match port.split_once('/') {
        Some((port, ports)) => (port, Some(ports.parse().map_err(|_| "number of ports expected in m=")?)),
        None => (port, None),
    };
    let formats: Vec<String> = fields.map(str::to_owned).collect();
    if formats.is_empty() {
        return Err("m= needs a format");
    }
    Ok(Media {
        kind: kind.to_owned(),
        port: port.parse().map_err(|_| "port expected in m=")?,
        ports,
        protocol: protocol.to_owned(),
        formats,
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
    })
}
