//! Nothing that comes in makes it panic, whatever it is made of.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::*;

/// Every message of a call with all that can happen in one, as each side has sent it.
fn conversation() -> Vec<(Side, Bytes)> {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.reinvite(B, b);
    line.settle();
    line.accept(A, a);
    line.settle();
    let id = line.a.ua.new_request();
    line.command(A, Command::InDialog { session: a, id, method: Method::Info, headers: Vec::new(), body: None });
    line.settle();
    line.bye(A, a);
    line.settle();
    line.events(B);
    let (a, _) = line.ring();
    line.cancel(a);
    line.settle();
    let of = |side: Side, end: &End| -> Vec<(Side, Bytes)> {
        end.sent.iter().map(|message| (side, message.bytes().clone())).collect()
    };
    [of(A, &line.a), of(B, &line.b)].concat()
}

fn spoil(message: &[u8], random: &mut StdRng) -> Bytes {
    let mut octets = message.to_vec();
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..octets.len());
        match random.random_range(0..4) {
            0 => octets[at] = random.random(),
            1 => drop(octets.remove(at)),
            2 => octets.insert(at, *b"\r\n:;,<>\"= \0\xff9z".choose(random).unwrap()),
            _ => {
                // A piece of it twice.
                let end = random.random_range(at..octets.len());
                let piece = octets[at..end].to_vec();
                octets.splice(at..at, piece);
            }
        }
    }
    octets.into()
}

#[test]
fn spoiled_messages_are_survived() {
    let messages = conversation();
    let mut random = StdRng::seed_from_u64(1);
    for round in 0..60 {
        let mut line = Line::new();
        if round % 2 == 0 {
            line.connect();
        } else {
            line.ring();
        }
        for _ in 0..100 {
            let (from, message) = messages.choose(&mut random).unwrap();
            let (to, message) = (from.other(), spoil(message, &mut random));
            let flow = line.flow(to);
            let now = line.now;
            let end = line.end(to);
            end.ua.handle(now, Input::Received { message, flow });
            while end.ua.poll().is_some() {}
        }
        // What is left hangs on a layer above that does not answer, not on the noise.
        line.pass(Duration::from_secs(600), false);
        for end in [&line.a, &line.b] {
            assert!(end.ua.stats().transactions <= end.ua.stats().sessions, "{:?}", end.ua.stats());
        }
    }
}
