//! Judging what a call says of its caller (RFC 8224 6.2, RFC 8588 5, RFC 8946 4.2).

use std::sync::Arc;

use crate::certificate::{Anchors, Chain};
use crate::fault::{Fault, Reason};
use crate::identity::Identity;
use crate::passport::{Attest, Claims, Destination, ES256, Extension, Party, Passport, PassportError};
use crate::replay;

/// Identity headers of one request that are read; those behind them are passed over.
const MAX_IDENTITIES: usize = 16;
/// How much older than its diversion a PASSporT may be: the first callee's phone may have rung for so long.
const DIVERTED: i64 = 180;

/// What a SIP request says by itself, to hold its PASSporTs against.
#[derive(Debug, Clone)]
pub struct Subject {
    /// P-Asserted-Identity, else From; `None` where the caller is withheld.
    pub orig: Option<Party>,
    /// Who is called here: the Request-URI.
    pub dest: Party,
    /// The Date header, seconds since 1970: only the compact form needs it.
    pub date: Option<i64>,
}

/// How strict to be.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How far `iat` may be from now either way, in seconds (RFC 8224 6.2 step 4 recommends 60).
    pub window: i64,
}

/// PASSporTs that fit the call, and each other. Not believed before [`Self::judge`].
#[derive(Debug, Clone)]
pub struct Evidence {
    origin: Passport,
    /// From the first callee's to the one that leads here.
    diversions: Vec<Passport>,
}

/// What holds of a call's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// `None` for a PASSporT without the extension of SHAKEN.
    pub attest: Option<Attest>,
    pub origid: Option<String>,
    pub orig: Party,
    /// Who was called first, where the call has been diverted.
    pub diverted_from: Option<Party>,
    /// Service provider codes of who vouches for the caller.
    pub codes: Vec<String>,
}

impl Evidence {
    /// Reads the Identity headers of a request and holds them against it: syntax, algorithm, freshness, caller and
    /// callee. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The fault of the first PASSporT that vouches for the caller, where none fits; [`Reason::NoIdentity`] where
    /// there is none we know.
    pub fn read<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        subject: &Subject,
        rules: Rules,
        now: i64,
    ) -> Result<Self, Fault> {
        let (mut shaken, mut plain, mut diversions, mut fault) = (Vec::new(), Vec::new(), Vec::new(), None);
        for value in values.into_iter().take(MAX_IDENTITIES) {
            match passport(value, subject) {
                Ok(Some((Extension::Shaken, passport))) => shaken.push(passport),
                Ok(Some((Extension::None, passport))) => plain.push(passport),
                Ok(Some((Extension::Div, passport))) => diversions.push(passport),
                Ok(None) => {}
                Err(found) => fault = fault.or(Some(found)),
            }
        }
        for origin in shaken.into_iter().chain(plain) {
            match fit(origin, &diversions, subject, rules, now) {
                Ok(evidence) => return Ok(evidence),
                Err(found) => fault = fault.or(Some(found)),
            }
        }
        Err(fault.unwrap_or_else(|| Fault::new(Reason::NoIdentity, "no Identity header that vouches for a caller")))
    }

    /// Where the certificates are, each once.
    pub fn urls(&self) -> Vec<&str> {
        let mut urls: Vec<&str> = self.passports().map(|passport| passport.header.x5u.as_str()).collect();
        urls.sort_unstable();
        urls.dedup();
        urls
    }

    /// Judges with the certificates: signatures, chains to an anchor, numbers they may speak for. `certificate` gives
    /// what was found at one of [`Self::urls`], or why nothing was. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The first fault, that of the PASSporT that vouches for the caller before those of diversions.
    pub fn judge(
        &self,
        certificate: impl Fn(&str) -> Result<Arc<Chain>, Fault>,
        anchors: &Anchors,
        now: i64,
    ) -> Result<Verified, Fault> {
        let chain = signed(&self.origin, &self.origin.claims.orig, &certificate, anchors, now)?;
        for diversion in &self.diversions {
            // RFC 8946 4.2: who diverts speaks for the number that was called, not for the caller's.
            let diverted = diversion.claims.div.as_ref().unwrap_or(&diversion.claims.orig);
            signed(diversion, diverted, &certificate, anchors, now)?;
        }
        Ok(Verified {
            attest: self.origin.claims.attest,
            origid: self.origin.claims.origid.clone(),
            orig: self.origin.claims.orig.clone(),
            diverted_from: self.diversions.first().and_then(|diversion| diversion.claims.div.clone()),
            codes: chain.numbers().codes().map(str::to_owned).collect(),
        })
    }

    /// The same for the same PASSporTs, whatever their signatures look like: a second valid one can be made of each by
    /// anybody.
    pub fn fingerprint(&self) -> [u8; 32] {
        let all: Vec<u8> = self.passports().flat_map(|passport| [passport.signed(), b","].concat()).collect();
        replay::hash(&all)
    }

    /// When the whole is stale, seconds since 1970.
    pub fn until(&self, rules: Rules) -> i64 {
        let last = self.diversions.last().unwrap_or(&self.origin);
        last.claims.iat.saturating_add(rules.window)
    }

    fn passports(&self) -> impl Iterator<Item = &Passport> {
        std::iter::once(&self.origin).chain(&self.diversions)
    }
}

/// One header value. `None` where its extension is not for us, which RFC 8224 6.2 step 1 has us pass over.
fn passport(value: &[u8], subject: &Subject) -> Result<Option<(Extension, Passport)>, Fault> {
    let invalid = |detail: String| Fault::new(Reason::InvalidIdentity, detail);
    let identity = Identity::parse(value).map_err(|error| invalid(error.to_string()))?;
    let Some(named) = Extension::of(identity.ppt.as_deref()) else { return Ok(None) };
    if identity.alg.as_deref().is_some_and(|alg| alg != ES256) {
        return Err(invalid(format!("alg is not {ES256}")));
    }
    if identity.is_compact() {
        if named != Extension::None {
            return Err(invalid(PassportError::Compact(named).to_string()));
        }
        return compact(&identity, subject).map(|passport| Some((named, passport)));
    }
    let passport: Passport = identity.digest.parse().map_err(|error: PassportError| invalid(error.to_string()))?;
    let Some(extension) = passport.extension() else { return Ok(None) };
    if identity.ppt.is_some() && named != extension {
        return Err(invalid(format!("ppt of the header is {named}, that of the PASSporT {extension}")));
    }
    // RFC 8224 4.1: the certificate is in one place, said twice.
    if passport.header.x5u != identity.info {
        return Err(invalid("info and x5u differ".to_owned()));
    }
    let has = |claim: bool, name| match claim {
        true => Ok(()),
        false => Err(invalid(PassportError::Missing(extension, name).to_string())),
    };
    match extension {
        Extension::None => {}
        Extension::Shaken => {
            has(passport.claims.attest.is_some(), "attest")?;
            has(passport.claims.origid.is_some(), "origid")?;
        }
        Extension::Div => has(passport.claims.div.is_some(), "div")?,
    }
    Ok(Some((extension, passport)))
}

/// Claims put together from the request (RFC 8224 6.2 step 3).
fn compact(identity: &Identity, subject: &Subject) -> Result<Passport, Fault> {
    let orig = subject.orig.clone().ok_or_else(withheld)?;
    let missing = || Fault::new(Reason::InvalidIdentity, "the compact form needs a Date header");
    let iat = subject.date.ok_or_else(missing)?;
    let dest = Destination::one(subject.dest.clone());
    let claims = Claims { attest: None, dest, div: None, iat, orig, origid: None };
    Passport::from_compact(&identity.digest, &identity.info, claims)
        .map_err(|error| Fault::new(Reason::InvalidIdentity, error.to_string()))
}

fn withheld() -> Fault {
    Fault::new(Reason::InvalidIdentity, "the caller is withheld: there is no number to hold the PASSporT against")
}

/// Whether a PASSporT is of this caller and leads to this callee, by itself or over diversions.
fn fit(
    origin: Passport,
    diversions: &[Passport],
    subject: &Subject,
    rules: Rules,
    now: i64,
) -> Result<Evidence, Fault> {
    let caller = subject.orig.as_ref().ok_or_else(withheld)?;
    if origin.claims.orig != *caller {
        let detail = format!("orig is {}, the caller {caller}", origin.claims.orig);
        return Err(Fault::new(Reason::InvalidIdentity, detail));
    }
    let mut way: Vec<Passport> = Vec::new();
    loop {
        let dest = &way.last().unwrap_or(&origin).claims.dest;
        if dest.contains(&subject.dest) {
            break;
        }
        let next = diversions.iter().find(|diversion| {
            diversion.claims.orig == origin.claims.orig
                && diversion.claims.div.as_ref().is_some_and(|div| dest.contains(div))
                && !way.contains(diversion)
        });
        let Some(next) = next else {
            let parties: Vec<String> = dest.parties().iter().map(ToString::to_string).collect();
            let detail = format!("dest is {}, the callee {}", parties.join(", "), subject.dest);
            return Err(Fault::new(Reason::InvalidIdentity, detail));
        };
        way.push(next.clone());
    }
    let stale =
        |what: &str, iat: i64| Fault::new(Reason::Stale, format!("iat {iat} of the {what} is not of now ({now})"));
    let last = way.last().unwrap_or(&origin);
    if last.claims.iat.saturating_sub(now).saturating_abs() > rules.window {
        return Err(stale("last PASSporT", last.claims.iat));
    }
    let oldest = last.claims.iat.saturating_sub(DIVERTED);
    let newest = last.claims.iat.saturating_add(rules.window);
    let old = std::iter::once(&origin).chain(&way).find(|passport| !(oldest..=newest).contains(&passport.claims.iat));
    if let Some(old) = old {
        return Err(stale("diverted PASSporT", old.claims.iat));
    }
    Ok(Evidence { origin, diversions: way })
}

/// One PASSporT with its certificate, which must speak for `party`.
fn signed(
    passport: &Passport,
    party: &Party,
    certificate: &impl Fn(&str) -> Result<Arc<Chain>, Fault>,
    anchors: &Anchors,
    now: i64,
) -> Result<Arc<Chain>, Fault> {
    let chain = certificate(&passport.header.x5u)?;
    let unsupported = |detail: String| Fault::new(Reason::UnsupportedCredential, detail);
    chain.validate(anchors, now).map_err(|error| unsupported(error.to_string()))?;
    match party {
        Party::Tn(number) if chain.numbers().covers(number) => {}
        // A certificate for numbers says nothing of a domain's users.
        _ => return Err(unsupported(format!("the certificate may not speak for {party}"))),
    }
    if !chain.has_signed(passport) {
        return Err(Fault::new(Reason::InvalidIdentity, "the signature is not that of the certificate"));
    }
    Ok(chain)
}
