//! What is known of each message, and when.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The first recipient.
pub const FIRST: u64 = 12_060_000_000;

#[derive(Debug, Clone, Copy, Default)]
struct Message {
    asked: Option<Instant>,
    accepted: Option<Instant>,
    submitted: Option<Instant>,
    told: Option<Instant>,
}

/// Of the job that runs.
#[derive(Debug, Default)]
pub struct Tally {
    messages: RefCell<Vec<Message>>,
    /// Recipient of the first message of the job: each job has its own.
    first: Cell<u64>,
    begun: Cell<Option<Instant>>,
    last: RefCell<Vec<u8>>,
    refused: Cell<u64>,
    doubled: Cell<u64>,
    told: Cell<u64>,
    /// A message was told of.
    pub progress: Notify,
}

impl Tally {
    pub fn begin(&self, messages: u64, last: &str) {
        let before = self.messages.borrow().len() as u64;
        self.first.set(if self.begun.get().is_none() { FIRST } else { self.first.get() + before });
        *self.messages.borrow_mut() = vec![Message::default(); usize::try_from(messages).unwrap_or_default()];
        *self.last.borrow_mut() = last.as_bytes().to_vec();
        self.begun.set(Some(Instant::now()));
        self.refused.set(0);
        self.doubled.set(0);
        self.told.set(0);
    }

    pub fn recipient(&self, number: u64) -> u64 {
        self.first.get() + number
    }

    /// Messages that are over, one way or the other.
    pub fn over(&self) -> u64 {
        self.told.get() + self.refused.get()
    }

    fn with(&self, recipient: u64, change: impl FnOnce(&mut Message)) {
        let mut messages = self.messages.borrow_mut();
        let index = recipient.checked_sub(self.first.get()).and_then(|index| usize::try_from(index).ok());
        if let Some(message) = index.and_then(|index| messages.get_mut(index)) {
            change(message);
        }
    }

    pub fn asked(&self, recipient: u64) {
        self.with(recipient, |message| message.asked = Some(Instant::now()));
    }

    pub fn accepted(&self, recipient: u64) {
        self.with(recipient, |message| message.accepted = Some(Instant::now()));
    }

    pub fn refused(&self) {
        self.refused.set(self.refused.get() + 1);
        self.progress.notify_one();
    }

    pub fn submitted(&self, recipient: u64) {
        self.with(recipient, |message| match message.submitted {
            Some(_) => self.doubled.set(self.doubled.get() + 1),
            None => message.submitted = Some(Instant::now()),
        });
    }

    /// What the web server was told: `text` has the recipient behind `to=` or `"to":`.
    pub fn heard(&self, text: &[u8]) {
        if memchr::memmem::find(text, &self.last.borrow()).is_none() {
            return;
        }
        let Some(recipient) = ["\"to\":", "to=%2B", "to="].iter().find_map(|mark| number_behind(text, mark.as_bytes()))
        else {
            return;
        };
        self.with(recipient, |message| {
            if message.told.is_none() {
                message.told = Some(Instant::now());
                self.told.set(self.told.get() + 1);
            }
        });
        self.progress.notify_one();
    }

    pub fn report(&self) -> Value {
        let messages = self.messages.borrow();
        let begun = self.begun.get();
        let since = |from: fn(&Message) -> Option<Instant>, to: fn(&Message) -> Option<Instant>| {
            let mut spans: Vec<Duration> =
                messages.iter().filter_map(|one| Some(to(one)?.saturating_duration_since(from(one)?))).collect();
            spans.sort_unstable();
            spans
        };
        let share = |spans: &[Duration], share: f64| {
            let index = ((spans.len() as f64 * share) as usize).min(spans.len().saturating_sub(1));
            spans.get(index).map(|span| span.as_secs_f64() * 1000.0)
        };
        let took = |at: fn(&Message) -> Option<Instant>| {
            let last = messages.iter().filter_map(at).max();
            begun.zip(last).map(|(begun, last)| last.duration_since(begun).as_secs_f64())
        };
        let count = |at: fn(&Message) -> Option<Instant>| messages.iter().filter(|one| at(one).is_some()).count();
        let answer = since(|one| one.asked, |one| one.accepted);
        let submit = since(|one| one.accepted, |one| one.submitted);
        let told = since(|one| one.accepted, |one| one.told);
        json!({
            "accepted": count(|one| one.accepted), "refused": self.refused.get(), "submitted": count(|one| one.submitted),
            "doubled": self.doubled.get(), "told": self.told.get(),
            "accept_seconds": took(|one| one.accepted), "seconds": took(|one| one.told),
            "answer_p50": share(&answer, 0.5), "answer_p99": share(&answer, 0.99),
            "submit_p50": share(&submit, 0.5), "submit_p99": share(&submit, 0.99),
            "told_p50": share(&told, 0.5), "told_p99": share(&told, 0.99),
        })
    }
}

fn number_behind(text: &[u8], mark: &[u8]) -> Option<u64> {
    let rest = text.get(memchr::memmem::find(text, mark)? + mark.len()..)?;
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    let digits = rest.iter().take_while(|c| c.is_ascii_digit());
    let number = digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (number >= FIRST).then_some(number)
}
