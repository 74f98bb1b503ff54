//! The thread that writes: whatever waits, in one transaction. One that fails takes back what it wrote itself, and nothing of
//! the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::direct::{Direct, Opening};
use super::{Turn, custom};
use crate::{Result, StoreError};

/// Jobs of one transaction at most.
const TOGETHER: usize = 64;
/// Jobs that wait; one more waits to wait.
const WAITING: usize = 1_024;

/// Writes, and is told whether that was committed; or why it cannot.
pub(super) type Job = Box<dyn FnOnce(Result<&Direct, String>) -> Ended + Send>;

/// What came of a job.
pub(super) struct Ended {
    /// Whether what it wrote is to stay.
    pub(super) kept: bool,
    /// Why the transaction it was part of is not on disk, or that it is.
    pub(super) tell: Box<dyn FnOnce(Result<(), String>) + Send>,
}

#[derive(Debug)]
pub(super) struct Group {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Group {
    pub(super) fn start(opening: &Opening, turn: Turn) -> Result<Group> {
        let direct = Direct::open(opening).map_err(|error| custom(error.to_string()))?;
        let (jobs, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || run(&direct, &turn, waiting)).map_err(|error| custom(error.to_string()))?;
        Ok(Group { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn run(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().clone().ok_or_else(closed)?;
        jobs.send(job).await.map_err(|_| closed())
    }

    pub(super) async fn close(&self) {
        self.jobs.lock().take();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It logs what ends it before its time.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn closed() -> StoreError {
    custom("the database is closed")
}

fn run(direct: &Direct, turn: &Turn, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(TOGETHER);
    while let Some(first) = waiting.blocking_recv() {
        let _turn = turn.blocking_lock();
        jobs.push(first);
        while jobs.len() < TOGETHER
            && let Ok(job) = waiting.try_recv()
        {
            jobs.push(job);
        }
        let mut left = std::mem::take(&mut jobs).into_iter();
        while left.len() > 0 {
            commit(direct, &mut left);
        }
    }
}

/// Takes jobs into one transaction until there are no more, or an error ends it.
fn commit(direct: &Direct, jobs: &mut impl Iterator<Item = Job>) {
    let mut written: Vec<Ended> = Vec::new();
    let mut result = direct.run("BEGIN IMMEDIATE");
    if result.is_err() {
        written.extend(jobs.by_ref().map(|job| job(result.clone().map(|()| direct))));
    }
    for job in jobs {
        let begun = direct.run("SAVEPOINT job").map(|()| direct);
        let ended = catch_unwind(AssertUnwindSafe(|| job(begun))).ok();
        let kept = ended.as_ref().is_some_and(|ended| ended.kept);
        let closed = if kept { direct.run("RELEASE job") } else { back(direct) };
        written.extend(ended);
        if let Err(error) = closed {
            result = Err(error);
            break;
        }
    }
    result = result.and_then(|()| direct.run("COMMIT"));
    if let Err(error) = &result {
        tracing::error!(error, "a transaction was not written");
        if direct.in_transaction() {
            // Nothing is kept: that is what it is for.
            let _ = direct.run("ROLLBACK");
        }
    }
    for ended in written {
        (ended.tell)(result.clone());
    }
}

/// Takes back what one job wrote.
fn back(direct: &Direct) -> Result<(), String> {
    direct.run("ROLLBACK TO job")?;
    direct.run("RELEASE job")
}
