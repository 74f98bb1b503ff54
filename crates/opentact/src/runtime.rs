//! `runtime.json`: which addresses a running server has, written once it is ready.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The chosen addresses. `null` for what is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub sip_udp: Option<SocketAddr>,
    pub sip_tcp: Option<SocketAddr>,
    pub sip_tls: Option<SocketAddr>,
    /// Listeners for customers' SMPP software, those over TLS last.
    #[serde(default)]
    pub smpp: Vec<SocketAddr>,
    pub metrics: SocketAddr,
    pub pid: u32,
}

/// The file while its server runs; removed with it, so that nobody waits for a server that is gone.
#[derive(Debug)]
pub struct RuntimeFile {
    path: PathBuf,
}

impl RuntimeFile {
    fn path(data: &Path) -> PathBuf {
        data.join("runtime.json")
    }

    /// Takes away what a killed server left.
    ///
    /// # Errors
    /// What the file system says, except that there is none.
    pub fn clear(data: &Path) -> io::Result<()> {
        match fs::remove_file(Self::path(data)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// What the file system says.
    pub fn write(data: &Path, runtime: &Runtime) -> io::Result<Self> {
        let path = Self::path(data);
        let mut text = serde_json::to_vec_pretty(runtime)?;
        text.push(b'\n');
        crate::files::replace(&path, &text, 0o644)?;
        Ok(Self { path })
    }

    /// What a running server wrote; `None` when none runs on this data folder.
    pub fn read(data: &Path) -> Option<Runtime> {
        serde_json::from_slice(&fs::read(Self::path(data)).ok()?).ok()
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_there_while_the_server_runs() {
        let data = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let runtime = Runtime {
            http: address,
            https: address,
            sip_udp: Some(address),
            sip_tcp: Some(address),
            sip_tls: None,
            smpp: vec![address],
            metrics: address,
            pid: 7,
        };
        RuntimeFile::clear(data.path()).unwrap();
        let file = RuntimeFile::write(data.path(), &runtime).unwrap();
        assert_eq!(RuntimeFile::read(data.path()), Some(runtime));
        drop(file);
        assert_eq!(RuntimeFile::read(data.path()), None);
    }
}
