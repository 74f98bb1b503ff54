//! What tells whoever is told by HTTP that it is us who tell, and us that it is a carrier.

use ring::hmac;

/// How much older, or newer, than now a signature may be, seconds.
const TOLERANCE: i64 = 300;

fn signed(seconds: i64, body: &[u8]) -> Vec<u8> {
    [seconds.to_string().as_bytes(), b".", body].concat()
}

/// Value of `Opentact-Signature`: `t=<unix seconds>,v1=<hex>`, the HMAC-SHA256 of `t.body` under the secret.
#[must_use]
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &signed(seconds, body));
    format!("t={seconds},v1={}", hex::encode(tag))
}

/// Whether `value` is such a signature, made less than five minutes from `now`. With several `v1`, one must be right: that is
/// how a secret is changed. Compared in constant time.
#[must_use]
pub fn verify(secret: &str, value: &str, now: i64, body: &[u8]) -> bool {
    let members = || value.split(',').filter_map(|member| member.trim().split_once('='));
    let Some(seconds) = members().find(|(name, _)| *name == "t").and_then(|(_, t)| t.parse::<i64>().ok()) else {
        return false;
    };
    if now.abs_diff(seconds) > TOLERANCE.unsigned_abs() {
        return false;
    }
    let (key, signed) = (hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed(seconds, body));
    let mut tags = members().filter(|(name, _)| *name == "v1").filter_map(|(_, tag)| hex::decode(tag).ok());
    tags.any(|tag| hmac::verify(&key, &signed, &tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn the_signature_is_what_others_calculate() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        let signed = sign("whsec_test", NOW, b"{\"a\":1}");
        assert_eq!(signed, "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789");
    }

    #[test]
    fn only_the_secret_the_body_and_the_time_verify() {
        let signed = sign("secret", NOW, b"body");
        let two = format!("{},v1={}", signed, "00".repeat(32));
        for good in [&signed, &two, &signed.replace(',', ", ")] {
            assert!(verify("secret", good, NOW + TOLERANCE, b"body"), "{good}");
        }
        assert!(verify("secret", &signed, NOW - TOLERANCE, b"body"));
        assert!(!verify("secret", &signed, NOW + TOLERANCE + 1, b"body"), "too old");
        assert!(!verify("secret", &signed, NOW - TOLERANCE - 1, b"body"), "from the future");
        assert!(!verify("other", &signed, NOW, b"body"));
        assert!(!verify("secret", &signed, NOW, b"another body"));
        assert!(!verify("secret", &signed.replace("t=17", "t=18"), NOW + 100_000_000, b"body"), "another time");
        for bad in ["", "t=1700000000", "t=x,v1=00", "v1=00", &signed[..signed.len() - 2]] {
            assert!(!verify("secret", bad, NOW, b"body"), "{bad}");
        }
    }
}
