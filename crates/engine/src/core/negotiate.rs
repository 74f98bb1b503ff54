//! Offers and answers of a leg, between SIP bodies and media parameters.

use std::sync::Arc;

use bytes::Bytes;
use opentact_media::control::{Codec, LegParams, MasterKey, Security, SrtpKeys, Suite};
use opentact_sip::message::{Headers as SipHeaders, Request};
use opentact_sip::sdp::{Agreed, Capabilities, Crypto, CryptoSuite, Direction, Negotiator, SdpError, Session};
use opentact_sip::ua::SessionId;

use super::described::{Manner, Media, Terms};

pub(super) const SDP: Bytes = Bytes::from_static(b"application/sdp");

pub(super) type Headers = Vec<(Bytes, Bytes)>;

#[derive(Debug, thiserror::Error)]
pub(super) enum NegotiateError {
    #[error("the body is not application/sdp")]
    NotSdp,
    #[error("no session description where one is due")]
    Missing,
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("codec {0} is not available")]
    Codec(String),
    #[error("no keys of the agreed suite")]
    Keys,
}

impl NegotiateError {
    /// The SIP answer that says so.
    pub(super) fn code(&self) -> u16 {
        match self {
            // RFC 3261 8.2.3.
            Self::NotSdp => 415,
            Self::Sdp(error) => error.code(),
            Self::Missing | Self::Codec(_) | Self::Keys => 488,
        }
    }
}

/// What our media can do, in our order; of that only these codecs, in theirs, where any are given.
pub(super) fn capabilities(codecs: &[String]) -> Capabilities {
    let mut all = Capabilities::default();
    if !codecs.is_empty() {
        let known = std::mem::take(&mut all.codecs);
        let named = |name: &String| known.iter().find(|codec| codec.name.eq_ignore_ascii_case(name)).cloned();
        all.codecs = codecs.iter().filter_map(named).collect();
    }
    all
}

/// The session description of a message; `None` where it has no body.
pub(super) fn description(headers: &SipHeaders, body: &[u8]) -> Result<Option<Session>, NegotiateError> {
    if body.is_empty() {
        return Ok(None);
    }
    if !headers.is_content("application/sdp") {
        return Err(NegotiateError::NotSdp);
    }
    Ok(Some(Session::parse(body)?))
}

/// Whether we could answer this INVITE.
pub(super) fn check_offer(request: &Request, terms: &Terms, manner: Manner) -> Result<(), NegotiateError> {
    let Some(offer) = description(request.headers(), request.body())? else { return Ok(()) };
    let mut sdp = terms.negotiator(manner);
    let (_, agreed) = sdp.answer(&offer, Direction::SendRecv)?;
    params(&sdp, &agreed).map(drop)
}

/// Our side for an INVITE or re-INVITE: the answer to its offer, else an offer of our own for the ACK to answer.
/// The parameters are there as soon as something is agreed.
pub(super) fn respond(media: &mut Media, request: &Request) -> Result<(Bytes, Option<LegParams>), NegotiateError> {
    let (session, agreed) = match description(request.headers(), request.body())? {
        Some(offer) => {
            let (session, agreed) = media.sdp.answer(&offer, Direction::SendRecv)?;
            (session, Some(params(&media.sdp, &agreed)?))
        }
        None => (media.sdp.offer(Direction::SendRecv), None),
    };
    media.awaits_answer = agreed.is_none();
    let bytes = Bytes::from(session.to_string());
    media.described = Some(bytes.clone());
    Ok((bytes, agreed))
}

/// Our offer for a session that we begin in this manner.
pub(super) fn offer(media: &mut Media, session: SessionId, manner: Manner) -> Bytes {
    let sdp = media.approach(session, manner);
    // RFC 3261 16.7: of the phones that ring with one offer only one is ever heard.
    let offer = sdp.description().cloned().unwrap_or_else(|| sdp.offer(Direction::SendRecv));
    Bytes::from(offer.to_string())
}

/// What the answer to our offer means.
pub(super) fn accept(media: &mut Media, headers: &SipHeaders, body: &[u8]) -> Result<LegParams, NegotiateError> {
    let answer = description(headers, body)?.ok_or(NegotiateError::Missing)?;
    let agreed = media.sdp.accept(&answer)?;
    params(&media.sdp, &agreed)
}

/// What the answer to our description means that a session refresh has repeated.
pub(super) fn refreshed(media: &mut Media, headers: &SipHeaders, body: &[u8]) -> Result<LegParams, NegotiateError> {
    let answer = description(headers, body)?.ok_or(NegotiateError::Missing)?;
    let agreed = media.sdp.refreshed(&answer)?;
    params(&media.sdp, &agreed)
}

/// What an answer to our offer means that is known by its content type, with parameters, and its octets.
pub(super) fn accept_body(media: &mut Media, content: &[u8], body: &[u8]) -> Result<LegParams, NegotiateError> {
    let kind = content.split(|octet| *octet == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(&SDP) {
        return Err(NegotiateError::NotSdp);
    }
    let agreed = media.sdp.accept(&Session::parse(body)?)?;
    params(&media.sdp, &agreed)
}

/// The headers of a refusal for this: a Warning, 304 for media not available and 399 for anything else (RFC 3261
/// 20.43), and what would be taken.
pub(super) fn refusal(error: &NegotiateError) -> Headers {
    let code = match error {
        NegotiateError::Codec(_) | NegotiateError::Sdp(SdpError::NoCommonMedia) => 304,
        _ => 399,
    };
    let text = error.to_string().replace(['"', '\\'], "'");
    let mut headers = vec![(Bytes::from_static(b"Warning"), format!("{code} opentact \"{text}\"").into())];
    if matches!(error, NegotiateError::NotSdp) {
        headers.push((Bytes::from_static(b"Accept"), SDP));
    }
    headers
}

fn params(sdp: &Negotiator, agreed: &Agreed) -> Result<LegParams, NegotiateError> {
    let name = agreed.codec.rtpmap().name;
    let codec = match name.to_ascii_uppercase().as_str() {
        "PCMU" => Codec::Pcmu,
        "PCMA" => Codec::Pcma,
        _ => return Err(NegotiateError::Codec(name.to_string())),
    };
    Ok(LegParams {
        remote: agreed.remote,
        codec,
        payload_type: agreed.payload_type,
        dtmf_payload_type: agreed.telephone_event,
        ptime_ms: agreed.ptime,
        send: agreed.direction.sends(),
        receive: agreed.direction.receives(),
        security: security(sdp)?,
    })
}

fn security(sdp: &Negotiator) -> Result<Security, NegotiateError> {
    let Some(keys) = sdp.keys() else { return Ok(Security::Plain) };
    let key = |crypto: &Crypto| MasterKey::new(suite(crypto.suite), &crypto.key).ok_or(NegotiateError::Keys);
    Ok(Security::Srtp(Arc::new(SrtpKeys { local: key(&keys.local)?, remote: key(&keys.remote)? })))
}

fn suite(suite: CryptoSuite) -> Suite {
    match suite {
        CryptoSuite::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
        CryptoSuite::AesCm256HmacSha1_80 => Suite::AesCm256HmacSha1_80,
        CryptoSuite::AesCm256HmacSha1_32 => Suite::AesCm256HmacSha1_32,
        CryptoSuite::AeadAes128Gcm => Suite::AeadAes128Gcm,
        CryptoSuite::AeadAes256Gcm => Suite::AeadAes256Gcm,
    }
}
