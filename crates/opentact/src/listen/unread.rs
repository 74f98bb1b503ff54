//! Bodies that a handler has not read, such as that of a request without credentials.
//!
//! HTTP/1.1 carries the next request behind the body, so it must be read or the connection is over. A client that is not told of
//! that sends its next request into a connection that ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Version};
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// Octets that are read of what nobody wanted; beyond them the connection is closed.
const LONGEST: usize = 64 << 10;
/// How long they are waited for. What belongs to the request is most often there already.
const WAIT: Duration = Duration::from_secs(5);

/// Reads what the handler has left of the body, or says in the answer that the connection ends with it.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    // A stream of HTTP/2 ends without its connection.
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
        return next.run(request).await;
    }
    // RFC 9110 10.1.1: whoever expects to be asked for the body does not send it when the answer comes first.
    let waits = request.headers().contains_key(EXPECT);
    let (left, mut rest) = oneshot::channel();
    let mut response = next.run(request.map(|body| Body::new(Watched { body, left: Some(left) }))).await;
    // It may also be in use still: then whoever uses it reads on.
    if let Ok(body) = rest.try_recv()
        && (waits || !drain(body).await)
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the body came to its end.
async fn drain(body: Body) -> bool {
    let longest = LONGEST as u64;
    if body.is_end_stream() || body.size_hint().lower() > longest {
        return body.is_end_stream();
    }
    let mut octets = body.into_data_stream();
    let drained = async {
        let mut left = LONGEST;
        while let Some(more) = octets.next().await {
            let Some(still) = more.ok().and_then(|more| left.checked_sub(more.len())) else { return false };
            left = still;
        }
        true
    };
    tokio::time::timeout(WAIT, drained).await.unwrap_or(false)
}

/// A body that comes back when it is dropped before its end.
struct Watched {
    body: Body,
    left: Option<oneshot::Sender<Body>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(left) = self.left.take()
            && !self.body.is_end_stream()
        {
            // Who is not there any more has given the connection up.
            let _ = left.send(std::mem::take(&mut self.body));
        }
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
