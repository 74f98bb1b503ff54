//! The contacts of SIP users over a restart: a writer that keeps up behind the registrar, and what is read at start.
//!
//! A REGISTER is answered before its row is written: the phone of one that is lost with the process comes again when its
//! time is over, as it would have without any of this. For each user only the newest state waits, so that a slow database
//! costs no more memory than the registrar itself.

use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_sip::registrar::Binding;
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::registrations::Registration;
use opentact_store::types::to_millis;
use opentact_store::{Json, Store};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::transport::Transports;

/// Users whose contacts one commit writes.
const BATCH: usize = 1_000;
/// From the begin of one batch to that of the next at least, unless it would be full: what comes meanwhile is written
/// together, which costs far less. What comes after a silence is written at once.
const PACE: Duration = Duration::from_millis(100);
/// How long a contact that came again and has changed nothing but its time may wait for others. A node that is killed
/// meanwhile knows it until its former time; phones come again at half of it.
const REST: Duration = Duration::from_secs(5);
/// Before a batch that the database refused is tried again.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long the end of the node waits for what is not written yet.
const FAREWELL: Duration = Duration::from_secs(5);

/// Where the core leaves what has changed.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Waiting>);

/// How long what is left may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Haste {
    /// Only the time of a contact is another.
    #[default]
    Rest,
    Soon,
}

#[derive(Default)]
struct Waiting {
    /// Newest rows of each user that are not written.
    changed: Mutex<HashMap<Uuid, Vec<Registration>>>,
    /// Told of those that are not to wait, and of a full batch.
    wake: Notify,
}

impl Desk {
    /// Leaves the contacts a user has now. Never waits.
    pub(crate) fn leave(&self, sip_user: Uuid, rows: Vec<Registration>, haste: Haste) {
        let waiting = {
            let mut changed = self.0.changed.lock();
            changed.insert(sip_user, rows);
            changed.len()
        };
        if haste == Haste::Soon || waiting >= BATCH {
            self.0.wake.notify_one();
        }
    }

    /// Takes a batch; what is left stays for the next.
    fn take(&self) -> HashMap<Uuid, Vec<Registration>> {
        let mut changed = self.0.changed.lock();
        if changed.len() <= BATCH {
            return mem::take(&mut *changed);
        }
        let users: Vec<Uuid> = changed.keys().copied().take(BATCH).collect();
        users.into_iter().filter_map(|user| changed.remove_entry(&user)).collect()
    }

    /// Puts a batch back that was not written; what has come meanwhile is newer.
    fn put_back(&self, batch: HashMap<Uuid, Vec<Registration>>) {
        let mut changed = self.0.changed.lock();
        for (user, rows) in batch {
            changed.entry(user).or_insert(rows);
        }
    }
}

/// The task that writes.
pub(crate) struct Writer {
    desk: Desk,
    store: Store,
    task: JoinHandle<()>,
}

impl Writer {
    pub(crate) fn start(store: Store) -> Self {
        let desk = Desk::default();
        let task = tokio::spawn(run(desk.clone(), store.clone()));
        Self { desk, store, task }
    }

    pub(crate) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Writes what is left and ends. What the database does not take within five seconds is lost, and said to be.
    pub(crate) async fn finish(self) {
        self.task.abort();
        // A batch is written in one transaction: aborted in the middle it is undone. Its users are written again.
        let _ = self.task.await;
        let rest = async { while write(&self.desk, &self.store).await.is_ok_and(|written| written > 0) {} };
        let _ = tokio::time::timeout(FAREWELL, rest).await;
        let lost = self.desk.0.changed.lock().len();
        if lost > 0 {
            tracing::error!(users = lost, "registrations are not written");
        }
    }
}

async fn run(desk: Desk, store: Store) {
    loop {
        let next = tokio::time::Instant::now() + PACE;
        match write(&desk, &store).await {
            Ok(0) => drop(tokio::time::timeout(REST, desk.0.wake.notified()).await),
            Ok(_) if desk.0.changed.lock().len() >= BATCH => {}
            Ok(_) => {
                tokio::time::sleep_until(next).await;
                let _ = tokio::time::timeout(REST, desk.0.wake.notified()).await;
            }
            Err(error) => {
                metrics::counter!("opentact_registrations_write_failed_total").increment(1);
                tracing::warn!(%error, "registrations are not written yet");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

/// A batch on its way to the database; back on the desk when it is dropped before it is there.
struct Batch<'a> {
    desk: &'a Desk,
    users: HashMap<Uuid, Vec<Registration>>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.desk.put_back(mem::take(&mut self.users));
    }
}

/// Writes one batch; says of how many users.
async fn write(desk: &Desk, store: &Store) -> opentact_store::Result<usize> {
    let mut batch = Batch { desk, users: desk.take() };
    let users: Vec<Uuid> = batch.users.keys().copied().collect();
    if users.is_empty() {
        return Ok(0);
    }
    store.registrations().replace(&users, batch.users.values().flatten().cloned().collect()).await?;
    batch.users.clear();
    Ok(users.len())
}

/// One moment on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    date: DateTime<Utc>,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { instant: Instant::now(), date: Utc::now() }
    }

    fn date(self, at: Instant) -> DateTime<Utc> {
        let later = at.saturating_duration_since(self.instant);
        to_millis(self.date + later - self.instant.saturating_duration_since(at))
    }

    /// Times before the machine was started are that of now.
    fn instant(self, at: DateTime<Utc>) -> Instant {
        let moment = match (at - self.date).to_std() {
            Ok(later) => self.instant.checked_add(later),
            Err(_) => self.instant.checked_sub((self.date - at).to_std().unwrap_or_default()),
        };
        moment.unwrap_or(self.instant)
    }
}

/// The rows of a user's contacts.
pub(crate) fn rows(now: Moment, sip_user: Uuid, aor: &str, bindings: &[&Binding]) -> Vec<Registration> {
    let row = |(position, binding): (i64, &&Binding)| Registration {
        sip_user,
        position,
        aor: aor.to_owned(),
        contact: binding.contact.as_str().to_owned(),
        transport: binding.flow.transport.via_token().to_owned(),
        local: binding.flow.local.to_string(),
        remote: binding.flow.remote.to_string(),
        q: binding.q.into(),
        since: now.date(binding.since),
        expires_on: now.date(binding.expires_at),
        instance: binding.instance.as_deref().map(str::to_owned),
        reg_id: binding.reg_id.map(i64::from),
        path: Json(binding.path.iter().map(|route| String::from_utf8_lossy(route).into_owned()).collect()),
        user_agent: binding.user_agent.as_deref().map(str::to_owned),
        call_id: binding.call_id.cast_signed(),
        cseq: binding.cseq.into(),
    };
    (0..).zip(bindings).map(row).collect()
}

/// The binding of a row, with a way to it from here; `None` where there is none any more.
pub(crate) fn binding(now: Moment, transports: &Arc<Transports>, row: &Registration) -> Option<Binding> {
    let contact = Uri::parse(row.contact.as_bytes()).ok()?;
    let path: Box<[Bytes]> = row.path.iter().map(|route| Bytes::copy_from_slice(route.as_bytes())).collect();
    let (local, remote) = (row.local.parse().ok()?, row.remote.parse().ok()?);
    let flow = match row.transport.as_str() {
        // The hole in the NAT leads to the socket it was made for.
        "UDP" => transports.resume(local, remote)?,
        "TCP" => transports.later(reachable(remote, &contact, &path)?)?,
        // What a server can connect to has a certificate, which no phone has; a browser cannot be connected to at all.
        _ => return None,
    };
    Some(Binding {
        contact,
        flow,
        q: u16::try_from(row.q).ok()?,
        expires_at: now.instant(row.expires_on),
        since: now.instant(row.since),
        instance: row.instance.as_deref().map(Into::into),
        reg_id: row.reg_id.and_then(|id| u32::try_from(id).ok()),
        path,
        user_agent: row.user_agent.as_deref().map(Into::into),
        call_id: row.call_id.cast_unsigned(),
        cseq: u32::try_from(row.cseq).ok()?,
    })
}

/// Where the next hop of a contact whose connection is gone takes a new one: it names the very address it came from, so no
/// NAT is between. The port is another: connections are not made from the one that is listened on.
fn reachable(remote: SocketAddr, contact: &Uri, path: &[Bytes]) -> Option<SocketAddr> {
    let first = path.first().map(|route| NameAddr::parse(route).map(|route| route.uri));
    let next = match &first {
        Some(Ok(uri)) => uri,
        Some(Err(_)) => return None,
        None => contact,
    };
    let tcp = next.param("transport").is_some_and(|transport| transport.eq_ignore_ascii_case("tcp"));
    let ip = next.host_ip().filter(|ip| tcp && *ip == remote.ip())?;
    Some(SocketAddr::new(ip, next.port().unwrap_or(5060)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sip_user: Uuid, cseq: i64) -> Registration {
        let address = || "192.0.2.1:5060".to_owned();
        Registration {
            sip_user,
            position: 0,
            aor: "a@h".to_owned(),
            contact: "sip:a@192.0.2.9".to_owned(),
            transport: "UDP".to_owned(),
            local: address(),
            remote: address(),
            q: 1000,
            since: Utc::now(),
            expires_on: Utc::now(),
            instance: None,
            reg_id: None,
            path: Json(Vec::new()),
            user_agent: None,
            call_id: 0,
            cseq,
        }
    }

    #[test]
    fn the_newest_state_of_a_user_is_the_one_that_waits() {
        let desk = Desk::default();
        let (anna, berta) = (Uuid::from_u128(1), Uuid::from_u128(2));
        desk.leave(anna, vec![row(anna, 1)], Haste::Soon);
        desk.leave(anna, vec![row(anna, 2)], Haste::Soon);
        desk.leave(berta, vec![row(berta, 1)], Haste::Soon);
        let batch = desk.take();
        assert_eq!((batch.len(), batch[&anna][0].cseq), (2, 2));
        desk.leave(anna, Vec::new(), Haste::Soon);
        desk.put_back(batch);
        let batch = desk.take();
        assert_eq!((batch[&anna].len(), batch[&berta].len()), (0, 1));
        for n in 0..=BATCH as u128 {
            desk.leave(Uuid::from_u128(n), Vec::new(), Haste::Soon);
        }
        assert_eq!((desk.take().len(), desk.take().len(), desk.take().len()), (BATCH, 1, 0));
    }

    #[tokio::test]
    async fn who_only_comes_again_waits_for_others_or_a_full_batch() {
        let desk = Desk::default();
        let woken = || async { tokio::time::timeout(Duration::ZERO, desk.0.wake.notified()).await.is_ok() };
        desk.leave(Uuid::from_u128(0), Vec::new(), Haste::Rest);
        assert!(!woken().await);
        desk.leave(Uuid::from_u128(1), Vec::new(), Haste::Soon);
        assert!(woken().await);
        for n in 2..BATCH as u128 {
            desk.leave(Uuid::from_u128(n), Vec::new(), Haste::Rest);
        }
        assert!(woken().await);
    }

    #[tokio::test]
    async fn what_is_not_written_stays() {
        let settings = opentact_store::Settings::new("sqlite::memory:");
        let store = Store::connect(&settings, opentact_store::Keyring::ephemeral().unwrap()).await.unwrap();
        let desk = Desk::default();
        let anna = Uuid::from_u128(1);
        desk.leave(anna, vec![row(anna, 1)], Haste::Soon);
        // Without a schema.
        assert!(write(&desk, &store).await.is_err());
        assert_eq!(desk.0.changed.lock().len(), 1);
        store.migrate().await.unwrap();
        let writer = Writer::start(store.clone());
        writer.desk().leave(anna, vec![row(anna, 2)], Haste::Soon);
        writer.finish().await;
        assert_eq!(write(&desk, &store).await.unwrap(), 1);
        assert_eq!(write(&desk, &store).await.unwrap(), 0);
    }

    #[test]
    fn a_connection_is_made_to_who_names_the_address_he_came_from() {
        let remote = "192.0.2.9:45678".parse().unwrap();
        let reach = |contact: &str, path: &[&'static str]| {
            let path: Vec<Bytes> = path.iter().map(|route| Bytes::from_static(route.as_bytes())).collect();
            reachable(remote, &contact.parse().unwrap(), &path).map(|address| address.to_string())
        };
        assert_eq!(reach("sip:a@192.0.2.9:5070;transport=tcp", &[]).as_deref(), Some("192.0.2.9:5070"));
        assert_eq!(reach("sip:a@192.0.2.9;transport=TCP", &[]).as_deref(), Some("192.0.2.9:5060"));
        assert_eq!(reach("sip:a@192.0.2.9", &[]), None);
        assert_eq!(reach("sip:a@10.0.0.9;transport=tcp", &[]), None, "behind a NAT");
        assert_eq!(reach("sip:a@phone.example.com;transport=tcp", &[]), None);
        let proxy = "<sip:192.0.2.9:5080;transport=tcp;lr>";
        assert_eq!(reach("sip:a@10.0.0.9;transport=tcp", &[proxy]).as_deref(), Some("192.0.2.9:5080"));
        assert_eq!(reach("sip:a@192.0.2.9;transport=tcp", &["<sip:192.0.2.7;transport=tcp;lr>"]), None);
    }

    #[test]
    fn times_go_over_to_the_other_clock_and_back() {
        let now = Moment { date: to_millis(Utc::now()), ..Moment::now() };
        for seconds in [0, 1, 3_600] {
            let later = now.instant + Duration::from_secs(seconds);
            assert_eq!(now.instant(now.date(later)), later);
        }
        let before = now.instant - Duration::from_secs(1);
        assert_eq!(now.instant(now.date(before)), before);
    }
}
