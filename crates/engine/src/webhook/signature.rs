//! What tells whoever is told that it is us who tell.

use ring::hmac;

/// Value of `Opentact-Signature`: `t=<unix seconds>,v1=<hex>`, the HMAC-SHA256 of `t.body` under the webhook's secret.
pub(super) fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(seconds.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    format!("t={seconds},v1={}", hex::encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_others_calculate() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        let signed = sign("whsec_test", 1_700_000_000, b"{\"a\":1}");
        assert_eq!(signed, "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789");
    }
}
