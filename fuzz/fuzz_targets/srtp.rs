//! SRTP: what is protected opens to the same, and any run of datagrams on a secured leg is without harm.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentact_fuzz::leg_config;
use opentact_media::control::{MasterKey, Security, SrtpKeys, Suite};
use opentact_media::leg::Input;
use opentact_media::srtp::{Inbound, MAX_TRAILER, Outbound};
use opentact_media::{Command, Leg, LegParams};

fn key(suite: Suite) -> MasterKey {
    MasterKey::new(suite, &vec![7; suite.key_len() + suite.salt_len()]).unwrap()
}

fuzz_target!(|octets: &[u8]| {
    let Some((&choice, octets)) = octets.split_first() else { return };
    let suite = Suite::ALL[usize::from(choice) % Suite::ALL.len()];
    let master = key(suite);

    // Taken for a packet of our own it comes back as it was, once.
    type Protect = fn(&mut Outbound, &mut [u8], usize) -> Result<usize, opentact_media::srtp::SrtpError>;
    type Open = fn(&mut Inbound, &mut [u8]) -> Result<usize, opentact_media::srtp::SrtpError>;
    let ways: [(Protect, Open); 2] =
        [(Outbound::protect_rtp, Inbound::unprotect_rtp), (Outbound::protect_rtcp, Inbound::unprotect_rtcp)];
    for (protect, open) in ways {
        let (mut outbound, mut inbound) = (Outbound::new(&master), Inbound::new(&master));
        let mut buffer = [octets, &[0; MAX_TRAILER]].concat();
        if let Ok(length) = protect(&mut outbound, &mut buffer, octets.len()) {
            buffer.truncate(length);
            let sealed = buffer.clone();
            let length = open(&mut inbound, &mut buffer).expect("made with the same key");
            assert_eq!(&buffer[..length], octets);
            assert!(open(&mut inbound, &mut sealed.clone()).is_err());
        }
        // Taken for a stranger's it is refused.
        assert!(open(&mut Inbound::new(&master), &mut octets.to_vec()).is_err());
    }

    let mut now = Instant::now();
    let from: SocketAddr = ([192, 0, 2, 1], 4000).into();
    let mut leg = Leg::new(leg_config(now));
    let keys = Arc::new(SrtpKeys { local: master, remote: master });
    let params = LegParams { security: Security::Srtp(keys), ..LegParams::pcmu(from) };
    leg.handle(now, Input::Command(Command::Start(params)));
    let mut rest = octets;
    while let Some((&length, after)) = rest.split_first() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        now += Duration::from_millis(20);
        leg.handle(now, Input::Rtp { from, datagram });
        leg.handle(now, Input::Rtcp { from, datagram });
        leg.handle(now, Input::Tick);
        while leg.poll().is_some() {}
    }
    assert_eq!(leg.stats().packets_received, 0);
});
