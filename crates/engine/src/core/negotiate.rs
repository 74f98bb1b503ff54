//! Offers and answers of a leg, between SIP bodies and media parameters.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bytes::Bytes;
use opentact_media::control::{
    Codec, DtlsParams, EventFormat, Fingerprint, FingerprintHash, IceCredentials, IceParams, LegParams, MasterKey,
    OpusParams, Security, SrtpKeys, Suite, VideoFormat, VideoParams,
};
use opentact_sip::message::{Headers as SipHeaders, Request};
use opentact_sip::sdp::{
    self, Agreed, AgreedFormat, AgreedVideo, CertificateHash, Codec as Described, Crypto, CryptoSuite, Direction,
    DtlsSession, Media as MediaLine, Negotiator, Passed, Protection, SdpError, Session,
};
use opentact_sip::ua::SessionId;
use opentact_store::types::Dtmf;

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

/// The codecs of these names, in this order, or in that of the app that handles the call: those that both have; without one in
/// common the app has no say. One that is only passed through comes last, so that an answer has it only where there is nothing else.
pub(super) fn codecs(names: &[String], app: &[String]) -> Vec<Described> {
    let spoken = |name: &&String| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let chosen: Vec<&String> = app.iter().filter(spoken).collect();
    let chosen = if chosen.is_empty() { names.iter().collect() } else { chosen };
    let named = |name: &String| match name.to_ascii_uppercase().as_str() {
        "PCMU" => vec![Described::PCMU],
        "PCMA" => vec![Described::PCMA],
        "G722" => vec![Described::G722],
        "OPUS" => vec![Described::OPUS],
        "L16" => vec![Described::L16_WIDE, Described::L16_NARROW],
        "G729" => vec![Described::G729],
        _ => Vec::new(),
    };
    let mut codecs: Vec<Described> = chosen.into_iter().flat_map(named).collect();
    codecs.sort_by_key(is_passed_through);
    codecs
}

fn is_passed_through(codec: &Described) -> bool {
    *codec == Described::G729
}

/// What a leg that is dialled is offered: first what the caller's leg speaks, or may yet, so that packets are passed on
/// as they are; what cannot be decoded only where the caller's leg speaks it.
pub(super) fn suit(codecs: &mut Vec<Described>, origin: &Media, offer: Option<&Session>) {
    if let Some(agreed) = origin.sdp.agreed() {
        let spoken = |codec: &Described| *codec == agreed.codec;
        if is_passed_through(&agreed.codec) && codecs.iter().any(spoken) {
            return codecs.retain(spoken);
        }
        codecs.retain(|codec| !is_passed_through(codec));
        return codecs.sort_by_key(|codec| !spoken(codec));
    }
    let offered = |codec: &Described| {
        offer.is_some_and(|offer| {
            let maps = |media: &MediaLine| media.payload_types().filter_map(|pt| media.rtpmap(pt)).collect::<Vec<_>>();
            offer.media.iter().flat_map(maps).any(|map| codec.is(&map))
        })
    };
    codecs.retain(|codec| !is_passed_through(codec) || offered(codec));
    codecs.sort_by_key(|codec| (!offered(codec), is_passed_through(codec)));
}

/// What is spoken on a leg, and the video that is shown on it.
pub(super) type Common = (Option<Described>, Vec<Passed>);

pub(super) fn common(media: &Media) -> Common {
    let spoken = media.sdp.agreed().map(|agreed| agreed.codec.clone());
    let formats = media.sdp.video().map(|video| video.formats.as_slice()).unwrap_or_default();
    (spoken, formats.iter().map(|format| format.passed.clone()).collect())
}

/// Video that a leg dialled for this one may be offered: what its party has offered and we have not answered, or what was
/// agreed on.
pub(super) fn showable(origin: &Media, offer: Option<&Session>) -> Vec<Passed> {
    match (offer, &origin.described) {
        (Some(offer), None) => sdp::offered_video(offer),
        _ => common(origin).1,
    }
}

/// An answer takes this codec, which the leg it is joined with speaks, where it can.
pub(super) fn prefer(media: &mut Media, codec: &Described) {
    media.sdp.capabilities().codecs.sort_by_key(|known| known != codec);
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
    params(terms, &sdp, &agreed).map(drop)
}

/// Our side for an INVITE or re-INVITE: the answer to its offer, else an offer of our own for the ACK to answer.
/// The parameters are there as soon as something is agreed.
pub(super) fn respond(media: &mut Media, request: &Request) -> Result<(Bytes, Option<LegParams>), NegotiateError> {
    let (session, agreed) = match description(request.headers(), request.body())? {
        Some(offer) => {
            let (session, agreed) = media.sdp.answer(&offer, Direction::SendRecv)?;
            (session, Some(params(&media.terms, &media.sdp, &agreed)?))
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
    params(&media.terms, &media.sdp, &agreed)
}

/// What the answer to our description means that a session refresh has repeated.
pub(super) fn refreshed(media: &mut Media, headers: &SipHeaders, body: &[u8]) -> Result<LegParams, NegotiateError> {
    let answer = description(headers, body)?.ok_or(NegotiateError::Missing)?;
    let agreed = media.sdp.refreshed(&answer)?;
    params(&media.terms, &media.sdp, &agreed)
}

/// What an answer to our offer means that is known by its content type, with parameters, and its octets.
pub(super) fn accept_body(media: &mut Media, content: &[u8], body: &[u8]) -> Result<LegParams, NegotiateError> {
    let kind = content.split(|octet| *octet == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(&SDP) {
        return Err(NegotiateError::NotSdp);
    }
    let agreed = media.sdp.accept(&Session::parse(body)?)?;
    params(&media.terms, &media.sdp, &agreed)
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

fn params(terms: &Terms, sdp: &Negotiator, agreed: &Agreed) -> Result<LegParams, NegotiateError> {
    let known = |codec: &Described| Codec::of(&codec.name, codec.clock);
    let codec = known(&agreed.codec).ok_or_else(|| NegotiateError::Codec(agreed.codec.name.to_string()))?;
    let receive = agreed.receive.iter().filter_map(|(payload_type, codec)| Some((*payload_type, known(codec)?)));
    Ok(LegParams {
        remote: agreed.remote,
        codec,
        payload_type: agreed.payload_type,
        receive_codecs: receive.collect(),
        dtmf: agreed.telephone_event.map(|events| EventFormat {
            payload_type: events.payload_type,
            receive_payload_type: events.receive_payload_type,
            clock_rate: events.clock,
        }),
        ptime_ms: agreed.ptime,
        opus: agreed.fmtp.as_deref().map(OpusParams::parse).unwrap_or_default(),
        send: agreed.direction.sends(),
        receive: agreed.direction.receives(),
        signals_keys: terms.dtmf == Dtmf::Info,
        security: security(terms, sdp)?,
        rtcp_mux: sdp.rtcp_mux(),
        video: sdp.video().map(video),
    })
}

fn video(agreed: &AgreedVideo) -> VideoParams {
    let format = |format: &AgreedFormat| VideoFormat {
        id: BuildHasherDefault::<DefaultHasher>::default().hash_one(&format.passed.format),
        payload_type: format.payload_type,
        receive_payload_type: format.receive_payload_type,
    };
    VideoParams {
        remote: (!agreed.bundled).then_some((agreed.remote, agreed.remote_rtcp)),
        formats: agreed.formats.iter().map(format).collect(),
        send: agreed.direction.sends(),
        receive: agreed.direction.receives(),
    }
}

fn security(terms: &Terms, sdp: &Negotiator) -> Result<Security, NegotiateError> {
    let key = |crypto: &Crypto| MasterKey::new(suite(crypto.suite), &crypto.key).ok_or(NegotiateError::Keys);
    Ok(match sdp.protection() {
        None => Security::Plain,
        Some(Protection::Keys(keys)) => {
            Security::Srtp(Arc::new(SrtpKeys { local: key(&keys.local)?, remote: key(&keys.remote)? }))
        }
        Some(Protection::Dtls(session)) => Security::Dtls(Arc::new(dtls(terms, session))),
    })
}

fn dtls(terms: &Terms, session: &DtlsSession) -> DtlsParams {
    let credentials =
        |of: &sdp::IceCredentials| IceCredentials { ufrag: of.ufrag.clone(), password: of.password.clone() };
    let hash = match session.fingerprint.hash {
        CertificateHash::Sha256 => FingerprintHash::Sha256,
        CertificateHash::Sha384 => FingerprintHash::Sha384,
        CertificateHash::Sha512 => FingerprintHash::Sha512,
    };
    DtlsParams {
        identity: terms.webrtc.identity.clone(),
        active: session.active,
        fingerprint: Fingerprint { hash, octets: session.fingerprint.octets.clone() },
        ice: session.ice.as_ref().map(|ice| IceParams {
            local: credentials(&ice.local),
            remote: credentials(&ice.remote.credentials),
            address: terms.address,
            candidates: ice.remote.candidates.clone(),
            controlling: ice.controlling,
            lite: ice.lite,
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_orders_what_is_spoken_and_adds_nothing() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let phones = names(&["opus", "G722", "PCMU", "G729"]);
        for (app, expected) in [
            (&[][..], &["opus", "G722", "PCMU", "G729"][..]),
            (&["PCMU", "L16", "G722"], &["PCMU", "G722"]),
            // It is passed through where there is nothing else.
            (&["G729", "PCMU"], &["PCMU", "G729"]),
            (&["PCMA"], &["opus", "G722", "PCMU", "G729"]),
        ] {
            let found = codecs(&phones, &names(app));
            assert_eq!(found.iter().map(|codec| &*codec.name).collect::<Vec<_>>(), expected);
        }
    }
}
