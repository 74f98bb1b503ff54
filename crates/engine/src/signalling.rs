//! The thread that signalling has for itself: SIP over UDP, the core, and the routing of calls.
//!
//! A datagram is read, handled and answered by one thread, with nobody to be woken in between; on threads that share their
//! tasks each step would wake another, which costs more than the step. What takes long (TLS, speech, prompts, HTTP) is done
//! by the threads of the process.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

pub(crate) struct Signalling {
    handle: Handle,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Signalling {
    /// # Errors
    /// There can be no further thread, or it can wait for no socket.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let ended = stop.clone();
        let thread = thread::Builder::new().name("signalling".into()).spawn(move || {
            runtime.block_on(ended.cancelled());
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, stop, thread: Some(thread) })
    }

    /// For tasks that are to run there, and sockets that are to be heard there.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread once it has done with the task it is at; others there are dropped.
    pub(crate) fn end(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of signalling had panicked");
        }
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
