//! Mutations that know what a message looks like: of one that is right, some lines become others that may stand there, are
//! repeated, left out, folded or written in another case, so that most of what comes out gets past the first check. Every
//! other time the octets are changed as the fuzzer does by itself. And what several targets begin with.

mod audio;
mod leg;
mod sdp;
mod sip;

pub use audio::{forgive, read as read_audio, seal as seal_ogg};
pub use leg::leg_config;
pub use sdp::SDP;
pub use sip::SIP;

/// A language of lines.
pub struct Grammar {
    /// Whole messages that are right.
    pub messages: &'static [&'static str],
    /// First lines.
    pub starts: &'static [&'static str],
    /// What a line may begin with, and what may follow.
    pub fields: &'static [(&'static str, &'static [&'static str])],
    /// What ends a name: `: ` or `=`.
    pub colon: &'static str,
}

/// An xorshift generator: the same seed makes the same message.
struct Dice(u64);

impl Dice {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 1 | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.roll(of.len());
        of.get(at).copied()
    }
}

/// Changes `data[..size]` in place and returns the new size, `max` at most: a libFuzzer custom mutator. `skip` octets in
/// front are not part of the message.
pub fn mutate(grammar: &Grammar, skip: usize, data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    if dice.roll(2) == 0 || size <= skip {
        return libfuzzer_sys::fuzzer_mutate(data, size, max);
    }
    let mut message = data[skip..size].to_vec();
    for _ in 0..=dice.roll(3) {
        message = grammar.change(&message, &mut dice);
    }
    let length = message.len().min(max.min(data.len()).saturating_sub(skip));
    data[skip..skip + length].copy_from_slice(&message[..length]);
    skip + length
}

impl Grammar {
    fn line(&self, dice: &mut Dice) -> Vec<u8> {
        let Some((name, values)) = dice.one(self.fields) else { return Vec::new() };
        [name, self.colon, dice.one(values).unwrap_or_default()].concat().into_bytes()
    }

    /// The place of the values that may stand behind this line's name.
    fn values(&self, line: &[u8]) -> Option<(&'static str, &'static [&'static str])> {
        let same = |name: &str| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                && line[name.len()..].starts_with(self.colon.trim_end().as_bytes())
        };
        self.fields.iter().find(|(name, _)| same(name)).copied()
    }

    fn change(&self, message: &[u8], dice: &mut Dice) -> Vec<u8> {
        let text: Vec<&[u8]> = message.split(|octet| *octet == b'\n').collect();
        let mut lines: Vec<Vec<u8>> =
            text.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect();
        let at = dice.roll(lines.len());
        let what = dice.roll(13);
        match what {
            0 => lines.insert(at, self.line(dice)),
            1 => drop(lines.remove(at)),
            2 => lines.insert(dice.roll(lines.len()), lines[at].clone()),
            3 => lines.swap(at, dice.roll(text.len())),
            4 => lines[0] = dice.one(self.starts).unwrap_or_default().as_bytes().to_vec(),
            5 => return dice.one(self.messages).unwrap_or_default().replace('\n', "\r\n").into_bytes(),
            // Another message behind it.
            6 => {
                let more = dice.one(self.messages).unwrap_or_default().replace('\n', "\r\n");
                return [message, more.as_bytes()].concat();
            }
            7 => {
                let upper = dice.roll(2) == 0;
                lines[at].iter_mut().for_each(|octet| match upper {
                    true => octet.make_ascii_uppercase(),
                    false => octet.make_ascii_lowercase(),
                });
            }
            // A fold, or white space where it may stand.
            8 => {
                let place = dice.roll(lines[at].len());
                let space: &[u8] = dice.one(&[&b"\r\n "[..], b" ", b"\t", b"  "]).unwrap_or_default();
                lines[at].splice(place..place, space.iter().copied());
            }
            // A piece of the line again, or without it.
            9 => {
                let (from, to) = (dice.roll(lines[at].len()), dice.roll(lines[at].len()));
                let (from, to) = (from.min(to), from.max(to));
                let piece = lines[at][from..to].to_vec();
                let count = dice.one(&[0, 2, 2, 40]).unwrap_or(0);
                lines[at].splice(from..to, piece.repeat(count));
            }
            // What is said of the length is true again.
            10 => {
                if let Some(end) = lines.iter().position(Vec::is_empty) {
                    let body: usize =
                        lines[end + 1..].iter().map(|line| line.len() + 2).sum::<usize>().saturating_sub(2);
                    if let Some(length) = lines[..end].iter_mut().find(|line| line.starts_with(b"Content-Length")) {
                        *length = format!("Content-Length: {body}").into_bytes();
                    }
                }
            }
            _ => match self.values(&lines[at]) {
                Some((name, values)) => {
                    let value = dice.one(values).unwrap_or_default();
                    lines[at] = [name, self.colon, value].concat().into_bytes();
                }
                None => lines[at] = self.line(dice),
            },
        }
        lines.join(&b"\r\n"[..])
    }
}
