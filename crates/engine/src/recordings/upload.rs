//! Brings recordings to the object store. What is due stands in the database, so that a restart goes on where the run
//! before was.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use opentact_store::Store;
use opentact_store::records::Record;
use opentact_store::types::CallState;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Archive, ArchiveError, Remote, path, remove};

/// From one look at what is due to the next, where nothing was.
const PACE: Duration = Duration::from_secs(1);
/// Recordings read at a time.
const BATCH: u64 = 100;
/// Until what is not to stay here is looked at again while its call goes on.
const LATER: Duration = Duration::from_secs(2);
/// Octets of one request; S3 wants 5 MiB at least of all parts but the last.
const PART: usize = 8 << 20;
/// From a failed attempt to the next: twice as long each time.
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

impl Archive {
    /// Uploads what is due, for ever.
    pub(crate) async fn run(self: Arc<Self>, store: Store) {
        let Some(remote) = &self.remote else { return };
        loop {
            match store.records().due(Utc::now(), BATCH).await {
                Ok(due) if due.is_empty() => tokio::time::sleep(PACE).await,
                Ok(due) => {
                    let (archive, store) = (&self, &store);
                    let uploads =
                        due.into_iter().map(|record| async move { archive.attempt(remote, store, &record).await });
                    let parallel = remote.config.parallel.max(1);
                    futures_util::stream::iter(uploads).buffer_unordered(parallel).collect::<()>().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "recordings to be uploaded cannot be read");
                    tokio::time::sleep(PACE).await;
                }
            }
        }
    }

    /// One attempt, and what became of it.
    async fn attempt(&self, remote: &Remote, store: &Store, record: &Record) {
        if !remote.config.keep_local && talks(store, record).await {
            // Its flow may play the file yet.
            if let Err(error) = store.records().postpone(record.uuid, Utc::now() + LATER).await {
                tracing::warn!(record = %record.uuid, %error, "the state of an upload is not written");
                tokio::time::sleep(PACE).await;
            }
            return;
        }
        let result = match self.upload(remote, record).await {
            Ok(()) => {
                metrics::counter!("opentact_recordings_uploaded_total").increment(1);
                self.settle(remote, store, record).await
            }
            Err(error) => {
                metrics::counter!("opentact_recording_upload_failures_total").increment(1);
                let due = next_attempt(record, &error, remote.config.give_up, Utc::now());
                match due {
                    Some(_) => tracing::warn!(record = %record.uuid, %error, "upload failed, and is tried again"),
                    None => tracing::error!(record = %record.uuid, %error, "upload failed for good"),
                }
                store.records().upload_failed(record, &error.to_string(), due).await.map(|_| ())
            }
        };
        if let Err(error) = result {
            // It is still due, and done once more.
            tracing::warn!(record = %record.uuid, %error, "the state of an upload is not written");
            tokio::time::sleep(PACE).await;
        }
    }

    async fn upload(&self, remote: &Remote, record: &Record) -> Result<(), ArchiveError> {
        let target = remote.path(record);
        let mut file = match File::open(path(&self.folder, record)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The run before was killed between upload and database.
                return match remote.store.head(&target).await {
                    Err(object_store::Error::NotFound { .. }) => Err(ArchiveError::Gone),
                    found => Ok(found.map(|_| ())?),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let first = part(&mut file).await?;
        if first.content_length() < PART {
            remote.store.put(&target, first).await?;
            return Ok(());
        }
        let mut upload = remote.store.put_multipart(&target).await?;
        let done = parts(&mut *upload, first, &mut file).await;
        if done.is_err() {
            // What is left behind there is the store's to clean up.
            let _ = upload.abort().await;
        }
        done
    }

    /// It is in the store: the file here goes, where it is not to stay.
    async fn settle(&self, remote: &Remote, store: &Store, record: &Record) -> opentact_store::Result<()> {
        if !store.records().uploaded(record.uuid).await? {
            // Deleted meanwhile.
            if let Err(error) = self.delete(record).await {
                tracing::error!(record = %record.uuid, %error, "a deleted recording stays in the object store");
            }
            return Ok(());
        }
        if !remote.config.keep_local {
            match remove(&path(&self.folder, record)).await {
                Ok(()) => drop(store.records().not_local(record.uuid).await?),
                Err(error) => tracing::error!(record = %record.uuid, %error, "an uploaded recording stays here too"),
            }
        }
        Ok(())
    }
}

/// Whether the call of a recording is not over.
async fn talks(store: &Store, record: &Record) -> bool {
    let call = store.calls().get(record.account, record.call).await;
    call.is_ok_and(|call| call.state != CallState::Destroyed)
}

async fn parts(
    upload: &mut dyn MultipartUpload,
    first: PutPayload,
    file: &mut (impl AsyncRead + Unpin),
) -> Result<(), ArchiveError> {
    let mut next = first;
    while next.content_length() > 0 {
        upload.put_part(next).await?;
        next = part(file).await?;
    }
    upload.complete().await?;
    Ok(())
}

/// The next octets; none at the end.
async fn part(file: &mut (impl AsyncRead + Unpin)) -> io::Result<PutPayload> {
    let mut octets = BytesMut::new();
    let mut limited = file.take(PART as u64);
    while limited.read_buf(&mut octets).await? > 0 {}
    Ok(octets.freeze().into())
}

/// When to try again; `None`: no more.
fn next_attempt(record: &Record, error: &ArchiveError, give_up: Duration, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if matches!(error, ArchiveError::Gone) {
        return None;
    }
    let attempts = u32::try_from(record.upload_attempts).unwrap_or(u32::MAX);
    let wait = BACKOFF.start().saturating_mul(1u32.checked_shl(attempts).unwrap_or(u32::MAX)).min(*BACKOFF.end());
    // Those that failed together do not come back together.
    let wait = wait.mul_f64(rand::random_range(0.5..1.0));
    let ended = record.created_on + TimeDelta::milliseconds(record.duration_ms);
    let due = now + wait;
    let waited = due.signed_duration_since(ended).to_std().unwrap_or_default();
    (waited <= give_up).then_some(due)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use object_store::memory::InMemory;
    use opentact_store::types::{RecordFormat, RecordState};
    use uuid::Uuid;

    use super::super::{RecordingsConfig, S3Config, UploadConfig};
    use super::*;

    fn record(attempts: i64) -> Record {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Record {
            uuid: Uuid::nil(),
            created_on: now,
            modified_on: now,
            account: Uuid::nil(),
            call: Uuid::nil(),
            tag: None,
            state: RecordState::Stored,
            format: RecordFormat::Wav,
            channels: 1,
            sample_rate: 8_000,
            duration_ms: 1_000,
            size: 16_044,
            reason: None,
            is_local: true,
            uploaded_on: None,
            upload_due: Some(now),
            upload_attempts: attempts,
            upload_error: None,
        }
    }

    #[tokio::test]
    async fn a_long_file_goes_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let config = UploadConfig {
            url: "s3://bucket/calls".parse().unwrap(),
            s3: S3Config::default(),
            keep_local: true,
            parallel: 1,
            give_up: Duration::from_secs(1),
        };
        let archive = Archive::open(RecordingsConfig { folder: folder.path().to_owned(), upload: None }).unwrap();
        let store = Arc::new(InMemory::new());
        let remote = Remote { store: store.clone(), prefix: "calls".into(), config: config.clone() };
        let elsewhere = folder.path().join("elsewhere");
        let away = Archive { folder: elsewhere, remote: Some(Remote { store, prefix: "calls".into(), config }) };
        for size in [0, 1, PART, PART + 1, 2 * PART + 12_345] {
            let uploaded_on = Some(record(0).created_on);
            let record = Record { uuid: Uuid::new_v4(), size: size as i64, uploaded_on, ..record(0) };
            let file = path(&archive.folder, &record);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let octets: Vec<u8> = (0..size).map(|n| (n / 7) as u8).collect();
            std::fs::write(&file, &octets).unwrap();
            archive.upload(&remote, &record).await.unwrap();
            let stored = remote.store.get(&remote.path(&record)).await.unwrap().bytes().await.unwrap();
            assert!(stored == octets, "{size}");
            // Killed before the database knew, and the file gone: it is there, and that is enough.
            std::fs::remove_file(&file).unwrap();
            archive.upload(&remote, &record).await.unwrap();
            // Who has no file reads the object.
            let mut audio = away.audio(&record).await.unwrap();
            let read = move || {
                let mut read = Vec::new();
                audio.read_to_end(&mut read).map(|_| read)
            };
            assert!(tokio::task::spawn_blocking(read).await.unwrap().unwrap() == octets, "{size}");
            remote.delete(&record).await.unwrap();
            assert!(matches!(archive.upload(&remote, &record).await, Err(ArchiveError::Gone)));
        }
    }

    #[test]
    fn attempts_come_ever_more_seldom_and_end() {
        let day = Duration::from_secs(86_400);
        let error = ArchiveError::Url("away".into());
        let now = record(0).created_on;
        for (attempts, least, most) in
            [(0, 500, 1_000), (3, 4_000, 8_000), (9, 256_000, 512_000), (500, 300_000, 600_000)]
        {
            let due = next_attempt(&record(attempts), &error, day, now).unwrap();
            let wait = due.signed_duration_since(now).num_milliseconds();
            assert!((least..=most).contains(&wait), "{attempts}: {wait} ms");
        }
        assert_eq!(next_attempt(&record(9), &error, day, now + TimeDelta::days(1)), None);
        assert_eq!(next_attempt(&record(0), &ArchiveError::Gone, day, now), None);
    }
}
