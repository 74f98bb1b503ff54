//! Connections that end so that the other side gets the last answer, and knows that it was the last.
//!
//! A connection may be given up at any time: nobody asked anything, the answer did not need the rest of the request. Closing the
//! socket then leaves out TLS's close_notify (RFC 8446 6.1), without which the end may be an attacker's, and where octets wait that
//! nobody has read, the kernel resets the connection and the answer is lost on its way (RFC 9112 9.6).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::runtime::Handle;

/// How long the other side is listened to after the end was told.
const LINGER: Duration = Duration::from_secs(5);

/// Accepts what `A` accepts, as [`Farewell`].
#[derive(Debug, Clone)]
pub(super) struct FarewellAcceptor<A>(pub A);

impl<A, I, S> Accept<I, S> for FarewellAcceptor<A>
where
    A: Accept<I, S>,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Future: Future<Output = io::Result<(A::Stream, A::Service)>>,
{
    type Stream = Farewell<A::Stream>;
    type Service = A::Service;
    type Future = MapOk<A::Future, fn((A::Stream, A::Service)) -> (Self::Stream, Self::Service)>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        self.0.accept(stream, service).map_ok(|(stream, service)| (Farewell(Some(stream)), service))
    }
}

/// A stream that, when it is dropped, is shut down, and then read to its end or for [`LINGER`].
pub(super) struct Farewell<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(Option<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Drop for Farewell<S> {
    fn drop(&mut self) {
        if let Some(stream) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(LINGER, say(stream)));
        }
    }
}

async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unheard = [0; 4096];
    while stream.read(&mut unheard).await? > 0 {}
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Farewell<S> {
    /// What is there until it is dropped.
    fn stream<T>(&mut self, ask: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.0.as_mut().map_or(Poll::Ready(Err(io::ErrorKind::NotConnected.into())), |stream| ask(Pin::new(stream)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncRead for Farewell<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(|stream| stream.poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> AsyncWrite for Farewell<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(|stream| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream(|stream| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(|stream| stream.poll_shutdown(cx))
    }
}
