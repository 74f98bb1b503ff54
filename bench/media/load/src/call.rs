//! Sets up calls, lets them speak, and tells what was heard.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::party::{Order, Parties, Report, Role};
use crate::sdp::Description;
use crate::sip::{Dialog, Message};

/// All of a call's being set up.
const SETUP: Duration = Duration::from_secs(30);
/// Nothing has come to an INVITE: it is sent again.
const REPEAT: Duration = Duration::from_secs(1);
/// From the last answer to the measuring: what setting up costs is over.
const SETTLE: Duration = Duration::from_secs(3);
/// For the answers to the BYEs.
const GOODBYE: Duration = Duration::from_secs(5);

pub struct Plan {
    pub server: SocketAddrV4,
    pub number: String,
    pub caller_port: u16,
    pub callee_port: u16,
    pub calls: usize,
    /// Calls a second.
    pub rate: f64,
    pub measure: Duration,
    pub caller: Role,
    /// Who is called; `None`: the server itself is.
    pub callee: Option<Role>,
}

struct Call {
    dialog: Dialog,
    offer: String,
    sent: Instant,
    answered: bool,
    ended: bool,
}

/// The signalling of all callers.
struct Callers<'a> {
    plan: &'a Plan,
    socket: UdpSocket,
    calls: Vec<Call>,
    by_id: HashMap<String, usize>,
    orders: Sender<Order>,
    answered: usize,
}

pub fn run(plan: &Plan) -> Result<Report> {
    let mut parties = Parties::new()?;
    let mut own = Vec::new();
    for _ in 0..plan.calls {
        own.push(parties.add(&plan.caller, true)?);
    }
    let callee_socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, plan.callee_port))?;
    if let Some(role) = &plan.callee {
        for _ in 0..plan.calls {
            own.push(parties.add(role, false)?);
        }
    }
    let (orders, receiver) = channel();
    let own: Arc<[Description]> = own.into();
    let described = own.clone();
    let media = thread::spawn(move || parties.run(&described, &receiver));
    if let Some(role) = plan.callee.clone() {
        let (first, own, orders) = (plan.calls, own.clone(), orders.clone());
        thread::spawn(move || {
            if let Err(error) = answer_calls(&callee_socket, &role, first, &own, &orders) {
                eprintln!("callee: {error:#}");
            }
        });
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, plan.caller_port))?;
    socket.set_read_timeout(Some(Duration::from_millis(1)))?;
    let mut callers = Callers { plan, socket, calls: Vec::new(), by_id: HashMap::new(), orders, answered: 0 };
    callers.set_up(&own)?;
    callers.listen(SETTLE)?;
    println!("measuring");
    callers.orders.send(Order::Begin).context("the media thread has ended")?;
    callers.listen(plan.measure)?;
    println!("measured");
    let (reply, report) = channel();
    callers.orders.send(Order::End(reply)).context("the media thread has ended")?;
    let report = report.recv()?;
    callers.hang_up()?;
    drop((callers, media));
    Ok(report)
}

impl Callers<'_> {
    fn set_up(&mut self, own: &[Description]) -> Result<()> {
        let begin = Instant::now();
        let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.plan.caller_port);
        while self.answered < self.plan.calls {
            let due = (begin.elapsed().as_secs_f64() * self.plan.rate) as usize;
            for index in self.calls.len()..due.min(self.plan.calls) {
                let id = format!("load{}x{index}", std::process::id());
                let dialog = Dialog::new(id.clone(), here, self.plan.server, &self.plan.number);
                let offer = own.get(index).context("a caller")?.print(self.plan.caller.codec);
                self.socket.send_to(dialog.request("INVITE", 1, &offer).as_bytes(), self.plan.server)?;
                self.by_id.insert(id, index);
                self.calls.push(Call { dialog, offer, sent: Instant::now(), answered: false, ended: false });
            }
            for call in self.calls.iter_mut().filter(|call| !call.answered && call.sent.elapsed() > REPEAT) {
                call.sent = Instant::now();
                self.socket.send_to(call.dialog.request("INVITE", 1, &call.offer).as_bytes(), self.plan.server)?;
            }
            self.listen(Duration::from_millis(1))?;
            if begin.elapsed() > SETUP + Duration::from_secs_f64(self.plan.calls as f64 / self.plan.rate) {
                bail!("only {} of {} calls were answered", self.answered, self.plan.calls);
            }
        }
        Ok(())
    }

    fn listen(&mut self, time: Duration) -> Result<()> {
        let begin = Instant::now();
        let mut buffer = [0; 8192];
        while begin.elapsed() < time {
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
            let Some(message) = Message::parse(text) else { continue };
            let index = self.by_id.get(message.one("Call-ID")).copied();
            let Some(call) = index.and_then(|index| self.calls.get_mut(index)) else { continue };
            let Some(status) = message.status() else {
                // The other side refreshes, asks, or hangs up.
                call.ended |= message.method() == "BYE";
                if message.method() != "ACK" {
                    let answer = message.answer("200 OK", call.dialog.own(), "");
                    self.socket.send_to(answer.as_bytes(), from)?;
                }
                continue;
            };
            if message.one("CSeq").ends_with("BYE") {
                call.ended |= status >= 200;
                continue;
            }
            match status {
                100..200 => call.sent = Instant::now(),
                200..300 => {
                    if !call.answered {
                        call.answered = true;
                        self.answered += 1;
                        call.dialog.answered(&message);
                        let remote = Description::parse(message.body)?;
                        let index = index.unwrap_or_default();
                        self.orders.send(Order::Start { index, remote }).context("the media thread has ended")?;
                    }
                    self.socket.send_to(call.dialog.request("ACK", 1, "").as_bytes(), from)?;
                }
                _ => bail!("call refused: {}", message.first),
            }
        }
        Ok(())
    }

    fn hang_up(&mut self) -> Result<()> {
        let begin = Instant::now();
        for index in 0..self.calls.len() {
            let due = Duration::from_secs_f64(index as f64 / self.plan.rate);
            while begin.elapsed() < due {
                self.listen(Duration::from_millis(1))?;
            }
            let Some(call) = self.calls.get(index).filter(|call| !call.ended) else { continue };
            self.socket.send_to(call.dialog.request("BYE", 2, "").as_bytes(), self.plan.server)?;
        }
        let begin = Instant::now();
        while self.calls.iter().any(|call| !call.ended) && begin.elapsed() < GOODBYE {
            self.listen(Duration::from_millis(10))?;
        }
        Ok(())
    }
}

/// The signalling of all callees. `first`: the party that takes the first call.
fn answer_calls(
    socket: &UdpSocket,
    role: &Role,
    first: usize,
    own: &[Description],
    orders: &Sender<Order>,
) -> Result<()> {
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr()?.port());
    let mut calls: HashMap<String, String> = HashMap::new();
    let mut buffer = [0; 8192];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
        let Some(message) = Message::parse(text) else { continue };
        let mut body = "";
        match message.method() {
            "ACK" | "SIP/2.0" => continue,
            "INVITE" => {
                let id = message.one("Call-ID");
                if !calls.contains_key(id) {
                    let index = first + calls.len();
                    let Some(description) = own.get(index) else { continue };
                    let remote = Description::parse(message.body)?;
                    let mut answer = description.clone();
                    answer.key = match (&remote.key, &description.key) {
                        (Some((tag, _)), Some((_, key))) => Some((tag.clone(), key.clone())),
                        _ => None,
                    };
                    calls.insert(id.into(), answer.print(role.codec));
                    orders.send(Order::Start { index, remote }).context("the media thread has ended")?;
                }
                body = calls.get(id).map_or("", String::as_str);
            }
            _ => {}
        }
        socket.send_to(message.answer("200 OK", here, body).as_bytes(), from)?;
    }
}
