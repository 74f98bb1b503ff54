//! System calls std has no name for: `epoll`, `recvmsg` with the time of arrival, `sendmmsg`, `connect` to nobody, `setpriority`. All unsafe code of
//! media is in this file.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant, SystemTime};

use opentact_media::rtp::MAX_DATAGRAM;

/// Datagrams sent with one system call.
const BATCH: usize = 32;
/// Sockets told ready with one system call.
const READY: usize = 256;

/// Puts the calling thread before others that want the processor. False where that is not allowed (it takes
/// CAP_SYS_NICE or a limit): then packets leave late when the machine is busy.
pub(super) fn hurry() -> bool {
    const NICENESS: libc::c_int = -10;
    // SAFETY: no pointers. On Linux 0 is the calling thread, not its process.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) }).is_ok()
}

/// Which sockets have something to read, level-triggered.
pub(super) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the result is checked.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a descriptor just made, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; READY] })
    }

    /// Watches a socket until it is closed. `token` tells it.
    pub fn add(&self, socket: &UdpSocket, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event)
        })?;
        Ok(())
    }

    pub fn remove(&self, socket: &UdpSocket) {
        // SAFETY: DEL takes no event. Failure means it was not watched.
        unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, socket.as_raw_fd(), ptr::null_mut());
        }
    }

    /// Appends the tokens of ready sockets, at most 256; more are told next time, the kernel goes round. Level-triggered: a
    /// socket that still has something is told again.
    pub fn ready(&mut self, tokens: &mut Vec<u64>) -> io::Result<()> {
        // SAFETY: the buffer holds READY events, and the kernel writes no more than told.
        let count =
            check(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), READY as libc::c_int, 0) });
        match count {
            Ok(count) => {
                tokens.extend(self.events.iter().take(count as usize).map(|event| event.u64));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Both clocks at one moment: the kernel tells arrivals by the time of day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub now: Instant,
    time_of_day: SystemTime,
}

impl Clocks {
    pub fn read() -> Clocks {
        Clocks { now: Instant::now(), time_of_day: SystemTime::now() }
    }

    /// When a datagram came that was stamped so. Never later than now, and not earlier than a second ago, whatever
    /// somebody has done to the time of day.
    fn instant(&self, stamp: Duration) -> Instant {
        let since = self.time_of_day.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(stamp);
        if since > Duration::from_secs(1) { self.now } else { self.now.checked_sub(since).unwrap_or(self.now) }
    }
}

/// Asks the kernel to say when datagrams came. Without it they came when they are read.
pub(super) fn stamp_arrivals(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the value lives through the call and is as long as told.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// From now on the socket hears and speaks to this address alone; `None`: to everybody again. It keeps the port that it was
/// bound to by number; one that the system has chosen it would lose.
pub(super) fn connect(socket: &UdpSocket, to: Option<SocketAddr>) -> io::Result<()> {
    if let Some(to) = to {
        return socket.connect(to);
    }
    // SAFETY: plain data, for which all zeroes are a value.
    let mut nobody: libc::sockaddr_in6 = unsafe { mem::zeroed() };
    nobody.sin6_family = libc::AF_UNSPEC as libc::sa_family_t;
    let length = mem::size_of_val(&nobody) as libc::socklen_t;
    // SAFETY: the address lives through the call and is as long as told.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const nobody).cast(), length) }).map(drop)
}

/// A datagram that was received.
pub(super) struct Received<'a> {
    pub from: SocketAddr,
    pub at: Instant,
    pub datagram: &'a [u8],
}

/// The buffer of a thread, used again for every datagram. One is read at a time: of a packet every 20 ms there is hardly
/// ever a second, and `recvmmsg` costs half as much again to find that out.
pub(super) struct Inbox {
    data: Box<[u8; MAX_DATAGRAM]>,
}

/// Room for one timestamp among the control messages, aligned as they are.
type Control = [u64; 8];

impl Inbox {
    pub fn new() -> Inbox {
        Inbox { data: Box::new([0; MAX_DATAGRAM]) }
    }

    /// Reads one datagram, if there is one. Longer than 1,500 octets it is cut.
    pub fn receive(&mut self, socket: &UdpSocket, clocks: Clocks) -> io::Result<Option<Received<'_>>> {
        // SAFETY: plain data, for which all zeroes are a value.
        let mut name: libc::sockaddr_in6 = unsafe { mem::zeroed() };
        let mut control: Control = [0; 8];
        let mut vector = libc::iovec { iov_base: self.data.as_mut_ptr().cast(), iov_len: MAX_DATAGRAM };
        // SAFETY: as above.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = mem::size_of_val(&name) as libc::socklen_t;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = mem::size_of_val(&control);
        // SAFETY: the header points to a vector, a name, control messages and a buffer of the sizes it says, all alive
        // through the call.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return if would_block(&error) { Ok(None) } else { Err(error) };
        };
        let at = arrival(&header).map_or(clocks.now, |stamp| clocks.instant(stamp));
        let from = address(&name).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Received { from, at, datagram: &self.data[..length.min(MAX_DATAGRAM)] }))
    }
}

/// What the kernel says of when it took a datagram: since 1970.
fn arrival(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel has written the control messages that the header tells of, and the first is whole if it is there.
    let time = unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null()
            || ((*control).cmsg_level, (*control).cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS)
        {
            return None;
        }
        ptr::read_unaligned(libc::CMSG_DATA(control).cast::<libc::timespec>())
    };
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// Datagrams to send from one socket.
#[derive(Default)]
pub(super) struct Batch {
    data: Vec<u8>,
    entries: Vec<(Range<usize>, SocketAddr)>,
}

impl Batch {
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(datagram);
        self.entries.push((start..self.data.len(), to));
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends all and empties the batch; `partner`: to whom the socket is connected. What the kernel refuses (no room, no route, port unreachable) is lost, as UDP
    /// may; returned are the numbers sent and lost.
    pub fn send(&mut self, socket: &UdpSocket, partner: Option<SocketAddr>) -> (u64, u64) {
        let (mut sent, mut lost) = (0, 0);
        let mut rest = &self.entries[..];
        if let [(range, to)] = rest {
            // Mostly there is one: a plain `sendto` has less to copy.
            let datagram = &self.data[range.clone()];
            let send = || if partner == Some(*to) { socket.send(datagram) } else { socket.send_to(datagram, to) };
            let result = match send() {
                // Told of an earlier packet, in place of sending this one.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => send(),
                result => result,
            };
            (sent, lost) = if result.is_ok() { (1, 0) } else { (0, 1) };
            rest = &[];
        }
        while !rest.is_empty() {
            match self.send_some(socket, &rest[..rest.len().min(BATCH)]) {
                Ok(count) if count > 0 => {
                    sent += count as u64;
                    rest = &rest[count..];
                }
                // The error is the first one's (or an ICMP answer to an earlier packet).
                Ok(_) | Err(_) => {
                    lost += 1;
                    rest = &rest[1..];
                }
            }
        }
        self.data.clear();
        self.entries.clear();
        (sent, lost)
    }

    fn send_some(&self, socket: &UdpSocket, entries: &[(Range<usize>, SocketAddr)]) -> io::Result<usize> {
        // SAFETY: all three are plain data, for which all zeroes are a value.
        let mut names: [libc::sockaddr_in6; BATCH] = unsafe { mem::zeroed() };
        let mut vectors: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (index, (range, to)) in entries.iter().enumerate() {
            let datagram = &self.data[range.clone()];
            vectors[index] = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
            let header = &mut messages[index].msg_hdr;
            header.msg_namelen = write_address(*to, &mut names[index]);
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
        }
        // SAFETY: every header points to a vector, a name and a buffer of the size it says, all alive through the call,
        // which only reads them.
        let count = check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                entries.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        })?;
        Ok(count as usize)
    }
}

/// `None` for what is no internet address.
fn address(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the family says which of both the kernel has written; that of IPv4 is the smaller, and both are plain
            // data of the same alignment.
            let name: &libc::sockaddr_in = unsafe { &*(&raw const *name).cast() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            // A socket for both families calls who has come over IPv4 so.
            Some(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

/// Writes `from` into `name` and returns the length of what was written.
fn write_address(from: SocketAddr, name: &mut libc::sockaddr_in6) -> libc::socklen_t {
    let place = &raw mut *name;
    match from {
        SocketAddr::V4(from) => {
            // SAFETY: plain data.
            let mut value: libc::sockaddr_in = unsafe { MaybeUninit::zeroed().assume_init() };
            value.sin_family = libc::AF_INET as libc::sa_family_t;
            value.sin_port = from.port().to_be();
            value.sin_addr.s_addr = u32::from(*from.ip()).to_be();
            // SAFETY: an address of IPv6 is larger than one of IPv4, and aligned alike.
            unsafe { place.cast::<libc::sockaddr_in>().write(value) };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(from) => {
            // SAFETY: plain data.
            let mut value: libc::sockaddr_in6 = unsafe { MaybeUninit::zeroed().assume_init() };
            value.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            value.sin6_port = from.port().to_be();
            value.sin6_flowinfo = from.flowinfo();
            value.sin6_addr.s6_addr = from.ip().octets();
            value.sin6_scope_id = from.scope_id();
            *name = value;
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn would_block(error: &io::Error) -> bool {
    // ECONNREFUSED is a port that an earlier packet of ours did not find.
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_arrive_whole_and_in_order() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to prove here.
            let Ok(a) = UdpSocket::bind(local) else { continue };
            let b = UdpSocket::bind(local).unwrap();
            b.set_nonblocking(true).unwrap();
            let mut batch = Batch::default();
            for number in 0..40u8 {
                batch.push(b.local_addr().unwrap(), &vec![number; usize::from(number) + 1]);
            }
            assert_eq!(batch.send(&a, None), (40, 0));
            assert!(batch.is_empty());
            let mut inbox = Inbox::new();
            let mut seen = Vec::new();
            while let Some(received) = inbox.receive(&b, Clocks::read()).unwrap() {
                assert_eq!(received.from, a.local_addr().unwrap());
                assert_eq!(received.datagram.len(), usize::from(received.datagram[0]) + 1);
                seen.push(received.datagram[0]);
            }
            assert_eq!(seen, (0..40).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn a_socket_on_all_addresses_talks_to_both_families() {
        // A machine without IPv6 has nothing to prove here.
        let Ok(all) = UdpSocket::bind("[::]:0") else { return };
        let port = all.local_addr().unwrap().port();
        let mut inbox = Inbox::new();
        for (local, own) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
            let peer = UdpSocket::bind(local).unwrap();
            let mut batch = Batch::default();
            batch.push(peer.local_addr().unwrap(), b"there");
            assert_eq!(batch.send(&all, None), (1, 0));
            let mut buffer = [0; 16];
            let (length, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from.port()), (&b"there"[..], port));
            peer.send_to(b"back", (own, port)).unwrap();
            let seen = inbox.receive(&all, Clocks::read()).unwrap().map(|received| received.from);
            assert_eq!(seen, peer.local_addr().ok());
        }
    }

    #[test]
    fn a_connected_socket_hears_one_address_until_it_hears_all_again() {
        let own = "127.0.0.1";
        for local in [own, "0.0.0.0", "::"] {
            // A machine without IPv6 has nothing to prove here.
            let Ok(probe) = UdpSocket::bind((local, 0)) else { continue };
            let place = (own, probe.local_addr().unwrap().port());
            drop(probe);
            let socket = UdpSocket::bind((local, place.1)).unwrap();
            let [partner, other] = [(); 2].map(|()| UdpSocket::bind((own, 0)).unwrap());
            let (mut inbox, mut batch, mut octets) = (Inbox::new(), Batch::default(), [0; 8]);
            for connected in [false, true, false, true] {
                let to = partner.local_addr().unwrap();
                connect(&socket, connected.then_some(to)).unwrap();
                batch.push(to, b"x");
                assert_eq!(batch.send(&socket, connected.then_some(to)), (1, 0));
                assert_eq!(partner.recv_from(&mut octets).unwrap().1.port(), place.1);
                other.send_to(b"other", place).unwrap();
                partner.send_to(b"partner", place).unwrap();
                let mut heard = Vec::new();
                while let Some(received) = inbox.receive(&socket, Clocks::read()).unwrap() {
                    heard.push(received.from);
                }
                let all = [other.local_addr().unwrap(), to];
                assert_eq!(heard, if connected { &all[1..] } else { &all[..] }, "{local}");
            }
        }
    }

    #[test]
    fn a_datagram_has_come_when_it_came() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        stamp_arrivals(&socket);
        let before = Instant::now();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        // Read long after, as after a stall.
        let clocks = Clocks::read();
        let later = Duration::from_millis(900);
        let clocks = Clocks { now: clocks.now + later, time_of_day: clocks.time_of_day + later };
        let mut inbox = Inbox::new();
        let at = inbox.receive(&socket, clocks).unwrap().unwrap().at;
        // The two clocks are not read at the same moment.
        assert!(before - Duration::from_millis(50) <= at && at < clocks.now, "{before:?} {at:?} {clocks:?}");
        assert!(inbox.receive(&socket, clocks).unwrap().is_none());
    }

    #[test]
    fn a_time_of_day_that_jumps_makes_no_arrival_absurd() {
        let clocks = Clocks::read();
        let hour = Duration::from_secs(3600);
        let now = clocks.time_of_day.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(clocks.instant(now + hour), clocks.now);
        assert_eq!(clocks.instant(now - hour), clocks.now);
        assert_eq!(clocks.instant(now - Duration::from_millis(3)), clocks.now - Duration::from_millis(3));
    }

    #[test]
    fn epoll_tells_who_has_something() {
        let mut epoll = Epoll::new().unwrap();
        let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
        let loud = UdpSocket::bind("127.0.0.1:0").unwrap();
        epoll.add(&quiet, 1).unwrap();
        epoll.add(&loud, 2).unwrap();
        quiet.send_to(b"x", loud.local_addr().unwrap()).unwrap();
        let mut tokens = Vec::new();
        epoll.ready(&mut tokens).unwrap();
        assert_eq!(tokens, [2]);
        epoll.remove(&loud);
        tokens.clear();
        epoll.ready(&mut tokens).unwrap();
        assert!(tokens.is_empty());
    }
}
