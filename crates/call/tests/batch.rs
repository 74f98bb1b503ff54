//! Batches in virtual time: with a store of their items, a network that answers as it likes, and crashes in between.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use opentact_call::batch::{Batch, End, Input, Output, Plan, Retries, Start, Verdict, Window};
use opentact_call::{Now, Q850};
use rand::prelude::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn plan(per_second: f64, max_concurrent: u32) -> Plan {
    Plan { per_second, max_concurrent, expires: None, window: None, retries: Retries::default() }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Waiting { due: DateTime<Utc> },
    Calling,
    Done,
    Failed,
}

#[derive(Debug, Clone)]
struct Item {
    state: State,
    attempts: u32,
    /// How each of its calls has ended.
    ends: Vec<End>,
}

/// A call that will end.
struct Live {
    item: usize,
    at: Instant,
    end: Option<End>,
}

struct World {
    random: StdRng,
    plan: Plan,
    now: Now,
    start: Now,
    batch: Batch,
    items: Vec<Item>,
    live: Vec<Live>,
    /// When calls began.
    begun: Vec<Now>,
    paused: bool,
    canceled: bool,
    finished: bool,
    /// How often it was begun: once, whatever happens.
    begins: u32,
    /// How often a call cannot be begun just now.
    full: f64,
    /// Longest a call takes, in milliseconds.
    longest: u64,
    most: u32,
}

impl World {
    fn new(seed: u64, plan: Plan, items: usize, at: DateTime<Utc>) -> World {
        let now = Now { instant: Instant::now(), utc: at };
        let waiting = Item { state: State::Waiting { due: at }, attempts: 0, ends: Vec::new() };
        let mut world = World {
            random: StdRng::seed_from_u64(seed),
            batch: Batch::new(now, plan.clone(), Start::New),
            plan,
            now,
            start: now,
            items: vec![waiting; items],
            live: Vec::new(),
            begun: Vec::new(),
            paused: false,
            canceled: false,
            finished: false,
            begins: 0,
            full: 0.0,
            longest: 20_000,
            most: 0,
        };
        world.drain();
        world
    }

    fn next_due(&self) -> Option<DateTime<Utc>> {
        let due = |item: &Item| match item.state {
            State::Waiting { due } => Some(due),
            _ => None,
        };
        self.items.iter().filter_map(due).min()
    }

    fn drain(&mut self) {
        while let Some(output) = self.batch.poll() {
            assert!(!self.finished, "{output:?} after the end");
            match output {
                Output::Begin => self.begins += 1,
                Output::Claim { count } => self.claim(count),
                Output::Drop { expired } => {
                    assert_eq!(expired, !self.canceled);
                    assert!(self.canceled || self.plan.expires.unwrap() <= self.now.utc);
                    for item in self.items.iter_mut().filter(|item| matches!(item.state, State::Waiting { .. })) {
                        item.state = State::Failed;
                    }
                }
                Output::Finish => {
                    assert!(self.items.iter().all(|item| matches!(item.state, State::Done | State::Failed)));
                    self.finished = true;
                }
            }
        }
    }

    fn claim(&mut self, count: u32) {
        assert!(count > 0 && !self.paused && !self.canceled);
        assert!(self.plan.window.is_none_or(|window| window.is_open(self.now.utc)), "called at {}", self.now.utc);
        assert!(self.plan.expires.is_none_or(|at| self.now.utc < at));
        let mut due: Vec<(DateTime<Utc>, usize)> = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            if let State::Waiting { due: at } = item.state
                && at <= self.now.utc
            {
                due.push((at, index));
            }
        }
        due.sort();
        let claimed: Vec<usize> = due.into_iter().take(count as usize).map(|(_, index)| index).collect();
        for index in &claimed {
            let item = &mut self.items[*index];
            item.state = State::Calling;
            item.attempts += 1;
            assert!(item.attempts <= 1 + self.plan.retries.max, "called too often");
            if let Some(last) = item.ends.last() {
                assert!(!last.answered && self.plan.retries.on.contains(&last.cause), "called again after {last:?}");
            }
            // `None`: it cannot be begun.
            let end = (!self.random.random_bool(self.full)).then(|| End {
                answered: self.random.random_bool(0.5),
                cause: [Q850::USER_BUSY, Q850::NO_ANSWER, Q850::NORMAL_CLEARING][self.random.random_range(0..3)],
            });
            let length = if end.is_some() { self.random.random_range(1..=self.longest) } else { 0 };
            self.live.push(Live { item: *index, at: self.now.instant + Duration::from_millis(length), end });
            if end.is_some() {
                self.begun.push(self.now);
            }
        }
        let next = self.next_due();
        let count = u32::try_from(claimed.len()).unwrap();
        self.most = self.most.max(u32::try_from(self.live.len()).unwrap());
        assert!(self.live.len() <= self.plan.max_concurrent as usize, "too many at once");
        self.batch.handle(self.now, Input::Claimed { count, next });
    }

    /// A call is over, or could not be begun.
    fn end(&mut self, index: usize) {
        let Live { item, end, .. } = self.live.remove(index);
        let input = match end {
            Some(end) => Input::Ended { again: self.settle(item, end) },
            None => {
                let item = &mut self.items[item];
                item.attempts -= 1;
                item.state = State::Waiting { due: self.now.utc };
                Input::Postponed { after: Duration::from_secs(2) }
            }
        };
        self.batch.handle(self.now, input);
        self.drain();
    }

    fn settle(&mut self, item: usize, end: End) -> Option<DateTime<Utc>> {
        let item = &mut self.items[item];
        item.ends.push(end);
        match self.plan.verdict(self.now.utc, item.attempts, end) {
            Verdict::Done => item.state = State::Done,
            Verdict::Failed => item.state = State::Failed,
            Verdict::Again(due) => {
                assert!(due >= self.now.utc + self.plan.retries.delay);
                item.state = State::Waiting { due };
                return Some(due);
            }
        }
        None
    }

    /// Goes to what happens next; false when nothing will.
    fn step(&mut self) -> bool {
        let over = self.live.iter().enumerate().min_by_key(|(_, live)| live.at).map(|(index, live)| (live.at, index));
        match (over, self.batch.deadline()) {
            (Some((at, index)), deadline) if deadline.is_none_or(|deadline| at <= deadline) => {
                self.go(at);
                self.end(index);
            }
            (_, Some(deadline)) => {
                assert!(deadline > self.now.instant, "a deadline that stays");
                self.go(deadline);
                self.batch.handle(self.now, Input::Tick);
                self.drain();
            }
            _ => return false,
        }
        true
    }

    fn go(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + passed, utc: self.now.utc + passed };
    }

    /// The process is killed and started again: what was being called is known to have ended, and how.
    fn crash(&mut self) {
        let lost = End { answered: false, cause: Q850::TEMPORARY_FAILURE };
        let calls: Vec<Live> = self.live.drain(..).collect();
        self.go(self.now.instant + Duration::from_secs(5));
        for call in calls {
            let end = call.end.filter(|_| self.random.random_bool(0.5)).unwrap_or(lost);
            self.settle(call.item, end);
        }
        let start = match (self.canceled, self.paused) {
            (true, _) => Start::Canceled,
            (false, true) => Start::Paused,
            _ if self.begins > 0 => Start::Running,
            _ => Start::New,
        };
        self.batch = Batch::new(self.now, self.plan.clone(), start);
        self.drain();
    }

    fn run(&mut self) {
        for _ in 0..1_000_000 {
            if self.finished {
                return;
            }
            if !self.step() {
                break;
            }
        }
        assert!(self.finished, "it never ends");
    }

    /// In no second begin more than are allowed.
    fn check_pace(&self) {
        let most = (self.plan.per_second + (self.plan.per_second / 10.0).max(1.0) + 1.0) as usize;
        for (index, first) in self.begun.iter().enumerate() {
            let within =
                self.begun[index..].iter().take_while(|at| at.instant - first.instant < Duration::from_secs(1));
            let count = within.count();
            assert!(count <= most, "{count} in a second, {most} at most");
        }
    }
}

#[test]
fn whatever_happens_nobody_is_called_too_often_too_fast_or_at_night() {
    for seed in 0..2_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let zone = ["UTC", "America/New_York", "Asia/Kolkata"][random.random_range(0..3)];
        let window = random.random_bool(0.3).then(|| Window::new(Some("09:00"), Some("17:30"), &[], zone).unwrap());
        // Around the days on which New York sets its clocks.
        let start = utc(["2026-03-08T05:00:00Z", "2026-11-01T04:00:00Z"][random.random_range(0..2)])
            + TimeDelta::seconds(random.random_range(0..86_400));
        let plan = Plan {
            per_second: [0.2, 1.0, 7.5, 50.0][random.random_range(0..4)],
            max_concurrent: random.random_range(1..40),
            expires: random.random_bool(0.3).then(|| start + TimeDelta::seconds(random.random_range(1..40_000))),
            window,
            retries: Retries {
                max: random.random_range(0..4),
                delay: Duration::from_secs(random.random_range(0..600)),
                on: vec![Q850::USER_BUSY, Q850::NO_ANSWER],
            },
        };
        let mut world = World::new(seed, plan, random.random_range(1..60), start);
        world.full = 0.05;
        while !world.finished {
            match random.random_range(0..60) {
                0 => world.crash(),
                1 | 2 if world.paused => {
                    world.paused = false;
                    world.batch.handle(world.now, Input::Resume);
                }
                3 if !world.canceled => {
                    world.paused = true;
                    world.batch.handle(world.now, Input::Pause);
                }
                4 if random.random_bool(0.02) => {
                    world.canceled = true;
                    world.batch.handle(world.now, Input::Cancel);
                }
                _ if !world.step() => {
                    assert!(world.paused, "seed {seed}: it waits for nothing");
                    assert!(world.batch.is_at_rest());
                    world.paused = false;
                    world.batch.handle(world.now, Input::Resume);
                }
                _ => {}
            }
            world.drain();
        }
        world.check_pace();
        assert!(world.begins <= 1, "seed {seed}");
    }
}

#[test]
fn a_batch_is_called_at_its_pace() {
    let mut world = World::new(1, plan(50.0, 10_000), 500, utc("2026-07-01T12:00:00Z"));
    world.run();
    world.check_pace();
    let last = world.begun.last().unwrap().instant - world.start.instant;
    assert!((9.9..10.5).contains(&last.as_secs_f64()), "{last:?}");
}

#[test]
fn a_slow_pace_is_kept_too() {
    let mut world = World::new(2, plan(0.1, 5), 4, utc("2026-07-01T12:00:00Z"));
    world.run();
    let gaps = world.begun.windows(2).map(|two| (two[1].instant - two[0].instant).as_secs_f64());
    assert!(gaps.into_iter().all(|gap| gap > 9.99));
}

#[test]
fn no_more_are_called_at_once_than_is_allowed() {
    let mut world = World::new(3, plan(1000.0, 7), 300, utc("2026-07-01T12:00:00Z"));
    world.run();
    assert_eq!(world.most, 7);
}

#[test]
fn calls_begin_when_the_window_opens_there() {
    let days = ["mon-fri".to_owned()];
    let window = Window::new(Some("09:00"), Some("17:00"), &days, "America/New_York").unwrap();
    for (start, first) in [
        // A Saturday, and the Monday after it.
        ("2026-07-04T15:00:00Z", "2026-07-06T13:00:00Z"),
        // Clocks are set forward on the Sunday in between, and back.
        ("2026-03-07T02:00:00Z", "2026-03-09T13:00:00Z"),
        ("2026-10-31T02:00:00Z", "2026-11-02T14:00:00Z"),
    ] {
        let mut world = World::new(4, Plan { window: Some(window), ..plan(1.0, 1) }, 1, utc(start));
        world.run();
        assert_eq!(world.begun[0].utc, utc(first));
    }
}

#[test]
fn an_hour_that_comes_twice_is_open_twice_and_one_that_is_left_out_never() {
    let zone = "America/New_York";
    let window = Window::new(Some("01:15"), Some("01:45"), &[], zone).unwrap();
    for open in ["2026-11-01T05:15:00Z", "2026-11-01T06:15:00Z", "2026-11-01T06:45:00Z"] {
        assert!(window.is_open(utc(open)), "{open}");
    }
    assert!(!window.is_open(utc("2026-11-01T06:00:00Z")));
    let window = Window::new(Some("02:10"), Some("02:50"), &[], zone).unwrap();
    let hours = (0..24 * 60).map(|minute| utc("2026-03-08T05:00:00Z") + TimeDelta::minutes(minute));
    assert_eq!(hours.filter(|at| window.is_open(*at)).count(), 0);
}

#[test]
fn what_is_no_window_is_refused() {
    let days = |text: &str| vec![text.to_owned()];
    assert_eq!(Window::new(Some("9:00"), None, &[], "UTC"), Err("from"));
    assert_eq!(Window::new(Some("09:00:30"), None, &[], "UTC"), Err("from"));
    assert_eq!(Window::new(None, Some("24:01"), &[], "UTC"), Err("to"));
    assert_eq!(Window::new(None, None, &days("someday"), "UTC"), Err("days"));
    assert_eq!(Window::new(None, None, &[], "Utopia"), Err("time_zone"));
    let night = Window::new(Some("22:00"), Some("06:00"), &days("fri"), "UTC").unwrap();
    assert!(night.is_open(utc("2026-07-04T05:00:00Z")) && !night.is_open(utc("2026-07-03T05:00:00Z")));
}

#[test]
fn verdicts_follow_the_rule() {
    let at = utc("2026-07-01T12:00:00Z");
    let retries = Retries { max: 2, delay: Duration::from_secs(60), on: vec![Q850::USER_BUSY] };
    let plan = Plan { expires: Some(at + TimeDelta::seconds(100)), retries, ..plan(1.0, 1) };
    let busy = End { answered: false, cause: Q850::USER_BUSY };
    assert_eq!(plan.verdict(at, 1, busy), Verdict::Again(at + TimeDelta::seconds(60)));
    assert_eq!(plan.verdict(at, 2, busy), Verdict::Again(at + TimeDelta::seconds(60)));
    assert_eq!(plan.verdict(at, 3, busy), Verdict::Failed);
    assert_eq!(plan.verdict(at + TimeDelta::seconds(40), 1, busy), Verdict::Failed);
    assert_eq!(plan.verdict(at, 1, End { answered: false, cause: Q850::NO_ANSWER }), Verdict::Failed);
    assert_eq!(plan.verdict(at, 1, End { answered: true, ..busy }), Verdict::Done);
}
