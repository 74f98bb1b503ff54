//! The Identity headers of a call that goes out. Signed when it is sent: a second way may be tried long after the first.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_stir::{Origination, Party, Signer};

/// What goes with each INVITE of a leg.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// What came with the call: caller and callee are still the same.
    Passed(Vec<Bytes>),
    /// Our own word.
    Vouched { signer: Signer, call: Origination },
    /// What came with the call, and that it goes on to another (RFC 8946).
    Diverted { came: Vec<Bytes>, signer: Signer, orig: Party, div: Party, dest: Party },
}

impl Outgoing {
    /// The values of the Identity headers, signed at `now`.
    pub(crate) fn identities(&self, now: DateTime<Utc>) -> Vec<Bytes> {
        let signed = match self {
            Outgoing::Passed(came) => return came.clone(),
            Outgoing::Vouched { signer, call } => signer.shaken(call, now.timestamp()),
            Outgoing::Diverted { signer, orig, div, dest, .. } => {
                signer.div(orig.clone(), div.clone(), dest.clone(), now.timestamp())
            }
        };
        let mut identities = match self {
            Outgoing::Diverted { came, .. } => came.clone(),
            _ => Vec::new(),
        };
        match signed {
            Ok(identity) => {
                let kind = identity.ppt.clone().unwrap_or_default();
                metrics::counter!("opentact_stir_signatures_total", "ppt" => kind).increment(1);
                identities.push(identity.to_string().into());
            }
            Err(error) => {
                // A diversion that nobody vouches for leads nowhere: what came is not passed on without it.
                tracing::error!(%error, "a call goes out unsigned");
                identities.clear();
            }
        }
        identities
    }

    /// The headers themselves. RFC 8224 4.1 step 4: a Date goes with them.
    pub(crate) fn headers(&self, identities: &[Bytes], now: DateTime<Utc>) -> Vec<(Bytes, Bytes)> {
        let mut headers: Vec<(Bytes, Bytes)> =
            identities.iter().map(|identity| (Bytes::from_static(b"Identity"), identity.clone())).collect();
        if !headers.is_empty() && !matches!(self, Outgoing::Passed(_)) {
            let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            headers.push((Bytes::from_static(b"Date"), date.into()));
        }
        headers
    }
}
