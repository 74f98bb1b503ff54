//! Session descriptions.

use crate::Grammar;

pub const SDP: Grammar = Grammar {
    messages: &[
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\n\
         a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=sendrecv\n",
        "v=0\no=jdoe 3724394400 3724394405 IN IP6 2001:db8::1\ns=Call to John\ni=x\nu=http://a\ne=a@b (c)\np=+1\n\
         c=IN IP6 2001:db8::1\nb=AS:64\nt=1 2\nr=7d 1h 0 25h\nz=1 -1h\nk=clear:x\na=recvonly\n\
         m=audio 49170 RTP/SAVPF 96 9\na=rtpmap:96 opus/48000/2\nm=video 0 RTP/AVP 97\nm=audio 4002 RTP/SAVP 0\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\na=mid:1\n",
    ],
    starts: &["v=0", "v=1", "o=- 1 1 IN IP4 192.0.2.1"],
    fields: &[
        ("o", &["- 1 2 IN IP4 192.0.2.1", "- 18446744073709551615 18446744073709551616 IN IP6 ::", "a b"]),
        ("c", &["IN IP4 0.0.0.0", "IN IP6 ::1", "IN IP4 224.2.1.1/127/3", "IN IP4 host.example", "IN IPX 1"]),
        ("t", &["0 0", "1 99999999999999999999"]),
        (
            "m",
            &[
                "audio 4000 RTP/AVP 0 8 9 101",
                "audio 0 RTP/AVP 0",
                "audio 4000/2 RTP/SAVP 0",
                "audio 65536 RTP/AVP 0",
                "audio 4000 UDP/TLS/RTP/SAVPF 111 0 110 126",
                "image 5000 udptl t38",
                "video 6000 RTP/AVP 97",
                "audio 4000 RTP/AVP",
            ],
        ),
        (
            "a",
            &[
                "rtpmap:0 PCMU/8000",
                "rtpmap:101 telephone-event/8000",
                "rtpmap:101 telephone-event/48000",
                "rtpmap:96 opus/48000/2",
                "rtpmap:999 x/0",
                "fmtp:101 0-15,66",
                "fmtp:96 useinbandfec=1; stereo=0",
                "sendonly",
                "recvonly",
                "inactive",
                "sendrecv",
                "ptime:20",
                "maxptime:4294967296",
                "rtcp:4001 IN IP4 192.0.2.1",
                "rtcp-mux",
                "crypto:1 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
                "fingerprint:sha-256 00:11",
                "setup:actpass",
                "ice-ufrag:a",
                "candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host",
                "group:BUNDLE 0 1",
                "mid:0",
                "",
            ],
        ),
        ("b", &["AS:64", "TIAS:x"]),
    ],
    colon: "=",
};
