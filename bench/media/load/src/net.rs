//! Datagrams by the batch, with the time at which the kernel took them. All unsafe code of the generator is in this file.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// Datagrams of one system call.
pub const BATCH: usize = 32;
/// The longest that is sent.
pub const MAX_PACKET: usize = 1300;
/// Room for one timestamp.
const CONTROL: usize = 64;

/// What one needs who hears thousands of legs on one socket.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;

/// An even port of loopback and the next, for RTP and RTCP.
pub fn bind_pair() -> io::Result<(UdpSocket, UdpSocket)> {
    loop {
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 {
            continue;
        }
        if let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)) {
            prepare(&rtp)?;
            prepare(&rtcp)?;
            return Ok((rtp, rtcp));
        }
    }
}

fn prepare(socket: &UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    set(socket, libc::SO_TIMESTAMPNS, 1)?;
    // Beyond the limit of the system where that is allowed.
    set(socket, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).or_else(|_| set(socket, libc::SO_RCVBUF, RECEIVE_BUFFER))
}

fn set(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives through the call and is as long as told.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const value).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Nanoseconds of the clock that stamps datagrams.
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// Nanoseconds that this thread has worked.
pub fn worked_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    // SAFETY: plain data, for which all zeroes are a value.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: a place for the answer.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanoseconds(time)
}

fn nanoseconds(time: libc::timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A datagram that came, or its beginning; when, and from which port.
pub struct Arrival<'a> {
    pub octets: &'a [u8],
    pub at: u64,
    pub port: u16,
}

/// Buffers of one `recvmmsg`. They point at one another: boxed, never moved.
pub struct Inbox {
    /// Octets kept of a datagram.
    size: usize,
    octets: Box<[u8]>,
    names: Box<[libc::sockaddr_in; BATCH]>,
    controls: Box<[[u64; CONTROL / 8]; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    messages: Box<[libc::mmsghdr; BATCH]>,
}

// SAFETY: the pointers in it lead to its own boxes.
unsafe impl Send for Inbox {}

impl Inbox {
    /// Keeps so many octets of each datagram.
    pub fn new(size: usize) -> Inbox {
        // SAFETY: all are plain data, for which all zeroes are a value.
        let mut inbox = unsafe {
            Inbox {
                size,
                octets: vec![0; size * BATCH].into_boxed_slice(),
                names: Box::new(mem::zeroed()),
                controls: Box::new([[0; CONTROL / 8]; BATCH]),
                vectors: Box::new(mem::zeroed()),
                messages: Box::new(mem::zeroed()),
            }
        };
        for index in 0..BATCH {
            let place = &mut inbox.octets[index * size..];
            inbox.vectors[index] = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: size };
            let header = &mut inbox.messages[index].msg_hdr;
            header.msg_name = (&raw mut inbox.names[index]).cast();
            header.msg_iov = &raw mut inbox.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = inbox.controls[index].as_mut_ptr().cast();
        }
        inbox
    }

    /// Takes up to [`BATCH`] datagrams that have come; how many there were.
    pub fn receive(&mut self, socket: &UdpSocket, mut take: impl FnMut(Arrival<'_>)) -> usize {
        for message in self.messages.iter_mut() {
            message.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        // SAFETY: the headers point to buffers of the size they say, which live as long as this.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for index in 0..count {
            let message = &self.messages[index];
            let start = index * self.size;
            let octets = &self.octets[start..start + (message.msg_len as usize).min(self.size)];
            take(Arrival { octets, at: stamp(&message.msg_hdr), port: u16::from_be(self.names[index].sin_port) });
        }
        count
    }
}

/// When the kernel took it; 0 where it does not say.
fn stamp(header: &libc::msghdr) -> u64 {
    // SAFETY: the kernel has written the control messages that the header tells of.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() || (*control).cmsg_type != libc::SCM_TIMESTAMPNS {
            return 0;
        }
        nanoseconds(ptr::read_unaligned(libc::CMSG_DATA(control).cast::<libc::timespec>()))
    }
}

/// Datagrams to be sent from one socket. Boxed, as above.
pub struct Outbox {
    packets: Box<[[u8; MAX_PACKET]; BATCH]>,
    names: Box<[libc::sockaddr_in; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    messages: Box<[libc::mmsghdr; BATCH]>,
    count: usize,
}

// SAFETY: the pointers in it lead to its own boxes.
unsafe impl Send for Outbox {}

impl Outbox {
    pub fn new() -> Outbox {
        // SAFETY: all are plain data, for which all zeroes are a value.
        let mut outbox = unsafe {
            Outbox {
                packets: Box::new([[0; MAX_PACKET]; BATCH]),
                names: Box::new(mem::zeroed()),
                vectors: Box::new(mem::zeroed()),
                messages: Box::new(mem::zeroed()),
                count: 0,
            }
        };
        for index in 0..BATCH {
            outbox.vectors[index].iov_base = outbox.packets[index].as_mut_ptr().cast();
            let header = &mut outbox.messages[index].msg_hdr;
            header.msg_name = (&raw mut outbox.names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = &raw mut outbox.vectors[index];
            header.msg_iovlen = 1;
        }
        outbox
    }

    pub fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// A datagram of so many octets, to be written. Only while it is not full.
    pub fn push(&mut self, to: SocketAddrV4, length: usize) -> &mut [u8] {
        let index = self.count;
        self.count += 1;
        let name = &mut self.names[index];
        name.sin_family = libc::AF_INET as libc::sa_family_t;
        name.sin_port = to.port().to_be();
        name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
        self.vectors[index].iov_len = length;
        &mut self.packets[index][..length]
    }

    /// Sends all; what the kernel refuses is lost.
    pub fn send(&mut self, socket: &UdpSocket) {
        let mut next = 0;
        while next < self.count {
            // SAFETY: as for `recvmmsg`.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.messages[next..].as_mut_ptr(),
                    (self.count - next) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            next += usize::try_from(sent).unwrap_or(0).max(1);
        }
        self.count = 0;
    }
}
