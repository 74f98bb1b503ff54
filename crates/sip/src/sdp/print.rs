//! Printing in the order RFC 8866 5 prescribes.

use std::fmt;

use bytes::Bytes;

use super::{Attribute, Connection, Line, Media, Session};

impl Session {
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.to_string())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(f, "v=0\r\no={} {} {} {}\r\n", origin.username, origin.session_id, origin.version, origin.address)?;
        write!(f, "s={}\r\n", self.name)?;
        lines(f, &self.lines, before_connection)?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        lines(f, &self.lines, |letter| letter == 'b')?;
        if !self.lines.iter().any(|line| line.letter == 't') {
            f.write_str("t=0 0\r\n")?;
        }
        lines(f, &self.lines, |letter| letter != 'b' && !before_connection(letter))?;
        attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(ports) = self.ports {
            write!(f, "/{ports}")?;
        }
        write!(f, " {}", self.protocol)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        lines(f, &self.lines, before_connection)?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        lines(f, &self.lines, |letter| !before_connection(letter))?;
        attributes(f, &self.attributes)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network, self.family, self.address)
    }
}

fn before_connection(letter: char) -> bool {
    matches!(letter, 'i' | 'u' | 'e' | 'p')
}

fn lines(f: &mut fmt::Formatter<'_>, lines: &[Line], which: impl Fn(char) -> bool) -> fmt::Result {
    lines.iter().filter(|line| which(line.letter)).try_for_each(|line| write!(f, "{}={}\r\n", line.letter, line.value))
}

fn attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    attributes.iter().try_for_each(|attribute| match &attribute.value {
        Some(value) => write!(f, "a={}:{}\r\n", attribute.name, value),
        None => write!(f, "a={}\r\n", attribute.name),
    })
}
