//! System calls std has no name for: `epoll`, `recvmmsg`, `sendmmsg`, `setpriority`. All unsafe code of media is in this file.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use opentact_media::rtp::MAX_DATAGRAM;

/// Datagrams read or sent with one system call.
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

    /// Appends the tokens of ready sockets, at most 256; more are told next time, the kernel goes round.
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

/// Buffers for one `recvmmsg`, used again for every socket of a thread.
pub(super) struct Inbox {
    data: Box<[[u8; MAX_DATAGRAM]]>,
    names: Box<[libc::sockaddr_storage]>,
    lengths: [usize; BATCH],
}

impl Inbox {
    pub fn new() -> Inbox {
        // SAFETY: sockaddr_storage is plain data, for which all zeroes are a value.
        let name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Inbox {
            data: vec![[0; MAX_DATAGRAM]; BATCH].into_boxed_slice(),
            names: vec![name; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
        }
    }

    /// Reads up to 32 datagrams without waiting. Longer than 1,500 octets they are cut.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<Received<'_>> {
        // SAFETY: both are plain data, for which all zeroes are a value.
        let mut vectors: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for index in 0..BATCH {
            vectors[index] = libc::iovec { iov_base: self.data[index].as_mut_ptr().cast(), iov_len: MAX_DATAGRAM };
            let header = &mut messages[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
        }
        // SAFETY: every header points to a vector, a name and a buffer of the size it says, all alive through the
        // call and not otherwise borrowed.
        let count = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        });
        let count = match count {
            Ok(count) => count as usize,
            Err(error) if would_block(&error) => 0,
            Err(error) => return Err(error),
        };
        for (length, message) in self.lengths.iter_mut().zip(&messages[..count]) {
            *length = message.msg_len as usize;
        }
        Ok(Received { inbox: self, next: 0, count })
    }
}

/// Datagrams of one `recvmmsg`.
pub(super) struct Received<'a> {
    inbox: &'a Inbox,
    next: usize,
    count: usize,
}

impl Received<'_> {
    /// The batch was full: there may be more.
    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }
}

impl<'a> Iterator for Received<'a> {
    type Item = (SocketAddr, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.count {
            let index = self.next;
            self.next += 1;
            if let Some(from) = address(&self.inbox.names[index]) {
                let length = self.inbox.lengths[index].min(MAX_DATAGRAM);
                return Some((from, &self.inbox.data[index][..length]));
            }
        }
        None
    }
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

    /// Sends all and empties the batch. What the kernel refuses (no room, no route, port unreachable) is lost, as UDP
    /// may; returned are the numbers sent and lost.
    pub fn send(&mut self, socket: &UdpSocket) -> (u64, u64) {
        let (mut sent, mut lost) = (0, 0);
        let mut rest = &self.entries[..];
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
        let mut names: [libc::sockaddr_storage; BATCH] = unsafe { mem::zeroed() };
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
        // SAFETY: as for `recvmmsg`; the data is only read.
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
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which of its overlaid structures the storage holds; storage is large and
            // aligned enough for each.
            let name: &libc::sockaddr_in = unsafe { &*(&raw const *name).cast() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name: &libc::sockaddr_in6 = unsafe { &*(&raw const *name).cast() };
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
fn write_address(from: SocketAddr, name: &mut libc::sockaddr_storage) -> libc::socklen_t {
    let place = &raw mut *name;
    match from {
        SocketAddr::V4(from) => {
            // SAFETY: plain data.
            let mut value: libc::sockaddr_in = unsafe { MaybeUninit::zeroed().assume_init() };
            value.sin_family = libc::AF_INET as libc::sa_family_t;
            value.sin_port = from.port().to_be();
            value.sin_addr.s_addr = u32::from(*from.ip()).to_be();
            // SAFETY: storage is large and aligned enough for every address.
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
            // SAFETY: as above.
            unsafe { place.cast::<libc::sockaddr_in6>().write(value) };
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
            assert_eq!(batch.send(&a), (40, 0));
            assert!(batch.is_empty());
            let mut inbox = Inbox::new();
            let mut seen = Vec::new();
            loop {
                let received = inbox.receive(&b).unwrap();
                let full = received.is_full();
                for (from, datagram) in received {
                    assert_eq!(from, a.local_addr().unwrap());
                    assert_eq!(datagram.len(), usize::from(datagram[0]) + 1);
                    seen.push(datagram[0]);
                }
                if !full {
                    break;
                }
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
            assert_eq!(batch.send(&all), (1, 0));
            let mut buffer = [0; 16];
            let (length, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from.port()), (&b"there"[..], port));
            peer.send_to(b"back", (own, port)).unwrap();
            let seen = inbox.receive(&all).unwrap().map(|(from, _)| from).collect::<Vec<_>>();
            assert_eq!(seen, [peer.local_addr().unwrap()]);
        }
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
